"""What one run came to, for `actors sim replay` and `shrink`: a result in, records and words out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from actors.console.sim_figures import PromisesBroken, counted, replay_line
from actors.errors import ActorError
from actors.testing.history.records import Fault, Violation
from actors.testing.seeds.search import Result


class TraceDiffers(ActorError):
    """A run that did not come out as it had to."""

    code = "trace_differs"
    hint = "a seed is the same run only with the same version of trio-actors, and the same modules loaded"


class Inflicted(Struct, frozen=True):
    """A fault of a run. `at` is None if it was left out."""

    number: int
    at: float | None
    what: str


class Story(Struct, frozen=True, kw_only=True):
    """The `data` of `actors sim replay` and `shrink`."""

    scenario: str
    seed: int
    without: tuple[int, ...]
    trace_hash: str
    expected: str | None = None
    virtual_seconds: float
    records: int
    faults: tuple[Inflicted, ...]
    violations: tuple[Violation, ...]
    error: str
    """What the scenario raised; empty if it went through."""
    replay: str
    log: str | None = None
    diagram: str | None = None


def story_of(
    scenario: str,
    result: Result,
    *,
    without: Collection[int] = (),
    expected: str | None = None,
    load: Sequence[str] = (),
    log: str | None = None,
    diagram: str | None = None,
) -> Story:
    """Of a run that is over."""
    left_out = tuple(sorted(without))
    return Story(
        scenario=scenario,
        seed=result.seed,
        without=left_out,
        trace_hash=result.trace_hash,
        expected=expected,
        virtual_seconds=round(result.virtual_seconds, 6),
        records=len(result.history),
        faults=_inflicted(result, left_out),
        violations=tuple(result.violations),
        error=result.error,
        replay=replay_line(scenario, result.seed, left_out, load),
        log=log,
        diagram=diagram,
    )


def _inflicted(result: Result, without: Collection[int]) -> tuple[Inflicted, ...]:
    times = (record.at for record in result.history if isinstance(record, Fault))
    return tuple(
        Inflicted(number, None if number in without else next(times, None), what)
        for number, what in enumerate(result.faults)
    )


def wrong(story: Story) -> ActorError | None:
    """Why the command fails, or None."""
    if story.expected not in (None, story.trace_hash):
        return TraceDiffers(f"the trace hash is {story.trace_hash}, not {story.expected}")
    if not story.violations and not story.error:
        return None
    found = counted(len(story.violations), "violation") if story.violations else "the scenario did not go through"
    error = PromisesBroken(f"{story.scenario} {story.seed}: {found}")
    error.hint = story.replay if story.without else f"actors sim shrink {story.scenario} {story.seed}"
    return error


def lines_of(story: Story) -> list[str]:
    """For people: a word, then what it is."""
    faults = [f"{fault.number} {_when(fault)}  {fault.what}" for fault in story.faults]
    violations = [f"{found.promise} {found.rule} at {found.at:.3f}: {found.words}" for found in story.violations]
    known: dict[str, Sequence[str]] = {
        "scenario": [f"{story.scenario} {story.seed}"],
        "trace hash": [story.trace_hash],
        "virtual s": [f"{story.virtual_seconds:.3f}"],
        "records": [str(story.records)],
        "faults": faults or ["none"],
        "violations": violations or ["none"],
        "error": story.error.splitlines(),
        "event log": [story.log] if story.log else [],
        "diagram": [story.diagram] if story.diagram else [],
        "replay": [story.replay],
    }
    return [
        f"{name if index == 0 else '':<11} {line}" for name, lines in known.items() for index, line in enumerate(lines)
    ]


def _when(fault: Inflicted) -> str:
    return "left out" if fault.at is None else f"at {fault.at:.4f}"
