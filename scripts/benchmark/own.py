"""The project over its public API, two processes, every setting at its default.

own tell|large|ping|many tcp|tls|ws|quic  node to node: `tell` counted by the engine at the other end, `ask`'s middle
own local | local-ask                     the same between a node and an engine of its own
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from msgspec import field

from actors import Engine, EngineID, Message, Node, NodeID, Request, on, open_node
from benchmark.trio_worker import serve, until_alone
from benchmark.worker import BODY, LARGE, beside, clock, greet, middle, module

MANY = 100
"""Engines that tell at the same time."""


class Data(Message, tag="bench.data"):
    body: bytes


class Ping(Request[bytes], tag="bench.ping"):
    """Answered with its body."""

    body: bytes


class Arrived(Request[int], tag="bench.arrived"):
    """Answered with the number of Data since the last question, once there are so many."""

    count: int


class Sink(Engine):
    """Counts what it is told."""

    count: int = 0
    enough: trio.Event = field(default_factory=trio.Event)
    waits_for: int = -1

    @on(Data)
    def data(self, _: Data) -> None:
        self.count += 1
        if self.count == self.waits_for:
            self.enough.set()

    @on(Ping)
    def ping(self, msg: Ping) -> bytes:
        return msg.body

    @on(Arrived)
    def arrived(self, _: Arrived) -> int:
        count, self.count = self.count, 0
        return count


class Tell(Message, tag="bench.tell"):
    """So many are still to be told."""

    left: int


class Giver(Engine):
    """Tells one message at a time, and lets all others run after each."""

    sink: EngineID
    boss: EngineID

    @on(Tell)
    async def tell_one(self, msg: Tell) -> None:
        self.tell(self.sink, Data(BODY))
        await trio.lowlevel.checkpoint()
        if msg.left > 1:
            self.tell(self.id, Tell(msg.left - 1))
        else:
            self.tell(self.boss, Data(b""))


# -- the other end ----------------------------------------------------------------------------------------


async def other_end(kind: str) -> None:
    """A node with a sink; greets with its advert."""
    async with until_alone(), open_node(listen=(f"{kind}://127.0.0.1:0",)) as node:
        node.spawn(Sink(), "sink")
        greet(str(node.advert))
        await trio.sleep_forever()


@asynccontextmanager
async def linked(kind: str) -> AsyncIterator[tuple[Node, NodeID]]:
    """A node of this process, linked to one of another."""
    with beside(*module("own", "other-end", kind)) as there:
        async with open_node(listen=()) as node:
            peer = node.learn(there.greeting)
            await node.connect(peer)
            yield node, peer


# -- the end that measures --------------------------------------------------------------------------------


async def tells(node: Node, sink: EngineID, body: bytes) -> None:
    """Answer requests with seconds a message."""

    async def measure(count: int, _: int) -> float:
        tell, began = node.tell, clock()
        for _ in range(count):
            await tell(sink, Data(body))
        assert await node.ask(sink, Arrived(count)) == count
        return (clock() - began) / count

    await serve(measure)


async def asks(node: Node, sink: EngineID) -> None:
    """Answer requests with the middle of so many round trips."""

    async def measure(count: int, _: int) -> float:
        latencies = []
        for _ in range(count):
            began = clock()
            await node.ask(sink, Ping(BODY))
            latencies.append(clock() - began)
        return middle(latencies)

    await serve(measure)


async def many(node: Node, sink: EngineID) -> None:
    """As `tells`, with the messages shared by a hundred engines."""
    boss = node.spawn(Sink(), "boss")
    givers = [node.spawn(Giver(sink=sink, boss=boss), f"giver{number}") for number in range(MANY)]

    async def measure(count: int, _: int) -> float:
        each, began = max(1, count // MANY), clock()
        for giver in givers:
            await node.tell(giver, Tell(each))
        told = 0
        while told < MANY:
            await trio.sleep(0.002)
            told += await node.ask(boss, Arrived(0))
        arrived = 0
        while arrived < each * MANY:
            arrived += await node.ask(sink, Arrived(0))
        return (clock() - began) / (each * MANY)

    await serve(measure)


async def tasks(node: Node, sink: EngineID) -> None:
    """As `many`, with tasks that tell as the node itself."""

    async def teller(count: int) -> None:
        for _ in range(count):
            await node.tell(sink, Data(BODY))
            await trio.lowlevel.checkpoint()

    async def measure(count: int, _: int) -> float:
        each, began = max(1, count // MANY), clock()
        async with trio.open_nursery() as nursery:
            for _each in range(MANY):
                nursery.start_soon(teller, each)
        assert await node.ask(sink, Arrived(0)) == each * MANY
        return (clock() - began) / (each * MANY)

    await serve(measure)


async def remote(what: str, kind: str) -> None:
    """Node to node."""
    async with linked(kind) as (node, peer):
        sink = EngineID(peer, "sink")
        match what:
            case "ping":
                await asks(node, sink)
            case "many":
                await many(node, sink)
            case "tasks":
                await tasks(node, sink)
            case _:
                await tells(node, sink, LARGE if what == "large" else BODY)


async def local(what: str) -> None:
    """Within one node."""
    async with open_node(listen=()) as node:
        sink = node.spawn(Sink(), "sink")
        await (asks(node, sink) if what == "local-ask" else tells(node, sink, BODY))


def main(arguments: list[str]) -> None:
    """What the head of the file says."""
    match arguments:
        case ["other-end", kind]:
            trio.run(other_end, kind)
        case ["tell" | "large" | "ping" | "many" | "tasks" as what, kind]:
            trio.run(remote, what, kind)
        case ["local" | "local-ask" as what]:
            trio.run(local, what)
        case _:
            sys.exit(f"own: no such measure: {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
