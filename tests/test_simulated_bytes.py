"""What becomes of the bytes between simulated hosts; the same seed, the same bytes; the conformance checks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from pathlib import Path
from random import Random

import pytest
import trio
from conformance import CHECKS, Check, Rig, Subject, fill, name_of, pattern, read, read_exactly, read_to_end
from conformance import run as run_check
from simulated import HOUR, RTT, dial, listening, pair, passes, reaches, silence, virtual
from trio.testing import wait_all_tasks_blocked

from actors.testing.network.wires import SimulatedNetwork
from actors.testing.virtual.runner import run_virtual
from transports.addresses import MemoryAddress, TCPAddress
from transports.base import send_all
from transports.errors import ConnectFailed
from transports.memory.connection import MemoryStream
from transports.memory.network import MemoryListener

# -- bytes suffer ---------------------------------------------------------------------------------------


@virtual
async def test_slow_is_latency_of_one_way_or_of_both() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    trouble = network.slow("a", "b", latency=0.5)
    assert await passes(dialer, acceptor) == pytest.approx(0.5)
    assert await passes(acceptor, dialer) == pytest.approx(0.5)
    start = trio.current_time()
    later = await pair(network)
    assert trio.current_time() - start == pytest.approx(1.0)
    assert await passes(*later) == pytest.approx(0.5)
    trouble.heal()
    network.slow("a", "b", latency=0.5, one_way=True)
    assert await passes(dialer, acceptor) == pytest.approx(0.5)
    assert await passes(acceptor, dialer) == pytest.approx(0.001)


@virtual
async def test_jitter_delays_and_never_reorders() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    network.slow("a", "b", jitter=5.0)
    times = [await passes(dialer, acceptor) for _ in range(50)]
    assert min(times) < 1.0
    assert 4.0 < max(times) <= 5.001
    for number in range(50):
        dialer.send_nowait(bytes([number]))
    assert await read_exactly(acceptor, 50) == bytes(range(50))


@virtual
async def test_many_bytes_take_their_time_and_hold_up_what_comes_behind() -> None:
    network = SimulatedNetwork(latency=0.5)
    first, second = await pair(network), await pair(network)
    network.slow("a", "b", bandwidth=1000.0)
    start = trio.current_time()
    first[0].send_nowait(bytes(5000))
    second[0].send_nowait(bytes(1000))
    first[1].send_nowait(b"the way back is free of it")
    await read(first[0])
    assert trio.current_time() - start == pytest.approx(0.526)
    arrivals = []
    left = 5000
    while left:
        left -= len(await read(first[1]))
        arrivals.append(trio.current_time() - start)
    assert arrivals == pytest.approx([1.96, 3.42, 4.88, 5.5])
    await read_exactly(second[1], 1000)
    assert trio.current_time() - start == pytest.approx(6.5)


@virtual
async def test_a_heal_hastens_what_is_on_its_way_and_a_new_trouble_does_not_delay_it() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    network.slow("a", "b", latency=100.0)
    slower = network.slow("a", "b", latency=200.0, bandwidth=1.0)
    await fill(dialer)
    slower.heal()
    await trio.sleep(50.0)
    start = trio.current_time()
    network.slow("a", "b", latency=500.0)
    await read_exactly(acceptor, 65536)
    assert trio.current_time() - start == pytest.approx(50.0)
    network.heal()
    assert await passes(dialer, acceptor) == pytest.approx(0.001)


@pytest.mark.parametrize(("latency", "jitter", "bandwidth"), [(HOUR, 0.0, inf), (0.0, 1e9, inf), (0.0, 0.0, 1.0)])
@virtual
async def test_whatever_was_slow_a_heal_hastens_it(latency: float, jitter: float, bandwidth: float) -> None:
    network = SimulatedNetwork(Random(1))
    dialer, acceptor = await pair(network)
    trouble = network.slow("a", "b", latency=latency, jitter=jitter, bandwidth=bandwidth)
    dialer.send_nowait(bytes(1000))
    start = trio.current_time()
    trouble.heal()
    await read_exactly(acceptor, 1000)
    assert trio.current_time() - start <= RTT


@virtual
async def test_a_wire_that_gets_wider_is_free_sooner_for_all_its_connections() -> None:
    network = SimulatedNetwork()
    first, second = await pair(network), await pair(network)
    network.slow("a", "b", latency=0.0, bandwidth=1.0)
    first[0].send_nowait(bytes(1000))
    network.slow("a", "b", latency=9.0, bandwidth=1000.0)
    start = trio.current_time()
    second[0].send_nowait(bytes(1000))
    await read_exactly(first[1], 1000)
    assert trio.current_time() - start == pytest.approx(10.0)
    await read_exactly(second[1], 1000)
    assert trio.current_time() - start == pytest.approx(11.0)


@virtual
async def test_what_is_faster_in_one_thing_and_slower_in_another_delays_nothing_that_is_on_its_way() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    network.slow("a", "b", latency=2.0, bandwidth=1e6)
    start = trio.current_time()
    dialer.send_nowait(b"x")
    network.slow("a", "b", latency=HOUR, bandwidth=1e9)
    await read(acceptor)
    assert trio.current_time() - start == pytest.approx(2.0)


@pytest.mark.parametrize("seed", range(5))
@virtual
async def test_an_end_that_is_hastened_comes_after_the_bytes_before_it(seed: int) -> None:
    network = SimulatedNetwork(Random(seed), jitter=50.0, capacity=100)
    dialer, acceptor = await pair(network)
    await fill(acceptor)
    trouble = network.slow("a", "b", latency=HOUR)
    for _ in range(5):
        dialer.send_nowait(b"x")
    dialer.abort()
    trouble.heal()
    start = trio.current_time()
    await acceptor.wait_writable()
    assert trio.current_time() - start < 51.0


@virtual
async def test_a_heal_wakes_who_waits_for_bytes_and_for_room() -> None:
    network = SimulatedNetwork(capacity=10)
    dialer, acceptor = await pair(network)
    trouble = network.slow("a", "b", latency=HOUR)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, dialer, pattern(0, 30))
        nursery.start_soon(dialer.wait_readable)
        reader = partial(read_exactly, acceptor, 30)
        nursery.start_soon(reader)
        await trio.sleep(1.0)
        trouble.heal()
        await trio.sleep(0.01)
        acceptor.send_nowait(b"x")
    assert trio.current_time() < 2.0


@virtual
async def test_of_corrupt_parcels_one_bit_is_flipped() -> None:
    network = SimulatedNetwork(Random(3))
    dialer, acceptor = await pair(network)
    sent: list[bytes] = []
    network.on_bytes.append(lambda connection, sender, receiver, data: sent.append(data))
    trouble = network.corrupt("a", "b", rate=0.5, one_way=True)
    flipped = []
    for _ in range(200):
        dialer.send_nowait(bytes(100))
        flipped.append(sum(byte.bit_count() for byte in await read_exactly(acceptor, 100)))
    assert set(flipped) == {0, 1}
    assert 70 < sum(flipped) < 130
    assert sent == [bytes(100)] * 200
    await passes(acceptor, dialer, bytes(10_000))
    trouble.heal()
    await passes(dialer, acceptor, bytes(10_000))
    network.corrupt("a", "b", rate=1.0)
    later = await pair(network)
    for sender, receiver in later, later[::-1]:
        sender.send_nowait(bytes(100))
        assert sum(byte.bit_count() for byte in await read_exactly(receiver, 100)) == 1


@virtual
async def test_a_shrunk_connection_holds_less() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    dialer.send_nowait(bytes(50))
    trouble = network.shrink("a", "b", capacity=20)
    assert dialer.send_nowait(b"x") == 0
    await read_exactly(acceptor, 29)
    assert dialer.send_nowait(b"x") == 0
    await read_exactly(acceptor, 6)
    assert dialer.send_nowait(bytes(100)) == 5
    assert len(await fill((await pair(network))[0])) == 20
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dialer.wait_writable)
        await wait_all_tasks_blocked()
        trouble.heal()
    assert len(await fill(dialer)) == network.capacity - 20


@pytest.mark.parametrize("longest", [1, 7, 1 << 20])
@virtual
async def test_short_writes_take_a_part_and_nothing_is_lost(longest: int) -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    network.short_writes("a", "b", longest=longest)
    taken = []
    for _ in range(50):
        taken.append(dialer.send_nowait(bytes(100)))
        await read_exactly(acceptor, taken[-1])
    assert min(taken) >= 1
    assert max(taken) <= min(longest, 100)
    assert len(set(taken)) > 1 or longest == 1
    assert dialer.send_nowait(b"") == 0
    await passes(dialer, acceptor, pattern(0, 5000))
    await passes(acceptor, dialer, pattern(0, 5000))
    await passes(*await pair(network), pattern(0, 5000))
    network.shrink("a", "b", capacity=20)
    assert len(await fill(dialer)) == 20


@pytest.mark.parametrize("longest", [1, 7, 1 << 20])
@virtual
async def test_short_reads_give_a_part_and_nothing_is_lost(longest: int) -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    network.short_reads("a", "b", longest=longest, one_way=True)
    await passes(acceptor, dialer, pattern(0, 5000))
    dialer.send_nowait(pattern(0, 5000))
    await dialer.aclose()
    parts = []
    while part := await read(acceptor, 100):
        parts.append(part)
    assert b"".join(parts) == pattern(0, 5000)
    later = await pair(network)
    await passes(*later, pattern(0, 100))
    sizes = {len(part) for part in parts}
    assert max(sizes) <= min(longest, 100)
    assert len(sizes) > 1 or longest == 1
    later[0].send_nowait(bytes(100))
    await trio.sleep(1.0)
    assert len(await read(later[1], 1 << 20)) < 100


@virtual
async def test_a_slow_reader_fills_its_connections() -> None:
    network = SimulatedNetwork(capacity=10_000)
    dialer, acceptor = await pair(network)
    dialer.send_nowait(pattern(0, 4000))
    await trio.sleep(1.0)
    trouble = network.slow_reader("b", 1000.0)
    assert dialer.send_nowait(pattern(4000, 20_000)) == 6000
    start = trio.current_time()
    with pytest.raises(trio.WouldBlock):
        acceptor.receive_nowait(memoryview(bytearray(1)))
    assert await read_exactly(acceptor, 5000) == pattern(0, 5000)
    assert trio.current_time() - start == pytest.approx(5.0, abs=1.5)
    assert await passes(acceptor, dialer, bytes(10_000)) <= RTT
    trouble.heal()
    start = trio.current_time()
    assert await read_exactly(acceptor, 5000) == pattern(5000, 5000)
    assert trio.current_time() - start <= RTT


@virtual
async def test_a_slow_reader_reads_each_connection_at_its_rate_and_the_end_last() -> None:
    network = SimulatedNetwork()
    first, second = await pair(network), await pair(network)
    first[0].send_nowait(bytes(1000))
    await first[0].aclose()
    await trio.sleep(1.0)
    network.slow_reader("b", 1000.0)
    second[0].send_nowait(bytes(1000))
    start = trio.current_time()
    assert await read_to_end(first[1]) == bytes(1000)
    await read_exactly(second[1], 1000)
    assert trio.current_time() - start == pytest.approx(1.0, abs=0.01)
    start = trio.current_time()
    await passes(*await pair(network), bytes(1000))
    assert trio.current_time() - start == pytest.approx(1.0, abs=0.01)


@virtual
async def test_a_slow_reader_can_get_less_slow_and_does_not_end_a_blackhole() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    network.slow_reader("b", 1.0)
    dialer.send_nowait(bytes(1000))
    network.slow_reader("b", 1000.0)
    start = trio.current_time()
    await read_exactly(acceptor, 1000)
    assert trio.current_time() - start == pytest.approx(1.0, abs=0.01)
    network.connections[0].blackhole()
    dialer.send_nowait(b"x")
    network.slow_reader("b", 1.0)
    await silence(acceptor)


@virtual
async def test_a_reader_that_slows_down_during_a_partition_gets_all_after_it() -> None:
    network = SimulatedNetwork()
    dialer, acceptor = await pair(network)
    dialer.send_nowait(b"first ")
    await trio.sleep(1.0)
    with network.partition("a", "b"):
        dialer.send_nowait(b"second")
        network.slow_reader("b", 1.0)
        await silence(acceptor)
    start = trio.current_time()
    assert await read_exactly(acceptor, 12) == b"first second"
    assert trio.current_time() - start == pytest.approx(12.0, abs=0.01)


# -- the same again -------------------------------------------------------------------------------------


async def traffic(seed: int) -> SimulatedNetwork:
    """A little of everything, between hosts whose order in sets depends on hashes."""
    network = SimulatedNetwork(Random(seed), jitter=0.01)
    hosts = ("ant", "bee", "cat", "dog")
    network.partition({"ant", "bee", "cat"}, {"dog"}).heal()
    network.hold_dials()
    network.corrupt(rate=0.1)
    network.short_writes("ant", longest=20)
    network.short_reads(longest=20)
    network.slow("bee", "cat", bandwidth=2000.0)

    async def serve(listener: MemoryListener) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(echo, await listener.accept())

    async def echo(stream: MemoryStream) -> None:
        while data := await read(stream):
            await send_all(stream, data)
        stream.abort()

    async def talk(one: str, other: str) -> None:
        stream = await dial(network, one, other)
        for number in range(10):
            await passes_about(stream, bytes([number]) * 50)
        await stream.aclose()

    async def passes_about(stream: MemoryStream, data: bytes) -> None:
        await send_all(stream, data)
        await read_exactly(stream, len(data))

    async with trio.open_nursery() as nursery:
        for host in hosts:
            nursery.start_soon(serve, await listening(network, host))
        async with trio.open_nursery() as talks:
            for one in hosts:
                for other in hosts:
                    talks.start_soon(talk, one, other)
            await trio.sleep(1.0)
            with network.partition({"ant", "dog"}, {"bee", "cat"}):
                network.release_dials()
                await trio.sleep(1.0)
        nursery.cancel_scope.cancel()
    return network


SCRIPT = """
from functools import partial
from math import inf
from actors.testing.virtual.runner import run_virtual
from test_simulated_bytes import traffic
print(run_virtual(partial(traffic, 7), seed=7).digest.hex())
"""


def test_a_seed_gives_the_same_traffic_whatever_the_hashes() -> None:
    root = Path(__file__).parent
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": number, "PYTHONPATH": f"{root}:{root.parent}"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in ("1", "2")
    ]
    digests = [process.communicate()[0].strip() for process in running]
    assert digests == [run_virtual(partial(traffic, 7), seed=7).digest.hex()] * 2
    assert run_virtual(partial(traffic, 8), seed=7).digest.hex() not in digests


def test_the_digest_is_of_dials_connections_bytes_ends_and_times() -> None:
    async def digests(data: bytes = b"x", *, wait: float = 0.0, reset: bool = False, back: bool = False) -> list[bytes]:
        network = SimulatedNetwork()
        seen = [network.digest]
        with pytest.raises(ConnectFailed):
            await dial(network, "a", "b")
        seen.append(network.digest)
        ends = await pair(network)
        seen.append(network.digest)
        await trio.sleep(wait)
        ends[back].send_nowait(data)
        seen.append(network.digest)
        ends[back].abort() if reset else await ends[back].aclose()
        return [*seen, network.digest, network.digest]

    plain = run_virtual(digests)
    assert run_virtual(digests) == plain
    assert [len(digest) for digest in plain] == [16] * 6
    assert len(set(plain)) == 5
    variants = (
        partial(digests, b"y"),
        partial(digests, wait=1.0),
        partial(digests, reset=True),
        partial(digests, back=True),
    )
    others = [run_virtual(variant) for variant in variants]
    assert len({plain[-1], *(other[-1] for other in others)}) == 5
    assert len({plain[3], *(other[3] for other in others)}) == 4  # all but how it ends


def test_all_that_crossed_is_in_the_digest_however_much_it_is() -> None:
    async def digest(last: bytes) -> bytes:
        network = SimulatedNetwork(latency=0.0)
        dialer, acceptor = await pair(network)
        await passes(dialer, acceptor, bytes(200_000) + last + bytes(200_000))
        return network.digest

    assert len({run_virtual(partial(digest, last)) for last in (b"x", b"y")}) == 2


def test_what_became_of_bytes_on_their_way_is_in_the_digest() -> None:
    async def digest(seed: int) -> bytes:
        network = SimulatedNetwork(Random(seed))
        dialer, _ = await pair(network)
        network.corrupt(rate=1.0)
        dialer.send_nowait(bytes(1000))
        return network.digest

    assert len({run_virtual(partial(digest, seed)) for seed in range(3)}) == 3


@virtual
async def test_a_pair_of_hosts_has_chance_of_its_own() -> None:
    async def times(others: bool) -> list[float]:
        network = SimulatedNetwork(Random(5), jitter=1.0)
        ends = await pair(network)
        if others:
            for _ in range(3):
                await reaches(network, "c", "b")
        return [await passes(*ends) for _ in range(10)]

    assert await times(others=False) == pytest.approx(await times(others=True))


# -- conformance ----------------------------------------------------------------------------------------


def rigged(name: str, begin: Callable[[SimulatedNetwork], object]) -> Subject:
    @asynccontextmanager
    async def open_rig() -> AsyncIterator[Rig]:
        network = SimulatedNetwork(Random(1))
        begin(network)
        yield Rig(
            network.transport("a"),
            network.transport("b"),
            address=MemoryAddress("b"),
            nowhere=MemoryAddress("nowhere"),
            foreign=TCPAddress("127.0.0.1", 0),
        )
        assert network.waiting_dials == 0

    return Subject(name, open_rig, virtual=True)


SUBJECTS = (
    rigged("healthy", lambda network: None),
    rigged("jitter", lambda network: network.slow(latency=0.05, jitter=0.02)),
    rigged("short", lambda network: (network.short_writes(longest=9000), network.short_reads(longest=9000))),
    rigged("bandwidth", lambda network: network.slow(bandwidth=1e6)),
    rigged("slow_readers", lambda network: (network.slow_reader("a", 1e6), network.slow_reader("b", 1e6))),
    rigged("shrunk", lambda network: network.shrink(capacity=3000)),
    rigged(
        "all",
        lambda network: (
            network.slow(latency=0.05, jitter=0.02, bandwidth=1e6),
            network.short_writes(),
            network.short_reads(),
            network.shrink(capacity=30_000),
        ),
    ),
)


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
@pytest.mark.parametrize("subject", SUBJECTS, ids=name_of)
def test_the_simulated_transport_conforms(subject: Subject, check: Check) -> None:
    run_check(subject, check)
