"""Nodes that run again: words of a dead run that arrive late, two nodes with one key, clocks set back, what is lost."""

from __future__ import annotations

from functools import partial

import trio

from actors.errors import SendError
from actors.events import DuplicateIdentity, Event
from actors.net.messages import Ack, ConnectRequest, Messages, Proof
from actors.node import Node
from actors.testing.cluster.simulation import NotRunning, Simulation
from actors.testing.faults import Crash, Cut, Fault, WallJump
from actors.testing.history.records import LinkDown
from actors.testing.scenarios.breaks import draw_break
from actors.testing.scenarios.cast import LONG, Item, Question, Traffic, Work, cast
from actors.testing.scenarios.moments import Crossing, FrameTap, Moments, Stroke, crosses, draw_strokes, sets_out
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import (
    all_ended,
    draw_cfg,
    draw_chances,
    nobody_broke_the_protocol,
    one_connection,
    pair,
    quiet,
    slow_first,
    talk,
    weather,
)

DAY = 86_400.0

# -- 9: whose word counts ---------------------------------------------------------------------------------


@scenario("I1 I2")
async def late_proof(sim: Simulation) -> None:
    """A node is killed when its Proof has set out over a slow connection; it arrives when the next run is connected."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng, 10.0, 30.0)
    slow = rng.uniform(0.3, 1.5)
    await weather(sim, 0.0, 0.001, 0.02)
    slow_first(sim, slow)
    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim))
        fault = Crash(one, rng.choice((0.01, 0.01, slow)))
        later = slow * rng.choice((rng.uniform(0.01, 0.6), rng.uniform(0.01, 2)))
        moments.strike(Stroke(fault, sets_out(one, other, Proof), later=later))
        holders = rng.choice(([one], [one, other]))
        await sim.link(one, other, both=len(holders) == 2, wait=False)
        await quiet(sim, moments, within=20.0)
        await trio.sleep(2 * slow + 0.2)
    await sim.until(lambda: sim.running == [one, other] and sim.is_up(one, other) and sim.is_up(other, one), "a link")
    up = sim.now()
    await talk(sim, Traffic(sim), [(one, other)], moments, rounds=3, gap=slow / 3)
    await trio.sleep(3 * slow)
    downs = [record for record in sim.history if isinstance(record, LinkDown) and record.at > up]
    downs = [down for down in downs if "superseded" not in down.why]  # by another dial of those who live
    assert not (downs and moments.struck), f"words of a run that has ended took down the link of the next: {downs}"
    await sim.settle()
    nobody_broke_the_protocol(sim)


class Twin(Fault):
    """Another process runs with the node's key, and a wall clock so many seconds ahead of the node's boot number."""

    node: str
    ahead: float
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        name = f"{self.node}-twin"
        model, host = sim.hosts[self.node], sim._host(name)
        host.key = model.key
        host._boot = model._boot + round(self.ahead * 1000) - 1
        sim.set_wall(name, -DAY)
        await sim.start(name, setup=_twin)
        sim.start_soon(self._end, sim, name)

    async def _end(self, sim: Simulation, name: str) -> None:
        await trio.sleep(self.seconds)
        if name in sim.running:
            await sim.stop(name)


def _twin(node: Node) -> None:
    """It has no engines: what is meant for the node itself is refused."""


@scenario("I2 I3 I4")
async def two_nodes_one_key(sim: Simulation) -> None:
    """Two live nodes hold one key: the later incarnation wins, the other is told, and raises its number once."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    latency = await weather(sim, 0.0, 0.001, 0.02)
    told: list[DuplicateIdentity] = []
    claims: dict[str, set[int]] = {}

    def look(event: Event) -> None:
        if isinstance(event, DuplicateIdentity):
            told.append(event)

    def setup(node: Node) -> None:
        cast(sim)(node)
        node.events.taps.append(look)

    def claim(crossing: Crossing) -> None:
        if isinstance(crossing.frame, ConnectRequest):
            claims.setdefault(crossing.sender, set()).add(crossing.frame.incarnation.boot)

    FrameTap(sim).on_frame.append(claim)
    with Moments(sim) as moments:
        await sim.start(one, other, setup=setup)
        await sim.link(one, other, both=True)
        traffic = Traffic(sim)
        seconds = rng.choice((0.5, 3.0, 20.0))
        twin = Twin(one, rng.choice((-5.0, -0.001, 0.0, 0.001, 5.0)), seconds)
        if await sim.inflict(twin):
            sim.hold(f"{one}-twin", other)
        fault = partial(draw_break, rng, one, other)
        moments.strike(*draw_strokes(rng, 1, fault, crosses(one, other), nth=30, latency=latency))
        ways = [(one, other), (other, one)]
        await talk(sim, traffic, ways, moments, rounds=6, gap=seconds / 6, within=0.0)
        await trio.sleep(seconds + sim.cfg.drain_timeout)
    sim.hold(f"{one}-twin", other, False)
    raised = {name: boots for name, boots in claims.items() if len(boots) > 2}
    assert not raised, f"a node raises its number once in a run, and these were claimed: {raised}"
    if one not in sim.running:  # it was told so a second time
        await sim.restart(one)
    await sim.settle()
    await one_connection(sim, one, other)


