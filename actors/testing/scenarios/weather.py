"""What networks and clocks do to permanent links: breaks, partitions, slow readers, dials at once, clocks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import combinations, permutations
from random import Random

import trio

from actors.errors import Lost
from actors.net.connecting.backoff import BackoffCfg
from actors.net.network import NetworkCfg
from actors.net.session.liveness import LivenessCfg
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import (
    Crash,
    Cut,
    Deaf,
    Fault,
    Flap,
    HoldDials,
    Partition,
    Slow,
    SlowReader,
    WallJump,
)
from actors.testing.history.records import LinkDown, LinkUp
from actors.testing.scenarios.breaks import HangUp
from actors.testing.scenarios.cast import LONG, Item, Question, Traffic, Work, cast
from actors.testing.scenarios.mishaps import OneWay
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import all_ended, entry, nobody_broke_the_protocol, one_connection, pair

_ALIVE = LivenessCfg(ping_after=1.0, dead_after=3.0)


# -- 1: broken off in the middle of a frame ---------------------------------------------------------------


@scenario("S5 S6 S9 S10 P1 P2 P3")
async def many_breaks(sim: Simulation) -> None:
    """Large frames cross slowly both ways, and again and again connections break or a node is killed in the middle."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = NetworkCfg(backoff=BackoffCfg(first=0.05, cap=1.0, steady=0.5), liveness=_ALIVE)
    await sim.start(one, other, setup=cast(sim))
    await sim.link(one, other, both=True)
    speed = float(rng.choice((10_000, 50_000, 200_000)))
    await sim.inflict(Slow(one, other, latency=rng.choice((0.001, 0.02)), bandwidth=speed, seconds=LONG))
    traffic, killed = Traffic(sim), False
    async with trio.open_nursery() as nursery:
        for sender, receiver in ((one, other), (other, one)):
            nursery.start_soon(_large, sim, traffic, sender, receiver, speed)
        for _ in range(rng.randint(3, 10)):
            await trio.sleep(rng.expovariate(5.0) if rng.random() < 0.7 else rng.uniform(0, 2))
            fault = _break(rng, *rng.sample((one, other), 2))
            killed |= await sim.inflict(fault) and isinstance(fault, Crash)
        nursery.cancel_scope.cancel()
    await sim.settle()
    if not killed:
        all_ended(sim, (one, other), "delivered", "refused bad_message")
    nobody_broke_the_protocol(sim)


def _break(rng: Random, one: str, other: str) -> Fault:
    kinds: tuple[Fault, ...] = (
        Cut(one, other),
        Cut(one, other, one),
        HangUp(one, other),
        OneWay(one, other),
        Crash(one, rng.choice((0.01, 0.3))),
    )
    return rng.choices(kinds, (6, 2, 4, 1, 1))[0]


async def _large(sim: Simulation, traffic: Traffic, sender: str, receiver: str, speed: float) -> None:
    """About as much as the wire carries, in messages of which each takes its time."""
    rng = sim.stream(f"large {sender}")
    while True:
        seconds = rng.choice((0.0, 0.01, 0.1, 0.3))
        if sender in sim.running and receiver in sim.running:
            item = Item(traffic.take(), bytes(int(speed * seconds)))
            sim.start_soon(_quietly, sim, sender, receiver, item)
        await trio.sleep(seconds + rng.expovariate(20.0))


async def _quietly(sim: Simulation, sender: str, receiver: str, item: Item) -> None:
    if sender in sim.running:
        await sim.send(sender, sim.to(receiver, "sink"), item, expiry=LONG)


# -- 3: slow readers --------------------------------------------------------------------------------------


@scenario("P5 P7 S4 T1")
async def slow_reader(sim: Simulation) -> None:
    """One peer or an engine of it reads slowly: its queue stays bounded, its senders are told, others go on."""
    rng = sim.rng
    latency = rng.choice((0.001, 0.02))
    sim.network.lay(latency=latency)
    sim.cfg = NetworkCfg(outbox=rng.choice((64 << 10, 256 << 10)))
    await sim.start("a", "slow", "quick", setup=cast(sim, slow=rng.choice((0.05, 0.5))))
    for peer in ("slow", "quick"):
        await sim.link("a", peer)
    target = rng.choice(("sink", "slow"))
    if target == "sink" or rng.random() < 0.3:
        await sim.inflict(SlowReader("slow", float(rng.choice((500, 5_000, 50_000))), LONG))
    traffic = Traffic(sim)
    async with trio.open_nursery() as nursery:
        for _ in range(rng.randint(1, 3)):
            pad, expiry = rng.choice((0, 2000, 20_000)), rng.choice((0.5, 5.0, LONG))
            nursery.start_soon(_pour, sim, traffic, target, pad, expiry)
        for _ in range(rng.randint(5, 15)):
            await trio.sleep(rng.uniform(0, 0.5))
            await _in_time(sim, "a", "quick", traffic.take(), 4 * latency + 0.01)
            await _in_time(sim, "quick", "a", traffic.take(), 4 * latency + 0.01)
            await _in_time(sim, "a", "a", traffic.take(), 0.001)
            sim.sample()
        nursery.cancel_scope.cancel()
    await sim.heal()
    await sim.settle(within=7200.0)
    nobody_broke_the_protocol(sim)


