"""Node processes: started with the public command, ready or explained, and never left behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import DEVNULL
from typing import BinaryIO

import msgspec
import trio
from msgspec import Struct

from actors.cluster.together import together
from actors.config import ENVIRONMENT
from actors.control.directories import start_path, state_path
from actors.control.failures import NodeConfigError, startup_error
from actors.control.lines import LineReader
from actors.control.messages import Failed, NodeIs, Troubles
from actors.snapshots import NodeSnapshot

READY = 30.0
"""Seconds that a node, with its app's setup, takes to be ready at most."""
GRACE = 5.0
"""Seconds that it takes to stop at most; then it is killed."""

_OF_ONE_NODE = {f"{ENVIRONMENT}{setting}" for setting in ("KEY", "STATE_DIR", "LISTEN", "PEERS", "ADVERTS")}
_MAX_REPORT = 1 << 20
_STDERR = 2


class NodeProcess(Struct, frozen=True, kw_only=True):
    """How to start a node: what its command line says."""

    name: str
    control: Path
    listen: tuple[str, ...]
    insecure: bool = False
    """Plain transports also beside secure ones."""
    app: str | None = None
    engines: tuple[str, ...] = ()
    folder: str = "."
    """The working directory, which the app is imported from."""
    record: str = ""
    """The folder of its record."""
    links: tuple[str, ...] = ()
    """Whom its cluster links it to for ever, by their names."""
    troubles: Troubles = Troubles()
    """What troubles its connections from the start."""
    through: tuple[str, ...] = ()
    """The words before its command: what it is started through."""
    settings: dict[str, str] = {}
    """More of its environment."""

    def command(self, report: int, lifeline: int | None) -> list[str]:
        """The arguments, with the file descriptors for the report and, if there is one, of the lifeline."""
        command = [*self.through, sys.executable, "-m", "actors", "run"]
        command += ["--name", self.name, "--control", str(self.control)]
        command += ["--state-dir", str(state_path(self.control))]
        command += [part for url in self.listen for part in ("--listen", url)]
        command += [part for reference in self.engines for part in ("--engines", reference)]
        command += ["--app", self.app] if self.app else []
        command += ["--record", self.record] if self.record else []
        command += ["--insecure"] if self.insecure else []
        command += ["--faults", msgspec.json.encode(self.troubles).decode()]
        return [*command, "--ready-fd", str(report), *(["--lifeline-fd", str(lifeline)] if lifeline else [])]

    def write_down(self) -> None:
        """Leave word, beside its control socket, how to start it again."""
        start_path(self.control).write_bytes(msgspec.json.encode(self, enc_hook=str))

    @classmethod
    def read(cls, control: Path) -> NodeProcess | None:
        """How the node with this control socket was started; None if it was not started as a process of a cluster."""
        try:
            return msgspec.json.decode(
                start_path(control).read_bytes(), type=cls, dec_hook=lambda kind, text: kind(text)
            )
        except (OSError, msgspec.DecodeError):
            return None


class Child:
    """A node process that was started here.

    It ends with this one, however this one ends: it holds the other end of `lifeline`.
    """

    def __init__(self, name: str, process: trio.Process, report: trio.SocketStream) -> None:
        self.name = name
        self.process = process
        self._report = report

    @property
    def pid(self) -> int:
        return self.process.pid

    async def ready(self) -> NodeSnapshot:
        """Returns once the node serves. NodeConfigError, with what the node said, if it never will."""
        with trio.move_on_after(READY) as patience:
            line = await self._read()
        if patience.cancelled_caught:
            raise NodeConfigError(
                "not_ready", f"node {self.name} is not ready after {READY:.0f} s", "look at its setup"
            )
        if line is None:
            code = await self.process.wait()
            raise NodeConfigError("not_ready", f"node {self.name} ended with {_words(code)} before it was ready")
        said = msgspec.json.decode(line, type=NodeIs | Failed)
        if isinstance(said, Failed):
            raise startup_error(self.name, said)
        return said.node

    async def stop(self, grace: float = GRACE) -> None:
        """SIGTERM, and SIGKILL to one that does not end. Cancellation does not stop it; it takes `grace` at most."""
        with trio.CancelScope(shield=True):
            with trio.move_on_after(grace):
                self.process.send_signal(signal.SIGTERM)
                await self.process.wait()
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()
            await trio.aclose_forcefully(self._report)

    def release(self) -> None:
        """Let it go on without this process."""
        self._report.socket.close()

    async def _read(self) -> bytes | None:
        try:
            return await LineReader(self._report, _MAX_REPORT).read()
        except trio.BrokenResourceError:
            return None


@asynccontextmanager
async def open_children(starts: Sequence[NodeProcess], *, grace: float = GRACE) -> AsyncIterator[list[Child]]:
    """The processes, all ready; ended when the block is left, or when one of them cannot start."""
    children: list[Child] = []
    try:
        await start_all(starts, children)
        yield children
    finally:
        await stop_all(children, grace)


async def start_all(starts: Sequence[NodeProcess], children: list[Child], *, log: Path | None = None) -> None:
    """Start them side by side, into `children`. NodeConfigError of the first that cannot.

    With `log`, a file for their words, they outlive this process.
    """

    async def begin(start: NodeProcess) -> None:
        child = await _start(start, log)
        children.append(child)
        await child.ready()

    await together(partial(begin, start) for start in starts)
    order = [start.name for start in starts]
    children.sort(key=lambda child: order.index(child.name))


async def stop_all(children: Iterable[Child], grace: float = GRACE) -> None:
    """End them side by side."""
    with trio.CancelScope(shield=True):
        await together(partial(child.stop, grace) for child in children)


async def start_again(start: NodeProcess, *, log: Path, lifeline: int | None) -> tuple[Child, NodeSnapshot]:
    """Start one node that can outlive this process, if it is released; returns when it is ready.

    NodeConfigError if it never will be. `lifeline` is a file descriptor that the node is to end with.
    """
    child = await _start(start, log, lifeline)
    try:
        ready = await child.ready()
    except BaseException:
        await child.stop()
        raise
    return child, ready


async def _start(start: NodeProcess, log: Path | None, lifeline: int | None = None) -> Child:
    start.write_down()
    ours, theirs = socket.socketpair()
    with ExitStack() as ends:
        ends.enter_context(theirs)
        failed = ends.enter_context(ExitStack())
        failed.enter_context(ours)
        # What nodes print are words; this process's stdout is for data.
        words = ends.enter_context(_appending(log)) if log else _STDERR
        if log is None:
            lifeline = theirs.fileno()
        process = await trio.lowlevel.open_process(
            start.command(theirs.fileno(), lifeline),
            stdin=DEVNULL,
            stdout=words,
            stderr=words,
            cwd=start.folder,
            env=_environment() | start.settings,
            pass_fds=tuple({theirs.fileno(), lifeline or theirs.fileno()}),
            # Signals of the terminal reach this process alone, which ends its nodes in its own time.
            start_new_session=True,
        )
        failed.pop_all()
    return Child(start.name, process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))


def _environment() -> dict[str, str]:
    """Ours, without what is meant for one node: ten nodes must not have one key."""
    return {name: value for name, value in os.environ.items() if name not in _OF_ONE_NODE}


def _appending(log: Path) -> BinaryIO:
    return open(log, "ab", opener=partial(os.open, mode=0o600))


def _words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
