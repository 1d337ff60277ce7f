"""A link whose peer has better addresses than the one it stands over, now and then (PROTOCOL C7, A4)."""

from __future__ import annotations

from math import ceil, log2
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
from actors.testing.scenarios.cast import Traffic, cast
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import entry, nobody_broke_the_protocol, one_connection, pair

BEST, FAIR, LAST = "-best", "-fair", ""
"""Addresses of the peer: what stands behind its name, best first."""


@scenario("A4 C4 C5 C7 C9 S5 S6")
async def upgrade(sim: Simulation) -> None:
    """Better addresses come and go, hang, and break what they carried: nothing is lost, and the link moves rarely."""
    rng, (one, other) = sim.rng, pair(sim)
    pauses = UpgradeCfg(first=rng.choice((3.0, 30.0)), cap=60.0)
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0), upgrade=pauses)
    sim.network.lay(latency=rng.choice((0.001, 0.02)))
    await _start(sim, one, other)
    moves: list[float] = []
    sim.network.on_connect.append(lambda _: moves.append(sim.now()) if sim.is_up(one, other) else None)
    for door in rng.sample((BEST, FAIR), rng.randint(0, 2)):
        await sim.inflict(_shut(rng, other + door))
    await sim.link(one, other)
    began, traffic = sim.now(), Traffic(sim)
    spoiled = rng.random() < 0.4
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: traffic.flow(one, other, gap=rng.choice((1.0, 5.0))))
        await (_spoil(sim, one, other) if spoiled else _come_and_go(sim, one, other))
        nursery.cancel_scope.cancel()
    await sim.settle()
    most = _tries(sim.now() - began, pauses, resets=not spoiled)
    assert len(moves) <= most, f"{len(moves)} moves in {sim.now() - began:.0f} s, at most {most}"
    wanted = ("", other + BEST)  # the other may have dialed meanwhile: then it is for him to say
    await sim.until(lambda: _over(sim, one, other) in wanted, "the best address in use", within=COOLING_CAP + 60)
    made = len(moves)
    await trio.sleep(2 * pauses.cap)
    assert len(moves) == made, f"{len(moves) - made} moves more, with nothing better to be had"
    await one_connection(sim, one, other)
    nobody_broke_the_protocol(sim)


async def _come_and_go(sim: Simulation, one: str, other: str) -> None:
    rng = sim.rng
    for _ in range(rng.randint(3, 12)):
        await trio.sleep(rng.choice((0.5, 5.0, 60.0)) * rng.random())
        if rng.random() < 0.7:
            await sim.inflict(_shut(rng, other + rng.choice((BEST, BEST, FAIR))))
        if rng.random() < 0.7:
            await sim.inflict(Cut(one, other))


async def _spoil(sim: Simulation, one: str, other: str) -> None:
    """For ten minutes the best address works until it is used."""
    until = sim.now() + 600
    while sim.now() < until:
        await trio.sleep(sim.rng.uniform(0.5, 3))
        if _over(sim, one, other) == other + BEST:
            await sim.inflict(Refuse(other + BEST, 1.0))
            await sim.inflict(Cut(one, other))


def _tries(seconds: float, pauses: UpgradeCfg, *, resets: bool) -> int:
    """How often a better address may have been tried in this time, at most."""
    tries, at, pause = 0, 0.0, pauses.first
    while at < seconds:
        tries, at, pause = tries + 1, at + pause * (1 - pauses.spread), min(pause * pauses.factor, pauses.cap)
    quick = ceil(log2(pauses.cap / pauses.first))
    return tries + (int(seconds / pauses.cap) * quick if resets else 0)


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
