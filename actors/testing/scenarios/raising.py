"""Engines that raise, answer with the wrong thing, or give up: whoever asked is told, and nothing else notices."""

from __future__ import annotations

from random import Random

import trio

from actors.engine import Engine, Policy, on
from actors.errors import Crashed, Expired, Refused
from actors.messages import Message, Request, Started, Timer
from actors.node import Node
from actors.testing.cluster.simulation import NotRunning, Simulation
from actors.testing.faults import Crash, Cut, Fault
from actors.testing.history.records import CoreCrashed
from actors.testing.scenarios.breaks import draw_break
from actors.testing.scenarios.cast import LONG, Deliberate, Question, Traffic, cast
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import nobody_broke_the_protocol, pair

HOWS = ("raises", "raises later", "raises a group", "wrong answer", "stops", "recurses", "bad effect")


class Do(Request[int]):
    """Answered with -n, unless the engine is to fail at it."""

    n: int
    how: str = ""


class Take(Message):
    """As Do, told."""

    n: int
    how: str = ""


class Tick(Timer):
    """At times even a timer's handler raises."""


class Faulty(Engine):
    """Fails as it is told, and now and then by itself."""

    sim: Simulation
    rng: Random

    @on(Started)
    def started(self, _: Started) -> None:
        self.set_timer(Tick(), after=self.rng.uniform(0.1, 5.0))

    @on(Tick)
    def tick(self, _: Tick) -> None:
        self.set_timer(Tick(), after=self.rng.uniform(0.1, 5.0))
        if self.rng.random() < 0.3:
            raise Deliberate("a timer")

    @on(Do)
    async def do(self, msg: Do) -> int:
        self.sim.handled(self, msg)
        return await self._fail(msg.how, msg.n)

    @on(Take)
    async def take(self, msg: Take) -> None:
        self.sim.handled(self, msg)
        await self._fail(msg.how, msg.n)

    async def _fail(self, how: str, n: int) -> int:
        match how:
            case "raises":
                raise Deliberate(f"as told by {n}")
            case "raises later":
                await trio.sleep(self.rng.uniform(0, 0.1))
                raise Deliberate(f"as told by {n}")
            case "raises a group":
                raise ExceptionGroup("as told", [Deliberate(str(n)), ValueError(str(n))])
            case "wrong answer":
                return object()  # type: ignore[return-value]  # which is the point
            case "stops":
                self.stop()
            case "recurses":
                return await self._fail(how, n)
            case "bad effect":
                self.spawn(Faulty(sim=self.sim, rng=self.rng), "sink")  # the name is taken
            case _:
                pass
        return -n


POLICIES = (Policy.PERMANENT, Policy.TRANSIENT, Policy.TEMPORARY, Policy("permanent", most=1000, within=1.0))


@scenario("P1 P7 Q3 O3")
async def raising(sim: Simulation) -> None:
    """Handlers raise at one message in a hundred, or more often, while links break: no proxy, router or node minds."""
    rng, (one, other) = sim.rng, pair(sim)
    share = rng.choice((0.01, 0.1, 0.5))
    policy = rng.choice(POLICIES)
    sim.network.lay(latency=rng.choice((0.001, 0.02)))

    def setup(node: Node) -> None:
        cast(sim)(node)
        node.spawn(Faulty(sim=sim, rng=sim.stream(f"faulty {node.name}")), "faulty", policy=policy)

    await sim.start(one, other, setup=setup)
    await sim.link(one, other, both=rng.random() < 0.5)
    traffic = Traffic(sim)
    async with trio.open_nursery() as nursery:
        for _ in range(rng.randint(1, 8)):
            for sender, receiver in ((one, other), (other, one)):
                for _ in range(rng.randint(1, 15)):
                    how = rng.choice(HOWS) if rng.random() < share else ""
                    nursery.start_soon(_ask, sim, traffic, sender, receiver, how, rng.random() < 0.5)
                await traffic.one(sender, receiver)
            await trio.sleep(rng.expovariate(5.0))
            if rng.random() < 0.2:
                await sim.inflict(_fault(rng, one, other))
    await sim.settle()
    crashed = [record for record in sim.history if isinstance(record, CoreCrashed)]
    assert not crashed, f"a handler took down more than its engine: {crashed}"
    for sender, receiver in ((one, other), (other, one)):
        n = traffic.take()
        # An end that has not noticed a cut yet finds out by a missing heartbeat.
        value = await sim.ask(sender, sim.to(receiver, "sink"), Question(n), expiry=LONG)
        assert value == -n, f"{sender} asks {receiver}: {value!r}"
    nobody_broke_the_protocol(sim)


def _fault(rng: Random, one: str, other: str) -> Fault:
    return rng.choice((draw_break(rng, one, other), Cut(one, other), Crash(one, 0.3)))


async def _ask(sim: Simulation, traffic: Traffic, sender: str, receiver: str, how: str, tell: bool) -> None:
    n, to = traffic.take(), sim.to(receiver, "faulty")
    try:
        if tell:
            await sim.send(sender, to, Take(n, how), expiry=LONG)
            return
        value = await sim.ask(sender, to, Do(n, how), expiry=20.0)
    except NotRunning:
        return
    if value == -n:
        assert how in ("", "stops"), f"{how} was answered with {value}"
    elif isinstance(value, Refused):
        assert value.reason in ("no_engine", "stopped", "stopping"), repr(value)
    else:
        assert isinstance(value, Crashed | Expired) or "Lost" in type(value).__name__, repr(value)
        assert how or not isinstance(value, Crashed), "crashed, though it was told to do nothing of the kind"
