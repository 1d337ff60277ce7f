"""The unreliable class over real sockets: in the stream, and as datagrams of QUIC (RFC 9221)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from proxies import Item, Journal, Question, Sink

from actors.errors import Refused
from actors.events import DeadLetter
from actors.identity import EngineID
from actors.messages import Message, TransportPrefs
from actors.net.messages import Datagram
from actors.net.session.link import Link
from actors.net.wire import decode
from actors.node import Node, open_node
from transports.quic.datagrams import QuicDatagrams
from transports.schemes import LOOPBACK, SCHEMES

UNRELIABLE = TransportPrefs(reliability="unreliable")
PATIENCE = 30.0
COUNT = 300
"""Few enough that no buffer on the way is full."""


class Picture(Message):
    """For nobody: large."""

    data: bytes


@asynccontextmanager
async def two_nodes(scheme: str) -> AsyncIterator[tuple[Node, Node, Journal]]:
    """The second listens over this transport; the first is connected to it."""
    journal = Journal()
    async with (
        open_node(listen=(), insecure=True) as a,
        open_node(listen=(LOOPBACK[scheme],), insecure=True) as b,
    ):
        b.spawn(Sink(journal=journal), "sink")
        a.learn(b.advert)
        with trio.fail_after(PATIENCE):
            assert await a.ask(EngineID(b.id, "sink"), Question(-1)) == 1
            journal.got.clear()
            yield a, b, journal


def link_of(node: Node) -> Link:
    (entry,) = node._network.table
    assert entry.session is not None
    assert entry.session.current is not None
    return entry.session.current


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_both_classes_cross_every_transport(scheme: str) -> None:
    async with two_nodes(scheme) as (a, b, journal):
        sink = EngineID(b.id, "sink")
        for n in range(COUNT):
            await a.tell(sink, Item(2 * n), prefs=UNRELIABLE)
            await a.tell(sink, Item(2 * n + 1))
        await until(lambda: len(journal.got) == 2 * COUNT)
        assert sorted(journal.numbers()) == list(range(2 * COUNT))
        assert [n for n in journal.numbers() if n % 2] == list(range(1, 2 * COUNT, 2))
        await until(lambda: not a.proxies()[0].ledger.in_flight)
        (proxy,) = a.proxies()
        assert (proxy.ledger.sent, proxy.ledger.delivered) == (COUNT, COUNT + 1)
        assert (link_of(a).stream.datagrams is not None) == (scheme == "quic")


async def test_over_quic_they_are_datagrams_beside_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    thrown: list[bytes] = []
    throw = QuicDatagrams.send_nowait

    def see(datagrams: QuicDatagrams, data: bytes) -> bool:
        thrown.append(data)
        return throw(datagrams, data)

    monkeypatch.setattr(QuicDatagrams, "send_nowait", see)
    async with two_nodes("quic") as (a, b, journal):
        await a.send(EngineID(b.id, "sink"), Item(1), prefs=UNRELIABLE)
        await until(lambda: journal.got)
        assert journal.numbers() == [1]
        record = decode(thrown[0])
        assert isinstance(record, Datagram)
        assert (record.target, record.sender) == ("sink", "")
        assert len(thrown) == 1


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_what_no_datagram_can_carry_is_refused_with_its_reason_and_all_else_goes_on(scheme: str) -> None:
    async with two_nodes(scheme) as (a, b, journal):
        sink, large = EngineID(b.id, "sink"), Picture(bytes(100_000))
        events = a.events.subscribe(100)
        if scheme == "quic":
            with pytest.raises(Refused, match=r"too_large.*100\d\d\d bytes.*a datagram here carries.*tell it reliably"):
                await a.send(sink, large, prefs=UNRELIABLE)
            await a.tell(sink, large, prefs=UNRELIABLE)
            async for event in events:
                if isinstance(event, DeadLetter):
                    assert "too_large" in event.outcome
                    break
        else:
            await a.send(sink, large, prefs=UNRELIABLE)
        await a.send(sink, Item(1), prefs=UNRELIABLE)
        await a.send(sink, Item(2))
        await until(lambda: len(journal.got) == 2)
        assert sorted(journal.numbers()) == [1, 2]


async def test_a_flood_of_datagrams_holds_up_no_reliable_message() -> None:
    async with two_nodes("quic") as (a, b, journal), trio.open_nursery() as nursery:
        flooded, asked = EngineID(b.id, "sink"), b.spawn(Sink(journal=Journal()), "asked")

        async def flood() -> None:
            while True:
                await a.tell(flooded, Item(0), prefs=UNRELIABLE)

        nursery.start_soon(flood)
        for n in range(20):
            assert await a.ask(asked, Question(n)) == -n
        nursery.cancel_scope.cancel()
    assert len(journal.got) > 100


async def until(condition: Callable[[], object]) -> None:
    """Over real sockets there is nothing else to wait for."""
    while not condition():  # noqa: ASYNC110
        await trio.sleep(0.01)
