"""How an idle link is closed, while either end may have something to say and the connection may break (PROTOCOL D)."""

from __future__ import annotations

from random import Random

import trio

from actors.net.messages import Bye, Idle, IdleOk
from actors.net.network import NetworkCfg
from actors.net.session.liveness import LivenessCfg
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut, Fault
from actors.testing.history.records import Settled
from actors.testing.scenarios.cast import LONG, Question, Traffic, cast
from actors.testing.scenarios.mishaps import OneWay
from actors.testing.scenarios.moments import Crossing, FrameTap, Moments, Stroke, crosses, draw_later
from actors.testing.scenarios.registry import scenario

_ALIVE = LivenessCfg(ping_after=1.0, dead_after=3.0)
_PATIENT = 20.0
"""Seconds after which an end asks that lets the other one ask first."""


class _Idle:
    """Two nodes that close their link whenever nothing is said for a while."""

    def __init__(self, sim: Simulation) -> None:
        rng = sim.rng
        self.sim = sim
        self.names = rng.sample(["a", "b"], 2)
        self.idle = rng.choice((0.3, 1.0, 2.0))
        self.latency = rng.choice((0.001, 0.01, 0.1))
        self.traffic = Traffic(sim, expiries=(LONG, LONG, 3 * self.latency))
        self.words = 0
        """So many times more somebody says something when a link is about to be closed."""
        FrameTap(sim).on_frame.append(self._see)

    async def start(self) -> None:
        """Usually both ask to close, at times only one does and the other answers."""
        sim, rng = self.sim, self.sim.rng
        sim.network.lay(latency=self.latency, jitter=rng.choice((0.0, self.latency)))
        asks = rng.choice(([True, True], [True, True], [True, False], [False, True]))
        for name, asking in zip(self.names, asks, strict=True):
            cfg = NetworkCfg(idle_after=self.idle if asking else _PATIENT, liveness=_ALIVE)
            await sim.start(name, setup=cast(sim), cfg=cfg)

    async def open(self) -> None:
        """A link, of which nothing more is wanted."""
        one, other = self.sim.rng.sample(self.names, 2)
        await self.traffic.one(one, other)
        if self.sim.rng.random() < 0.5:
            await self.traffic.one(other, one)

    def _see(self, crossing: Crossing) -> None:
        if self.words and isinstance(crossing.frame, Idle | IdleOk | Bye) and self.sim.rng.random() < 0.7:
            self.words -= 1
            self.sim.start_soon(self._say, draw_later(self.sim.rng, self.latency))

    async def _say(self, later: float) -> None:
        """Something is sent, at either end or both, at some moment of a close."""
        rng = self.sim.rng
        await trio.sleep(later)
        for one, other in rng.sample(((0, 1), (1, 0)), rng.randint(1, 2)):
            await self.traffic.one(self.names[one], self.names[other])
            if rng.random() < 0.5:
                await trio.sleep(self.latency * rng.random())

    async def rest(self) -> None:
        """Until both proxies have ended: a link is closed at last, whatever came in between."""
        self.words = 0
        within = 3 * _PATIENT + 20 * self.latency + _ALIVE.dead_after + _ALIVE.ping_after
        await self.sim.until(self._closed, "the idle link to be closed by both ends", within=within)

    def _closed(self) -> bool:
        return not any(self.sim[name].proxies() for name in self.names)

    async def answers(self) -> None:
        """Neither end keeps a promise of silence that the other has forgotten."""
        one, other = self.sim.rng.sample(self.names, 2)
        for sender, receiver in ((one, other), (other, one)):
            n = self.traffic.take()
            value = await self.sim.ask(sender, self.sim.to(receiver, "sink"), Question(n), expiry=20.0)
            assert value == -n, f"{sender} asked {receiver} after the link was closed, and got {value!r}"


@scenario("D1 D2 D3 D4 C8")
async def idle_close(sim: Simulation) -> None:
    """An idle link is closed while either end sends at any moment of it: nothing is lost."""
    link = _Idle(sim)
    await link.start()
    for _ in range(3):
        link.words = sim.rng.randint(0, 3)
        await link.open()
        await trio.sleep(link.idle + link.latency * sim.rng.uniform(0, 12))
    await link.rest()
    await link.answers()
    lost = [record for record in sim.history if isinstance(record, Settled) and record.outcome == "lost"]
    assert not lost, f"messages were lost though nothing broke: {lost[:3]}"


@scenario("D1 D2 D3 D4 C8 P4")
async def idle_close_broken(sim: Simulation) -> None:
    """The connection breaks at any moment of an idle close, at one end or both, or carries one way only."""
    rng, link = sim.rng, _Idle(sim)
    with Moments(sim) as moments:
        await link.start()
        for _ in range(3):
            link.words = rng.choice((0, 1, 2))
            await link.open()
            one, other = rng.sample(link.names, 2)
            during = crosses(one, other, Idle, IdleOk, Bye)
            moments.strike(Stroke(_break(rng, one, other), during, rng.randint(1, 3), draw_later(rng, link.latency)))
            await trio.sleep(link.idle + link.latency * rng.uniform(0, 12))
    await sim.heal()
    await link.rest()
    await link.answers()
    await sim.settle()


def _break(rng: Random, one: str, other: str) -> Fault:
    kind = rng.randrange(4)
    if kind == 0:
        return OneWay(one, other)
    return Cut(one, other, "" if kind == 1 else one)
