"""Trio under a virtual clock, with its tasks in an order that a seed decides. The one place that touches Trio's own.

Trio reads these names of `trio._core._run` at every step; for the length of a run they are ours:

    _ALLOW_DETERMINISTIC_SCHEDULING, _r    tasks that could all run go in an order drawn from the seed
    CancelStatus                           a scope that is cancelled wakes its tasks in the order in which they came
    id                                     scopes whose time is up at one instant: in the order of their deadlines'
                                           making, where Trio goes by addresses in memory

The last two matter because a task that is cancelled may act while it is woken: an ask takes its message back.
Python's collector of cycles rests meanwhile: it strikes at moments of its own, and what it finalizes may wake tasks.

Out of reach, and so not to be relied on: the order of `nursery.child_tasks`, of what Trio tells an Instrument's
`task_scheduled`, and in which asynchronous generators that nobody closed are closed at the end. All are sets.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import count
from math import inf
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

import trio
from trio.abc import Instrument
from trio.lowlevel import Task
from trio.testing import MockClock

from actors.errors import ActorError

R = TypeVar("R")

DAY: Final = 86_400.0
"""Virtual seconds after which a run is held to hang."""
ROUNDS: Final = 1_000_000
"""So many rounds of the scheduler without the clock moving: something goes round and round without ever waiting."""
LAST_ROUNDS: Final = 10_000
"""The same, of a run that was told to end."""
MOST_TASKS: Final = 40
"""Of so many the error says where they wait."""

_NAMES = ("_ALLOW_DETERMINISTIC_SCHEDULING", "_r", "CancelStatus")


class SimulationHung(ActorError):
    """A run that would not end. `waiting` says of every task where it stood."""

    code = "simulation_hung"
    hint = "something waits for what never comes; give the wait a deadline, or the run a higher limit"

    def __init__(self, words: str, waiting: Sequence[str] = ()) -> None:
        super().__init__(words)
        self.waiting = tuple(waiting)
        for line in self.waiting[:MOST_TASKS]:
            self.add_note(line)
        if len(self.waiting) > MOST_TASKS:
            self.add_note(f"and {len(self.waiting) - MOST_TASKS} more tasks")


class TrioHasChanged(ActorError, RuntimeError):
    """This version of Trio lacks the names by which tasks are put in order."""

    code = "trio_has_changed"
    hint = "use a version of Trio that this version of trio-actors was tested with"


def run_virtual(
    main: Callable[[], Awaitable[R]],
    *,
    seed: int = 0,
    limit: float = DAY,
    instruments: Iterable[Instrument] = (),
    clock: MockClock | None = None,
) -> R:
    """Run `main` as `trio.run` does, and return its result: time is virtual, and the order of tasks is the seed's.

    The clock begins at 0 and jumps whenever all tasks wait. `clock`: use this one, which will jump, too.
    Raises SimulationHung if `main` has not ended after `limit` virtual seconds, or if the clock has stopped because
    something never waits; `main` is cancelled then, and no shield keeps it longer than that.
    TrioHasChanged if the order cannot be kept with this version of Trio. For one thread at a time.
    """
    clock = clock or MockClock()
    clock.autojump_threshold = 0
    watch = _Watch(clock, limit)
    with _in_order(seed), _uncollected():
        try:
            result: R = trio.run(watch.guard, main, clock=clock, instruments=[watch, *instruments])
        except Exception as error:
            if watch.hung is None:
                raise
            raise watch.hung from error
    if watch.hung is not None:
        raise watch.hung
    return result


# -- order ------------------------------------------------------------------------------------------------


@contextmanager
def _in_order(seed: int) -> Iterator[None]:
    loop: Any = trio._core._run
    missing = [name for name in _NAMES if not hasattr(loop, name)]
    if missing:
        raise TrioHasChanged(f"Trio {trio.__version__} has no {', '.join(missing)} in trio._core._run any more")
    before = {name: vars(loop)[name] for name in (*_NAMES, "id") if name in vars(loop)}
    numbers = count(1)
    loop._ALLOW_DETERMINISTIC_SCHEDULING = True
    loop._r = Random(seed)  # noqa: S311 - an order of tasks, no secret
    loop.CancelStatus = _orderly(loop.CancelStatus)
    loop.id = lambda _: next(numbers)
    try:
        yield
    finally:
        del loop.id
        vars(loop).update(before)


class _Ordered(dict[Any, None]):
    """What Trio needs of a set, in the order in which things came."""

    add = dict.setdefault
    remove = dict.__delitem__


@lru_cache
def _orderly(status: Any) -> Any:
    """Trio's CancelStatus, with its tasks and children in order."""

    class Orderly(status):  # type: ignore[misc]
        def __attrs_post_init__(self) -> None:
            self._tasks, self._children = _Ordered(), _Ordered()
            super().__attrs_post_init__()

    return Orderly


@contextmanager
def _uncollected() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


# -- hanging ----------------------------------------------------------------------------------------------


class _Watch(Instrument):
    """Ends a run that does not end by itself. `hung` is why."""

    def __init__(self, clock: MockClock, limit: float) -> None:
        self.hung: SimulationHung | None = None
        self._clock = clock
        self._limit = limit
        self._until = clock.current_time() + limit
        self._scope = trio.CancelScope(deadline=self._until)
        self._main: Task | None = None
        self._most = ROUNDS
        self._rounds = 0
        self._at = -inf

    async def guard(self, main: Callable[[], Awaitable[R]]) -> Any:
        """The result of `main`, or None if it had to be cancelled."""
        self._main = trio.lowlevel.current_task()
        with self._scope:  # its deadline also makes the clock jump there where nothing else would
            return await main()

    def before_io_wait(self, timeout: float) -> None:
        """Once for each round of the scheduler."""
        now = self._clock.current_time()
        if now == self._at:
            self._rounds += 1
        else:
            self._at, self._rounds = now, 0
        if (now >= self._until or self._rounds >= self._most) and self._main is not None:
            self._end(self._main, now)

    def _end(self, main: Task, now: float) -> None:
        if self.hung is None:
            self.hung = SimulationHung(*self._words(main, now))
            self._until, self._most, self._rounds = now + self._limit, LAST_ROUNDS, 0
            self._scope.cancel()
        else:
            self._until, self._rounds = now + self._limit, 0
            _unshield(_tasks(main))

    def _words(self, main: Task, now: float) -> tuple[str, list[str]]:
        standing = [f"{'main' if task is main else task.name}: {_where(task)}" for task in _tasks(main)]
        if now >= self._until:
            words = f"still not over after {self._limit:g} virtual seconds: main stands in {_where(main)}"
        else:
            words = f"the clock has stopped at {now:g}, for something never waits: main stands in {_where(main)}"
        return words, standing


def _tasks(task: Task) -> Iterator[Task]:
    """The task and all below it, in the order in which they were started."""
    yield task
    for nursery in task.child_nurseries:
        for child in sorted(nursery.child_tasks, key=lambda child: child._counter):
            yield from _tasks(child)


def _unshield(tasks: Iterable[Task]) -> None:
    for task in tasks:
        status: Any = task._cancel_status
        while status is not None:
            status._scope.shield = False
            status = status.parent


def _where(task: Task) -> str:
    """The innermost line that is not Trio's."""
    found = "no line of its own"
    with suppress(TypeError):  # Trio does not know how to look into everything that can be awaited
        for frame, line in task.iter_await_frames():
            if not frame.f_globals.get("__name__", "").startswith("trio."):
                found = f"{Path(frame.f_code.co_filename).name} line {line} ({frame.f_code.co_name})"
    return found
