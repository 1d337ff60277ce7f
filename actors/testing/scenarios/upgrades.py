"""A link whose peer has better addresses than the one it stands over, now and then (PROTOCOL C7, A4)."""

from __future__ import annotations

from random import Random

import trio

from actors.net.connecting.backoff import BackoffCfg
from actors.net.connecting.history import COOLING_CAP
from actors.net.connecting.upgrade import UpgradeCfg
from actors.net.network import NetworkCfg
from actors.net.proving.adverts import NodeAdvert
from actors.testing.cluster.hosts import key_of
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut, Fault, IgnoreDials, Refuse
from actors.testing.history.records import LinkDown
from actors.testing.scenarios.cast import Traffic, cast
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import entry, nobody_broke_the_protocol, one_connection, pair

BEST, FAIR, LAST = "-best", "-fair", ""
"""Addresses of the peer: what stands behind its name, best first."""


@scenario("A4 C4 C5 C7 C9 S5 S6")
async def upgrade(sim: Simulation) -> None:
    """Better addresses come and go, hang, and break what they carried: nothing is lost, and the link moves rarely."""
    rng, (one, other) = sim.rng, pair(sim)
    pauses = UpgradeCfg(first=rng.choice((3.0, 30.0)), cap=rng.choice((60.0, 120.0)))
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0), upgrade=pauses)
    sim.network.lay(latency=rng.choice((0.001, 0.02)))
    await _start(sim, one, other)
    connections: list[float] = []
    sim.network.on_connect.append(lambda connection: connections.append(sim.now()))
    for door in rng.sample((BEST, FAIR), rng.randint(0, 2)):
        await sim.inflict(_shut(rng, other + door))
    await sim.link(one, other)
    began, traffic = sim.now(), Traffic(sim)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: traffic.flow(one, other, gap=rng.choice((1.0, 5.0))))
        for _ in range(rng.randint(3, 12)):
            await trio.sleep(rng.choice((0.5, 5.0, 60.0)) * rng.random())
            if rng.random() < 0.7:
                await sim.inflict(_shut(rng, other + rng.choice((BEST, BEST, FAIR))))
            if rng.random() < 0.7:
                await sim.inflict(Cut(one, other))
        nursery.cancel_scope.cancel()
    await sim.settle()
    _moved_rarely(sim, one, len(connections), sim.now() - began, pauses)
    await sim.until(
        lambda: _over(sim, one, other) == other + BEST, "the best address in use", within=COOLING_CAP + pauses.cap
    )
    made = len(connections)
    await trio.sleep(2 * pauses.cap)
    assert len(connections) == made, f"{len(connections) - made} connections more with nothing better to be had"
    await one_connection(sim, one, other)
    nobody_broke_the_protocol(sim)


async def _start(sim: Simulation, one: str, other: str) -> None:
    """The one knows the other by three addresses, and weighs them as the other does."""
    listen = [f"memory://{other}{which}" for which in (BEST, FAIR, LAST)]
    await sim.start(other, setup=cast(sim), listen=listen, know=False)
    advert = NodeAdvert.sign(key_of(other), zip(listen, (9, 3, 1), strict=True), version=1 << 60, created=0)
    sim[other]._network.advert = advert
    await sim.start(one, setup=cast(sim), know=False)
    sim[one].learn(advert)


def _shut(rng: Random, address: str) -> Fault:
    """For a time nobody comes in by this address."""
    seconds = rng.choice((2.0, 20.0, 100.0)) * rng.random()
    return rng.choice((IgnoreDials, Refuse))(address, round(seconds, 3))


def _over(sim: Simulation, one: str, other: str) -> str:
    found = entry(sim, one, other)
    link = found.session.current if found and found.session else None
    return link.dialed.removeprefix("memory://") if link else ""


def _moved_rarely(sim: Simulation, one: str, connections: int, seconds: float, pauses: UpgradeCfg) -> None:
    """Each connection but the first came after a break, or is a move; these have growing pauses between them."""
    breaks = sum(isinstance(record, LinkDown) and record.node == one for record in sim.history)
    moves, at, pause = 0, 0.0, pauses.first
    while at < seconds:
        moves, at, pause = moves + 1, at + pause * (1 - pauses.spread), min(pause * pauses.factor, pauses.cap)
    again = int(seconds / pauses.cap) * moves  # after so long over the best address the pauses are short again
    most = 1 + 2 * breaks + moves + again
    assert connections <= most, f"{connections} connections in {seconds:.0f} s with {breaks} breaks, {most} at most"
