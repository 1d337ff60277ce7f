"""The project under strain: a peer that has stopped reading, an engine that floods.

own_strain backlog      seconds a message of a burst of 64, with `load` messages in the outbox before it
own_strain memory       MiB by which a sender grows that has `count` messages for a stopped peer
own_strain fair         seconds of an engine's ask: idle the middle (load 0), while another floods p99 (load 1)
own_strain heartbeat    seconds by which a heartbeat is late while an engine of its node floods
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

import trio
from trio.lowlevel import checkpoint

from actors import Engine, EngineID, Message, Node, NodeID, Refused, Request, on, open_node
from actors.config import Limits
from benchmark.memory import resident
from benchmark.own import Arrived, Data, Ping, Sink
from benchmark.trio_worker import serve, until_alone
from benchmark.worker import BODY, Beside, beside, clock, greet, middle, module

TARGETS = 32
"""Engines that share the backlog: one may hold half of an outbox at most."""
BURST = 64
LIMITS = Limits()
MIB = 1 << 20


class Latencies(Request[tuple[float, ...]], tag="bench.latencies"):
    """Answered with how long so many asks took."""

    count: int


class Asker(Engine):
    """Asks, and looks at its watch."""

    to: EngineID

    @on(Latencies)
    async def latencies(self, msg: Latencies) -> tuple[float, ...]:
        found = []
        for _ in range(msg.count):
            began = clock()
            await self.ask(self.to, Ping(BODY))
            found.append(clock() - began)
            await trio.sleep(0.0005)
        return tuple(found)


class Flood(Message, tag="bench.flood"):
    """Tell another slice, and go on."""


class Dam(Message, tag="bench.dam"):
    """No more."""


class Flooder(Engine):
    """Tells as much as it may."""

    sink: EngineID
    floods: bool = False

    @on(Dam)
    def dam(self, _: Dam) -> None:
        self.floods = False

    @on(Ping)
    def begin(self, _: Ping) -> bytes:
        self.floods = True
        self.tell(self.id, Flood())
        return b""

    @on(Flood)
    def flood(self, _: Flood) -> None:
        if self.floods:
            for _each in range(100):
                self.tell(self.sink, Data(BODY))
            self.tell(self.id, Flood())


# -- a peer that has stopped reading ----------------------------------------------------------------------


async def other_end() -> None:
    """A node with several sinks."""
    async with until_alone(), open_node() as node:
        for number in range(TARGETS):
            node.spawn(Sink(), f"sink{number}")
        greet(str(node.advert))
        await trio.sleep_forever()


@asynccontextmanager
async def stoppable() -> AsyncIterator[tuple[Node, list[EngineID], Beside]]:
    """A node of this process, the engines of another, and that one's process."""
    with beside(*module("own_strain", "other-end")) as there:
        async with open_node(listen=()) as node:
            peer = node.learn(there.greeting)
            await node.connect(peer)
            yield node, [EngineID(peer, f"sink{number}") for number in range(TARGETS)], there


async def backlog() -> None:
    """The peer's process is stopped, the backlog told, then the burst; then it goes on, until all is there."""
    async with stoppable() as (node, sinks, there):

        async def tell(sink: EngineID, count: int) -> None:
            for _ in range(count):
                await node.tell(sink, Data(BODY))
            for _ in range(4):
                await checkpoint()  # the writer's turn

        async def one(number: int, load: int) -> float:
            os.kill(there.process.pid, signal.SIGSTOP)
            try:
                for place in range(TARGETS):
                    await tell(sinks[place], (load + place) // TARGETS)
                began = clock()
                await tell(sinks[number % TARGETS], BURST)
                took = clock() - began
            finally:
                os.kill(there.process.pid, signal.SIGCONT)
            for sink in sinks:
                await node.ask(sink, Arrived(0))
            return took / BURST

        async def measure(count: int, load: int) -> float:
            return median([await one(number, load) for number in range(count)])

        await serve(measure)


async def memory() -> None:
    """It is this process's growth since its start that counts, so that a second request does not hide the first's."""
    async with stoppable() as (node, sinks, there):
        least = resident()

        async def measure(count: int, _: int) -> float:
            os.kill(there.process.pid, signal.SIGSTOP)
            most = 0
            try:
                for number in range(count):
                    try:
                        node.tell_nowait(sinks[number % TARGETS], Data(BODY))
                    except Refused as outcome:
                        if outcome.reason != "full":
                            raise
                    if not number % 1000:
                        await checkpoint()
                    if not number % 100_000:
                        most = max(most, resident())
                most = max(most, resident())
            finally:
                os.kill(there.process.pid, signal.SIGCONT)
            for sink in sinks:
                await node.ask(sink, Arrived(0))
            return (most - least) / MIB

        await serve(measure)


# -- an engine that floods --------------------------------------------------------------------------------


@asynccontextmanager
async def flooded(node: Node, flooder: EngineID) -> AsyncIterator[None]:
    """A block while which it floods."""
    await node.ask(flooder, Ping(b""))
    await trio.sleep(0.1)
    yield
    await node.tell(flooder, Dam())
    await trio.sleep(0.2)


async def fair() -> None:
    """Flooder and asker are engines of one node, their targets two of another."""
    async with stoppable() as (node, sinks, _):
        flooder = node.spawn(Flooder(sink=sinks[0]), "flooder")
        asker = node.spawn(Asker(to=sinks[1]), "asker")

        async def measure(count: int, load: int) -> float:
            if not load:
                return middle(await node.ask(asker, Latencies(count)))
            async with flooded(node, flooder):
                return middle(await node.ask(asker, Latencies(count)), 0.99)

        await serve(measure)


async def busy() -> None:
    """A node that floods a third one when it is asked to; greets with its advert."""
    with beside(*module("own", "other-end", "tcp")) as there:
        async with until_alone(), open_node() as node:
            sink = EngineID(node.learn(there.greeting), "sink")
            node.spawn(Flooder(sink=sink), "flooder")
            greet(str(node.advert))
            await trio.sleep_forever()


async def heartbeat() -> None:
    """Over a quiet link to a node that floods, something is heard at every heartbeat, or it is late."""
    with beside(*module("own_strain", "busy")) as there:
        async with open_node(listen=()) as node:
            peer = node.learn(there.greeting)
            flooder = EngineID(peer, "flooder")

            async def measure(_: int, __: int) -> float:
                async with flooded(node, flooder):
                    return max(0.0, await _longest_silence(node, peer) - LIMITS.heartbeat_seconds)

            await serve(measure)


async def _longest_silence(node: Node, peer: NodeID) -> float:
    """Seconds, of the first that a heartbeat has ended."""
    longest = 0.0
    with trio.move_on_after(LIMITS.dead_seconds + 1):
        while True:
            link = node.link(peer)
            heard = link.heard_ago if link else None
            if heard is None:
                return LIMITS.dead_seconds  # the link was given up
            if heard < longest and longest > LIMITS.heartbeat_seconds / 2:
                return longest
            longest = max(longest, heard)
            await trio.sleep(0.01)
    return longest


def main(arguments: list[str]) -> None:
    """What the head of the file says."""
    match arguments:
        case ["other-end"]:
            trio.run(other_end)
        case ["backlog"]:
            trio.run(backlog)
        case ["memory"]:
            trio.run(memory)
        case ["fair"]:
            trio.run(fair)
        case ["busy"]:
            trio.run(busy)
        case ["heartbeat"]:
            trio.run(heartbeat)
        case _:
            sys.exit(f"own_strain: no such measure: {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
