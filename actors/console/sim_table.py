"""The scenarios that the commands `actors sim` know: the package's, and those of modules that are loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.testing.scenarios import Scenario


def known_scenarios(load: Sequence[str] = ()) -> dict[str, Scenario]:
    """By name. `load`: modules to import before, which may define more. AppError if one cannot be imported."""
    from actors.app import load_module
    from actors.testing.scenarios import SCENARIOS

    for module in load:
        load_module(module)
    return SCENARIOS


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
