"""What can go wrong between simulated hosts and with their connections, also later ones, and that it ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import pytest
import trio
from conformance import fill, lost, pattern, read, read_exactly
from simulated import HOUR, RTT, TROUBLES, dial, hangs, is_cut, listening, pair, passes, reaches, silence, virtual
from trio.testing import wait_all_tasks_blocked

from actors.testing.network.troubles import Trouble
from actors.testing.network.wires import SimulatedNetwork
from actors.testing.virtual.runner import run_virtual
from transports.base import send_all
from transports.errors import ConnectFailed, ConnectionLost
from transports.memory.connection import Connection, MemoryStream

# -- all troubles alike ---------------------------------------------------------------------------------

HEALS: dict[str, Callable[[SimulatedNetwork, Trouble], None]] = {
    "all": lambda network, trouble: network.heal(),
    "these two": lambda network, trouble: network.heal("b", "a"),
    "this one": lambda network, trouble: trouble.heal(),
    "the block": lambda network, trouble: trouble.__exit__(None, None, None),
}


@pytest.mark.parametrize("heal", HEALS.values(), ids=HEALS)
@pytest.mark.parametrize("begin", TROUBLES.values(), ids=TROUBLES)
@virtual
async def test_whatever_was_wrong_is_over_when_it_heals(
    begin: Callable[[SimulatedNetwork], Trouble], heal: Callable[[SimulatedNetwork, Trouble], None]
) -> None:
    network = SimulatedNetwork(Random(1))
    dialer, acceptor = await pair(network)
    healthy = network.wire("a", "b"), network.wire("b", "a")
    assert network.is_healed
    trouble = begin(network)
    assert trouble.in_force
    assert network.troubles == [trouble]
    assert not network.is_healed
    assert (network.wire("a", "b"), network.wire("b", "a")) != healthy
    taken = dialer.send_nowait(bytes(20))
    heal(network, trouble)
    assert (network.wire("a", "b"), network.wire("b", "a")) == healthy
    if trouble.in_force:  # these two are well again, others are not
        assert network.wire("c", "b") != network.healthy or network.wire("a", "c") != network.healthy
    assert network.is_healed != trouble.in_force
    start = trio.current_time()
    await read_exactly(acceptor, taken)
    assert trio.current_time() - start <= RTT
    assert await passes(dialer, acceptor, pattern(0, 1000)) <= RTT
    await reaches(network, "a", "b")
    network.heal()
    assert not trouble.in_force
    assert network.is_healed
    trouble.heal()
    for end in dialer, acceptor:
        end.abort()
    for listener in network.listeners_of("b"):
        await listener.aclose()
    assert network.connections == []
    assert [network.left_by(host) for host in "ab"] == [[], []]


@virtual
async def test_what_is_wrong_with_two_hosts_does_not_concern_others() -> None:
    network = SimulatedNetwork(Random(1))
    for begin in TROUBLES.values():
        begin(network)
    network.heal("c", "d")
    assert len(network.troubles) == len(TROUBLES)
    await reaches(network, "c", "d")
    assert network.wire("c", "d") == network.wire("d", "c") == network.healthy
    assert network.wire("c", "b").held


@virtual
async def test_of_two_troubles_that_say_the_same_the_later_counts_and_then_the_earlier() -> None:
    network = SimulatedNetwork()
    earlier = network.slow("a", "b", latency=1.0, jitter=0.5)
    later = network.slow("b", latency=2.0)
    assert (network.wire("a", "b").latency, network.wire("a", "b").jitter) == (2.0, 0.5)
    later.heal()
    assert network.wire("a", "b").latency == 1.0
    earlier.heal()
    assert network.wire("a", "b") == network.healthy


@virtual
async def test_a_host_always_reaches_itself_unless_it_is_named_twice() -> None:
    network = SimulatedNetwork()
    network.isolate("a")
    network.slow(latency=5.0)
    await reaches(network, "a", "a")
    assert network.wire("a", "a") == network.healthy
    with network.slow("a", "a", latency=2.0):
        assert network.wire("a", "a").latency == 2.0


@virtual
async def test_troubles_say_what_they_are() -> None:
    network = SimulatedNetwork()
    assert repr(network.partition(["a", "b"], "c")) == "<Trouble partition a b | c>"
    isolated = network.isolate("a")
    isolated.heal()
    assert repr(isolated) == "<Trouble isolate a (over)>"
    assert [each.what for each in network.troubles] == ["partition a b | c"]


@virtual
async def test_what_cannot_be_is_refused() -> None:
    network = SimulatedNetwork()
    refused: list[Callable[[], object]] = [
        lambda: network.partition("a"),
        lambda: network.partition("a", ["b", "a"]),
        lambda: network.cut("a", "b", noticed_by="c"),
        lambda: network.slow(latency=-1.0),
        lambda: network.slow(jitter=-1.0),
        lambda: network.slow(bandwidth=0.0),
        lambda: network.lay(latency=-1.0),
        lambda: network.lay(capacity=0),
        lambda: network.corrupt(rate=0.0),
        lambda: network.corrupt(rate=1.5),
        lambda: network.shrink(capacity=0),
        lambda: network.short_writes(longest=0),
        lambda: network.short_reads(longest=0),
        lambda: network.slow_reader("a", 0.0),
    ]
    for call in refused:
        with pytest.raises(ValueError, match=r"^(a |jitter )"):
            call()
    for up, down in (0.0, 1.0), (1.0, 0.0):
        with pytest.raises(ValueError, match=r"^up and down"):
            await network.flap("a", "b", up=up, down=down)
    assert network.is_healed


# -- the healthy network --------------------------------------------------------------------------------


@virtual
async def test_bytes_take_a_millisecond_and_a_dial_there_and_back() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    assert trio.current_time() == RTT
    assert await passes(dialer, acceptor) == pytest.approx(0.001)


@virtual
async def test_how_it_is_laid_no_heal_changes() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    network.lay("a", "b", latency=0.25, capacity=100)
    network.lay("b", "a", latency=0.5, bandwidth=100.0, one_way=True)
    for _ in range(2):
        assert await passes(dialer, acceptor) == pytest.approx(0.25)
        assert await passes(acceptor, dialer, bytes(50)) == pytest.approx(1.0)
        assert len(await fill(dialer)) == 100
        await read_exactly(acceptor, 100)
        assert network.is_healed
        with network.slow("a", "b", latency=3.0):
            assert await passes(dialer, acceptor) == pytest.approx(3.0)
        network.heal()
    await reaches(network, "c", "b")
    assert network.wire("c", "b") == network.healthy


# -- hosts do not reach each other ----------------------------------------------------------------------


@virtual
async def test_a_partition_holds_what_is_sent_and_heals_in_order() -> None:
    network = SimulatedNetwork(latency=0.25)
    dialer, acceptor = await pair(network)
    dialer.send_nowait(b"first ")
    trouble = network.partition(["a"], ["b", "c"])
    dialer.send_nowait(b"second ")
    dialer.send_nowait(b"third")
    acceptor.send_nowait(b"back")
    await silence(acceptor)
    await silence(dialer)
    await reaches(network, "b", "c")
    await reaches(network, "d", "a")
    trouble.heal()
    start = trio.current_time()
    assert await read_exactly(acceptor, 18) == b"first second third"
    assert await read_exactly(dialer, 4) == b"back"
    assert trio.current_time() - start == 0.25


@virtual
async def test_what_has_arrived_before_a_partition_can_be_read_and_an_end_waits_for_the_heal() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    dialer.send_nowait(b"here")
    await trio.sleep(0.5)
    trouble = network.partition("a", "b")
    assert await read(acceptor) == b"here"
    dialer.abort()
    await silence(acceptor)
    trouble.heal()
    await lost(acceptor)


@virtual
async def test_a_partition_that_resets_breaks_what_there_is() -> None:
    begins: list[Callable[[SimulatedNetwork], Trouble]] = [
        lambda network: network.partition("a", "b", reset=True),
        lambda network: network.isolate("b", reset=True),
    ]
    for begin in begins:
        network = SimulatedNetwork()
        ends = await pair(network)
        others = await pair(network, "a", "c")
        trouble = begin(network)
        await is_cut(*ends)
        await hangs(network, "a", "b")
        await passes(*others)
        trouble.heal()
        await reaches(network, "a", "b")


@virtual
async def test_the_deaf_still_are_heard() -> None:
    for name in "deafen", "deafen all", "mute", "mute all":
        network = SimulatedNetwork()
        dialer, acceptor = await pair(network)
        TROUBLES[name](network)
        dialer.send_nowait(b"unheard")
        await passes(acceptor, dialer)
        await silence(acceptor)
        network.heal()
        assert await read(acceptor) == b"unheard"


@virtual
async def test_who_hears_nobody_and_whom_nobody_hears() -> None:
    network = SimulatedNetwork()
    from_c, to_c = await pair(network, "b", "c")
    with network.deafen("b"):
        await passes(from_c, to_c)
        to_c.send_nowait(b"x")
        await silence(from_c)
    assert await read(from_c) == b"x"
    with network.mute("c"):
        await passes(from_c, to_c)
        to_c.send_nowait(b"y")
        await silence(from_c)
    assert await read(from_c) == b"y"


@virtual
async def test_partitions_overlap() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    one, other = network.partition("a", "b"), network.isolate("a")
    dialer.send_nowait(b"x")
    one.heal()
    await silence(acceptor)
    await hangs(network, "a", "b")
    other.heal()
    assert await read(acceptor) == b"x"


@virtual
async def test_a_flap_shuts_and_opens_until_it_heals() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    seen: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(network.flap, "a", "b", up=2.0, down=3.0))
        await trio.sleep(0.5)
        assert [each.what for each in network.troubles] == ["flap a b"]
        start = trio.current_time() - 0.5
        for _ in range(10):
            dialer.send_nowait(b"x")
            await read(acceptor)
            seen.append(trio.current_time() - start)
            await trio.sleep(1.0)
        network.heal("a", "b")
    assert network.is_healed
    assert seen == pytest.approx([0.501, 1.501, 5.001, 6.001, 10.001, 11.001, 15.001, 16.001, 20.001, 21.001], abs=0.01)


@virtual
async def test_a_flap_can_break_connections() -> None:
    network = SimulatedNetwork()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(network.flap, "a", "b", up=1.0, down=1.0, reset=True))
        for _ in range(3):
            await is_cut(*await pair(network))
        assert trio.current_time() == 5.0
        nursery.cancel_scope.cancel()
    assert network.is_healed


def test_a_flap_that_heals_in_the_moment_of_its_next_beat_does_nothing_more() -> None:
    async def main() -> bool:
        network = SimulatedNetwork()
        dialer, _ = await pair(network)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(network.flap, "a", "b", up=1.0, down=1.0, reset=True))
            await wait_all_tasks_blocked()
            await trio.sleep(1.0)
            network.heal()
            before = dialer.lost
        assert network.is_healed
        assert dialer.lost == before
        return before is not None

    assert {run_virtual(main, seed=seed) for seed in range(20)} == {True, False}


# -- connections break ----------------------------------------------------------------------------------


@virtual
async def test_a_cut_breaks_all_connections_of_two_hosts_and_dials_come_through() -> None:
    network = SimulatedNetwork(latency=1.0)
    ends = [*await pair(network), *await pair(network), *await pair(network, "b", "a")]
    others = await pair(network, "a", "c")
    assert len(network.between("a", "b")) == 3
    assert network.cut("b", "a") == 3
    start = trio.current_time()
    await is_cut(*ends)
    assert trio.current_time() == start
    assert network.between("a", "b") == []
    assert network.is_healed
    await passes(*others)
    await reaches(network, "a", "b")
    assert network.cut("a") == 1
    await is_cut(*others)


@pytest.mark.parametrize("heal", [False, True])
@virtual
async def test_a_cut_that_one_end_notices_leaves_the_other_half_open_for_ever(heal: bool) -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    dialer.send_nowait(b"arrived")
    await trio.sleep(1.0)
    dialer.send_nowait(b"lost")
    assert network.cut("a", "b", noticed_by="a") == 1
    await is_cut(dialer)
    dialer.abort()
    if heal:
        with network.partition("a", "b"):
            pass
        network.slow_reader("b", 1.0).heal()
        network.heal()
    assert await read(acceptor) == b"arrived"
    acceptor.send_nowait(b"into the void")
    await silence(acceptor)
    assert network.left_by("a") == []
    assert network.left_by("b") == [repr(*network.listeners_of("b")), f"connection 1: {acceptor!r}"]
    await reaches(network, "a", "b")


@virtual
async def test_a_blackhole_is_of_connections_and_not_of_hosts() -> None:
    network = SimulatedNetwork()
    first, second = await pair(network), await pair(network)
    trouble = network.blackhole(*network.between("a", "b"))
    await reaches(network, "a", "b")
    for dialer, acceptor in first, second:
        dialer.send_nowait(b"there")
        acceptor.send_nowait(b"back")
        await silence(acceptor)
        await silence(dialer)
    assert not network.is_healed
    trouble.heal()
    assert network.is_healed
    for dialer, acceptor in first, second:
        assert await read(dialer) == b"back"
        assert await read(acceptor) == b"there"


@virtual
async def test_a_blackhole_can_swallow_one_way_and_heals_with_its_hosts() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    (connection,) = network.connections
    trouble = network.blackhole(connection, sender="b")
    await passes(dialer, acceptor)
    acceptor.send_nowait(b"x")
    await silence(dialer)
    network.heal("a", "c")
    assert trouble.in_force
    network.heal("a")
    assert not trouble.in_force
    assert await read(dialer) == b"x"


@virtual
async def test_a_blackhole_is_over_when_its_connections_are_gone() -> None:
    network = SimulatedNetwork()
    ends = [*await pair(network), *await pair(network)]
    trouble = network.blackhole(*network.connections)
    for count, end in enumerate(ends):
        assert trouble.in_force == (count < 4)
        end.abort()
    assert not trouble.in_force
    assert network.is_healed


@virtual
async def test_all_that_is_wrong_includes_what_a_host_says_to_itself() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network, "a", "a")
    (connection,) = network.connections
    network.blackhole(connection)
    connection.blackhole()
    network.slow("a", "a", latency=5.0)
    network.heal()
    assert network.is_healed
    assert await passes(dialer, acceptor) <= RTT


@virtual
async def test_a_connection_may_be_held_and_partitioned_at_once() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    (connection,) = network.connections
    trouble = network.partition("a", "b")
    connection.blackhole()
    dialer.send_nowait(b"x")
    trouble.heal()
    assert not network.is_healed
    await silence(acceptor)
    with network.partition("a", "b"):
        connection.heal()
        await silence(acceptor)
    assert await read(acceptor) == b"x"
    connection.blackhole(dialer)
    network.heal("a", "b")
    assert network.is_healed
    await passes(dialer, acceptor)


async def tasks_of_a_killed_host(*ends: MemoryStream) -> None:
    """What they may still do before they are cancelled."""
    for end in ends:
        end.send_nowait(b"last words")
        end.abort()


@virtual
async def test_a_killed_process_resets_its_connections_and_its_addresses_refuse() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    listener = await listening(network, "b")
    waiting = await dial(network, "a", "b")
    acceptor.send_nowait(b"before")
    own, closed = await pair(network, "b", "a")
    await own.aclose()
    network.vanish("b")
    digest = network.digest
    await tasks_of_a_killed_host(acceptor)
    assert network.digest == digest
    with pytest.raises(ConnectFailed, match="refused"):
        await dial(network, "a", "b")
    for end in dialer, waiting:
        with pytest.raises(ConnectionLost, match="reset"):
            await read(end)
    assert await read(closed) == b""
    assert network.is_healed
    again = await network.transport("b").listen(listener.address)
    await listener.aclose()
    assert network.left_by("b") == [repr(again)]
    await reaches(network, "a", "b")


@virtual
async def test_a_host_without_power_says_nothing_and_hears_nothing_until_it_runs_again() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    listener = await listening(network, "b")
    seen: list[bytes] = []
    acceptor.send_nowait(b"under way")
    network.on_bytes.append(lambda connection, sender, receiver, data: seen.append(data))
    network.vanish("b", silently=True)
    network.vanish("b", silently=True)
    await tasks_of_a_killed_host(acceptor)
    await listener.aclose()
    assert network.left_by("b") == []
    await silence(dialer)
    await hangs(network, "a", "b")
    assert seen == []
    assert repr(network.troubles) == "[<Trouble b is off>]"
    await reaches(network, "b", "a")
    assert network.is_healed
    dialer.send_nowait(b"anybody?")
    await silence(dialer)
    await reaches(network, "a", "b")


@virtual
async def test_a_dial_of_a_host_that_vanished_meanwhile_never_arrives() -> None:
    network = SimulatedNetwork(latency=1.0)
    listener = await listening(network, "b")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hangs, network, "a", "b")
        await trio.sleep(0.5)
        network.vanish("a")
        await trio.sleep(HOUR / 2)
        assert network.connections == []
    await reaches(network, "a", "b")
    await listener.aclose()


# -- looking on -----------------------------------------------------------------------------------------


@virtual
async def test_observers_see_dials_connections_and_bytes_when_they_set_out() -> None:
    network = SimulatedNetwork(latency=1.0)
    dials: list[tuple[float, str, str]] = []
    connections: list[Connection] = []
    seen: list[tuple[float, int, str, str, bytes]] = []
    network.on_dial.append(lambda at, dialer, name: dials.append((at, dialer, name)))
    network.on_connect.append(connections.append)
    network.on_bytes.append(
        lambda connection, sender, receiver, data: seen.append(
            (trio.current_time(), connection.number, sender, receiver, data)
        )
    )
    dialer, acceptor = await pair(network)
    await passes(dialer, acceptor, b"there")
    await passes(acceptor, dialer, b"back")
    with pytest.raises(ConnectFailed):
        await dial(network, "b", "nobody")
    assert dials == [(0.0, "a", "b"), (4.0, "b", "nobody")]
    assert connections == network.connections
    assert seen == [(2.0, 1, "a", "b", b"there"), (3.0, 1, "b", "a", b"back")]


@virtual
async def test_what_a_host_has_open_is_listed_until_it_is_closed() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    own = await pair(network, "b", "b")
    (listener,) = network.listeners_of("b")
    assert network.ends_of("a") == [dialer]
    assert network.ends_of("b") == [acceptor, *own]
    assert network.between("b", "b") == network.connections[1:]
    assert network.between("a", "b") == network.connections[:1]
    assert network.between("b") == network.connections
    assert network.listeners_of("a") == []
    assert len(network.left_by("b")) == 4
    await acceptor.aclose()
    for end in own:
        end.abort()
    await listener.aclose()
    assert network.left_by("b") == []
    assert network.left_by("a") == [f"connection 1: {dialer!r}"]


@pytest.mark.parametrize("begin", TROUBLES.values(), ids=TROUBLES)
@virtual
async def test_cancelled_under_any_trouble_nothing_is_left(begin: Callable[[SimulatedNetwork], Trouble]) -> None:
    network = SimulatedNetwork()
    listener = await listening(network, "b")
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            stream = await listener.accept()
            try:
                while data := await read(stream):
                    await send_all(stream, data)
            finally:
                stream.abort()

        async def talk() -> None:
            try:
                stream = await dial(network, "a", "b")
            except ConnectFailed:
                return
            try:
                while True:
                    await send_all(stream, bytes(30))
                    await read_exactly(stream, 30)
            finally:
                stream.abort()

        for _ in range(3):
            nursery.start_soon(serve)
            nursery.start_soon(talk)
        await trio.sleep(0.0105)
        begin(network)
        for _ in range(3):
            nursery.start_soon(serve)
            nursery.start_soon(talk)
        await trio.sleep(0.0101)
        nursery.cancel_scope.cancel()
    await listener.aclose()
    assert network.connections == []
    assert [network.left_by(host) for host in "ab"] == [[], []]
    assert network.waiting_dials == 0
