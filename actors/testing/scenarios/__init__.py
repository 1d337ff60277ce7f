"""Scenarios: what the simulator runs by name (`actors sim run`). A module of them is registered when it is imported."""

from __future__ import annotations

from actors.testing.scenarios import (
    adverts,
    cancelled,
    chaos,
    choice,
    closing,
    credit,
    crowds,
    given_up,
    incarnations,
    intruders,
    liars,
    life,
    liveness,
    middle,
    migrations,
    poison,
    raising,
    rings,
    sessions,
    weather,
)
from actors.testing.scenarios.registry import SCENARIOS, Scenario, scenario

__all__ = [
    "SCENARIOS",
    "Scenario",
    "adverts",
    "cancelled",
    "chaos",
    "choice",
    "closing",
    "credit",
    "crowds",
    "given_up",
    "incarnations",
    "intruders",
    "liars",
    "life",
    "liveness",
    "middle",
    "migrations",
    "poison",
    "raising",
    "rings",
    "scenario",
    "sessions",
    "weather",
]
