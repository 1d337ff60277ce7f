"""Engines that do not read, small mailboxes with many peers, and the words about room that a break loses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import trio

from actors.config import Limits
from actors.engine import Engine, on
from actors.errors import SendError
from actors.net.messages import Ack, Messages, Resume, Want
from actors.net.network import NetworkCfg
from actors.node import Node
from actors.testing.cluster.simulation import NotRunning, Simulation
from actors.testing.faults import Crash, Cut, Deaf
from actors.testing.scenarios.breaks import HangUp, draw_break
from actors.testing.scenarios.cast import LONG, Item, Question, Traffic, cast
from actors.testing.scenarios.moments import Match, Moments, crosses, draw_strokes, sets_out
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import (
    all_ended,
    draw_cfg,
    draw_chances,
    nobody_broke_the_protocol,
    outcomes,
    pair,
    quiet,
    start_hidden,
    weather,
)


class Gate:
    """Lets pass while it is open."""

    def __init__(self) -> None:
        self._opened = trio.Event()

    async def passing(self) -> None:
        await self._opened.wait()

    def open(self) -> None:
        self._opened.set()

    def close(self) -> None:
        self._opened = trio.Event()


class Gated(Engine):
    """Handles an Item only while the gate is open, and takes its time then."""

    sim: Simulation
    gate: Gate
    rng: Random

    @on(Item)
    async def item(self, msg: Item) -> None:
        await self.gate.passing()
        self.sim.handled(self, msg)
        if self.rng.random() < 0.2:
            await trio.sleep(self.rng.uniform(0, 0.01))


def gated(sim: Simulation, gate: Gate, *, capacity: int | None = None) -> Callable[[Node], None]:
    """As `cast`, with an engine `gated` whose mailbox holds so many messages."""

    def setup(node: Node) -> None:
        cast(sim)(node)
        engine = Gated(sim=sim, gate=gate, rng=sim.stream(f"gated {node.name}"))
        node.runtime.spawn(engine, "gated", capacity=capacity)

    return setup


def tells_of_room(sender: str, receiver: str) -> Match:
    """A frame that carries a limit."""
    return sets_out(sender, receiver, Ack, Resume, that=lambda frame: frame.credit)


async def tell(
    sim: Simulation, traffic: Traffic, sender: str, receiver: str, engine: str, count: int, pad: int = 0
) -> None:
    """So many messages in a row; it waits where there is no room for them, and gives up with the node."""
    to = sim.to(receiver, engine)
    for n in range(first := traffic.take(count), first + count):
        try:
            await sim[sender].tell(to, Item(n, bytes(pad)), expiry=LONG)
        except (NotRunning, SendError):
            return


async def look(sim: Simulation) -> None:
    """Note from time to time how full queues are."""
    while True:
        await trio.sleep(0.05)
        sim.sample()


# -- 4: engines that do not read --------------------------------------------------------------------------


@scenario("S3 S4 K3 K6 D5")
async def stuck_engine(sim: Simulation) -> None:
    """One engine never reads, or reads late; another of that node is asked meanwhile, and always answers."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = NetworkCfg(outbox=rng.choice((8 << 20, 256 << 10)))
    draw_chances(sim, "outbox.forward_pause")
    latency = await weather(sim, 0.0, 0.001, 0.02)
    gate, traffic = Gate(), Traffic(sim)
    with Moments(sim) as moments:
        await sim.start(one, other, setup=gated(sim, gate, capacity=rng.choice((16, 64, 4096))))
        await sim.link(one, other, both=True)
        fault, words = partial(draw_break, rng, one, other), crosses(one, other, Ack, Messages)
        moments.strike(*draw_strokes(rng, rng.randint(0, 2), fault, words, nth=8, latency=latency))
        sim.start_soon(tell, sim, traffic, one, other, "gated", rng.randint(20, 400))
        for _ in range(rng.randint(3, 12)):
            n = traffic.take()
            answer = await sim.ask(one, sim.to(other, "sink"), Question(n), expiry=60.0)
            assert answer == -n, f"an engine that reads is asked, behind one that does not: {answer!r}"
            await trio.sleep(rng.choice((0.0, 0.001, 0.05)))
        sim.sample()
    if rng.random() < 0.3:
        return  # both stop as they are
    gate.open()
    await sim.settle()
    all_ended(sim, [one], "delivered")
    nobody_broke_the_protocol(sim)


