"""What is special to memory connections: virtual time, faults, and the pieces that a simulator replaces."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from random import Random

import pytest
import trio
from conformance import fill, lost, pattern, read, read_exactly, read_to_end
from trio.testing import MockClock, wait_all_tasks_blocked

from transports.addresses import MemoryAddress
from transports.errors import ConnectFailed, ConnectionLost
from transports.memory.connection import Connection, MemoryStream
from transports.memory.network import BACKLOG, MemoryListener, MemoryNetwork
from transports.memory.pipes import Pipe

B = MemoryAddress("b")


def run(main: Callable[[], Awaitable[object]]) -> None:
    trio.run(main, clock=MockClock(autojump_threshold=0))


async def pair(network: MemoryNetwork) -> tuple[MemoryStream, MemoryStream]:
    listener = await network.transport("b").listen(B)
    dialer = await network.transport("a").dial(B)
    acceptor = await listener.accept()
    await listener.aclose()
    return dialer, acceptor


def only(network: MemoryNetwork) -> Connection:
    (connection,) = network.connections
    return connection


def test_without_latency_bytes_are_there_at_once() -> None:
    async def main() -> None:
        dialer, acceptor = await pair(MemoryNetwork())
        assert dialer.send_nowait(b"now") == 3
        buffer = bytearray(10)
        assert acceptor.receive_nowait(memoryview(buffer)) == 3
        assert buffer[:3] == b"now"

    run(main)


def test_a_direction_holds_no_more_than_its_capacity() -> None:
    async def main() -> None:
        dialer, acceptor = await pair(MemoryNetwork(capacity=100))
        assert dialer.send_nowait(bytes(150)) == 100
        assert dialer.send_nowait(b"x") == 0
        assert len(await read(acceptor, 30)) == 30
        assert dialer.send_nowait(bytes(150)) == 30

    run(main)


def test_latency_is_the_time_that_bytes_travel() -> None:
    async def main() -> None:
        dialer, acceptor = await pair(MemoryNetwork(latency=0.25))
        start = trio.current_time()
        dialer.send_nowait(b"a")
        await trio.sleep(0.125)
        dialer.send_nowait(b"b")
        assert await read(acceptor) == b"a"
        assert trio.current_time() - start == 0.25
        assert await read(acceptor) == b"b"
        assert trio.current_time() - start == 0.375

    run(main)


def test_a_dial_takes_a_round_trip() -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=0.25)
        await network.transport("b").listen(B)
        await network.transport("a").dial(B)
        assert trio.current_time() == 0.5

    run(main)


def test_with_jitter_bytes_still_keep_their_order_and_a_seed_replays() -> None:
    def arrivals(seed: int) -> list[tuple[float, bytes]]:
        seen: list[tuple[float, bytes]] = []

        async def main() -> None:
            dialer, acceptor = await pair(MemoryNetwork(Random(seed), latency=0.1, jitter=5.0))
            for number in range(50):
                dialer.send_nowait(bytes([number]))
                await trio.sleep(0.01)
            while sum(len(data) for _, data in seen) < 50:
                data = await read(acceptor)
                seen.append((trio.current_time(), data))

        run(main)
        return seen

    assert b"".join(data for _, data in arrivals(1)) == bytes(range(50))
    assert arrivals(1) == arrivals(1)
    assert arrivals(1) != arrivals(2)


def test_the_end_and_a_reset_travel_like_bytes() -> None:
    async def main() -> None:
        for reset in True, False:
            dialer, acceptor = await pair(MemoryNetwork(latency=0.25))
            await fill(acceptor)
            start = trio.current_time()
            dialer.abort() if reset else await dialer.aclose()
            assert acceptor.send_nowait(b"x") == 0
            await acceptor.wait_writable()
            assert trio.current_time() - start == 0.25
            with pytest.raises(ConnectionLost):
                acceptor.send_nowait(b"x")

    run(main)


class Heavy(Pipe):
    """The more bytes, the longer they travel; the end has no weight."""

    def delay(self, size: int) -> float:
        return float(size)


class HeavyNetwork(MemoryNetwork):
    def make_pipe(self, sender: str, receiver: str) -> Pipe:
        return Heavy(self.delay)


def test_nothing_overtakes_what_was_sent_before() -> None:
    async def main() -> None:
        dialer, acceptor = await pair(HeavyNetwork())
        await fill(acceptor)
        dialer.send_nowait(b"slow" * 2)
        dialer.send_nowait(b"fast")
        await dialer.aclose()
        await acceptor.wait_writable()
        assert trio.current_time() == 8
        assert await read_to_end(acceptor) == b"slowslowfast"

    run(main)


def test_a_blackhole_does_not_take_back_what_has_arrived() -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=0.25)
        dialer, acceptor = await pair(network)
        dialer.send_nowait(b"arrived")
        await trio.sleep(1)
        only(network).blackhole()
        assert await read(acceptor) == b"arrived"

    run(main)


def test_a_cut_is_noticed_at_both_ends_at_once() -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=1.0)
        dialer, acceptor = await pair(network)
        dialer.send_nowait(b"under way")
        async with trio.open_nursery() as nursery:
            for end in dialer, acceptor:
                nursery.start_soon(expect_lost, end)
            await wait_all_tasks_blocked()
            start = trio.current_time()
            only(network).cut()
        assert trio.current_time() == start
        assert network.connections == []

    run(main)


async def expect_lost(stream: MemoryStream) -> None:
    with pytest.raises(ConnectionLost, match="cut"):
        await stream.wait_readable()
    with pytest.raises(ConnectionLost, match="cut"):
        stream.send_nowait(b"x")


def test_a_connection_cut_at_one_end_is_half_open_for_ever() -> None:
    async def main() -> None:
        network = MemoryNetwork(capacity=100)
        dialer, acceptor = await pair(network)
        dialer.send_nowait(b"before")
        only(network).cut(dialer)
        await expect_lost(dialer)
        assert await read(acceptor) == b"before"
        assert acceptor.send_nowait(bytes(500)) == 100
        for wait in acceptor.wait_readable, acceptor.wait_writable:
            with trio.move_on_after(86_400) as scope:
                await wait()
            assert scope.cancelled_caught
        dialer.abort()
        assert network.connections != []
        acceptor.abort()
        assert network.connections == []

    run(main)


def test_what_is_under_way_when_one_end_is_cut_never_arrives() -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=0.25)
        dialer, acceptor = await pair(network)
        dialer.send_nowait(b"under way")
        only(network).cut(dialer)
        with trio.move_on_after(3600) as scope:
            await acceptor.wait_readable()
        assert scope.cancelled_caught

    run(main)


def test_a_blackhole_swallows_one_direction_until_it_is_healed() -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=0.25)
        dialer, acceptor = await pair(network)
        dialer.send_nowait(b"first ")
        only(network).blackhole(dialer)
        dialer.send_nowait(b"second")
        acceptor.send_nowait(b"back")
        assert await read(dialer) == b"back"
        with trio.move_on_after(3600) as scope:
            await acceptor.wait_readable()
        assert scope.cancelled_caught
        only(network).heal()
        start = trio.current_time()
        assert await read_exactly(acceptor, 12) == b"first second"
        assert trio.current_time() - start == 0.25

    run(main)


def test_a_connection_that_was_cut_does_not_heal() -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=0.25)
        dialer, acceptor = await pair(network)
        connection = only(network)
        connection.blackhole()
        dialer.send_nowait(b"held")
        connection.cut(acceptor)
        connection.heal()
        acceptor.abort()
        dialer.send_nowait(b"x")
        with trio.move_on_after(3600) as scope:
            await dialer.wait_readable()
        assert scope.cancelled_caught

    run(main)


@pytest.mark.parametrize("latency", [0.0, 0.25])
def test_in_a_blackhole_nobody_hears_of_an_end(latency: float) -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=latency)
        dialer, acceptor = await pair(network)
        only(network).blackhole()
        dialer.abort()
        with trio.move_on_after(3600) as scope:
            await acceptor.wait_readable()
        assert scope.cancelled_caught
        assert acceptor.send_nowait(b"x") == 1
        only(network).heal()
        await lost(acceptor)

    run(main)


def test_healing_wakes_who_waits() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        dialer, acceptor = await pair(network)
        only(network).blackhole()
        data = await fill(dialer)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def receive() -> None:
                assert await read_exactly(acceptor, len(data)) == data

            await wait_all_tasks_blocked()
            only(network).heal()

    run(main)


def test_connections_are_listed_in_the_order_of_their_dials_until_both_ends_are_gone() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        listener = await network.transport("b").listen(B)
        dialed = [await network.transport(name).dial(B) for name in ("a", "c", "a")]
        accepted = [await listener.accept() for _ in dialed]
        assert [connection.dialer for connection in network.connections] == dialed
        assert [connection.acceptor for connection in network.connections] == accepted
        assert [connection.number for connection in network.connections] == [1, 2, 3]
        assert repr(network.connections[1]) == "<Connection 2 c -> b>"
        dialed[1].abort()
        assert len(network.connections) == 3
        await accepted[1].aclose()
        assert [connection.number for connection in network.connections] == [1, 3]

    run(main)


def test_hosts_are_the_sources_of_connections() -> None:
    async def main() -> None:
        dialer, acceptor = await pair(MemoryNetwork())
        assert (dialer.source, acceptor.source) == ("b", "a")
        assert (dialer.local, dialer.remote) == ("memory://a", "memory://b")
        assert dialer.connection is acceptor.connection

    run(main)


def test_networks_know_nothing_of_each_other() -> None:
    async def main() -> None:
        one, other = MemoryNetwork(), MemoryNetwork()
        await one.transport("b").listen(B)
        await other.transport("b").listen(B)
        await one.transport("a").dial(B)
        assert other.connections == []

    run(main)


def test_too_many_that_wait_are_refused_and_a_closed_listener_resets_the_others() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        listener = await network.transport("b").listen(B)
        waiting = [await network.transport("a").dial(B) for _ in range(BACKLOG)]
        with pytest.raises(ConnectFailed, match="too many wait"):
            await network.transport("a").dial(B)
        await listener.aclose()
        for stream in waiting:
            with pytest.raises(ConnectionLost, match="reset"):
                await read(stream)
        assert network.connections == []

    run(main)


class Wire(Pipe):
    """Ten bytes a second, and every 'x' becomes a 'y'."""

    free = -inf

    def delay(self, size: int) -> float:
        now = trio.current_time()
        self.free = max(self.free, now) + size / 10
        return self.free - now

    def carry(self, data: bytes) -> bytes:
        return data.replace(b"x", b"y")


class Wires(MemoryNetwork):
    """From a to b the wire is bad, and c reaches nobody."""

    def make_pipe(self, sender: str, receiver: str) -> Pipe:
        return Wire(self.delay) if sender == "a" else super().make_pipe(sender, receiver)

    async def route(self, dialer: str, address: MemoryAddress) -> None:
        if dialer == "c":
            raise ConnectFailed(str(address), "no way")
        await super().route(dialer, address)


def test_a_simulator_replaces_pipes_and_routes() -> None:
    async def main() -> None:
        network = Wires()
        dialer, acceptor = await pair(network)
        for _ in range(3):
            assert dialer.send_nowait(b"x" * 10) == 10
        acceptor.send_nowait(b"x")
        assert await read(dialer) == b"x"
        await dialer.aclose()
        assert await read_to_end(acceptor) == b"y" * 30
        assert trio.current_time() == 3.0
        with pytest.raises(ConnectFailed, match="no way"):
            await network.transport("c").dial(B)

    run(main)


def test_a_simulator_learns_of_connections_before_anybody_uses_them() -> None:
    seen: list[tuple[Connection, str | None]] = []

    class Watched(MemoryNetwork):
        def connected(self, connection: Connection) -> None:
            seen.append((connection, connection.acceptor.lost))

    async def main() -> None:
        network = Watched()
        dialer, acceptor = await pair(network)
        assert seen == [(only(network), None)]
        assert [end for end, _ in only(network).ways] == [dialer, acceptor]

    run(main)


def test_a_pipe_that_shrinks_keeps_what_is_in_it_and_one_that_grows_takes_more() -> None:
    async def main() -> None:
        network = MemoryNetwork(capacity=100)
        dialer, acceptor = await pair(network)
        _, pipe = only(network).ways[0]
        dialer.send_nowait(bytes(60))
        pipe.resize(50)
        assert (pipe.room, dialer.send_nowait(bytes(100))) == (0, 0)
        assert len(await read(acceptor, 20)) == 20
        assert dialer.send_nowait(bytes(100)) == 10
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dialer.wait_writable)
            await wait_all_tasks_blocked()
            pipe.resize(51)
        assert dialer.send_nowait(bytes(100)) == 1

    run(main)


def test_closing_a_listener_twice_does_not_close_its_successor() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        first = await network.transport("b").listen(B)
        await first.aclose()
        second: MemoryListener = await network.transport("b").listen(B)
        await first.aclose()
        assert (await network.transport("a").dial(B)).remote == str(second.address)

    run(main)


def test_a_listener_that_closes_during_a_dial_refuses_it() -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=1.0)
        listener = await network.transport("b").listen(B)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def dial() -> None:
                with pytest.raises(ConnectFailed, match="refused"):
                    await network.transport("a").dial(B)

            await trio.sleep(0.5)
            await listener.aclose()

    run(main)


def test_data_pattern_is_its_own_check() -> None:
    assert pattern(3, 20) == pattern(0, 30)[3:23]
