"""Run a scenario from a seed, and judge what happened; look for seeds that fail; make a failure small."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, TypeAlias

import trio
from msgspec import Struct

from actors.testing.cluster.simulation import Simulation, open_simulation
from actors.testing.history.records import History, Violation
from actors.testing.judge import judge
from actors.testing.virtual.runner import run_virtual

Scenario: TypeAlias = Callable[[Simulation], Awaitable[object]]


class Result(Struct, kw_only=True):
    """What one run of a scenario came to."""

    seed: int
    violations: list[Violation]
    error: str = ""
    """Of the scenario itself, or of the code under it."""
    failure: Exception | None = None
    """The same, as it was raised."""
    trace_hash: str
    virtual_seconds: float
    faults: list[str]
    """All that were inflicted, or left out, by number."""
    history: History

    @property
    def failed(self) -> bool:
        """Whether a promise was broken, or the scenario did not go through."""
        return bool(self.violations or self.error)

    @property
    def words(self) -> str:
        """Why it failed; empty if it did not."""
        lines = [f"{found.promise} {found.rule} at {found.at:.3f}: {found.words}" for found in self.violations]
        return "\n".join([*lines, self.error] if self.error else lines)


def run(scenario: Scenario, seed: int, *, without: Collection[int] = (), instruments: Iterable[Any] = ()) -> Result:
    """One run, from its seed alone; without the faults of these numbers."""
    made: list[Simulation] = []
    ended = [0.0]

    async def main() -> None:
        try:
            async with open_simulation(seed, without=without) as sim:
                made.append(sim)
                await scenario(sim)
        finally:
            ended[0] = trio.current_time()

    raised: Exception | None = None
    try:
        run_virtual(main, seed=seed, instruments=tuple(instruments))
    except Exception as failure:
        raised = failure
    (sim,) = made
    sim.trace.mix(sim.network.digest)
    return Result(
        seed=seed,
        violations=judge(sim.history),
        error="" if raised is None else in_words(raised),
        failure=raised,
        trace_hash=sim.trace.digest,
        virtual_seconds=ended[0],
        faults=sim.faults,
        history=sim.history,
    )


def in_words(failure: BaseException) -> str:
    """An error on one line; of a group, those in it."""
    if isinstance(failure, BaseExceptionGroup):
        return "; ".join(in_words(each) for each in failure.exceptions)
    return f"{type(failure).__name__}: {failure}"


def shrink(scenario: Scenario, seed: int, *, most_runs: int = 300) -> tuple[Result, frozenset[int]]:
    """The fewest faults that still fail, by leaving out ever smaller parts; the numbers of those left out.

    A failure that needs no fault comes back with all of them left out. ValueError for a seed that does not fail.
    """
    return shrunk(lambda without: run(scenario, seed, without=without), most_runs=most_runs)


def shrunk(again: Callable[[frozenset[int]], Result], *, most_runs: int = 300) -> tuple[Result, frozenset[int]]:
    """As `shrink`, of whatever `again` runs without the faults of these numbers."""
    without: frozenset[int] = frozenset()
    best = again(without)
    if not best.failed:
        raise ValueError(f"seed {best.seed} does not fail")
    kept = list(range(len(best.faults)))
    size = len(kept)
    runs = 0
    while size >= 1 and runs < most_runs:
        shrunk = False
        for start in range(0, len(kept), size):
            attempt = without | set(kept[start : start + size])
            result = again(attempt)
            runs += 1
            if result.failed:
                best, without, shrunk = result, attempt, True
                kept = [number for number in range(len(best.faults)) if number not in without]
                break
        if not shrunk:
            size //= 2
        size = min(size, len(kept))
    return best, without
