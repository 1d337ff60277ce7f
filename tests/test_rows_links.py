"""Nodes over sockets whose links are slow, cut up, silent or broken: rows 2, 3, 10, 11, 22 of the
reliability table."""

from __future__ import annotations

import random

import pytest
import trio
from loopback import QUICK, Item, Live, in_time, live, whole_loopback
from msgspec.structs import replace
from proxies import Gated

from actors.events import Connected, DialFailed, Disconnected
from actors.net.connecting.backoff import BackoffCfg
from actors.net.proving.adverts import NodeAdvert
from actors.net.session.liveness import LivenessCfg
from actors.testing import open_fault_proxy
from actors.testing.toxics import Bandwidth, Blackhole, Corrupt, Hang, Latency, Slicer, Toxic, Way

WAYS = (Way.TO_TARGET, Way.TO_DIALER, Way.BOTH)
PATIENT = replace(
    QUICK,
    backoff=BackoffCfg(),
    liveness=LivenessCfg(ping_after=2.0, dead_after=10.0),
    handshake_timeout=10.0,
    attempt_timeout=20.0,
)
"""For links that are slow on purpose."""


async def _tell(here: Live, there: Live, count: int, *, pad: bytes = b"") -> None:
    for n in range(count):
        await here.node.tell(there.sink, Item(n, pad))


async def _all_arrive_once_in_order(there: Live, count: int) -> None:
    await there.until(lambda: len(there.journal.got) >= count)
    assert there.journal.numbers() == list(range(count))


# -- row 10: delay, segments of one byte ------------------------------------------------------------------


@pytest.mark.parametrize("toxic", [Slicer(1), Latency(0.01, jitter=0.02), Bandwidth(200_000)], ids=repr)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@in_time
async def test_row_10_a_bad_link_changes_neither_what_arrives_nor_its_order(toxic: Toxic, way: Way) -> None:
    async with (
        live("a", cfg=PATIENT) as a,
        open_fault_proxy(a.address, seed=1) as proxy,
        live("b", proxy, cfg=PATIENT) as b,
    ):
        proxy.add(toxic, way=way)
        await b.connected(a)
        await _tell(b, a, 500, pad=b"x" * 10)
        await _all_arrive_once_in_order(a, 500)
        await a.answers(b)


@in_time
async def test_row_10_an_encrypted_link_in_single_bytes_is_as_any_other() -> None:
    async with (
        live("a", cfg=PATIENT, listen=("tls://127.0.0.1:0",)) as a,
        open_fault_proxy(a.address) as proxy,
        live("b", proxy, cfg=PATIENT) as b,
    ):
        proxy.add(Slicer(1))
        await b.connected(a)
        await _tell(b, a, 100)
        await _all_arrive_once_in_order(a, 100)
        assert proxy.accepted == 1


@pytest.mark.slow
@in_time
async def test_row_11_turned_bits_of_an_encrypted_link_change_no_message() -> None:
    tls = ("tls://127.0.0.1:0",)
    async with live("a", listen=tls) as a, open_fault_proxy(a.address, seed=4) as proxy, live("b", proxy) as b:
        await b.connected(a)
        with proxy.under(Corrupt(every=20_000)):
            await _tell(b, a, 1000, pad=bytes(100))
            await b.until(lambda: b.events(Disconnected))
        await _all_arrive_once_in_order(a, 1000)


@pytest.mark.slow
@in_time
async def test_row_10_many_cuts_of_a_slow_link_lose_and_double_nothing() -> None:
    async with live("a") as a, open_fault_proxy(a.address, seed=2) as proxy, live("b", proxy) as b:
        proxy.add(Latency(0.001, jitter=0.004), Slicer(97))
        await b.connected(a)
        dice = random.Random(3)

        async def cut() -> None:
            for _ in range(6):
                await b.until(lambda: b.node.is_connected(a.node.id))
                at = len(a.journal.got) + dice.randrange(2_000)
                await a.until(lambda: len(a.journal.got) >= at)  # noqa: B023
                proxy.cut()
                await b.until(lambda: not b.node.is_connected(a.node.id))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            await _tell(b, a, 20_000)
        await _all_arrive_once_in_order(a, 20_000)
        assert len(b.events(Disconnected)) == 6


# -- row 2: a connection that is dead without a word ------------------------------------------------------


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@in_time
async def test_row_2_a_link_that_went_silent_is_noticed_and_made_anew(way: Way) -> None:
    async with live("a") as a, open_fault_proxy(a.address) as proxy, live("b", proxy) as b:
        await b.connected(a)
        proxy.add(Blackhole(), way=way)
        await b.until(lambda: b.events(Disconnected))
        await _tell(b, a, 100)
        proxy.clear()
        await _all_arrive_once_in_order(a, 100)


