"""What `up`, `pipe` and `fault` can be told, checked before anything starts. Pure."""

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


def node_list(text: str) -> tuple[str, ...]:
    """The names in `a,b`; UsageError for what is no such list."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(f"{text!r}: names of nodes, each once, with commas between them, such as a,b")
    return names


def checked_apart(one: Sequence[str], other: Sequence[str]) -> None:
    """UsageError unless there is somebody on either side, and nobody on both."""
    if both := sorted({*one} & {*other}):
        raise UsageError(f"{', '.join(both)} cannot be on both sides")
    if not (one and other):
        raise UsageError("nobody is left for the other side")


def slowness_in_words(latency: float | None, rate: float | None) -> str:
    """How slow; UsageError for what is not slow."""
    if latency is None and rate is None:
        raise UsageError("how slow? --latency SECONDS, --rate KIB, or both")
    checked_seconds("--latency", latency)
    if rate is not None and not (isfinite(rate) and rate > 0):
        raise UsageError(f"--rate {rate:g}: a number of KiB a second above 0")
    delay = [] if latency is None else [f"{latency:g} s more for each round trip"]
    return ", ".join([*delay, *([] if rate is None else [f"{rate:g} KiB/s each way"])])
