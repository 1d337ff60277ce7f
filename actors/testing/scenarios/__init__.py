"""Scenarios: what the simulator runs by name (`actors sim run`)."""

from __future__ import annotations

from actors.testing.scenarios import chaos
from actors.testing.scenarios.registry import SCENARIOS, Scenario, scenario

__all__ = ["SCENARIOS", "Scenario", "chaos", "scenario"]
