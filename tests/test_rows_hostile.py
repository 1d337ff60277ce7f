"""People who mean harm, at a live node's socket: rows 11, 12, 13, 16, 20. It costs them a connection."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from loopback import ID, KEYS, QUICK, Item, Live, in_time, live, whole_loopback
from msgspec.structs import replace

from actors.errors import ProtocolError
from actors.events import DialFailed, Disconnected, HostileConnection
from actors.identity import EngineID, NodeKey
from actors.net.messages import Ack, Kind, Lane, Messages, Ping, Pong, Resume, RunHead, Want
from actors.net.network import NetworkCfg
from actors.net.proving.handshake import HandshakeFailed
from actors.net.wire import encode, encode_messages
from actors.node import open_node
from actors.testing import open_fault_proxy
from actors.testing.stranger import Stranger, honest_dialer, stranger_at
from actors.testing.toxics import Corrupt, Limit, Way
from transports.base import receive_frame
from transports.errors import ConnectionLost

FOUR_GIB = b"\xff\xff\xff\xff"
DEEP = b"\x91" * 3000
LONG = replace(QUICK, handshake_timeout=20.0)
"""Whoever is closed under it is not closed by the deadline."""

BEFORE_PROOF = {
    "not our protocol": b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
    "a frame over the limit": (4097).to_bytes(4, "big") + b"\x81",
    "a header that says 4 GiB": FOUR_GIB,
    "an empty frame": b"\0\0\0\0",
    "an unknown critical frame": b"\0\0\0\x01\xfe",
    "an unknown optional frame": b"\0\0\0\x01\x7e",
    "bad UTF-8": b"\0\0\0\x06\x81\x94\xa4\xff\xfe\xfd",
    "deep nesting": (1 + len(DEEP)).to_bytes(4, "big") + b"\x81" + DEEP,
    "a message": encode_messages(Messages(1, 0, 0, [], []), 0),
}


def one_run(count: int, payload: bytes, *, size: int | None = None, target: str = "sink") -> bytes:
    """A Messages frame with one lane and one run of tells."""
    head = RunHead(1, Kind.TELL, count, 1000, len(payload) if size is None else size)
    return encode_messages(Messages(1, 0, 0, [Lane(1, "", target)], [head]), len(payload)) + payload


AFTER_PROOF = {
    "a header that says 4 GiB": FOUR_GIB,
    "an unknown critical frame": b"\0\0\0\x01\xfe",
    "deep nesting": (1 + len(DEEP)).to_bytes(4, "big") + b"\x93" + DEEP,
    "bad UTF-8 in a name": one_run(1, b"\x91\x91\x01").replace(b"sink", b"\xff\xfe\xfd\xfc"),
    "an acknowledgement of what was never written": encode(Ack(99, [], [])),
    "a second Resume": encode(Resume(1, 0, [], 8, 8, [])),
    "more messages than it has credit for": one_run(5000, b"\xdc\x13\x88" + b"\x91\x01" * 5000),
    "a run that is longer than its frame": one_run(1, b"", size=999),
    "a run that is no array": one_run(1, b"\xc1"),
}


@asynccontextmanager
async def besieged(*, cfg: NetworkCfg = LONG) -> AsyncIterator[tuple[Live, Live]]:
    """A node, and an honest friend whose link must not suffer."""
    async with live("a", cfg=cfg) as a, live("b", cfg=LONG) as b:
        await b.connected(a)
        yield a, b
        await a.answers(b)
        assert b.events(Disconnected) == [], "an honest link was lost"


async def proven(a: Live, name: str = "h", *, nonce: bytes = b"n" * 32) -> Stranger:
    """Somebody with a key, resumed."""
    stranger = await stranger_at(a.address)
    await stranger.prove(KEYS[name], a.node.id, nonce=nonce)
    await stranger.resume()
    return stranger


# -- row 11: malformed frames -----------------------------------------------------------------------------


@pytest.mark.parametrize("what", BEFORE_PROOF)
@in_time
async def test_row_11_nonsense_before_the_proof_is_closed_with_a_reason(what: str) -> None:
    async with besieged() as (a, _):
        stranger = await stranger_at(a.address)
        await stranger.send(BEFORE_PROOF[what])
        await stranger.wait_closed()
        (event,) = a.events(HostileConnection)
        assert event.why


@pytest.mark.parametrize("what", AFTER_PROOF)
@in_time
async def test_row_11_a_proven_peer_that_breaks_the_protocol_is_told_why_and_closed(what: str) -> None:
    async with besieged() as (a, _):
        stranger = await proven(a)
        await stranger.send(AFTER_PROOF[what])
        await stranger.wait_closed()
        await a.until(lambda: a.events(Disconnected))
        (event,) = a.events(Disconnected)
        assert event.why.startswith("protocol error: ")
        assert a.journal.got == []


@pytest.mark.slow
@in_time
async def test_row_11_turned_bits_end_connections_and_nothing_else() -> None:
    dice = random.Random(11)
    frames = [
        encode(Resume(1, 0, [], 8, 1 << 16, [])),
        one_run(2, b"\x92\x92\x01\xc4\x00\x92\x02\xc4\x00"),
        encode(Want("sink", 100)),
        encode(Ping(7)),
        encode(Ack(0, [], [])),
    ]
    async with besieged() as (a, b):
        closed = 0
        for n in range(150):
            stranger = await stranger_at(a.address)
            data = bytearray(b"".join(frames))
            for _ in range(dice.randint(1, 3)):
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            await stranger.prove(KEYS["h"], a.node.id, nonce=n.to_bytes(32, "big"))
            await stranger.send(bytes(data) + encode(Ping(9)))
            closed += not await _is_answered(stranger)
            stranger.stream.abort()
            if n % 50 == 0:
                await a.answers(b)
        assert closed > 50
        await a.until(lambda: len(a.node.proxies()) == 1)
        assert all(event.why for event in a.events(Disconnected))


async def _is_answered(stranger: Stranger) -> bool:
    """Whether the node answers the last Ping, before it closes or waits for the rest of a frame."""
    with suppress(ConnectionLost, ProtocolError), trio.move_on_after(0.05):
        while True:
            if await stranger.hear() == Pong(9):
                return True
    return False


@pytest.mark.slow
@in_time
async def test_row_11_turned_bits_of_every_handshake_prove_nobody() -> None:
    dice = random.Random(12)
    async with besieged(cfg=replace(LONG, handshake_timeout=0.5)) as (a, _):
        for n in range(100):
            stranger = await stranger_at(a.address)
            dialer = honest_dialer(KEYS["h"], a.node.id, nonce=n.to_bytes(32, "big"))
            which = n % 2
            with suppress(ConnectionLost, HandshakeFailed, ProtocolError), trio.move_on_after(0.05):
                await stranger.send(_turned(dialer.request(), dice) if which else dialer.request())
                dialer.reply(await receive_frame(stranger.stream, stranger.frames))
                await stranger.send(_turned(dialer.prove(epoch=1, permanent=False), dice))
                dialer.verdict(await receive_frame(stranger.stream, stranger.frames))
                pytest.fail(f"handshake {n} was accepted")
            stranger.stream.abort()
        assert [proxy.peer_id for proxy in a.node.proxies()] == [str(ID["b"])]


def _turned(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("way", [Way.TO_TARGET, Way.TO_DIALER], ids=lambda way: way.name)
@in_time
async def test_row_11_a_connection_that_is_cut_short_anywhere_is_made_anew(way: Way) -> None:
    async with live("a") as a, open_fault_proxy(a.address) as proxy:
        for size in (0, 1, 3, 4, 5, 60, 200, 300):
            async with live("b", proxy) as b:
                with proxy.under(Limit(size), way=way):
                    b.node.learn(a.node.advert)
                    b.node.set_permanence(a.node.id, True)
                    for n in range(50):
                        await b.node.tell(a.sink, Item(n, bytes(100)))
                    await b.until(lambda: b.events(DialFailed) or b.events(Disconnected))
                await a.until(lambda: len(a.journal.got) == 50)
                assert a.journal.numbers() == list(range(50)), f"after {size} bytes"
                a.journal.got.clear()


@pytest.mark.slow
@in_time
async def test_row_11_a_link_that_corrupts_costs_connections_and_never_a_node() -> None:
    async with live("a") as a, open_fault_proxy(a.address, seed=5) as proxy, live("b", proxy) as b:
        await b.connected(a)
        proxy.add(Corrupt(every=3000))
        with trio.move_on_after(2):
            for n in range(2000):
                await b.node.tell(a.sink, Item(n, bytes(100)))
                await trio.lowlevel.checkpoint()
            await b.until(lambda: len(b.events(Disconnected)) >= 2)
        proxy.clear()
        assert all(event.why for event in [*a.events(Disconnected), *b.events(Disconnected)])
        assert [*a.events(Disconnected), *b.events(Disconnected)]
        await b.until(lambda: b.node.is_connected(a.node.id))
        await a.answers(b)


# -- row 12: a header that says 4 GiB ---------------------------------------------------------------------


@pytest.mark.slow
@in_time
async def test_row_12_a_thousand_headers_of_4_gib_are_refused_from_the_header_alone() -> None:
    async with besieged() as (a, _):
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for _ in range(10):
                async with trio.open_nursery() as nursery:
                    for _ in range(100):
                        nursery.start_soon(_promise_four_gib, a)
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        assert peak < 8 << 20
        whys = {event.why for event in a.events(HostileConnection)}
        assert whys == {"a frame of 4294967295 bytes; from 1 to 4096 are allowed"}


async def _promise_four_gib(a: Live) -> None:
    stranger = await stranger_at(a.address)
    with suppress(ConnectionLost):
        await stranger.send(FOUR_GIB)
    await stranger.wait_closed()


# -- row 13: slow sockets before the proof ----------------------------------------------------------------


SOURCES = {"one address": ["127.0.0.1"], "many addresses": [f"127.0.{n}.1" for n in range(1, 101)]}


@whole_loopback
@pytest.mark.slow
@pytest.mark.parametrize("sources", SOURCES)
@in_time
async def test_row_13_slow_strangers_end_at_the_deadline_and_shut_nobody_out(sources: str) -> None:
    cfg = replace(QUICK, handshake_timeout=1.0)
    async with live("a", cfg=cfg) as a:
        slow = [await stranger_at(a.address, source=source) for source in _by_turns(SOURCES[sources], 300)]
        async with trio.open_nursery() as nursery:
            ended: list[Stranger] = []
            for stranger in slow:
                nursery.start_soon(_drip, stranger, a, ended)
            async with live("b", cfg=cfg) as b:
                await b.connected(a)  # they are all there
                await a.answers(b)
        assert len(ended) == 300
        await a.until(lambda: not _connections(a))
        assert {event.why for event in a.events(HostileConnection)} == {"no handshake in time"}
        evicted = 300 - len(a.events(HostileConnection))
        assert evicted >= (300 - 16 if sources == "one address" else 300 - 256)


def _by_turns(sources: Sequence[str], count: int) -> list[str]:
    return [sources[n % len(sources)] for n in range(count)]


def _connections(a: Live) -> list[str]:
    return [engine.name for engine in a.node.engines() if engine.name.startswith("transport.tcp.")]


async def _drip(stranger: Stranger, to: Live, ended: list[Stranger]) -> None:
    """An honest request, a byte now and then, until the node has enough."""
    with suppress(ConnectionLost):
        for byte in honest_dialer(KEYS["h"], to.node.id).request():
            with trio.move_on_after(0.1):
                await stranger.wait_closed()
                break
            await stranger.send(bytes([byte]))
    stranger.stream.abort()
    ended.append(stranger)


# -- row 16: over capacity --------------------------------------------------------------------------------


@in_time
async def test_row_16_who_is_too_many_is_told_so_and_does_not_come_again_too_early() -> None:
    small = replace(QUICK, peers=2)
    async with live("a", cfg=small) as a, open_fault_proxy(a.address) as proxy, live("d", proxy) as d:
        a.node.set_permanence(ID["e"], True)
        a.node.set_permanence(ID["f"], True)
        d.node.learn(a.node.advert)
        d.node.set_permanence(a.node.id, True)
        await d.until(lambda: d.events(DialFailed))
        (failed,) = d.events(DialFailed)
        assert "over_capacity" in failed.why
        with trio.move_on_after(0.3):  # fifteen of its own delays
            await d.until(lambda: proxy.accepted > 1)
        assert proxy.accepted == 1, "it was asked to wait for longer"


# -- row 20: a flood --------------------------------------------------------------------------------------


@pytest.mark.slow
@in_time
async def test_row_20_a_flood_of_many_peers_fills_a_mailbox_and_holds_up_no_control() -> None:
    flooders = [NodeKey.from_seed(bytes([n]) * 32) for n in range(100, 110)]
    async with besieged() as (a, b), trio.open_nursery() as nursery:
        for key in flooders:
            nursery.start_soon(_flood, a, key)
        for _ in range(50):
            await a.answers(b)
        (held,) = [engine.held for engine in a.node.engines() if engine.name == "sink"]
        assert held <= 4096 + 8 * len(flooders)
        nursery.cancel_scope.cancel()


async def _flood(a: Live, key: NodeKey) -> None:
    """As much as the node gives credit for, and as fast as it takes it."""
    async with open_node(key, listen=(), cfg=LONG) as node:
        node.learn(a.node.advert)
        while True:
            await node.tell(EngineID(a.node.id, "sink"), Item(1, bytes(1000)))


@in_time
async def test_who_asks_for_signs_of_life_and_reads_none_of_them_is_given_up() -> None:
    async with live("a") as node:
        stranger = await stranger_at(node.address)
        await stranger.prove(NodeKey.generate(), ID["a"])
        await stranger.resume()
        pings = encode(Ping(1 << 63)) * 20_000
        with suppress(ConnectionLost):
            while not node.events(Disconnected):
                await stranger.send(pings)
        await node.until(lambda: node.events(Disconnected))
        assert [event.why for event in node.events(Disconnected)] == ["not_reading"]
        stranger.stream.abort()
