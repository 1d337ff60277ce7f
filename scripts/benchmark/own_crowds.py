"""The project with many nodes: what an idle one costs, a connection that is proven, a burst to each of them.

own_crowds idle              KiB that a hub occupies for each of `count` nodes linked to it over TCP
own_crowds connect           seconds for each of `count` nodes that connect to a hub over TLS, 8 at a time
own_crowds bursts N          seconds a message: bursts of 64 to `load` of N nodes in turn
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress

import trio

from actors import Engine, EngineID, Lost, Node, Request, on, open_node
from benchmark.memory import many_files, resident
from benchmark.own import Data
from benchmark.trio_worker import serve, until_alone
from benchmark.worker import BODY, beside, clock, greet, module

AT_ONCE = 8
"""Connections in the making."""
BURST = 64
TRIES = 5


class Resident(Request[int], tag="bench.resident"):
    """Answered with the bytes that the process occupies."""


class All(Request[int], tag="bench.all"):
    """Answered once so many Data have come to all the sinks of this process."""

    count: int


class Tally:
    """Of one process."""

    count = 0
    waits_for = -1
    complete = trio.Event()


class Hub(Engine):
    """Tells of its process."""

    @on(Resident)
    def resident(self, _: Resident) -> int:
        return resident()

    @on(All)
    async def all_there(self, msg: All) -> int:
        if Tally.count < msg.count:
            Tally.waits_for, Tally.complete = msg.count, trio.Event()
            await Tally.complete.wait()
        count, Tally.count = Tally.count, 0
        return count


class Common(Engine):
    """A sink that counts for its whole process."""

    @on(Data)
    def data(self, _: Data) -> None:
        Tally.count += 1
        if Tally.count == Tally.waits_for:
            Tally.complete.set()


# -- the other end ----------------------------------------------------------------------------------------


async def one(listen: Sequence[str], task_status: trio.TaskStatus[Node]) -> None:
    """A node in a task of its own: a thousand in one are scopes a thousand deep, too many for Trio."""
    async with open_node(listen=listen) as node:
        task_status.started(node)
        await trio.sleep_forever()


async def enough(nodes: list[Node], count: int, nursery: trio.Nursery, *listen: str) -> list[Node]:
    """The first so many nodes; those that are missing are started."""
    while len(nodes) < count:
        nodes.append(await nursery.start(one, listen))
    return nodes[:count]


async def other_end(count: int, url: str) -> None:
    """So many nodes with a sink each; the first tells of the process. Greets with their adverts."""
    many_files()
    async with until_alone() as nursery:
        nodes = await enough([], count, nursery, url)
        nodes[0].spawn(Hub(), "hub")
        for node in nodes:
            node.spawn(Common(), "sink")
        greet(" ".join(str(node.advert) for node in nodes))
        await trio.sleep_forever()


# -- the end that measures --------------------------------------------------------------------------------


async def all_connect(nodes: Sequence[Node], advert: str) -> float:
    """Each of the nodes to the one hub; how many seconds that took."""
    slots = trio.CapacityLimiter(AT_ONCE)
    for node in nodes:
        hub = node.learn(advert)

    async def connect(node: Node) -> None:
        async with slots:
            for _ in range(TRIES):
                with suppress(Lost):  # a machine that is too busy for a handshake in time
                    return await node.connect(hub, permanent=False)

    began = clock()
    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(connect, node)
    return clock() - began


async def idle() -> None:
    """A fresh hub for each request; the nodes that connect to it stay."""
    nodes: list[Node] = []
    async with trio.open_nursery() as nursery:

        async def measure(count: int, _: int) -> float:
            chosen = await enough(nodes, count, nursery)
            with beside(*module("own_crowds", "other-end", "1", "tcp://127.0.0.1:0")) as there:
                async with open_node(listen=()) as looker:
                    hub = EngineID(looker.learn(there.greeting), "hub")
                    before = await looker.ask(hub, Resident())
                    await all_connect(chosen, there.greeting)
                    await trio.sleep(1)
                    grown = await looker.ask(hub, Resident()) - before
            return grown / count / 1024

        await serve(measure)
        nursery.cancel_scope.cancel()


async def connect() -> None:
    """The same nodes connect again and again; what they do to disconnect is not measured."""
    with beside(*module("own_crowds", "other-end", "1", "tls://127.0.0.1:0")) as there:
        nodes: list[Node] = []
        async with trio.open_nursery() as nursery:

            async def measure(count: int, _: int) -> float:
                chosen = await enough(nodes, count, nursery)
                seconds = await all_connect(chosen, there.greeting)
                hub = nodes[0].learn(there.greeting)
                for node in chosen:
                    node.close(hub)
                while any(node.is_connected(hub) for node in chosen):  # noqa: ASYNC110 - of many nodes
                    await trio.sleep(0.05)
                await trio.sleep(1)
                return seconds / count

            await serve(measure)
            nursery.cancel_scope.cancel()


async def bursts(most: int) -> None:
    """One node, linked to so many."""
    many_files()
    with beside(*module("own_crowds", "other-end", str(most), "tcp://127.0.0.1:0")) as there:
        async with open_node(listen=()) as node:
            sinks = []
            for advert in there.greeting.split():
                peer = node.learn(advert)
                await node.connect(peer)
                sinks.append(EngineID(peer, "sink"))
            hub = EngineID(sinks[0].node, "hub")

            async def measure(count: int, load: int) -> float:
                began, chosen = clock(), sinks[:load]
                for burst in range(count // BURST):
                    sink = chosen[burst % load]
                    for _ in range(BURST):
                        await node.tell(sink, Data(BODY))
                told = count // BURST * BURST
                assert await node.ask(hub, All(told)) == told
                return (clock() - began) / told

            await serve(measure)


def main(arguments: list[str]) -> None:
    """What the head of the file says."""
    match arguments:
        case ["other-end", count, url]:
            trio.run(other_end, int(count), url)
        case ["idle"]:
            many_files()
            trio.run(idle)
        case ["connect"]:
            many_files()
            trio.run(connect)
        case ["bursts", most]:
            trio.run(bursts, int(most))
        case _:
            sys.exit(f"own_crowds: no such measure: {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
