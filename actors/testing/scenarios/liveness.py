"""Whether the other end is still there: found out in time when it is not, never when it is (PROTOCOL T)."""

from __future__ import annotations

import trio

from actors.net.messages import Ping, Pong
from actors.net.network import NetworkCfg
from actors.net.session.liveness import LivenessCfg
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut, Deaf, Fault, Slow, Stall
from actors.testing.history.records import LinkDown
from actors.testing.scenarios.cast import LONG, Item, Traffic, cast
from actors.testing.scenarios.mishaps import OneWay
from actors.testing.scenarios.moments import Crossing, FrameTap
from actors.testing.scenarios.registry import scenario


def _breaks(sim: Simulation) -> list[LinkDown]:
    return [record for record in sim.history if isinstance(record, LinkDown)]


# -- it is not --------------------------------------------------------------------------------------------


@scenario("T1 C3 S6")
async def one_way(sim: Simulation) -> None:
    """A connection carries one way only, or breaks at one end only: both ends find out in time, idle or busy."""
    rng = sim.rng
    one, other = rng.sample(["a", "b"], 2)
    alive = rng.choice((LivenessCfg(), LivenessCfg(ping_after=1.0, dead_after=3.0)))
    sim.cfg = NetworkCfg(liveness=alive)
    sim.network.lay(latency=rng.choice((0.001, 0.05)))
    await sim.start(one, other, setup=cast(sim))
    await sim.link(one, other, both=rng.random() < 0.5)
    traffic = Traffic(sim)
    await trio.sleep(rng.uniform(0, 2 * alive.ping_after))
    async with trio.open_nursery() as nursery:
        for sender, receiver in ((one, other), (other, one)):
            if rng.random() < 0.5:
                gap = rng.choice((0.05, 1.0, alive.ping_after))
                nursery.start_soon(lambda s=sender, r=receiver, g=gap: traffic.flow(s, r, gap=g))  # type: ignore[misc]
        await trio.sleep(rng.uniform(0, 1))
        before = sim.network.between(one, other)
        quiet, loud = rng.sample((one, other), 2)
        fault: Fault = rng.choice(
            (OneWay(quiet, loud), Deaf(quiet, loud, round(rng.uniform(0.1, 60), 3)), Cut(one, other, loud))
        )
        broken = await sim.inflict(fault)
        # 64 KiB that its socket still takes are a sign of life (T1), once: no more fits into it.
        within = 2 * alive.dead_after + alive.ping_after + 1.0
        if broken and not isinstance(fault, Deaf):
            lost = lambda: all(each.dialer.lost and each.acceptor.lost for each in before)  # noqa: E731
            await sim.until(lost, f"both ends to find out about {fault}", within=within)
        else:
            await trio.sleep(within)
        nursery.cancel_scope.cancel()
    await sim.settle()


# -- it is ------------------------------------------------------------------------------------------------


@scenario("T1 T2 T3")
async def large_and_slow(sim: Simulation) -> None:
    """Large messages on a slow link, with small ones between: nobody is taken for dead, all of it arrives."""
    rng = sim.rng
    one, other = rng.sample(["a", "b"], 2)
    bandwidth = round(18_750 * 8 ** rng.random())  # from 0.15 to 1.2 Mbit/s, around the 0.3 of the rule
    latency = rng.choice((0.001, 0.1, 0.5))
    capacity = rng.choice((4096, 64 << 10))
    sim.network.lay(capacity=capacity)
    await sim.start(one, other, setup=cast(sim))
    await sim.link(one, other)
    await trio.sleep(rng.uniform(0, 10))
    await sim.inflict(Slow(one, other, latency=latency, bandwidth=float(bandwidth), seconds=LONG))
    sizes = [rng.choice((100, 60_000, 300_000, 1_000_000)) for _ in range(rng.randint(1, 4))]
    ways = [rng.choice(((one, other), (other, one))) for _ in sizes]
    async with trio.open_nursery() as nursery:
        for n, (size, (sender, receiver)) in enumerate(zip(sizes, ways, strict=True)):
            nursery.start_soon(_arrives, sim, sender, receiver, Item(n, bytes(size)))
            await trio.sleep(rng.uniform(0, 3))
        await trio.sleep(rng.uniform(0, 30))
    assert not _breaks(sim), f"the link broke though the peer was there: {_breaks(sim)[0]}"
    await sim.settle()


async def _arrives(sim: Simulation, sender: str, receiver: str, item: Item) -> None:
    outcome = await sim.send(sender, sim.to(receiver, "sink"), item, expiry=LONG)
    assert outcome is None, f"{len(item.pad)} bytes from {sender} to {receiver}: {outcome!r}"


@scenario("T1 T2")
async def quiet(sim: Simulation) -> None:
    """A link on which nothing is said for hours: it stays, whatever latency, and also after the machine slept."""
    alive = sim.rng.choice((LivenessCfg(), LivenessCfg(), LivenessCfg(ping_after=60.0, dead_after=90.0)))
    await quiet_for(sim, alive, hours=alive.ping_after / 5.0 * sim.rng.uniform(0.1, 0.4))


async def quiet_for(sim: Simulation, alive: LivenessCfg, *, hours: float) -> None:
    """So long."""
    rng = sim.rng
    sim.cfg = NetworkCfg(liveness=alive)
    latency = rng.choice((0.0, 0.001, 0.2, 0.8))
    sim.network.lay(latency=latency, jitter=rng.choice((0.0, latency / 10)))
    await sim.start("a", "b")
    await sim.link("a", "b", both=rng.random() < 0.5)
    await trio.sleep(10.0)  # of two connections that were dialed at once, one is closed
    before, until = len(_breaks(sim)), sim.now() + hours * 3600
    while sim.now() < until:
        rest = 20.0 + rng.expovariate(1 / (hours * 1200))  # two stalls close together may silence both for too long
        await trio.sleep(min(until - sim.now(), rest))
        if rng.random() < 0.5:
            # Both sleep: an answer that was about to come has to be asked for and said within what is left of 15 s.
            await sim.inflict(Stall(round(rng.uniform(0.1, 7.0), 3)))
    assert len(_breaks(sim)) == before, f"nothing was wrong, and yet: {_breaks(sim)[before]}"
    await sim.settle()


@scenario("T2")
async def long_sleep(sim: Simulation) -> None:
    """The machine sleeps, however long, while answers are on their way: they are read before anybody is judged."""
    rng = sim.rng
    latency = rng.choice((0.001, 0.05, 0.2))
    sim.network.lay(latency=latency)
    asked: set[str] = set()
    left = [0]

    async def sleep() -> None:
        await trio.sleep(latency * rng.uniform(0.1, 0.9))
        if left[0] and not asked:
            left[0] -= 1
            await sim.inflict(Stall(round(5.0 * 12.0 ** rng.random(), 3)))

    def see(crossing: Crossing) -> None:
        if isinstance(crossing.frame, Ping):
            asked.add(crossing.sender)
        if isinstance(crossing.frame, Pong):
            asked.discard(crossing.receiver)
            if left[0] and rng.random() < 0.3:
                sim.start_soon(sleep)

    FrameTap(sim).on_frame.append(see)
    await sim.start("a", "b", setup=cast(sim))
    await sim.link("a", "b", both=rng.random() < 0.5)
    await trio.sleep(10.0)
    before, left[0] = len(_breaks(sim)), rng.randint(1, 3)
    await trio.sleep(300.0)
    assert len(_breaks(sim)) == before, f"nothing was wrong, and yet: {_breaks(sim)[before]}"
    await sim.settle()
