"""Engines that ask each other in rings, and flood each other: nobody waits for ever (PROTOCOL K6).

Inside one node a wait that would close a ring is refused, and the ring is named. Over several nodes a wait ends with
the message's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from random import Random
from typing import TypeAlias

import trio

from actors.engine import Engine, on
from actors.errors import Crashed, Refused, SendError
from actors.identity import EngineID
from actors.messages import Message, Request
from actors.net.network import NetworkCfg
from actors.node import Node
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut
from actors.testing.scenarios.cast import LONG
from actors.testing.scenarios.registry import scenario

Edges: TypeAlias = tuple[tuple[int, ...], ...]
"""Of each engine, whom it asks, one after the other."""


class Poke(Request[int]):
    """Ask all whom you ask, who ask on, so many steps far. Answered with how many waits were refused in all."""

    steps: int
    expiry: float = LONG


class Flood(Message):
    """Tell all whom you ask so many copies, who tell on, so many steps far."""

    steps: int
    copies: int


class Alive(Request[int]):
    """Answered at once."""


class Refusals:
    """The rings that were named in refusals, of all engines together."""

    def __init__(self) -> None:
        self.rings: list[list[str]] = []
        self.others: list[SendError] = []


class Knot(Engine):
    """One of several that ask each other."""

    asks: tuple[EngineID, ...]
    refusals: Refusals

    @on(Poke)
    async def poke(self, msg: Poke) -> int:
        """While it waits it handles nothing else."""
        refused = 0
        for to in self.asks if msg.steps else ():
            try:
                refused += await self.ask(to, Poke(msg.steps - 1, msg.expiry), expiry=msg.expiry)
            except Refused as refusal:
                if refusal.reason == "deadlock":
                    refused += 1
                    self.refusals.rings.append(refusal.detail.split(" -> "))
                else:
                    self.refusals.others.append(refusal)
            except SendError as error:
                self.refusals.others.append(error)
        return refused

    @on(Flood)
    def flood(self, msg: Flood) -> None:
        """Whoever finds no room waits, and handles nothing meanwhile."""
        for to in self.asks if msg.steps else ():
            for _ in range(msg.copies):
                self.tell(to, Flood(msg.steps - 1, msg.copies), expiry=LONG)

    @on(Alive)
    def alive(self, _: Alive) -> int:
        return 1


class Topology:
    """Engines of one node, and who asks whom."""

    def __init__(self, node: Node, name: str, edges: Edges, *, capacity: int | None = None) -> None:
        self.node = node
        self.edges = edges
        self.refusals = Refusals()
        self.names = [f"{name}-{number}" for number in range(len(edges))]
        ids = [EngineID(node.id, each) for each in self.names]
        for each, targets in zip(self.names, edges, strict=True):
            knot = Knot(asks=tuple(ids[target] for target in targets), refusals=self.refusals)
            node.runtime.spawn(knot, each, capacity=capacity)
        self.ids = ids

    async def poke(self, start: int, steps: int) -> None:
        """It ends, at once as time goes here."""
        began = trio.current_time()
        await self.node.ask(self.ids[start], Poke(steps), expiry=LONG)
        assert trio.current_time() - began < 1.0, f"a poke took {trio.current_time() - began:.3f} s"

    async def check(self) -> None:
        """All are there, and every ring that was named is one."""
        with trio.fail_after(10.0):
            for each in self.ids:
                assert await self.node.ask(each, Alive(), expiry=LONG) == 1
        assert not self.refusals.others, f"{self.refusals.others} in {self.edges}"
        for ring in self.refusals.rings:
            assert ring[0] == ring[-1], f"no ring: {ring}"
            for one, other in pairwise(ring):
                asked = self.edges[self.names.index(one)]
                assert self.names.index(other) in asked, f"{one} does not ask {other} in {self.edges}: {ring}"

    async def stop(self) -> None:
        """To make room for another one."""
        for each in self.names:
            await self.node.runtime.stop_engine(each)


def closes(edges: Edges, start: int) -> bool:
    """Whether whoever is poked first can be asked, or ask somebody, in a ring."""
    reached, grown = {start}, {start}
    while grown:
        grown = {target for each in grown for target in edges[each]} - reached
        reached |= grown
    alive = set(reached)
    while dead := {each for each in alive if not alive & {*edges[each]}}:
        alive -= dead
    return bool(alive)


def draw_edges(rng: Random, most: int = 5) -> Edges:
    """A topology of up to so many engines: rings, stars, chains, all that there is."""
    count = rng.randint(1, most)
    if rng.random() < 0.3:
        return tuple(((number + 1) % count,) for number in range(count))
    density = rng.uniform(0.05, 0.7)
    found = [[target for target in range(count) if rng.random() < density] for _ in range(count)]
    for targets in found:
        rng.shuffle(targets)
    return tuple(map(tuple, found))


async def try_topology(node: Node, name: str, edges: Edges, starts: Sequence[int]) -> Topology:
    """Poke these engines, all at the same time; the topology, which is still there."""
    topology = Topology(node, name, edges)
    steps = 2 * len(edges)
    while steps > 2 and max(map(len, edges), default=0) ** steps > 200:
        steps -= 1
    async with trio.open_nursery() as nursery:
        for start in starts:
            nursery.start_soon(topology.poke, start, steps)
    await topology.check()
    if len(starts) == 1 and steps == 2 * len(edges):
        found = bool(topology.refusals.rings)
        assert found == closes(edges, starts[0]), f"{edges} from {starts}: refused {topology.refusals.rings}"
    return topology


@scenario("K6 P7")
async def rings(sim: Simulation) -> None:
    """Engines of one node ask each other in every topology, and flood small mailboxes: refused, never stuck."""
    rng = sim.rng
    (node,) = await sim.start("a")
    for number in range(12):
        edges = draw_edges(rng)
        starts = rng.sample(range(len(edges)), rng.choice((1, 1, min(2, len(edges)), len(edges))))
        topology = await try_topology(node, f"knot{number}", edges, starts)
        await topology.stop()
    for number in range(3):
        await _flood(sim, node, Topology(node, f"flood{number}", draw_edges(rng), capacity=rng.choice((1, 2, 8))))


async def _flood(sim: Simulation, node: Node, topology: Topology) -> None:
    rng = sim.rng
    most = max(map(len, topology.edges), default=0)
    copies = rng.randint(1, 4)
    steps = next(steps for steps in (4, 3, 2, 1) if (most * copies) ** steps <= 300 or steps == 1)
    for each in topology.ids:
        await node.tell(each, Flood(steps, copies), expiry=LONG)
        if rng.random() < 0.3:
            sim.start_soon(_poke_quietly, node, each)
    await trio.sleep(0.1)
    await topology.check()
    await topology.stop()


async def _poke_quietly(node: Node, to: EngineID) -> None:
    with suppress(SendError):  # it has been stopped
        await node.ask(to, Poke(3), expiry=LONG)


@scenario("K6 Q1 Q2 Q3")
async def ring_of_nodes(sim: Simulation) -> None:
    """Engines of several nodes ask each other in a ring: all wait until the first one's time is up, and none longer."""
    rng = sim.rng
    names = ["a", "b", "c"][: rng.randint(2, 3)]
    sim.network.lay(latency=rng.choice((0.001, 0.02)))
    sim.cfg = NetworkCfg()
    refusals = Refusals()
    await sim.start(*names)
    around = names[1:] + names[:1]
    for name, after in zip(names, around, strict=True):
        sim[name].spawn(Knot(asks=(sim.to(after, "knot"),), refusals=refusals), "knot")
        if rng.random() < 0.5:
            await sim.link(name, after)
    starts = rng.sample(names, rng.randint(1, len(names)))
    expiry = rng.choice((1.0, 5.0))
    began = sim.now()
    async with trio.open_nursery() as nursery:
        for start in starts:
            poke = Poke(2 * len(names), expiry)
            nursery.start_soon(partial(sim.ask, start, sim.to(start, "knot"), poke, expiry=expiry))
        if rng.random() < 0.3:
            await trio.sleep(rng.uniform(0, expiry))
            await sim.inflict(Cut(*rng.sample(names, 2)))
    took = sim.now() - began
    assert took <= expiry * 1.5 + 1.0, f"the ring stood still for {took:.3f} s, its time was {expiry:g} s"
    for name in names:
        value = await sim.ask(name, sim.to(name, "knot"), Alive(), expiry=expiry + 5.0)
        assert value == 1, f"{name} is still stuck: {value!r}"
    wrong = [error for error in refusals.others if isinstance(error, Crashed)]
    assert not wrong, f"{wrong} among {refusals.others}"
    await sim.settle()
