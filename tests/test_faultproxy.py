"""The fault proxy between a dialer and a listener of sockets: each harm is done, each way, and undone."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.errors import ConfigError
from actors.testing import open_fault_proxy
from actors.testing.faultproxy import FaultProxy
from actors.testing.toxics import (
    Bandwidth,
    Blackhole,
    Corrupt,
    Hang,
    Latency,
    Limit,
    Refuse,
    Reset,
    Slicer,
    Toxic,
    Way,
)
from transports.addresses import HostAddress, parse_address
from transports.errors import AddressError

BOTH_WAYS = [Way.TO_TARGET, Way.TO_DIALER]


class Bench:
    """A proxy before a listener that keeps what it accepts."""

    def __init__(self, proxy: FaultProxy, listener: trio.SocketListener) -> None:
        self.proxy = proxy
        self.listener = listener
        self.streams: list[trio.SocketStream] = []

    async def dial(self) -> trio.SocketStream:
        host, port = self.proxy.address.removeprefix("tcp://").split(":")
        stream = await trio.open_tcp_stream(host, int(port))
        self.streams.append(stream)
        return stream

    async def pair(self) -> tuple[trio.SocketStream, trio.SocketStream]:
        """Dialer and acceptor."""
        near = await self.dial()
        far = await self.listener.accept()
        self.streams.append(far)
        return near, far

    async def pair_for(self, way: Way) -> tuple[trio.SocketStream, trio.SocketStream]:
        """Who speaks and who hears, in this way."""
        near, far = await self.pair()
        return (near, far) if way is Way.TO_TARGET else (far, near)


@asynccontextmanager
async def bench(seed: int = 0) -> AsyncIterator[Bench]:
    with trio.fail_after(20):
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with listener:
            target = "tcp://{}:{}".format(*listener.socket.getsockname())
            async with open_fault_proxy(target, seed=seed) as proxy:
                made = Bench(proxy, listener)
                try:
                    yield made
                finally:
                    for stream in made.streams:
                        stream.socket.close()


async def heard(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := await stream.receive_some(size - len(data))):
        data += more
    return data


async def silent(stream: trio.SocketStream) -> bool:
    """Whether nothing comes until all that could bring something waits, and a good while more."""
    await wait_all_tasks_blocked(0.02)
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
    with trio.move_on_after(0.05) as scope:
        await stream.receive_some(1)
    return scope.cancelled_caught


async def test_unharmed_it_carries_megabytes_both_ways_as_they_are() -> None:
    async with bench() as on:
        near, far = await on.pair()
        data = bytes(range(256)) * 8192

        async def speak(stream: trio.SocketStream) -> None:
            await stream.send_all(data)
            await stream.send_eof()

        async with trio.open_nursery() as nursery:
            for stream in (near, far):
                nursery.start_soon(speak, stream)
            for stream in (near, far):
                assert await heard(stream, len(data) + 1) == data
        await on.proxy.wait_connections(0)
        assert on.proxy.accepted == 1


async def test_half_a_connection_that_has_ended_leaves_the_other_half() -> None:
    async with bench() as on:
        near, far = await on.pair()
        await near.send_eof()
        assert await far.receive_some(1) == b""
        await far.send_all(b"still here")
        assert await heard(near, 10) == b"still here"


@pytest.mark.parametrize("way", BOTH_WAYS)
async def test_latency_holds_back_one_way_only(way: Way) -> None:
    async with bench() as on:
        speaker, hearer = await on.pair_for(way)
        on.proxy.add(Latency(0.2), way=way)
        began = trio.current_time()
        await speaker.send_all(b"x")
        await heard(hearer, 1)
        assert trio.current_time() - began >= 0.2
        await hearer.send_all(b"y")
        with trio.move_on_after(0.19) as early:
            await heard(speaker, 1)
        assert not early.cancelled_caught


async def test_latency_is_no_limit_to_what_is_under_way() -> None:
    async with bench() as on:
        near, far = await on.pair()
        on.proxy.add(Latency(0.1))
        data = bytes(500_000)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, data)
            assert await heard(far, len(data)) == data
        assert trio.current_time() - began < 2, "32 chunks one after the other would take 3 s"


async def test_a_slicer_gives_single_bytes_and_all_of_them() -> None:
    async with bench() as on:
        near, far = await on.pair()
        on.proxy.add(Slicer(1, pause=0.001))
        await near.send_all(b"hello")
        pieces = [await far.receive_some(100) for _ in range(2)]
        assert len(pieces[0]) < 5
        assert b"".join(pieces) + await heard(far, 5 - sum(map(len, pieces))) == b"hello"


async def test_a_bandwidth_makes_the_sender_wait() -> None:
    async with bench() as on:
        near, far = await on.pair()
        on.proxy.add(Bandwidth(100_000))
        began = trio.current_time()
        await near.send_all(bytes(20_000))
        assert await heard(far, 20_000) == bytes(20_000)
        assert trio.current_time() - began >= 0.1


@pytest.mark.parametrize("way", BOTH_WAYS)
async def test_corruption_turns_the_same_bits_for_the_same_seed(way: Way) -> None:
    async def once(seed: int) -> bytes:
        async with bench(seed) as on:
            speaker, hearer = await on.pair_for(way)
            on.proxy.add(Corrupt(every=100), way=way)
            await speaker.send_all(bytes(1000))
            return await heard(hearer, 1000)

    first = await once(1)
    assert 0 < sum(byte.bit_count() for byte in first) < 40
    assert await once(1) == first
    assert await once(2) != first


@pytest.mark.parametrize("way", BOTH_WAYS)
async def test_a_limit_cuts_a_stream_short_for_both(way: Way) -> None:
    async with bench() as on:
        speaker, hearer = await on.pair_for(way)
        on.proxy.add(Limit(10), way=way)
        await speaker.send_all(b"x" * 10)
        assert await heard(hearer, 100) == b"x" * 10
        assert await speaker.receive_some(1) == b""
        await on.proxy.wait_connections(0)


@pytest.mark.parametrize("way", BOTH_WAYS)
async def test_a_reset_comes_after_its_bytes_for_both(way: Way) -> None:
    async with bench() as on:
        speaker, hearer = await on.pair_for(way)
        on.proxy.add(Reset(after=3), way=way)
        await speaker.send_all(b"12345")
        for stream in (speaker, hearer):
            with pytest.raises(trio.BrokenResourceError):
                await heard(stream, 10)


async def test_a_cut_resets_every_connection_and_not_the_next() -> None:
    async with bench() as on:
        pairs = [await on.pair() for _ in range(3)]
        assert on.proxy.cut() == 3
        for stream in (each for pair in pairs for each in pair):
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)
        near, far = await on.pair()
        await near.send_all(b"x")
        assert await heard(far, 1) == b"x"


@pytest.mark.parametrize("way", BOTH_WAYS)
async def test_a_blackhole_swallows_one_way_and_gives_it_back(way: Way) -> None:
    async with bench() as on:
        speaker, hearer = await on.pair_for(way)
        with on.proxy.under(Blackhole(), way=way):
            await speaker.send_all(b"lost?")
            assert await silent(hearer)
            await hearer.send_all(b"the other way")
            assert await heard(speaker, 13) == b"the other way"
        assert await heard(hearer, 5) == b"lost?"


@pytest.mark.parametrize("way", BOTH_WAYS)
async def test_nobody_hears_of_an_end_through_a_blackhole(way: Way) -> None:
    async with bench() as on:
        speaker, hearer = await on.pair_for(way)
        with on.proxy.under(Blackhole(), way=way):
            speaker.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            speaker.socket.close()
            await hearer.send_all(b"are you there?")
            assert await silent(hearer)
        with suppress(trio.BrokenResourceError):
            assert await hearer.receive_some(1) == b""


async def test_who_hangs_is_connected_when_it_does_not_hang_any_more() -> None:
    async with bench() as on:
        on.proxy.add(Hang())
        near = await on.dial()
        await near.send_all(b"hello?")
        assert await silent(near)
        assert on.proxy.accepted == 1
        on.proxy.remove(Hang())
        far = await on.listener.accept()
        on.streams.append(far)
        assert await heard(far, 6) == b"hello?"


async def test_who_is_refused_is_told_at_once_and_welcome_later_at_the_same_port() -> None:
    async with bench() as on:
        near, far = await on.pair()
        address = on.proxy.address
        with on.proxy.under(Refuse()):
            with pytest.raises(OSError, match=r"\[Errno 111\]|refused|all attempts"):
                await on.dial()
            await near.send_all(b"old connections stay")
            assert await heard(far, 20) == b"old connections stay"
        assert on.proxy.address == address
        await on.pair()


async def test_a_target_that_is_not_there_resets_the_dialer() -> None:
    async with bench() as on:
        await on.listener.aclose()
        near = await on.dial()
        with pytest.raises(trio.BrokenResourceError):
            await near.receive_some(1)


async def test_a_target_may_move() -> None:
    async with bench() as on:
        (other,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with other:
            moved = parse_address("tcp://{}:{}".format(*other.socket.getsockname()))
            assert isinstance(moved, HostAddress)
            on.proxy.target = moved
            near = await on.dial()
            far = await other.accept()
            on.streams.append(far)
            await far.send_all(b"here now")
            assert await heard(near, 8) == b"here now"


async def test_the_end_of_the_block_resets_what_is_left_and_frees_the_port() -> None:
    async with bench() as on:
        near, far = await on.pair()
        async with open_fault_proxy(on.proxy.address) as second:
            address = second.address
            through = await trio.open_tcp_stream("127.0.0.1", int(address.rpartition(":")[2]))
            on.streams.append(through)
            await second.wait_connections(1)
        with pytest.raises(trio.BrokenResourceError):
            await through.receive_some(1)
        async with open_fault_proxy(on.proxy.address, port=int(address.rpartition(":")[2])) as third:
            assert third.address == address
        await near.send_all(b"x")
        assert await heard(far, 1) == b"x"


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    async with bench() as on:
        with pytest.raises(KeyError, match="mine"):
            async with open_fault_proxy(on.proxy.address):
                raise KeyError("mine")


async def test_carried_bytes_are_counted_each_way() -> None:
    async with bench() as on:
        near, far = await on.pair()
        await near.send_all(b"12345")
        await heard(far, 5)
        await far.send_all(b"123")
        await heard(near, 3)
        assert (on.proxy.carried(Way.TO_TARGET), on.proxy.carried(Way.TO_DIALER)) == (5, 3)
        assert on.proxy.carried(Way.BOTH) == 8


async def test_toxics_are_added_once_and_removed_each_way() -> None:
    async with bench() as on:
        proxy, harm = on.proxy, [Latency(1), Slicer()]
        proxy.add(*harm)
        proxy.add(Latency(1))
        assert proxy.toxics(Way.TO_TARGET) == proxy.toxics(Way.TO_DIALER) == harm
        proxy.remove(Slicer(), way=Way.TO_DIALER)
        assert "Slicer" in repr(proxy)
        assert proxy.toxics(Way.TO_DIALER) == [Latency(1)]
        proxy.clear()
        assert proxy.toxics(Way.TO_TARGET) == list[Toxic]()


async def test_it_stands_before_a_host_and_a_port_only() -> None:
    with pytest.raises(ConfigError, match="host and a port"):
        async with open_fault_proxy("memory://a"):
            pass
    with pytest.raises(AddressError):
        async with open_fault_proxy("127.0.0.1:80"):
            pass
