"""A link that moves from one transport to another, over real sockets: nothing is lost, repeated or reordered (C7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from proxies import Item, Journal, Question, Sink

from actors.errors import Refused
from actors.identity import EngineID, NodeKey
from actors.node import Node, open_node
from transports.schemes import LOOPBACK, SCHEMES

PATIENCE = 30.0


@asynccontextmanager
async def two_nodes(*, insecure: bool) -> AsyncIterator[tuple[Node, Node, Journal]]:
    """The second listens on every transport; the first knows it."""
    journal = Journal()
    async with (
        open_node(listen=(), insecure=insecure) as a,
        open_node(listen=tuple(LOOPBACK.values()), insecure=insecure) as b,
    ):
        b.spawn(Sink(journal=journal), "sink")
        a.learn(b.advert)
        with trio.fail_after(PATIENCE):
            yield a, b, journal


def scheme_of(node: Node) -> str | None:
    (proxy,) = node.proxies()
    return proxy.transport


async def moved(a: Node, b: Node, scheme: str) -> None:
    (address,) = await a.migrate(b.id, scheme)
    assert address.startswith(f"{scheme}://")
    while scheme_of(a) != scheme:  # noqa: ASYNC110 - the handshake is real
        await trio.sleep(0.01)


async def test_a_link_moves_over_every_transport_in_the_middle_of_a_stream() -> None:
    async with two_nodes(insecure=True) as (a, b, journal), trio.open_nursery() as nursery:
        target, told = EngineID(b.id, "sink"), 0
        over = trio.Event()

        async def tell() -> None:
            nonlocal told
            while not over.is_set():
                await a.tell(target, Item(told))
                told += 1
                await trio.lowlevel.checkpoint()

        nursery.start_soon(tell)
        for scheme in (*SCHEMES, *reversed(SCHEMES)):
            await moved(a, b, scheme)
            assert await a.ask(target, Question(-7)) == 7
        over.set()
        await a.send(target, Item(-1))
        assert [n for n in journal.numbers() if n != -7] == [*range(told), -1]


async def test_a_plain_transport_is_no_way_out_where_there_is_a_secure_one() -> None:
    async with two_nodes(insecure=False) as (a, b, _):
        await a.connect(b.id)
        assert await a.migrate(b.id, "tcp") == ()
        assert scheme_of(a) in ("tls", "wss", "quic")
        why = {choice.url.partition(":")[0]: choice.why for choice in a.explain(b.id)}
        assert why["tcp"] == why["ws"] == "plain, and the peer has a secure address"


async def test_a_link_is_explained_address_by_address() -> None:
    async with two_nodes(insecure=True) as (a, b, _):
        assert len(a.explain(b.id)) == len(SCHEMES)
        assert not any(choice.in_use for choice in a.explain(b.id))
        await a.connect(b.id)
        await a.ask(EngineID(b.id, "sink"), Question(1))
        (used,) = [choice for choice in a.explain(b.id) if choice.in_use]
        assert used.proven == 1
        assert used.rtt_ms is not None
        assert used.url.partition(":")[0] == scheme_of(a)


async def test_what_is_preferred_is_preferred_again_after_a_cut() -> None:
    async with two_nodes(insecure=True) as (a, b, _):
        await a.connect(b.id, permanent=True)
        await moved(a, b, "wss")
        assert a.cut(b.id)
        await a.ask(EngineID(b.id, "sink"), Question(1))
        assert scheme_of(a) == "wss"


async def test_nobody_moves_to_a_node_that_is_not_known() -> None:
    async with open_node(listen=()) as a:
        with pytest.raises(Refused, match="no advert"):
            await a.migrate(NodeKey.generate().id, "tls")
        assert a.explain(NodeKey.generate().id) == []
