"""What is said of a simulated test that failed. Pure: results in, text out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from textwrap import indent

from msgspec import Struct

from actors.testing.history.diagram import diagram
from actors.testing.history.records import AnyRecord, Fault, History, Violation

LINES = 40
"""Events of the diagram in a report."""
VIOLATIONS = 5
"""Broken promises that a report names."""


class Failure(Struct, frozen=True, kw_only=True):
    """A run that failed, after shrinking. `replay` is the line that repeats it."""

    seed: int
    error: str
    """What the test raised; empty if it went through and a promise was broken."""
    violations: Sequence[Violation]
    faults: Sequence[str]
    """All by number; also those left out."""
    without: Collection[int] = ()
    history: History
    virtual_seconds: float
    trace_hash: str
    replay: str
    remark: str = ""
    """Why it may not fail again."""


def report(failure: Failure) -> str:
    """The seed, why, the fewest faults, the line that replays it, and the diagram."""
    parts = [
        f"seed {failure.seed} fails, after {failure.virtual_seconds:.3f} virtual seconds (trace {failure.trace_hash})",
        *_part("Why", list(_why(failure))),
        *_part(_faults_title(failure), timed_faults(failure.faults, failure.without, failure.history)),
        *_part("Replay", [failure.replay, *([failure.remark] if failure.remark else [])]),
        *_part("What happened (Mermaid)", diagram(failure.history, failure.violations, lines=LINES).splitlines()),
    ]
    return "\n".join(parts) + "\n"


def _part(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"{title}:", *(indent(line, "    ") for line in lines)] if lines else ["", title]


def _why(failure: Failure) -> Iterator[str]:
    if failure.error:
        yield failure.error
        if hint := restarted(failure.history):
            yield hint
    for found in failure.violations[:VIOLATIONS]:
        yield f"{found.promise} {found.rule} at {found.at:.3f}: {found.words}"
    if len(failure.violations) > VIOLATIONS:
        yield f"and {len(failure.violations) - VIOLATIONS} more"
    if failure.violations:
        yield "A broken promise is a defect of trio-actors, whatever the test does: please report it with this text."


def _faults_title(failure: Failure) -> str:
    kept, drawn = len(failure.faults) - len(set(failure.without)), len(failure.faults)
    if not drawn:
        return "It needs no fault: none was drawn."
    if not kept:
        return f"It needs no fault: it fails without any of the {drawn} that were drawn."
    return (
        f"The fewest faults that still fail, {kept} of {drawn}"
        if kept < drawn
        else "Faults, none of which can be left out"
    )


def timed_faults(faults: Sequence[str], without: Collection[int], history: Sequence[AnyRecord]) -> list[str]:
    """A line for each fault that was inflicted: its number, its time, what it was."""
    inflicted = (record for record in history if isinstance(record, Fault))
    numbers = (number for number in range(len(faults)) if number not in without)
    return [
        f"{number:>3}  at {record.at:.4f}  {record.what}" for number, record in zip(numbers, inflicted, strict=False)
    ]


def restarted(history: Sequence[AnyRecord]) -> str:
    """What to know of nodes that faults have ended; empty if none did."""
    faults = (record for record in history if isinstance(record, Fault))
    names = list(dict.fromkeys(fault.node for fault in faults if fault.what.startswith(("Crash(", "Bounce("))))
    if not names:
        return ""
    return (
        f"A fault has ended a run of {', '.join(names)}: what `sim.start` returned for it is over. The present one is"
        f" sim[{names[0]!r}], while {names[0]!r} is in sim.running."
    )
