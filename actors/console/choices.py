"""What `up` and `pipe` can be told, checked before anything starts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from actors.console.exits import UsageError

MOST_NODES = 64
"""Processes that one command starts at most."""


def checked_transport(name: str, available: Sequence[str], missing: Mapping[str, str]) -> str:
    """UsageError for one that is not there; with a hint for one of the missing, which can be installed."""
    if name not in available:
        error = UsageError(f"--transport {name}: there is {', '.join(available)}")
        error.hint = missing.get(name, "")
        raise error
    return name


def checked_nodes(count: int, least: int) -> int:
    """UsageError for too few or too many."""
    if not least <= count <= MOST_NODES:
        raise UsageError(f"{count} nodes: from {least} to {MOST_NODES}")
    return count


def checked_cuts(count: int, every: float | None) -> int:
    """UsageError for a number that is none, or both kinds of cuts at once."""
    if count < 0:
        raise UsageError(f"--cuts {count}: a number from 0")
    if count and every is not None:
        raise UsageError("either --cuts or --cut-every")
    return count


def checked_seconds(option: str, seconds: float | None) -> float | None:
    """UsageError for what is no time."""
    if seconds is not None and not (isfinite(seconds) and seconds > 0):
        raise UsageError(f"{option} {seconds:g}: a number of seconds above 0")
    return seconds
