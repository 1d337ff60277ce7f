"""The course: a row after the other, its contenders in turn, A B A B … Nothing that goes wrong ends it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from statistics import median

import trio
from msgspec import Struct

from benchmark.results import Point, Result
from benchmark.rows import Contender, How, Need, Row
from benchmark.workers import Patience, Worker, WorkerError, open_worker

CURVE = 3
"""Runs for each point of a curve."""


class Course(Struct, frozen=True, kw_only=True):
    """How it is run."""

    pairs: int = 5
    size: float = 1.0
    """The share of each row's messages."""
    peers: str = sys.executable
    """The Python in which other libraries are looked for, beside this one."""
    patience: Patience = Patience()

    async def run(self, rows: Sequence[Row], told: Callable[[Row, Result], None]) -> list[Result]:
        """All rows; each is told as soon as it is there."""
        results = []
        for row in rows:
            result = await self.measure(row.sized(self.size))
            told(row, result)
            results.append(result)
        return results

    async def measure(self, row: Row) -> Result:
        """One row. What cannot be measured is a Result that says why."""
        result = Result(row=row.name, what=row.what, against=row.other.name, unit=row.unit, goal=row.goal)
        python = await trio.to_thread.run_sync(self.python_for, row.other.need)
        if python is None:
            assert row.other.need is not None
            return _changed(result, why=row.other.need.install, skipped=True)
        try:
            return await self._measure(row, result, python)
        except WorkerError as error:
            return _changed(result, why=str(error))

    async def _measure(self, row: Row, result: Result, python: str) -> Result:
        mine, theirs = [], []
        async with AsyncExitStack() as stack:
            first = await self._open(stack, row.name, row.own, sys.executable)
            second = first
            if row.other.command != row.own.command and row.other.command:
                second = await self._open(stack, row.name, row.other, python)
            await first.measure(max(1, row.own.count // 10), row.own.load)  # warm
            if row.other.command:
                await second.measure(max(1, row.other.count // 10), row.other.load)
            for _ in range(self.pairs):
                mine.append(await first.measure(row.own.count, row.own.load))
                if row.other.command:
                    theirs.append(await second.measure(row.other.count, row.other.load))
            curve = [Point(load, await self._cost(first, row, load)) for load in row.loads]
        runs = tuple(mine) if row.how is How.PLAIN else tuple(map(_RATIO[row.how], mine, theirs))
        if curve:
            ends = Point(row.other.load, median(theirs)), Point(row.own.load, median(mine))
            curve = [Point(each.load, each.cost / ends[0].cost) for each in sorted((*ends, *curve), key=_load)]
        return _changed(result, runs=runs, own=tuple(mine), other=tuple(theirs), curve=tuple(curve))

    async def _open(self, stack: AsyncExitStack, row: str, contender: Contender, python: str) -> Worker:
        name = contender.name if contender.name != "own" else f"what {row} measures of our own"
        return await stack.enter_async_context(open_worker(name, contender.argv(python), self.patience))

    async def _cost(self, worker: Worker, row: Row, load: int) -> float:
        return median([await worker.measure(row.own.count, load) for _ in range(min(CURVE, self.pairs))])

    def python_for(self, need: Need | None) -> str | None:
        """Where the contender runs; None where what it needs is not installed."""
        if need is None:
            return sys.executable
        if not all(map(shutil.which, need.programs)):
            return None
        pythons = dict.fromkeys((sys.executable, *self.peers.split(",")))
        return next((python for python in pythons if _has(python, need.modules)), None)


def _has(python: str, modules: Sequence[str]) -> bool:
    look = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
    try:
        return not subprocess.run([python, "-c", look, *modules], capture_output=True, check=False).returncode
    except OSError:
        return False


_RATIO: dict[How, Callable[[float, float], float]] = {
    How.SPEED: lambda mine, theirs: theirs / mine,
    How.COST: lambda mine, theirs: mine / theirs,
}


def _load(point: Point) -> int:
    return point.load


def _changed(result: Result, **fields: object) -> Result:
    kept = {name: getattr(result, name) for name in result.__struct_fields__}
    return Result(**{**kept, **fields})
