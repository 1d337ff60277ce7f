"""Cancel a node, or everything, at its k-th step, for every k: nothing may outlive its nursery (P9).

A step is what a task does between two checkpoints. Counted over all tasks of the run, they are the same in every run
from the same seed, so that the k-th is always at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import trio
from msgspec import Struct

from actors.testing.cluster.simulation import Simulation
from actors.testing.history.records import Left
from actors.testing.seeds.search import Result, Scenario, run


class Steps(trio.abc.Instrument):
    """Counts steps; at the k-th it does something, once."""

    def __init__(self, k: int = 0, then: Callable[[], object] = lambda: None) -> None:
        self.count = 0
        self._k = k
        self._then = then

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1
        if self.count == self._k:
            self._then()


class Cancelled(Struct, frozen=True):
    """One cancellation, and what was wrong afterwards; empty if nothing was."""

    k: int
    node: str
    """Which node was cancelled; empty for the whole simulation."""
    words: str


def steps(scenario: Scenario, seed: int) -> int:
    """How many steps the scenario takes from this seed."""
    counter = Steps()
    result = run(scenario, seed, instruments=(counter,))
    if result.failed:
        raise AssertionError(f"the scenario fails without any cancellation: {result.words}")
    return counter.count


def sweep(scenario: Scenario, seed: int, ks: Iterable[int], *, node: str = "") -> Iterator[Cancelled]:
    """Cancel at each of these steps: a node by name, or everything. Gives each that left something or failed."""
    for k in ks:
        words = cancelled_at(scenario, seed, k, node=node)
        if words:
            yield Cancelled(k, node, words)


def cancelled_at(scenario: Scenario, seed: int, k: int, *, node: str = "") -> str:
    """What is wrong after a cancellation at step k; empty if nothing is."""
    made: list[Simulation] = []

    def cancel() -> None:
        if made:
            made[0].cancel(node)

    steps = Steps(k, cancel)

    async def body(sim: Simulation) -> None:
        made.append(sim)
        try:
            await scenario(sim)
        except Exception:
            if not sim.maimed:
                raise

    return _wrong(run(body, seed, instruments=(steps,)))


def _wrong(result: Result) -> str:
    left = [record for record in result.history if isinstance(record, Left)]
    words = [f"{record.node} left {record.what}" for record in left]
    return "; ".join([*words, result.words] if result.failed else words)
