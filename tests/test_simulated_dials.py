"""Dials between simulated hosts: they hang, are refused, and meet."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest
import trio
from simulated import HOUR, RTT, TROUBLES, dial, hangs, listening, pair, passes, reaches, virtual

from actors.testing.network.wires import SimulatedNetwork
from actors.testing.virtual.runner import run_virtual
from transports.addresses import MemoryAddress
from transports.errors import ConnectFailed

SHUT = ("partition", "isolate", "deafen", "deafen all", "mute", "mute all", "ignore dials")


@pytest.mark.parametrize("name", SHUT)
@virtual
async def test_dials_hang_and_come_through_a_round_trip_after_it_heals(name: str) -> None:
    network = SimulatedNetwork()
    await listening(network, "b")
    trouble = TROUBLES[name](network)
    await hangs(network, "a", "b")
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def connect() -> None:
            (await dial(network, "a", "b")).abort()

        await trio.sleep(HOUR)
        assert network.waiting_dials == 1
        trouble.heal()
        healed = trio.current_time()
    assert trio.current_time() - healed == pytest.approx(RTT)


@virtual
async def test_a_dial_needs_both_ways() -> None:
    network = SimulatedNetwork()
    await listening(network, "a")
    await listening(network, "b")
    network.deafen("b", to="a")
    await hangs(network, "a", "b")
    await hangs(network, "b", "a")


@virtual
async def test_a_partition_that_begins_while_a_dial_is_under_way_stops_it() -> None:
    network = SimulatedNetwork(latency=1.0)
    await listening(network, "b")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hangs, network, "a", "b")
        await trio.sleep(0.5)
        network.partition("a", "b")
        await trio.sleep(HOUR / 2)
        network.partition("a", "b")
        network.troubles[0].heal()


@virtual
async def test_refused_dials_fail_and_connections_stay() -> None:
    network = SimulatedNetwork()
    ends = await pair(network)
    start = trio.current_time()
    with network.refuse_dials("b"):
        with pytest.raises(ConnectFailed, match="cannot connect to memory://b: connection refused"):
            await dial(network, "a", "b")
        assert trio.current_time() - start == pytest.approx(RTT)
        await passes(*ends)
        await reaches(network, "b", "a")
    await reaches(network, "a", "b")


@virtual
async def test_ignored_dials_hang_and_connections_stay() -> None:
    network = SimulatedNetwork()
    ends = await pair(network)
    with network.ignore_dials("b"):
        await hangs(network, "a", "b")
        await passes(*ends)
        await reaches(network, "b", "a")


@virtual
async def test_an_address_that_nobody_ever_listened_at_is_a_host_of_that_name() -> None:
    network = SimulatedNetwork()
    with network.isolate("nobody"):
        await hangs(network, "a", "nobody")
    with pytest.raises(ConnectFailed, match="nothing listens there"):
        await dial(network, "a", "nobody")


@virtual
async def test_an_address_belongs_to_the_host_that_listened_there() -> None:
    network = SimulatedNetwork()
    listener = await network.transport("b").listen(MemoryAddress("front"))
    await listener.aclose()
    with network.isolate("b"):
        await hangs(network, "a", "front")


async def arrivals(seed: int) -> list[str]:
    """The order in which five dials come through that were held, although something happens between them."""
    network = SimulatedNetwork(Random(seed))
    hosts = "abcde"
    for host in hosts:
        await listening(network, host)
    seen: list[str] = []
    times: list[float] = []
    network.on_connect.append(lambda connection: seen.append(connection.dialer.host))
    network.on_connect.append(lambda connection: times.append(trio.current_time()))
    network.on_connect.append(lambda connection: network.slow("a", "b", latency=1.0))

    async def connect(one: str, other: str) -> None:
        (await dial(network, one, other)).abort()

    async with trio.open_nursery() as nursery:
        network.hold_dials()
        for one, other in zip(hosts, hosts[1:] + hosts[:1], strict=True):
            nursery.start_soon(connect, one, other)
            await trio.sleep(1.0)
        assert network.waiting_dials == 5
        assert seen == []
        network.release_dials()
        assert {each.what for each in network.troubles} <= {"slow a b"}
    assert len(set(times)) == 1
    return seen


def test_dials_that_were_held_arrive_at_one_moment_in_a_drawn_order() -> None:
    orders = [run_virtual(partial(arrivals, seed)) for seed in range(5)]
    assert all(sorted(order) == list("abcde") for order in orders)
    assert len({tuple(order) for order in orders}) > 1
    for seed, order in enumerate(orders):
        for scheduling in range(5):
            assert run_virtual(partial(arrivals, seed), seed=scheduling) == order


@virtual
async def test_dials_may_be_held_to_one_host_and_given_up() -> None:
    network = SimulatedNetwork()
    await listening(network, "b")
    trouble = network.hold_dials("b")
    await reaches(network, "b", "c")
    await hangs(network, "a", "b")
    async with trio.open_nursery() as nursery, trio.open_nursery() as doomed:
        for _ in range(3):
            nursery.start_soon(dial, network, "a", "b")
            doomed.start_soon(dial, network, "c", "b")
        await trio.sleep(1.0)
        assert network.waiting_dials == 6
        trouble.heal()
        doomed.cancel_scope.cancel()
    assert network.waiting_dials == 0
    assert [each.dialer.host for each in network.connections] == ["a"] * 3
    await reaches(network, "c", "b")


@virtual
async def test_dials_that_were_held_wait_on_where_a_partition_came_meanwhile() -> None:
    network = SimulatedNetwork()
    await listening(network, "b")
    network.hold_dials()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hangs, network, "a", "b")
        nursery.start_soon(reaches, network, "c", "b")
        await trio.sleep(1.0)
        network.isolate("a")
        network.release_dials()
        await trio.sleep(1.0)
        assert network.waiting_dials == 1