async def _pour(sim: Simulation, traffic: Traffic, target: str, pad: int, expiry: float) -> None:
    """More than it takes."""
    for _ in range(80):
        sim.start_soon(_told, sim, target, Item(traffic.take(), bytes(pad)), expiry)
        await trio.sleep(0.02)


async def _told(sim: Simulation, target: str, item: Item, expiry: float) -> None:
    await sim.send("a", sim.to("slow", target), item, expiry=expiry)


async def _in_time(sim: Simulation, sender: str, receiver: str, n: int, within: float) -> None:
    began = sim.now()
    value = await sim.ask(sender, sim.to(receiver, "sink"), Question(n), expiry=30.0)
    took = sim.now() - began
    assert value == -n, f"{sender} asks {receiver}: {value!r}"
    assert took <= within, f"{sender} waits {took:.3f} s for {receiver}, which is well"


# -- 5: both at once --------------------------------------------------------------------------------------


@scenario("C3 C4 C5 C8 C9")
async def meet_at_once(sim: Simulation) -> None:
    """Two nodes dial each other at one moment: within two round trips of the handshakes one connection is left."""
    rng, (one, other) = sim.rng, pair(sim)
    there, back = (rng.choice((0.001, 0.01, 0.1)) * rng.uniform(0.5, 2) for _ in range(2))
    sim.network.lay(one, other, one_way=True, latency=there)
    sim.network.lay(other, one, one_way=True, latency=back)
    trip = there + back
    await sim.start(one, other, setup=cast(sim))
    held = round(rng.uniform(0.0, 2 * trip), 4)
    await sim.inflict(HoldDials(2 * trip + held))
    traffic, began = Traffic(sim), sim.now()
    permanent = rng.random() < 0.5
    for sender, receiver in ((one, other), (other, one)):
        if permanent:
            sim.hold(sender, receiver)
        await traffic.one(sender, receiver)
    await trio.sleep(began + 2 * trip + held - sim.now())
    # A dial that was held takes no other round trip; the handshake takes two, and two more are to settle which one.
    await trio.sleep(2 * trip + 2 * trip + 0.001)
    connections = sim.network.between(one, other)
    assert len(connections) == 1, f"two round trips after the handshakes there are {connections}"
    used = {_current(sim, name, peer) for name, peer in ((one, other), (other, one))}
    assert len(used) == 1, f"they write on different connections: {used}"
    assert None not in used, "nobody writes"
    await sim.settle()
    all_ended(sim, (one, other), "delivered", "refused bad_message")
    nobody_broke_the_protocol(sim)


def _current(sim: Simulation, name: str, peer: str) -> object:
    found = entry(sim, name, peer)
    link = found.session.current if found is not None and found.session is not None else None
    return None if link is None else link.contender.id


# -- 8: jumps of the wall clock ---------------------------------------------------------------------------


@scenario("I1 P3 T")
async def clock_jumps(sim: Simulation) -> None:
    """Wall clocks jump by a day, forth and back, while nodes run and between their runs: no link and no timer minds."""
    rng, (one, other) = sim.rng, pair(sim)
    await sim.start(one, other, setup=cast(sim))
    await sim.link(one, other, both=rng.random() < 0.5)
    await trio.sleep(5.0)
    before = sum(isinstance(record, LinkDown) for record in sim.history)
    traffic = Traffic(sim, expiries=(LONG, 5.0))
    for _ in range(rng.randint(2, 6)):
        await sim.inflict(_jump(rng, one, other))
        for sender, receiver in ((one, other), (other, one)):
            await traffic.one(sender, receiver)
        n, seconds = traffic.take(), rng.choice((0.5, 3.0))
        began = sim.now()
        await sim.ask(one, sim.to(other, "nobody"), Question(n), expiry=seconds)
        assert sim.now() - began <= seconds + 0.2, f"a wait of {seconds:g} s took {sim.now() - began:.3f} s"
        await trio.sleep(rng.uniform(0, 20))
    after = sum(isinstance(record, LinkDown) for record in sim.history)
    assert after == before, f"{after - before} links broke because clocks jumped"
    for _ in range(rng.randint(0, 3)):
        await sim.inflict(_jump(rng, one, other))
        await sim.inflict(Crash(rng.choice((one, other)), rng.choice((0.1, 3.0))))
        await trio.sleep(rng.uniform(0, 5))
        if len(sim.running) == 2:
            await traffic.one(*rng.sample(sim.running, 2))
    await sim.settle()
    await one_connection(sim, one, other)


def _jump(rng: Random, *names: str) -> Fault:
    return WallJump(rng.choice(names), rng.choice((-86_400.0, 86_400.0)) * rng.choice((1, 1, 0.001)))


