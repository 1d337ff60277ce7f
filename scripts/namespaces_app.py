"""The engines of the nodes that scripts/namespaces starts on hosts: they tell numbered messages, and check what comes.

actors run --app scripts.namespaces_app:setup
"""

from __future__ import annotations

import threading
import time
from typing import Final

import trio
from msgspec import Struct, field

from actors import Engine, Message, Node, Request, on
from actors.identity import EngineID, NodeID

LONG: Final = 86_400.0
"""Seconds for which a message is worth delivering: here none expires."""
SOURCE: Final = "source"
SINK: Final = "sink"


class Note(Message, tag="hosts.note"):
    """The numbers of one sender begin with 0."""

    number: int
    pad: bytes = b""


class Got(Struct, frozen=True):
    """What came from one sender. Exactly once and in order: no repeats, no skips."""

    count: int = 0
    repeats: int = 0
    """Notes whose number was not above the one before."""
    skips: int = 0
    """Notes whose number was not the one after it, but above."""
    first: int = 0
    last: int = -1

    def next(self, number: int) -> Got:
        """With one more."""
        repeats = self.repeats + (number <= self.last)
        skips = self.skips + (number > self.last + 1)
        return Got(self.count + 1, repeats, skips, self.first if self.count else number, max(number, self.last))


class GotFrom(Request[Got], tag="hosts.got"):
    """What came of this node's notes."""

    node: NodeID


class Count(Request[int], tag="hosts.count"):
    """Answered with one more."""

    n: int


class Clock(Request[float], tag="hosts.clock"):
    """By how much the runtime's clock is ahead of the machine's monotonic one, in seconds."""


class Wall(Request[float], tag="hosts.wall"):
    """The wall clock, as the node's process sees it."""


class Stall(Message, tag="hosts.stall"):
    """The whole loop stands still for so many seconds."""

    seconds: float


class Sink(Engine):
    got: dict[NodeID, Got] = field(default_factory=dict)

    @on(Note)
    def note(self, msg: Note) -> None:
        sender = self.sender.node
        assert sender is not None
        self.got[sender] = self.got.get(sender, Got()).next(msg.number)

    @on(GotFrom)
    def tell_got(self, msg: GotFrom) -> Got:
        return self.got.get(msg.node, Got())

    @on(Count)
    def count(self, msg: Count) -> int:
        return msg.n + 1

    @on(Clock)
    def clock(self, _: Clock) -> float:
        return trio.current_time() - time.monotonic()

    @on(Wall)
    def wall(self, _: Wall) -> float:
        return time.time()

    @on(Stall)
    def stall(self, msg: Stall) -> None:
        threading.Event().wait(msg.seconds)  # on purpose: nothing else moves meanwhile


class Begin(Message, tag="hosts.begin"):
    """Tell this node's sink `count` notes, one after each `pause`, until Halt."""

    to: NodeID
    count: int = 1 << 40
    pause: float = 0.01
    size: int = 10


class Halt(Request[int], tag="hosts.halt"):
    """Tell this node no more; how many notes it was told. Answered once the last is accepted."""

    to: NodeID


class Told(Request[int], tag="hosts.told"):
    """How many notes this node was told so far."""

    to: NodeID


class Probe(Request[tuple[float, ...]], tag="hosts.probe"):
    """How many seconds each of so many questions to this node's sink took, one after the other."""

    to: NodeID
    count: int


class Flow:
    """Notes on their way to one node."""

    def __init__(self, order: Begin) -> None:
        self.order = order
        self.told = 0
        self.halted = False
        self.over = trio.Event()

    async def run(self, node: Node) -> None:
        to, pad = EngineID(self.order.to, SINK), bytes(self.order.size)
        while self.told < self.order.count and not self.halted:
            await node.tell(to, Note(self.told, pad), expiry=LONG)
            self.told += 1
            await trio.sleep(self.order.pause)
        self.over.set()


class Flows:
    """Those of one node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.by_node: dict[NodeID, Flow] = {}
        self.begun, self.orders = trio.open_memory_channel[Flow](100)


class Source(Engine):
    flows: Flows

    @on(Begin)
    def begin(self, msg: Begin) -> None:
        flow = self.flows.by_node[msg.to] = Flow(msg)
        self.flows.begun.send_nowait(flow)

    @on(Halt)
    async def halt(self, msg: Halt) -> int:
        flow = self.flows.by_node[msg.to]
        flow.halted = True
        await flow.over.wait()
        return flow.told

    @on(Told)
    def tell_told(self, msg: Told) -> int:
        return self.flows.by_node[msg.to].told

    @on(Probe)
    async def probe(self, msg: Probe) -> tuple[float, ...]:
        to, took = EngineID(msg.to, SINK), []
        for n in range(msg.count):
            began = trio.current_time()
            await self.ask(to, Count(n))
            took.append(trio.current_time() - began)
        return tuple(took)

    async def port(self) -> None:
        async with trio.open_nursery() as nursery:
            async for flow in self.flows.orders:
                nursery.start_soon(flow.run, self.flows.node)


def setup(node: Node) -> None:
    """What the process does once its node runs."""
    node.spawn(Sink(), SINK)
    node.spawn(Source(flows=Flows(node)), SOURCE)
