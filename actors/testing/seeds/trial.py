"""A test of a user's from one seed after the other, until one fails; that one made small, and put into words."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Final, TypeAlias

import trio
from msgspec import Struct

from actors.testing.cluster.simulation import Simulation
from actors.testing.seeds.chosen import Chosen
from actors.testing.seeds.report import Failure, report
from actors.testing.seeds.search import Result, Scenario, run, shrunk
from actors.testing.seeds.storm import Storm
from actors.testing.virtual.real import NothingReal, NotSimulated

_SHRINKING: Final = 20.0
"""Real seconds that making a failure small takes, about, and at most."""
_MOST_RUNS: Final = 300

Raised: TypeAlias = tuple[BaseException, TracebackType | None]


class SimulationFailed(AssertionError):
    """A seed from which a test fails. The text has the seed, why, the fewest faults, the replay line and a diagram."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(report(failure))
        self.failure = failure


class Terms(Struct, frozen=True, kw_only=True):
    """What `simulate` was told."""

    seeds: int
    kinds: Sequence[str]
    over: float
    chances: Mapping[str, float]
    allow: Collection[str]


class Trial:
    """One call of a test. `test` takes the simulation; `name` is what the shell calls it."""

    def __init__(self, test: Scenario, name: str, terms: Terms, chosen: Chosen) -> None:
        self._test = test
        self._name = shlex.quote(name)
        self._terms = terms
        self._chosen = chosen
        self._raised: Raised | None = None
        self._guard = NothingReal()

    def run(self) -> None:
        """All seeds. SimulationFailed at the first that fails, NotSimulated if the test does what is real."""
        __tracebackhide__ = True
        with NothingReal(allow=self._terms.allow):
            failed = next(filter(None, map(self._failure, self._chosen.of(self._terms.seeds))), None)
        if failed is not None:
            failure, raised = failed
            raise SimulationFailed(failure) from (None if raised is None else raised[0].with_traceback(raised[1]))

    # -- one run ----------------------------------------------------------------------------------------

    def _once(self, seed: int, without: frozenset[int]) -> Result:
        self._raised = None
        try:
            with NothingReal(seed, allow=self._terms.allow) as self._guard:
                return run(self._play, seed, without=without)
        except NotSimulated as error:
            error.add_note(f"with seed {seed}; again: {self._chosen.replay(self._name, seed, without)}")
            raise
        except BaseExceptionGroup as group:
            raise _decisive(group) from None

    async def _play(self, sim: Simulation) -> None:
        """The test as a scenario, with its faults."""
        self._guard.name_of = sim.name_of
        sim.chances.update(self._terms.chances)
        storm = sim.storm = Storm(sim, self._terms.kinds, over=self._terms.over)
        sim.start_soon(storm.blow)
        try:
            await self._test(sim)
        except trio.Cancelled:
            raise
        except BaseException as error:
            self._raised = error, error.__traceback__ and error.__traceback__.tb_next
            if _told_to_fail(error):
                raise AssertionError(str(error)) from error  # as any other failure, so that it is made small
            raise
        await storm.end()

    # -- a failure --------------------------------------------------------------------------------------

    def _failure(self, seed: int) -> tuple[Failure, Raised | None] | None:
        """None if the test goes through from this seed."""
        without = self._chosen.without
        began = time.monotonic()
        result = self._once(seed, without)
        seconds = time.monotonic() - began
        if not result.failed:
            return None
        raised = self._raised
        small, left_out = result, without
        if not without:
            small, left_out = self._small(result, most_runs=int(min(_MOST_RUNS, _SHRINKING / seconds)))
        again = self._once(seed, left_out)
        if again.failed:
            before = small if left_out else result
            return self._in_words(again, left_out, again.trace_hash == before.trace_hash), self._raised or _of(again)
        return self._in_words(result, without, False), raised or _of(result)

    def _small(self, result: Result, *, most_runs: int) -> tuple[Result, frozenset[int]]:
        try:
            return shrunk(lambda without: self._once(result.seed, without), most_runs=most_runs)
        except ValueError:
            return result, frozenset()

    def _in_words(self, result: Result, without: frozenset[int], same: bool) -> Failure:
        return Failure(
            seed=result.seed,
            error=result.error,
            violations=result.violations,
            faults=result.faults,
            without=without,
            history=result.history,
            virtual_seconds=result.virtual_seconds,
            trace_hash=result.trace_hash,
            replay=self._chosen.replay(self._name, result.seed, without),
            remark="" if same else _NOT_THE_SAME,
        )


_NOT_THE_SAME = (
    "It was repeated, and did not come out the same: something in the test hangs on what is not the seed's, such as a"
    " set's order, an object's address, or what a fixture remembers."
)


def _of(result: Result) -> Raised | None:
    failure = result.failure
    return None if failure is None else (failure, failure.__traceback__)


def _decisive(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of what is no failure, such as a skipped test or Ctrl-C, the first."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return _decisive(error)
        if not isinstance(error, Exception | trio.Cancelled):
            return error
    return group


def _told_to_fail(error: BaseException) -> bool:
    """Whether it is what `pytest.fail` raises, which is no Exception."""
    outcomes = sys.modules.get("_pytest.outcomes")
    return outcomes is not None and isinstance(error, outcomes.Failed)
