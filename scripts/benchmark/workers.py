"""Workers as the course sees them: processes that answer in time, or an error in words. Each is a process group."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import trio
from msgspec import Struct

SCRIPTS = Path(__file__).parents[1]
ROOT = SCRIPTS.parent


class WorkerError(Exception):
    """A contender that cannot be measured; the text says why, in one line."""


class Patience(Struct, frozen=True):
    """How long one waits, in seconds."""

    start: float = 60.0
    answer: float = 60.0


class Worker:
    """One contender's processes, ready to be measured."""

    def __init__(self, name: str, process: trio.Process, patience: Patience, stderr: IO[bytes]) -> None:
        self.name = name
        self._process = process
        self._patience = patience
        self._stderr = stderr
        self._read = b""

    async def measure(self, count: int, load: int) -> float:
        """What a message costs, over so many."""
        assert self._process.stdin is not None
        with suppress(trio.BrokenResourceError):
            await self._process.stdin.send_all(json.dumps([count, load]).encode() + b"\n")
        line = await self._line(self._patience.answer, "gave no figure")
        try:
            return float(line)
        except ValueError:
            raise WorkerError(f"{self.name} said {line[:60]!r} in place of a figure") from None

    async def started(self) -> None:
        """Once it is ready."""
        while (line := await self._line(self._patience.start, "did not start")) != "ready":
            if not line:
                raise WorkerError(f"{self.name} ended at once")

    async def _line(self, seconds: float, complaint: str) -> str:
        assert self._process.stdout is not None
        with trio.move_on_after(seconds):
            while b"\n" not in self._read:
                data = await self._process.stdout.receive_some(4096)
                if not data:
                    raise WorkerError(f"{self.name} {complaint}: {self._last_words()}")
                self._read += data
            line, _, self._read = self._read.partition(b"\n")
            return line.decode(errors="replace").strip()
        raise WorkerError(f"{self.name} {complaint} within {seconds:g} s")

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip()[:200] if lines else "it ended without a word"


@asynccontextmanager
async def open_worker(name: str, command: Sequence[str], patience: Patience) -> AsyncIterator[Worker]:
    """Start it, and end it with all that it has started. Raises WorkerError."""
    paths = [str(SCRIPTS), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryFile() as stderr:
        try:
            process = await trio.lowlevel.open_process(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environ,
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerError(f"{name} cannot be started: {error.strerror or error}") from None
        try:
            worker = Worker(name, process, patience, stderr)
            await worker.started()
            yield worker
        finally:
            with trio.CancelScope(shield=True):
                await _end(process)


async def _end(process: trio.Process) -> None:
    """Let it go by itself, for a moment; then kill whatever is left of its group, stopped processes included."""
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdin.aclose()
    with trio.move_on_after(3):
        await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    await process.stdout.aclose()