@scenario("K1 K3 K5")
async def crowded_mailbox(sim: Simulation) -> None:
    """Many peers and a local sender fill a small mailbox, whose engine reads now and then; connections break."""
    rng = sim.rng
    peers = [f"peer{n}" for n in range(rng.choice((2, 3, 5, 8)) if rng.random() < 0.98 else 24)]
    latency = await weather(sim, 0.0, 0.001, 0.02)
    gate, traffic = Gate(), Traffic(sim)
    sim.start_soon(_open_and_close, gate, sim.stream("gate"))
    with Moments(sim) as moments:
        await sim.start("hub", setup=gated(sim, gate, capacity=rng.choice((8, 16, 64))))
        await sim.start(*peers, setup=cast(sim))
        for peer in peers:
            await sim.link(*rng.sample((peer, "hub"), 2), wait=False)
        for peer in rng.sample(peers, 2):
            fault, words = partial(draw_break, rng, peer, "hub"), (crosses(peer, "hub"), tells_of_room("hub", peer))
            moments.strike(*draw_strokes(rng, 1, fault, *words, nth=12, latency=latency))
        sim.start_soon(look, sim)
        async with trio.open_nursery() as nursery:
            for sender in (*peers, "hub"):
                count = rng.randint(5, max(10, 300 // len(peers)))
                nursery.start_soon(tell, sim, traffic, sender, "hub", "gated", count)
    await sim.settle()
    assert not outcomes(sim)["refused full"], "there was no room for what room was promised for"
    nobody_broke_the_protocol(sim)


async def _open_and_close(gate: Gate, rng: Random) -> None:
    """While it is open, every peer is promised more; when it is closed they use it."""
    while True:
        gate.open()
        await trio.sleep(rng.uniform(0.01, 0.2))
        gate.close()
        await trio.sleep(rng.uniform(0.01, 0.2))


# -- 5: words about room are lost -------------------------------------------------------------------------


@scenario("K1 K2 S6")
async def room_made_during_a_break(sim: Simulation) -> None:
    """The engine makes room, and the connection breaks before the sender hears of it."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    draw_chances(sim, "link.ack_at_once", "link.flush_pause")
    latency = await weather(sim)
    gate, traffic = Gate(), Traffic(sim)
    with Moments(sim) as moments:
        await sim.start(one, other, setup=gated(sim, gate))
        await sim.link(one, other, both=rng.random() < 0.3)
        fault, words = partial(draw_break, rng, one, other), tells_of_room(other, one)
        moments.strike(*draw_strokes(rng, rng.randint(0, 3), fault, words, nth=2, latency=latency))
        sim.start_soon(tell, sim, traffic, one, other, "gated", rng.choice((9, 20, 100, 300)))
        await trio.sleep(rng.uniform(0, 0.2))
        if rng.random() < 0.4:
            await sim.inflict(Deaf(other, one, rng.uniform(0.1, 3.0)))
        gate.open()
        await trio.sleep(rng.uniform(0, 0.1))
        if not moments.struck:
            await sim.inflict(Cut(one, other))
        await quiet(sim, moments, within=5.0)
    await sim.settle()
    all_ended(sim, [one], "delivered")
    nobody_broke_the_protocol(sim)


@scenario("K2 K3 S1")
async def mailbox_full_of_the_past(sim: Simulation) -> None:
    """A mailbox is full of what earlier lives of an ephemeral sender have sent; each new life is given less room."""
    rng, (one, other) = sim.rng, pair(sim)
    latency = await weather(sim, 0.0, 0.001, 0.02)
    draw_chances(sim, "peers.forget")
    gate, traffic = Gate(), Traffic(sim)
    with Moments(sim) as moments:
        await start_hidden(sim, one, other, gated(sim, gate, capacity=rng.choice((8, 12, 64))))
        sim.start_soon(look, sim)
        for _ in range(rng.randint(2, 6)):
            sim.start_soon(tell, sim, traffic, one, other, "gated", rng.choice((1, 3, 8, 12)))
            crash = Crash(one, rng.uniform(0.01, 0.2))
            fault = partial(rng.choice, (Cut(one, other), HangUp(one, other), HangUp(other, one), crash))
            words = crosses(one, other, Messages, Ack)
            moments.strike(*draw_strokes(rng, 1, fault, words, nth=4, latency=latency))
            await quiet(sim, moments, within=1.0)
            await trio.sleep(rng.choice((0.0, 0.01, 0.3)))
        if rng.random() < 0.5:
            await sim.link(one, other)
    gate.open()
    await sim.settle()
    last = await sim.send(one, sim.to(other, "gated"), Item(traffic.take()))
    assert last is None, f"with nothing in the way a message comes to {last!r}"
    nobody_broke_the_protocol(sim)


@scenario("K4 S6")
async def room_asked_for(sim: Simulation) -> None:
    """Messages larger than their credit ask for room; breaks lose the question, the answer, or the message."""
    rng, (one, other) = sim.rng, pair(sim)
    latency = await weather(sim, 0.0, 0.001, 0.02, parts=(5000,))
    gate, traffic = Gate(), Traffic(sim)
    with Moments(sim) as moments:
        limits = Limits(mailbox_bytes=rng.choice((1 << 20, 16 << 20)))
        await sim.start(one, other, setup=gated(sim, gate), limits=limits)
        await sim.link(one, other)
        words = sets_out(one, other, Want), tells_of_room(other, one), sets_out(one, other, Messages)
        fault = partial(draw_break, rng, one, other)
        moments.strike(*draw_strokes(rng, rng.randint(1, 3), fault, *words, nth=1, latency=latency))
        for _ in range(rng.randint(2, 4)):
            task = partial(tell, sim, traffic, one, other, rng.choice(("gated", "sink")), rng.randint(1, 3))
            sim.start_soon(partial(task, pad=rng.choice((10, 70_000, 300_000))))
        await trio.sleep(rng.uniform(0, 0.3))
        gate.open()
        await quiet(sim, moments, within=10.0)
    await sim.settle()
    all_ended(sim, [one], "delivered")
    nobody_broke_the_protocol(sim)