@scenario("I1 I2 I3 S9")
async def clock_set_back(sim: Simulation) -> None:
    """A node's wall clock is off by a day when it runs again, and its state may be lost."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    latency = await weather(sim, 0.0, 0.001, 0.02)
    holders = rng.choice(([one], [other], [one, other]))
    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim))
        await sim.link(holders[0], other if holders[0] == one else one, both=len(holders) == 2)
        traffic = Traffic(sim, expiries=(LONG, 20.0))
        ways = [(one, other), (other, one)]
        for _ in range(rng.randint(1, 3)):
            await sim.inflict(WallJump(other, rng.choice((-DAY, -DAY, -1.0, DAY))))
            lose_state = rng.random() < 0.4
            down, silently, words = rng.choice((0.01, 1.0)), rng.random() < 0.3, crosses(one, other, Messages, Ack)
            crash = partial(Crash, other, down, silently, lose_state)
            moments.strike(*draw_strokes(rng, 1, crash, words, nth=4, latency=latency))
            await talk(sim, traffic, ways, moments, rounds=rng.randint(1, 3), gap=0.1, within=3.0)
            await trio.sleep(rng.choice((0.0, 2.0)))
    await sim.settle()
    await one_connection(sim, one, other)
    nobody_broke_the_protocol(sim)


# -- 10: what a restart loses -----------------------------------------------------------------------------


@scenario("S9 S10 I2")
async def peer_restarts(sim: Simulation) -> None:
    """The peer is killed with messages written and others waiting: those are perhaps lost, these go to its next run."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    draw_chances(sim, "outbox.forward_pause", "link.flush_pause")
    latency = await weather(sim)
    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim, slow=0.02))
        await sim.link(one, other, both=rng.random() < 0.3)
        traffic = Traffic(sim, targets=("sink", "slow"))
        for _ in range(rng.randint(1, 3)):
            if rng.random() < 0.3:
                await sim.inflict(Cut(one, other, rng.choice(("", other))))
            crash = partial(Crash, other, rng.choice((0.001, 0.3, 5.0)), silently=rng.random() < 0.5)
            words = crosses(one, other, Messages, Ack)
            moments.strike(*draw_strokes(rng, 1, crash, words, nth=5, latency=latency))
            await talk(sim, traffic, [(one, other)], moments, rounds=rng.randint(1, 4), gap=0.05, within=3.0)
    await sim.settle()
    all_ended(sim, [one], "delivered", "refused bad_message", "lost peer_restarted")
    await one_connection(sim, one, other)  # who has a dead connection, knows it now
    last = await sim.send(one, sim.to(other, "sink"), Item(traffic.take()))
    assert last is None, f"with nothing in the way a message comes to {last!r}"
    nobody_broke_the_protocol(sim)


@scenario("S13 Q3")
async def answer_to_an_earlier_run(sim: Simulation) -> None:
    """Whoever asked was killed and runs again when the answer comes; nobody gets an answer to another question."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    latency = await weather(sim, 0.0, 0.001, 0.02)
    wrong: list[str] = []
    traffic = Traffic(sim)

    async def ask() -> None:
        n = traffic.take()
        work = Work(n, rng.uniform(0, 2.0)) if rng.random() < 0.6 else Question(n)
        try:
            answer = await sim.ask(one, sim.to(other, "sink"), work, expiry=rng.choice((LONG, LONG, 1.0)))
        except NotRunning:
            return
        if answer != -n and not isinstance(answer, SendError):
            wrong.append(f"{work} was answered with {answer!r}")

    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim))
        await sim.link(one, other, both=rng.random() < 0.5)
        for _ in range(rng.randint(1, 3)):
            crash = Crash(rng.choice((one, one, other)), rng.choice((0.001, 0.3)), silently=rng.random() < 0.3)
            fault = partial(rng.choice, (crash, crash, draw_break(rng, one, other)))
            moments.strike(*draw_strokes(rng, 1, fault, crosses(one, other, Messages), nth=8, latency=latency))
            for _ in range(rng.randint(2, 10)):
                sim.start_soon(ask)
                await trio.sleep(rng.choice((0.0, 0.01, 0.2)))
            await quiet(sim, moments, within=2.0)
    await sim.settle(within=3700.0)
    assert not wrong, f"answers went astray: {wrong}"
    nobody_broke_the_protocol(sim)
