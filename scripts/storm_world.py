"""The node that scripts/storm ends and starts again, and its peers. They know nothing of targets."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import DEVNULL

import trio
from msgspec import Struct
from target import Note

from actors import Engine, Node, on, open_node
from actors.control.client import open_control
from actors.identity import NodeKey
from actors.keyfile import create_key
from transports.addresses import TransportAddress
from transports.tcp.stream import SocketStream
from transports.tcp.transport import TcpTransport

ROOT = Path(__file__).parents[1]
READY = 20.0
"""Seconds in which the hub is to serve."""


class Watched(TcpTransport):
    """Remembers when it dialed."""

    def __init__(self, dials: list[float]) -> None:
        super().__init__()
        self._dials = dials

    async def dial(self, address: TransportAddress) -> SocketStream:
        """See Transport."""
        self._dials.append(trio.current_time())
        return await super().dial(address)


class Heard:
    """What the hub told all peers together."""

    count = 0


class Guest(Engine):
    """At each peer: what the hub tells."""

    heard: Heard

    @on(Note)
    def note(self, _: Note) -> None:
        self.heard.count += 1


@asynccontextmanager
async def peers_of(advert: str, count: int, dials: list[float]) -> AsyncIterator[list[Node]]:
    """So many nodes, each with a permanent link to the hub."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                open_node(NodeKey.generate(), listen=(), transports=(Watched(dials),), peers=(advert,))
            )
            for _ in range(count)
        ]


class Stopped(Struct, frozen=True):
    """How a node ended that was told to."""

    seconds: float
    code: int


class Hub:
    """The process; the next one has the same key and the same port."""

    def __init__(self, folder: Path) -> None:
        self.id = create_key(folder / "state" / "key").id
        self.control = folder / "hub.sock"
        self._folder = folder
        self._notes = folder / "notes"
        self._port = _free_port()
        self._process: trio.Process | None = None

    async def start(self, nursery: trio.Nursery) -> str:
        """Returns its advert once it serves."""
        self.control.unlink(missing_ok=True)
        command = [sys.executable, "-m", "actors", "run", "--name", "hub", "--state-dir", str(self._folder / "state")]
        command += ["--listen", f"tcp://127.0.0.1:{self._port}", "--app", "scripts.target:setup"]
        command += ["--control", str(self.control)]
        quiet = partial(trio.run_process, command, check=False, stdout=DEVNULL, stderr=DEVNULL, cwd=ROOT)
        quiet = partial(quiet, env=os.environ | {"TARGET_NOTES": str(self._notes)})
        self._process = await nursery.start(quiet)
        with trio.fail_after(READY):
            while not self.control.exists():  # noqa: ASYNC110 - another process makes it
                await trio.sleep(0.005)
        async with open_control(self.control) as control:
            return await control.advert()

    def kill(self) -> None:
        """At once."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)

    async def stop(self) -> Stopped:
        """SIGTERM; returns when it has ended."""
        assert self._process is not None
        began = trio.current_time()
        os.kill(self._process.pid, signal.SIGTERM)
        code = await self._process.wait()
        return Stopped(trio.current_time() - began, code)

    def notes(self) -> list[tuple[int, int]]:
        """What it has written down, in all its runs: who said it, and which it was."""
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return [(int(who), int(n)) for who, n in map(str.split, lines)]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
