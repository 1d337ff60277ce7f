"""Blocks that end with an engine of another node, through breaks, crashes and cancellations (PROTOCOL W)."""

from __future__ import annotations

from random import Random

import trio

from actors.engine import Engine, Policy, on
from actors.errors import Down, SendError
from actors.identity import EngineID
from actors.messages import Message, Started
from actors.net.connecting.backoff import BackoffCfg
from actors.net.messages import Messages
from actors.net.network import NetworkCfg
from actors.net.session.liveness import LivenessCfg
from actors.node import Node
from actors.testing.cluster.simulation import NotRunning, Simulation
from actors.testing.faults import Crash, Cut, Deaf, Fault, Partition
from actors.testing.scenarios.cast import LONG, Question, Sink
from actors.testing.scenarios.moments import Moments, Stroke, draw_later, sets_out
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import nobody_broke_the_protocol, pair

_CFG = NetworkCfg(backoff=BackoffCfg(cap=2.0), liveness=LivenessCfg(ping_after=0.5, dead_after=2.0))
_WITHIN = 4.0
_LEASE = _WITHIN * 5 / 4


class Leave(Message):
    """The engine stops itself."""


class _Hires:
    """Engines that run on a node for another one, looked at all the time."""

    def __init__(self) -> None:
        self.wanted = 0
        """Blocks that have not ended."""
        self.blocks = 0
        self.started = 0
        self.last_end = 0.0
        self.inside: dict[int, EngineID] = {}
        self.worst = ""

    def begin(self) -> None:
        """One more block."""
        self.wanted += 1
        self.blocks += 1

    def look(self, sim: Simulation, name: str) -> None:
        """There are never more engines than blocks that are open, or were until a lease ago."""
        if name not in sim.running:
            return
        there = hired(sim[name])
        if len(there) > self.wanted and sim.now() > self.last_end + _LEASE + 0.5:
            self.worst = (
                f"{there} run at {sim.now():.3f} for {self.wanted} blocks, the last one ended {self.last_end:.3f}"
            )


class Guest(Engine):
    """Of which the scenario knows how many there are, whenever it looks."""

    sim: Simulation
    hires: _Hires | None = None

    @on(Started)
    def started(self, _: Started) -> None:
        if self.hires is not None:
            self.hires.started += 1

    @on(Question)
    def question(self, msg: Question) -> int:
        self.sim.handled(self, msg)
        return -msg.n

    @on(Leave)
    def leave(self, _: Leave) -> None:
        self.stop()


def _draw_break(rng: Random, one: str, other: str) -> Fault:
    """What nobody has to notice within the time that a scope waits, and what takes longer."""
    seconds = round(rng.choice((rng.uniform(0.05, 1.0), rng.uniform(5.0, 12.0))), 3)
    return rng.choice(
        (
            Cut(one, other),
            Cut(one, other, one),
            Cut(one, other, other),
            Deaf(one, other, seconds),
            Deaf(other, one, seconds),
            Partition((one,), seconds),
            Crash(other, round(rng.uniform(0.1, 3.0), 3)),
        )
    )


async def _stage(sim: Simulation, one: str, other: str, hires: _Hires | None = None) -> None:
    rng = sim.rng
    sim.cfg = _CFG
    latency = rng.choice((0.0, 0.001, 0.02, 0.1))
    sim.network.lay(latency=latency, jitter=rng.choice((0.0, latency)))

    def setup(node: Node) -> None:
        node.spawn(Sink(sim=sim), "sink")
        node.spawn(Guest(sim=sim), "guest", policy=Policy.TEMPORARY)
        node.offer(Guest(sim=sim, hires=hires), "hired")

    await sim.start(one, other, setup=setup)
    if rng.random() < 0.5:
        await sim.link(one, other)


# -- watches ----------------------------------------------------------------------------------------------------


class _Ends:
    """How the blocks came to their ends."""

    def __init__(self) -> None:
        self.open: dict[int, str] = {}
        self.reasons: dict[int, list[str]] = {}


@scenario("W1 W2 Q1")
async def watched(sim: Simulation) -> None:
    """Engines are watched while they, their nodes and the links to them end or not: each block ends once, in time."""
    rng, (one, other) = sim.rng, pair(sim)
    await _stage(sim, one, other)
    ends = _Ends()
    for number in range(rng.randint(2, 8)):
        name = rng.choice(("sink", "guest", "guest", "nobody"))
        if one in sim.running:
            sim.start_soon(_watch, sim, sim[one], sim.to(other, name), number, ends)
        await trio.sleep(rng.uniform(0, 3.0))
        if rng.random() < 0.4:
            await sim.inflict(_draw_break(rng, one, other))
        if rng.random() < 0.3:
            sim.start_soon(sim.send, one, sim.to(other, "guest"), Leave())
    await sim.heal()
    await trio.sleep(1.5 * _WITHIN)
    runs = [sim[other].runtime.find("guest"), sim[other].runtime.find("sink")]
    there = {cell.name for cell in runs if cell is not None}
    left = {number: name for number, name in ends.open.items() if name not in there}
    assert not left, f"blocks that watch engines which are not there still run: {left}"
    for name in sorted(there):  # those that are watched still: when their node stops, it says so
        await sim[other].runtime.stop_engine(name)
    await trio.sleep(1.5 * _WITHIN)
    assert not ends.open, f"blocks have not ended with their engines: {ends.open}"
    twice = {number: reasons for number, reasons in ends.reasons.items() if len(reasons) != 1}
    assert not twice, f"blocks did not end once: {twice}"
    await sim.settle()
    await _nothing_waits(sim, one, other)


