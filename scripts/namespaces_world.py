"""What the rows of scripts/namespaces share: nodes that tell each other numbered notes, what came of them, events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

import trio
from figures import Figure
from msgspec import Struct
from namespaces_app import SINK, SOURCE, Begin, Clock, GotFrom, Halt, Told

from actors.cluster.children import GRACE
from actors.identity import EngineID, NodeID
from actors.snapshots import LedgerSnapshot
from actors.testing.hosts import Host, open_nodes
from actors.testing.hosts.nodes import HostedNode

ROOT: Final = Path(__file__).parents[1]
APP: Final = "scripts.namespaces_app:setup"
LOOK: Final = 0.02
"""Seconds between two looks at another process."""
SETTLED: Final = 60.0
"""Seconds in which all that is under way arrives, once nothing is in its way."""
HEAD_START: Final = 0.5
"""Seconds that notes flow before something happens to them."""


@asynccontextmanager
async def nodes_on(
    *hosts: Host,
    schemes: Iterable[str] = ("tls",),
    through: Sequence[str] = (),
    grace: float = GRACE,
    limits: Mapping[str, float] = MappingProxyType({}),
) -> AsyncIterator[tuple[HostedNode, ...]]:
    """A node on each, with these limits."""
    settings = {f"ACTORS_LIMITS_{name.upper()}": str(value) for name, value in limits.items()}
    async with open_nodes(
        *hosts, schemes=tuple(schemes), app=APP, folder=ROOT, settings=settings, through=through, grace=grace
    ) as nodes:
        yield nodes


async def link(one: HostedNode, *others: HostedNode) -> None:
    """Permanent links, held by both ends, up."""
    for other in others:
        await one.control.connect(str(other.id))
        await other.control.connect(str(one.id))


def sink(node: HostedNode) -> EngineID:
    """The engine there that takes notes."""
    return EngineID(node.id, SINK)


def source(node: HostedNode) -> EngineID:
    """The engine there that tells them."""
    return EngineID(node.id, SOURCE)


async def linked(one: HostedNode, other: HostedNode) -> bool:
    """Whether a connection carries messages, as the one sees it."""
    return any(proxy.peer_id == str(other.id) and proxy.state == "ready" for proxy in await one.proxies())


async def until(holds: Callable[[], object], within: float = SETTLED) -> None:
    """Until something is so that is learned from events."""
    with trio.fail_after(within):
        while not holds():  # noqa: ASYNC110 - other tasks learn it
            await trio.sleep(LOOK)


async def look_until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Until something is so that another process says when it is asked."""
    while not await holds():  # noqa: ASYNC110 - it does not tell by itself
        await trio.sleep(LOOK)


# -- notes ------------------------------------------------------------------------------------------------


class Tally(Struct, frozen=True):
    """What became of one node's notes to another. Every promise is held where `broken` and `unsettled` are 0."""

    told: int
    broken: int
    """Missing, repeated, or out of order."""
    unsettled: int
    """Without an outcome, or with another than delivered."""


async def flow(
    one: HostedNode, other: HostedNode, *, count: int = 1 << 40, pause: float = 0.01, size: int = 10
) -> None:
    """Notes begin to flow."""
    await one.tell(source(one), Begin(other.id, count, pause, size))


async def told_all(one: HostedNode, other: NodeID, count: int) -> None:
    """Until so many notes are accepted."""

    async def told() -> bool:
        return await one.ask(source(one), Told(other)) >= count

    await look_until(told)


async def tally(one: HostedNode, other: HostedNode) -> Tally:
    """No more notes; what became of them, once all is settled, or should be."""
    told = await one.ask(source(one), Halt(other.id))
    await settled(one, other)
    got, ledger = await other.ask(sink(other), GotFrom(one.id)), await ledger_of(one, other)
    broken = abs(told - got.count) + got.repeats + got.skips
    return Tally(told, broken, ledger.accepted - ledger.delivered + (not ledger.balanced))


async def settled(one: HostedNode, other: HostedNode) -> None:
    """Until nothing of this link is under way; at most for a minute."""

    async def nothing_under_way() -> bool:
        return not (await ledger_of(one, other)).in_flight

    with trio.move_on_after(SETTLED):
        await look_until(nothing_under_way)


async def ledger_of(one: HostedNode, other: HostedNode) -> LedgerSnapshot:
    """Of all messages to the other."""
    (ledger,) = [proxy.ledger for proxy in await one.proxies() if proxy.peer_id == str(other.id)]
    return ledger


async def tallies(*pairs: tuple[HostedNode, HostedNode]) -> list[Tally]:
    """Of all these flows, side by side."""
    found: list[Tally] = []

    async def one(pair: tuple[HostedNode, HostedNode]) -> None:
        found.append(await tally(*pair))

    async with trio.open_nursery() as nursery:
        for pair in pairs:
            nursery.start_soon(one, pair)
    return found


def kept(row: int, where: str, found: Iterable[Tally]) -> list[Figure]:
    """The promise, as figures."""
    each = list(found)
    count = sum(tally.told for tally in each)
    return [
        Figure(row, f"{where}: of {count} notes, missing, doubled or out of order", sum(t.broken for t in each), 0),
        Figure(row, f"{where}: without an outcome, or not delivered", sum(t.unsettled for t in each), 0),
    ]


# -- events -----------------------------------------------------------------------------------------------


class Happened(Struct, frozen=True):
    """An event of a node. `at` is its own clock's time, shifted to the machine's monotonic clock."""

    node: HostedNode
    event: str
    at: float
    peer: str
    why: str


class Watch:
    """What happens on some nodes, in the order in which it is learned."""

    def __init__(self) -> None:
        self.seen: list[Happened] = []

    def of(self, node: HostedNode, event: str, peer: HostedNode, since: float = 0.0) -> list[Happened]:
        """Events of one kind, of one node about another."""
        return [
            each
            for each in self.seen
            if each.node is node and each.event == event and each.peer == str(peer.id) and each.at >= since
        ]

    async def follow(self, node: HostedNode, *, task_status: trio.TaskStatus[None]) -> None:
        """Until cancelled, or the node ends."""
        ahead = await node.ask(sink(node), Clock())
        async with node.control.events() as events:
            task_status.started()
            async for each in events:
                peer, why = str(each.data.get("peer", "")), str(each.data.get("why", ""))
                self.seen.append(Happened(node, each.event, each.at - ahead, peer, why))


@asynccontextmanager
async def watching(*nodes: HostedNode) -> AsyncIterator[Watch]:
    """All events of these nodes from now on."""
    watch = Watch()
    async with trio.open_nursery() as nursery:
        for node in nodes:
            await nursery.start(partial(watch.follow, node))
        yield watch
        nursery.cancel_scope.cancel()