# -- 9: partitions ----------------------------------------------------------------------------------------


@scenario("P1 P2 P3 P6 T1 C3")
async def partitions(sim: Simulation) -> None:
    """Two to four nodes lose sight of each other, wholly, one way, or now and again: all links come back in time."""
    rng = sim.rng
    names = ["a", "b", "c", "d"][: rng.choice((2, 2, 3, 4))]
    alive = rng.choice((LivenessCfg(), _ALIVE))
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=rng.choice((2.0, 10.0, 30.0))), liveness=alive)
    sim.network.lay(latency=rng.choice((0.001, 0.02, 0.1)))
    await sim.start(*names, setup=cast(sim))
    for here, there in combinations(names, 2):
        await sim.link(*rng.sample((here, there), 2), both=rng.random() < 0.5)
    traffic = Traffic(sim, expiries=(LONG, LONG, 10.0))
    async with trio.open_nursery() as nursery:
        for sender, receiver in permutations(names, 2):
            nursery.start_soon(partial(traffic.flow, sender, receiver, gap=len(names) * rng.choice((0.3, 2.0))))
        for fault in _plan(rng, names):
            await sim.inflict(fault)
            await trio.sleep(rng.choice((0.0, 0.5, 5.0, 20.0)) * rng.random())
        nursery.cancel_scope.cancel()
    if rng.random() < 0.2:
        return  # and all stop as they are
    await sim.settle()
    ups = [record for record in sim.history if isinstance(record, LinkUp)]
    assert len(ups) >= 2 * len(list(combinations(names, 2)))
    nobody_broke_the_protocol(sim)


def _plan(rng: Random, names: list[str]) -> Iterator[Fault]:
    for _ in range(rng.randint(1, 6)):
        seconds = round(0.05 * 1200.0 ** rng.random(), 3)
        here, there = rng.sample(names, 2)
        match rng.randrange(4):
            case 0:
                yield Partition(tuple(rng.sample(names, rng.randint(1, len(names) - 1))), seconds)
            case 1:
                yield Deaf(here, there, seconds)
            case 2:
                up, down = (round(rng.uniform(0.01, 2), 3) for _ in range(2))
                yield Flap(here, there, rng.randint(2, 10), up, down)
            case _:
                yield Cut(here, there, rng.choice(("", here)))


# -- asks through breaks ----------------------------------------------------------------------------------


@scenario("Q1 Q2 Q3 S13 P4")
async def asked_through_breaks(sim: Simulation) -> None:
    """Connections break while questions and answers are under way: whoever asked is answered, or told at once."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0), liveness=_ALIVE)
    latency = rng.choice((0.001, 0.02, 0.1))
    sim.network.lay(latency=latency, jitter=rng.choice((0.0, latency)))
    await sim.start(one, other, setup=cast(sim))
    permanent = rng.random() < 0.6
    if permanent:
        await sim.link(one, other)
    waiting: dict[int, float] = {}
    traffic = Traffic(sim)
    for _ in range(rng.randint(5, 20)):
        asked = traffic.take(rng.randint(1, 4))
        for n in range(asked, traffic.take()):
            sim.start_soon(_answered, sim, one, other, n, rng.choice((0.0, 0.0, latency, 0.3)), permanent, waiting)
        await trio.sleep(latency * rng.uniform(0, 4))
        if rng.random() < 0.4:
            for fault in _gentle_break(rng, one, other):
                await sim.inflict(fault)
                await trio.sleep(latency * rng.uniform(0, 4))
        if rng.random() < 0.5:
            await sim.send(other, sim.to(one, "sink"), Item(traffic.take()), expiry=2.0)
    await sim.settle()
    # What was done is told by then, and who lost an answer has found out by a missing heartbeat.
    within = 30.0 + _ALIVE.dead_after + _ALIVE.ping_after
    await sim.until(lambda: not waiting, f"an end of all that {one} asked", within=within)
    nobody_broke_the_protocol(sim)


async def _answered(
    sim: Simulation, one: str, other: str, n: int, seconds: float, permanent: bool, waiting: dict[int, float]
) -> None:
    waiting[n] = sim.now()
    question = Work(n, seconds) if seconds else Question(n)
    value = await sim.ask(one, sim.to(other, "sink"), question, expiry=LONG)
    del waiting[n]
    lost = isinstance(value, Lost) and not permanent
    assert value == -n or lost, f"{one} asked {n} {'over a permanent link' if permanent else ''}and got {value!r}"


def _gentle_break(rng: Random, one: str, other: str) -> list[Fault]:
    """Among them: answers vanish, and then whoever gave them finds the link broken, and nobody else does."""
    here, there = rng.sample((one, other), 2)
    breaks: list[list[Fault]] = [
        [Cut(here, there)],
        [Cut(here, there, here)],
        [HangUp(here, there)],
        [OneWay(here, there)],
        [OneWay(other, one), Cut(one, other, other)],
    ]
    return rng.choice(breaks)
