"""Transports that are troubled from outside: who is kept away, and how slow slow is. In virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from transports.addresses import MemoryAddress
from transports.base import Stream, send_all
from transports.errors import ConnectFailed, ConnectionLost
from transports.faulty.stream import CAPACITY, Slowness
from transports.faulty.transport import PARTED, Faults
from transports.memory.network import MemoryNetwork

B = MemoryAddress("b")


class Pair:
    """A connection from a to b, the faults of either side."""

    def __init__(self) -> None:
        network = MemoryNetwork()
        self.faults = {"a": Faults(), "b": Faults()}
        self.a = self.faults["a"].over(network.transport("a"))
        self.b = self.faults["b"].over(network.transport("b"))

    async def open(self) -> tuple[Stream, Stream]:
        self.listener = await self.b.listen(B)
        return await self.connect()

    async def connect(self) -> tuple[Stream, Stream]:
        dialed = await self.a.dial(B)
        return dialed, await self.listener.accept()


def virtually(main: Callable[[], Awaitable[None]]) -> None:
    async def in_time() -> None:
        with trio.fail_after(1_000_000):
            await main()

    trio.run(in_time, clock=MockClock(autojump_threshold=0))


async def receive(stream: Stream, size: int) -> bytes:
    """So many bytes, or fewer where the stream ends."""
    got = bytearray()
    while len(got) < size:
        await stream.wait_readable()
        buffer = bytearray(size - len(got))
        try:
            count = stream.receive_nowait(memoryview(buffer))
        except trio.WouldBlock:
            continue
        if not count:
            break
        got += buffer[:count]
    return bytes(got)


# -- away -------------------------------------------------------------------------------------------------


def test_who_is_away_is_not_dialed_and_loses_the_connection_that_was_dialed_to_it() -> None:
    async def main() -> None:
        pair = Pair()
        here, there = await pair.open()
        pair.faults["a"].set(["memory://b"])
        for end in (here, there):
            with pytest.raises(ConnectionLost):
                await receive(end, 1)
        with pytest.raises(ConnectFailed, match=PARTED):
            await pair.a.dial(B)
        pair.faults["a"].set()
        here, there = await pair.connect()
        await send_all(here, b"again")
        assert await receive(there, 5) == b"again"

    virtually(main)


def test_a_connection_to_others_stays_and_so_does_one_that_the_other_end_dialed() -> None:
    async def main() -> None:
        pair = Pair()
        here, there = await pair.open()
        pair.faults["a"].set(["memory://c"])
        pair.faults["b"].set(["memory://b", "memory://a"])
        await send_all(here, b"still")
        assert await receive(there, 5) == b"still"

    virtually(main)


def test_who_is_parted_while_it_is_being_dialed_is_not_reached() -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=1)
        faults = Faults()
        listener = await network.transport("b").listen(B)

        async def dial() -> None:
            with pytest.raises(ConnectFailed, match=PARTED):
                await faults.over(network.transport("a")).dial(B)
            with pytest.raises(ConnectionLost):
                await receive(await listener.accept(), 1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(dial)
            await wait_all_tasks_blocked()
            faults.set(["memory://b"])

    virtually(main)


# -- slow -------------------------------------------------------------------------------------------------


def test_latency_is_added_to_each_round_trip_and_nothing_overtakes() -> None:
    async def main() -> None:
        pair = Pair()
        here, there = await pair.open()
        pair.faults["a"].set(slowness=Slowness(latency=0.5))
        for byte in b"abc":
            began = trio.current_time()
            await send_all(here, bytes([byte]))
            await send_all(there, await receive(there, 1))
            assert await receive(here, 1) == bytes([byte])
            assert trio.current_time() - began == pytest.approx(0.5)

    virtually(main)


def test_what_comes_later_does_not_wait_longer_than_the_latency() -> None:
    async def main() -> None:
        pair = Pair()
        here, there = await pair.open()
        pair.faults["a"].set(slowness=Slowness(latency=1))
        arrived: list[tuple[bytes, float]] = []

        async def read() -> None:
            arrived.extend([(await receive(here, 1), trio.current_time()) for _ in range(3)])

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            for byte in (b"x", b"y", b"z"):
                await send_all(there, byte)
                await trio.sleep(0.4)
        assert [data for data, _ in arrived] == [b"x", b"y", b"z"]
        assert [at - began for _, at in arrived] == pytest.approx([1, 1.4, 1.8])

    virtually(main)


@pytest.mark.parametrize("slow", ["a", "b"])
@pytest.mark.parametrize("rate", [2_000, 1_000_000])
def test_a_rate_holds_both_ways_and_every_byte_arrives_in_order(slow: str, rate: int) -> None:
    async def main() -> None:
        pair = Pair()
        here, there = await pair.open()
        pair.faults[slow].set(slowness=Slowness(rate=rate))
        data = bytes(range(256)) * (rate // 64)  # four seconds
        for sender, receiver in ((here, there), (there, here)):
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_all, sender, data)
                assert await receive(receiver, len(data)) == data
            assert trio.current_time() - began == pytest.approx(4, rel=0.1)

    virtually(main)


def test_what_is_held_back_is_bounded_and_the_sender_waits() -> None:
    async def main() -> None:
        pair = Pair()
        here, there = await pair.open()
        pair.faults["a"].set(slowness=Slowness(latency=3600))
        sent = 0

        async def write() -> None:
            nonlocal sent
            while sent < 8 * CAPACITY:
                await there.wait_writable()
                sent += there.send_nowait(bytes(1 << 16))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            nursery.start_soon(receive, here, 1)
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
        assert CAPACITY <= sent <= CAPACITY + (1 << 18)

    virtually(main)


def test_when_it_is_slow_no_more_what_was_held_back_is_there_and_waiting_ends() -> None:
    async def main() -> None:
        pair = Pair()
        here, there = await pair.open()
        pair.faults["a"].set(slowness=Slowness(latency=600, rate=1))
        assert here.send_nowait(b"12345678") == 1
        assert here.send_nowait(b"2345678") == 0

        async def heal() -> None:
            await trio.sleep(5)
            pair.faults["a"].set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(heal)
            nursery.start_soon(here.wait_writable)
            await send_all(there, b"held")
            assert await receive(here, 4) == b"held"
        assert trio.current_time() == pytest.approx(5, abs=1)
        assert here.send_nowait(b"2345678") == 7

    virtually(main)


@pytest.mark.parametrize("slowness", [Slowness(latency=600), Slowness(latency=1, rate=1), Slowness(latency=inf)])
def test_an_end_comes_after_what_was_said_before_it(slowness: Slowness) -> None:
    async def main() -> None:
        pair = Pair()
        here, there = await pair.open()
        pair.faults["a"].set(slowness=slowness)
        await send_all(there, b"bye")
        await there.aclose()
        if slowness.latency == inf:
            with trio.move_on_after(3600) as waited:
                await receive(here, 1)
            assert waited.cancelled_caught
        else:
            assert await receive(here, 100) == b"bye"
            assert await receive(here, 100) == b""

    virtually(main)


@pytest.mark.parametrize("way", ["abort", "aclose"])
def test_who_waits_on_a_slow_connection_hears_at_once_that_it_was_closed_here(way: str) -> None:
    async def main() -> None:
        pair = Pair()
        here, there = await pair.open()
        pair.faults["a"].set(slowness=Slowness(latency=600, rate=1))
        here.send_nowait(b"1")
        await send_all(there, b"held")

        async def lost(wait: Callable[[], Awaitable[None]]) -> None:
            with pytest.raises(ConnectionLost, match="closed here"):
                await wait()

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lost, here.wait_readable)
            nursery.start_soon(lost, here.wait_writable)
            await wait_all_tasks_blocked()
            here.abort() if way == "abort" else await here.aclose()
        assert trio.current_time() - began < 2
        pair.faults["a"].set(["memory://b"])  # it is remembered no more

    virtually(main)
