"""Control sockets of nodes that are none: so many, each with so many links, in one process. For scripts/dashboard-cost.

python scripts/dashboard_crowd.py DIRECTORY NODES LINKS
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import trio

from actors.control.lines import LineReader
from actors.control.messages import MAX_LINE, ControlReply, DeadLettersAre, Done, EnginesAre, NodeIs, ProxiesAre
from actors.control.sockets import bound_socket
from actors.snapshots import EngineSnapshot, LedgerSnapshot, NodeSnapshot, NodeStatistics, ProxySnapshot

_STATES = ("ready", "ready", "ready", "ready", "ready", "ready", "ready", "backoff", "dialing", "idle")
_ID = 52
_VARIANTS = 8


class Crowd:
    """What its nodes say. Figures change, so that each frame differs from the one before; answers are made once."""

    def __init__(self, nodes: int, links: int) -> None:
        self._names = [f"n{number:03}" for number in range(nodes)]
        self._links = links
        self._turn = 0
        self._made: dict[tuple[str, bytes, int], bytes] = {}

    @property
    def names(self) -> Sequence[str]:
        return self._names

    def answer(self, name: str, request: bytes) -> bytes:
        """One line for one line."""
        self._turn += 1
        key = name, request, self._turn // 50 % _VARIANTS
        if key not in self._made:
            self._made[key] = self._answer(name, request)
        return self._made[key]

    def _answer(self, name: str, request: bytes) -> bytes:
        reply: ControlReply
        match msgspec.json.decode(request)["do"]:
            case "node":
                reply = NodeIs(node=self._node(name))
            case "proxies":
                reply = ProxiesAre(proxies=tuple(self._proxy(name, place) for place in range(self._links)))
            case "engines":
                reply = EnginesAre(engines=tuple(_engine(name, place, self._turn) for place in range(10)))
            case "dead_letters":
                reply = DeadLettersAre(letters=())
            case _:
                reply = Done()
        return msgspec.json.encode(reply) + b"\n"

    def _node(self, name: str) -> NodeSnapshot:
        told = self._turn * 7
        statistics = NodeStatistics(
            engines=10,
            proxies=self._links,
            connected=self._links * 7 // 10,
            ledger=LedgerSnapshot(accepted=told, delivered=told),
            received=told,
            dead_letters=0,
            uptime=self._turn / 10,
        )
        return NodeSnapshot(
            name=name,
            id=_node_id(name),
            state="running",
            addresses=("tcp://127.0.0.1:1",),
            pid=1,
            statistics=statistics,
            memory_bytes=(50 << 20) + self._turn * 4096,
            loop_lag_ms=0.1,
        )

    def _proxy(self, name: str, place: int) -> ProxySnapshot:
        peer = self._names[place % len(self._names)] if place < len(self._names) else f"p{place}"
        state = _STATES[(place + len(name)) % len(_STATES)]
        return ProxySnapshot(
            node=name,
            peer=peer,
            peer_id=_node_id(peer),
            permanence="permanent",
            state=state,
            transport="tcp" if state == "ready" else None,
            address="tcp://127.0.0.1:1" if state == "ready" else None,
            rtt_ms=0.2 + (self._turn + place) % 50 / 10,
            ledger=LedgerSnapshot(accepted=self._turn, delivered=self._turn),
            connections=1,
            reconnects=0,
            resent=0,
            dropped=0,
            duplicates_dropped=0,
            queued=place % 3,
            retained=0,
            fill=place % 7 / 10,
            since=3.0,
            why="dialed",
            failures=0 if state == "ready" else 3,
            p99_ms=5.0 + place % 20,
        )


def _node_id(name: str) -> str:
    return name.ljust(_ID, "a")


def _engine(name: str, place: int, turn: int) -> EngineSnapshot:
    return EngineSnapshot(
        node=name,
        name=f"engine{place}",
        type="Engine",
        state="idle",
        held=0,
        capacity=4096,
        handled=turn,
        crashes=0,
        restarts=0,
        took_p99_ms=place / 10,
    )


async def serve(directory: Path, crowd: Crowd) -> None:
    """Until cancelled. Says `ready` on stdout."""

    async def talk(name: str, stream: trio.SocketStream) -> None:
        reader = LineReader(stream, MAX_LINE)
        try:
            while (line := await reader.read()) is not None:
                await stream.send_all(crowd.answer(name, line))
        except trio.BrokenResourceError:
            return

    async with trio.open_nursery() as nursery:
        for name in crowd.names:
            nursery.start_soon(_listen, directory / f"{name}.sock", partial(talk, name))
        await trio.sleep(0.2)
        print("ready", flush=True)
        await trio.sleep_forever()


async def _listen(path: Path, talk: Callable[[trio.SocketStream], Awaitable[None]]) -> None:
    with bound_socket(path) as bound:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
        await trio.serve_listeners(talk, [listener])


if __name__ == "__main__":
    where, how_many, each = sys.argv[1:]
    trio.run(serve, Path(where), Crowd(int(how_many), int(each)))
