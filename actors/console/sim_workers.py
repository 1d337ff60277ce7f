"""Worker processes for `actors sim run`: each gets an errand, answers, gets the next. None outlives the block."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from subprocess import PIPE
from typing import Final

import msgspec
import trio

from actors.console.sim_figures import Answer, Errand
from actors.control.lines import LineReader
from actors.errors import ActorError

PATIENCE: Final = 300.0
"""Real seconds that one run takes at most; then its worker is killed, and the run has failed."""
_RUNS: Final = 12
"""So many times longer may it take to make a failure small."""
_STARTING: Final = 60.0
_MAX_ANSWER: Final = 1 << 20


class WorkerFailed(ActorError):
    """A worker process did not start."""

    code = "worker"
    hint = "its own words are above"


class _Gone(Exception):
    """The worker will not answer any more. The text says why."""


async def search(
    errands: Iterator[Errand],
    on_answer: Callable[[Answer], object],
    *,
    jobs: int,
    load: Sequence[str] = (),
    patience: float = PATIENCE,
) -> None:
    """Have all errands done, by so many workers; `on_answer` gets the answers as they come, in any order.

    A run whose worker ends or hangs is answered as failed, and another worker takes its place. WorkerFailed if one
    does not start. Cancelled, or when `on_answer` raises, it ends all workers.
    """

    async def labour() -> None:
        async with _open_desk(load, patience) as desk:
            for errand in errands:  # the same iterator for all
                on_answer(await desk.do(errand))

    async with trio.open_nursery() as nursery:
        for _ in range(jobs):
            nursery.start_soon(labour)


class _Desk:
    """Where a worker sits once there is something to do, and after it another."""

    def __init__(self, load: Sequence[str], patience: float) -> None:
        self._load = load
        self._patience = patience
        self._worker: _Worker | None = None

    async def do(self, errand: Errand) -> Answer:
        """The answer of a worker, or that there is none."""
        if self._worker is None:
            self._worker = await _hire(self._load)
        try:
            return await self._worker.do(errand, self._patience * (_RUNS if errand.shrink else 1))
        except _Gone as gone:
            await self.clear()
            return Answer(number=errand.number, scenario=errand.scenario, seed=errand.seed, words=(str(gone),))

    async def clear(self) -> None:
        """Kill the worker, if there is one."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.kill()


@asynccontextmanager
async def _open_desk(load: Sequence[str], patience: float) -> AsyncIterator[_Desk]:
    desk = _Desk(load, patience)
    try:
        yield desk
    finally:
        await desk.clear()


class _Worker:
    """One worker process. It ends with this one, however this one ends."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._lines = LineReader(process.stdout, _MAX_ANSWER)

    async def do(self, errand: Errand, patience: float) -> Answer:
        """Its answer; _Gone if there will be none."""
        with trio.move_on_after(patience):
            with suppress(trio.BrokenResourceError):  # it has ended, and says no more
                await self._stdin.send_all(msgspec.json.encode(errand) + b"\n")
            return msgspec.json.decode(await self.read(), type=Answer)
        raise _Gone(f"it was not over after {patience:g} s of real time, and was killed")

    async def read(self) -> bytes:
        """Its next line; _Gone if it ended."""
        line = await self._lines.read()
        if line is None:
            raise _Gone(f"its worker process ended with {_words(await self._process.wait())}")
        return line

    async def kill(self) -> None:
        """At once. Cancellation does not stop it."""
        self._process.kill()
        with trio.CancelScope(shield=True):
            await self._process.wait()
            await trio.aclose_forcefully(self._stdin)
            await trio.aclose_forcefully(self._stdout)


async def _hire(load: Sequence[str]) -> _Worker:
    """A worker that is ready. WorkerFailed if there will be none."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "actors.console.sim_worker", *load],
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,  # signals of the terminal are for this process alone, which ends its workers
    )
    worker, ready = _Worker(process), False
    try:
        with trio.move_on_after(_STARTING):
            await worker.read()
            ready = True
    except _Gone as gone:
        raise WorkerFailed(str(gone)) from None
    finally:
        if not ready:
            await worker.kill()
    if not ready:
        raise WorkerFailed(f"a worker process is not ready after {_STARTING:g} s")
    return worker


def _words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
