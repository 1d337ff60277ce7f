"""Row 6 of the reliability table with real sockets: one node with many permanent peers is killed, and comes back.

    scripts/storm [--peers 200] [--down 2] [--steady 11] [--json]

The hub is a process of its own, which keeps its key and its port; the peers are all nodes of this process. Measured are
the peers' dials in any 100 ms after the kill, how long it takes from the hub's return until all are linked again, and
how late the hub's loop was in that time. A link that stood for 10 s starts its delays anew, so the peers are left in
peace for --steady seconds first.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import tempfile
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import DEVNULL

import trio
from figures import Figure, percentile, told
from target import Count, Lags

from actors import Node, open_node
from actors.control.client import open_control
from actors.identity import EngineID, NodeKey
from actors.keyfile import create_key
from actors.net.connecting.backoff import BackoffCfg
from transports.addresses import TransportAddress
from transports.tcp.stream import SocketStream
from transports.tcp.transport import TcpTransport

ROOT = Path(__file__).parents[1]
WINDOW = 0.1
"""Seconds."""
READY = 20.0
GRACE = 5.0


class Watched(TcpTransport):
    """Remembers when it dialed."""

    def __init__(self, dials: list[float]) -> None:
        super().__init__()
        self._dials = dials

    async def dial(self, address: TransportAddress) -> SocketStream:
        """See Transport."""
        self._dials.append(trio.current_time())
        return await super().dial(address)


class Hub:
    """The process; the next one has the same key and the same port."""

    def __init__(self, folder: Path) -> None:
        self.id = create_key(folder / "state" / "key").id
        self.control = folder / "hub.sock"
        self._folder = folder
        self._port = _free_port()
        self._process: trio.Process | None = None

    async def start(self, nursery: trio.Nursery) -> str:
        """Returns its advert once it serves."""
        self.control.unlink(missing_ok=True)
        command = [sys.executable, "-m", "actors", "run", "--name", "hub", "--state-dir", str(self._folder / "state")]
        command += ["--listen", f"tcp://127.0.0.1:{self._port}", "--app", "scripts.target:setup"]
        command += ["--control", str(self.control)]
        quiet = partial(trio.run_process, command, check=False, stdout=DEVNULL, stderr=DEVNULL, cwd=ROOT)
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


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


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


def most_at_once(dials: Sequence[float]) -> int:
    """The most that fall into one window."""
    ordered = sorted(dials)
    return max((bisect_left(ordered, at + WINDOW) - number for number, at in enumerate(ordered)), default=0)


async def all_linked(peers: Sequence[Node], hub: Hub) -> float:
    """When the last is."""
    while not all(peer.is_connected(hub.id) for peer in peers):  # noqa: ASYNC110 - each has events of its own
        await trio.sleep(0.005)
    return trio.current_time()


async def measure(peers: int, down: float, steady: float) -> list[Figure]:
    """All figures."""
    dials: list[float] = []
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        hub = Hub(Path(folder))
        async with trio.open_nursery() as nursery:
            advert = await hub.start(nursery)
            async with peers_of(advert, peers, dials) as nodes:
                await all_linked(nodes, hub)
                await trio.sleep(steady)
                dials.clear()
                hub.kill()
                killed = trio.current_time()
                await trio.sleep(down)
                await hub.start(nursery)
                back = trio.current_time()
                linked = await all_linked(nodes, hub)
                lag = await nodes[0].ask(EngineID(hub.id, "target"), Lags())
                for node in nodes:
                    assert await node.ask(EngineID(hub.id, "target"), Count(1)) == 2
                figures = _figures(peers, dials, killed, back, linked, lag.beats)
                hub.kill()
                nursery.cancel_scope.cancel()
    return figures


def _figures(
    peers: int, dials: Sequence[float], killed: float, back: float, linked: float, lags: Sequence[float]
) -> list[Figure]:
    late = [at for at in dials if at >= back]
    share = 100 / peers
    cfg = BackoffCfg()
    return [
        Figure(6, f"most of {peers} peers that dial in 100 ms", share * most_at_once(dials), 10, "%"),
        Figure(6, "the same, from the hub's return on", share * most_at_once(late), 10, "%"),
        Figure(
            6,
            f"all linked, {back - killed:.1f} s after the kill: from the return",
            linked - back,
            1.2 * cfg.cap + 5,
            "s",
        ),
        Figure(6, "lag of the hub's loop meanwhile, p99", 1000 * percentile(lags, 0.99), 50, "ms"),
    ]


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="scripts/storm", description="A node with many permanent peers comes back.")
    parser.add_argument("--peers", type=int, default=200)
    parser.add_argument("--down", type=float, default=2.0, help="seconds that nobody is there")
    parser.add_argument("--steady", type=float, default=11.0, help="seconds of peace before")
    parser.add_argument("--json", action="store_true", help="JSON lines in place of a table")
    said = parser.parse_args(arguments)
    if said.peers < 1 or said.down < 0 or said.steady < 0:
        parser.error("a storm needs one peer at least, and no time below 0")
    return told(trio.run(measure, said.peers, said.down, said.steady), json=said.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