# -- row 3: a peer that does not read ---------------------------------------------------------------------


@pytest.mark.slow
@in_time
async def test_row_3_a_peer_that_does_not_read_costs_its_outbox_and_nobody_else_anything() -> None:
    pad = bytes(64 << 10)
    async with (
        live("a", cfg=PATIENT) as a,
        live("c") as c,
        open_fault_proxy(a.address) as proxy,
        live("b", proxy, cfg=PATIENT) as b,
    ):
        await b.connected(a)
        await b.connected(c)
        proxy.add(Blackhole(), way=Way.TO_TARGET)
        told = 0
        with trio.move_on_after(1):
            while True:
                await b.node.tell(a.sink, Item(told, pad))
                told += 1
        assert told > 32, "the outbox takes some"
        assert told * len(pad) <= 8 << 20, "and tell waits for room in it"
        for _ in range(50):
            await c.answers(b)
            await b.answers(c)
        assert b.node.is_connected(a.node.id), "slow is not dead"
        proxy.clear()
        await _all_arrive_once_in_order(a, told)


@pytest.mark.slow
@in_time
async def test_row_3_an_engine_that_does_not_read_holds_up_no_other_on_its_node() -> None:
    async with live("a", cfg=PATIENT) as a, live("b", cfg=PATIENT) as b:
        gate = trio.Event()
        slow = a.node.spawn(Gated(journal=a.journal, gate=gate), "slow")
        await b.connected(a)
        told = 0
        with trio.move_on_after(1):
            while True:
                await b.node.tell(slow, Item(told, bytes(1000)))
                told += 1
        (held,) = [engine.held for engine in a.node.engines() if engine.name == "slow"]
        assert held <= 4096 + 8, "as many as its mailbox has room for"
        for _ in range(50):
            await a.answers(b)
        a.journal.got.clear()
        gate.set()
        await _all_arrive_once_in_order(a, told)


# -- row 22: the favourite address is a black hole --------------------------------------------------------


def _known_at(a: Live, *addresses: str) -> NodeAdvert:
    """An advert of the node with these addresses, the best first."""
    key = a.key
    return NodeAdvert.sign(key, [(url, 100 - n) for n, url in enumerate(addresses)], version=1, created=1)


HARM = {"hangs": Hang(), "swallows everything": Blackhole()}


@pytest.mark.slow
@pytest.mark.parametrize("harm", HARM)
@in_time
async def test_row_22_another_address_is_used_when_the_favourite(harm: str) -> None:
    async with live("a") as a, open_fault_proxy(a.address) as favourite, live("b", cfg=PATIENT) as b:
        favourite.add(HARM[harm])
        b.node.learn(_known_at(a, favourite.address, a.address))
        began = trio.current_time()
        await b.node.connect(a.node.id)
        await a.answers(b)
        (proxy,) = b.node.proxies()
        assert proxy.address == a.address
        assert favourite.accepted == 1, "the favourite was tried first"
        assert trio.current_time() - began < PATIENT.handshake_timeout, "nobody waited for it to give up"
        assert [event for event in b.events(Connected) if event.peer == a.node.id]


@pytest.mark.slow
@in_time
async def test_row_22_the_address_that_works_is_remembered() -> None:
    async with live("a") as a, open_fault_proxy(a.address) as favourite, live("b") as b:
        favourite.add(Hang())
        b.node.learn(_known_at(a, favourite.address, a.address))
        await b.node.connect(a.node.id)
        tried = favourite.accepted
        for _ in range(5):
            before = len(b.events(Connected))
            b.node.cut(a.node.id)
            await b.until(lambda: len(b.events(Connected)) > before)  # noqa: B023
        assert favourite.accepted == tried
        assert all(event.address == favourite.address for event in b.events(DialFailed))


@whole_loopback
@pytest.mark.slow
@in_time
async def test_row_22_one_of_six_addresses_is_enough() -> None:
    async with live("a") as a, open_fault_proxy(a.address) as hole, live("b", cfg=PATIENT) as b:
        hole.add(Hang())
        other = [hole.address.replace("127.0.0.1", f"127.0.0.{n}") for n in range(2, 6)]  # refused: nobody is there
        b.node.learn(_known_at(a, hole.address, *other, a.address))
        await b.node.connect(a.node.id)
        await a.answers(b)