async def _watch(sim: Simulation, node: Node, engine: EngineID, number: int, ends: _Ends) -> None:
    reasons = ends.reasons.setdefault(number, [])
    try:
        async with node.watch(engine, within=_WITHIN):
            ends.open[number] = engine.name
            await trio.sleep_forever()
    except Down as down:
        reasons.append(down.reason)
    finally:
        ends.open.pop(number, None)


async def _nothing_waits(sim: Simulation, *names: str) -> None:
    """Neither asks here nor tasks there are left of any block."""
    await sim.until(
        lambda: all(not sim[name]._network.loans._watches for name in names),
        f"an end of what keepers wait for: {[sim[name]._network.loans for name in names]}",
        within=2 * _LEASE,
    )


# -- engines on other nodes -------------------------------------------------------------------------------------


def hired(node: Node) -> list[str]:
    """The engines that run on this node for others."""
    return [
        name for name, cell in node.runtime.directory.items() if name.startswith("hired.") and not cell.gone.is_set()
    ]


@scenario("W3 W4 W5 Q1")
async def hired_engines(sim: Simulation) -> None:
    """Engines run on a node for blocks that end, fail or are cancelled at any moment, through breaks and crashes."""
    one, other = pair(sim)
    hires = _Hires()
    with Moments(sim) as moments:
        await _stage(sim, one, other, hires)
        sim.start_soon(_look, sim, other, hires)
        await _hire_some(sim, one, other, hires, moments)
    await sim.heal()
    await sim.until(lambda: not hires.wanted, "all blocks to end", within=60.0)
    await sim.settle()
    await trio.sleep(max(0.0, hires.last_end + _LEASE + 1.0 - sim.now()))
    assert not hires.worst, hires.worst
    assert hires.started <= hires.blocks, f"{hires.started} engines were started for {hires.blocks} blocks"
    assert not hired(sim[other]), f"{hired(sim[other])} run on {other} though every block has ended"
    assert not sim[other]._network.loans._loans, f"{other} keeps {sim[other]._network.loans}"
    await _nothing_waits(sim, one, other)


async def _hire_some(sim: Simulation, one: str, other: str, hires: _Hires, moments: Moments) -> None:
    """Breaks come at any time, and just as something is asked or answered."""
    rng = sim.rng
    for number in range(rng.randint(2, 8)):
        if rng.random() < 0.5:
            asked = rng.choice((sets_out(one, other, Messages), sets_out(other, one, Messages)))
            moments.strike(Stroke(Cut(one, other), asked, rng.randint(1, 3), draw_later(rng, 0.001)))
        if one in sim.running:
            hires.begin()
            sim.start_soon(_hire, sim, sim[one], other, number, hires)
        await trio.sleep(rng.choice((0.0, rng.uniform(0, 0.5), rng.uniform(0, 3.0))))
        if rng.random() < 0.35:
            await sim.inflict(_draw_break(rng, *rng.sample((one, other), 2)))


@scenario("W3 W4 Q1")
async def hired_over_a_steady_link(sim: Simulation) -> None:
    """As `hired-engines`, with a link that only breaks shortly: one engine for one block, gone when the block is."""
    rng, (one, other) = sim.rng, pair(sim)
    hires = _Hires()
    await _stage(sim, one, other, hires)
    await sim.link(one, other)
    for number in range(rng.randint(2, 8)):
        hires.begin()
        sim.start_soon(_hire, sim, sim[one], other, number, hires)
        await trio.sleep(rng.choice((0.0, rng.uniform(0, 0.5), rng.uniform(0, 3.0))))
        if rng.random() < 0.3:
            await sim.inflict(Cut(one, other))
    await sim.until(lambda: not hires.wanted, "all blocks to end", within=60.0)
    await sim.settle()
    await trio.sleep(1.0)  # what was cancelled has told so by now; no lease had to run out
    assert not hired(sim[other]), f"{hired(sim[other])} run on {other} though every block has ended"
    assert hires.started <= hires.blocks, f"{hires.started} engines were started for {hires.blocks} blocks"
    nobody_broke_the_protocol(sim)


async def _look(sim: Simulation, name: str, hires: _Hires) -> None:
    while True:
        hires.look(sim, name)
        await trio.sleep(0.25)


async def _hire(sim: Simulation, node: Node, other: str, number: int, hires: _Hires) -> None:
    rng = sim.stream(f"hire {number}")
    try:
        with trio.move_on_after(rng.choice((LONG, rng.uniform(0, 0.3), rng.uniform(0, 8.0)))):
            async with node.spawn_on(sim.hosts[other].key.id, "hired", within=_WITHIN) as guest:
                assert guest not in hires.inside.values(), f"{guest} is the engine of two blocks"
                hires.inside[number] = guest
                await _use(sim, node, guest, rng, number)
    except (Down, SendError, NotRunning):
        pass
    finally:
        hires.inside.pop(number, None)
        hires.wanted -= 1
        hires.last_end = sim.now()


async def _use(sim: Simulation, node: Node, guest: EngineID, rng: Random, number: int) -> None:
    """Some questions; then the block ends, raises, or waits for its engine's end, which may be near."""
    for n in range(rng.randint(0, 4)):
        await trio.sleep(rng.uniform(0, 1.0))
        assert await node.ask(guest, Question(1000 * number + n), expiry=LONG) == -1000 * number - n
    how = rng.random()
    if how < 0.2:
        await node.tell(guest, Leave())
    if how < 0.3:
        await trio.sleep(rng.uniform(0, 15.0))
