"""Rows 3, 19 and 20 between hosts: a peer that stands still, a node that ends with much to say, a crowd that floods."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio
from figures import Figure, percentile
from namespaces_app import Begin, Got, Probe, Told
from namespaces_children import open_child
from namespaces_world import flow, kept, link, linked, look_until, nodes_on, source, tallies

from actors.identity import NodeID
from actors.testing.hosts import open_bound, open_hosts
from actors.testing.hosts.nodes import HostedNode

STILL: Final = 0.3
"""Seconds without anything that is told: there is no room."""
MIB: Final = 1 << 20
LARGE: Final = 64 << 10
"""Bytes of a large note."""
SMALL: Final = 1000
OUTBOX: Final = 8
KERNEL: Final = 4
"""MiB: what one peer may cost; and what the allocator and its own figures take beside."""
BOUND: Final = 256
NARROW: Final = "20mbit"
PATIENCE: Final = 60.0
CONTROL: Final = 100.0
"""Milliseconds that a question over the control socket takes at most, in 99 of 100."""
GRACE: Final = 10.0
"""Seconds that a node takes to end."""


# -- row 3 ------------------------------------------------------------------------------------------------


async def slow_reader(questions: int) -> list[Figure]:
    """A peer is frozen and told as much as goes; meanwhile, before and after it another is asked."""
    async with open_hosts("a", "b", "c") as hosts, nodes_on(*hosts) as (one, slow, other):
        await link(one, slow, other)
        probe = partial(one.ask, source(one), Probe(other.id, questions), expiry=PATIENCE)
        await probe()  # the first ones are slower
        free = [*await probe()]
        before = await _memory(one)
        async with slow.frozen():
            await flow(one, slow, pause=0, size=LARGE)
            await _stands_still(one, slow)
            held = await probe()
            control = [await _seconds(one.snapshot) for _ in range(50)]
            more = await _memory(one) - before
            ended = not await linked(one, slow)
        found = await tallies((one, slow))
        free += await probe()
    ratio = percentile(held, 0.99) / percentile(free, 0.99)
    return [
        Figure(3, "a frozen peer that is told without end: more memory", more / MIB, OUTBOX + KERNEL, "MiB"),
        Figure(3, f"{questions} questions to another meanwhile, p99 by before and after", ratio, 1.5, "x", speed=True),
        Figure(3, "the control socket meanwhile, p99", 1000 * percentile(control, 0.99), CONTROL, "ms", speed=True),
        Figure(3, "links that ended of it", ended, 0),
        *kept(3, "once it goes on", found),
    ]


async def _stands_still(one: HostedNode, other: HostedNode) -> None:
    """Until its outbox for the other has no room, so that no more is told."""
    before = 0

    async def no_more() -> bool:
        nonlocal before
        await trio.sleep(STILL)
        told, before = before, await one.ask(source(one), Told(other.id))
        return 0 < told == before

    await look_until(no_more)


async def _memory(node: HostedNode) -> int:
    return (await node.snapshot()).memory_bytes or 0


async def _seconds(call: Callable[[], Awaitable[object]]) -> float:
    began = trio.current_time()
    await call()
    return trio.current_time() - began


# -- row 19 -----------------------------------------------------------------------------------------------


async def farewell(peers: int, notes: int) -> list[Figure]:
    """SIGTERM, while notes for many peers wait behind a narrow line; what was accepted arrives, and then it ends."""
    async with (
        open_hosts("a", "crowd") as (a, crowd),
        nodes_on(a, grace=2 * GRACE) as (node,),
        open_child("crowd", crowd, await node.control.advert(), str(peers), "listen") as listeners,
    ):
        ids = [NodeID.parse(text) for text in await listeners.line(list[str])]

        async def all_accepted() -> bool:
            return (await node.snapshot()).statistics.ledger.accepted >= peers * notes

        async with a.narrow(NARROW):
            for id in ids:
                await node.tell(source(node), Begin(id, notes, 0, SMALL))
            await look_until(all_accepted)
            waiting = (await node.snapshot()).statistics.ledger.in_flight
            began, code = trio.current_time(), -1
            os.kill(node.process, signal.SIGTERM)
            with trio.move_on_after(2 * GRACE):
                code = await node.wait_ended()
            took = trio.current_time() - began
        await listeners.end_input()
        got = await listeners.line(list[Got])
    missing = sum(abs(notes - each.count) + each.repeats + each.skips for each in got)
    what = f"SIGTERM with {peers} peers and {waiting} notes on their way"
    return [
        Figure(19, f"{what}: it ends after", took, GRACE, "s"),
        Figure(19, f"{what}: exit code", abs(code), 0),
        Figure(19, f"{what}: missing, doubled or out of order", missing, 0),
    ]


# -- row 20 -----------------------------------------------------------------------------------------------


async def flood(peers: int, seconds: float) -> list[Figure]:
    """A crowd tells a node as much as it takes, and the node has a small machine's memory.

    Beside it is an idle node: what its control socket takes is the machine's, and not the flood's.
    """
    flooded: list[float] = []
    idle: list[float] = []
    with open_bound(BOUND * MIB) as bound:
        async with (
            open_hosts("a", "idle", "crowd") as (a, b, crowd),
            nodes_on(a, through=bound.through) as (node,),
            nodes_on(b) as (other,),
            open_child(
                "crowd", crowd, await node.control.advert(), str(peers), "flood", str(SMALL), nice=True
            ) as people,
        ):
            await people.line(list[str])
            with trio.move_on_after(seconds):
                while True:
                    flooded.append(await _seconds(node.snapshot))
                    idle.append(await _seconds(other.snapshot))
                    await trio.sleep(0.02)
            received, peak = (await node.snapshot()).statistics.received, bound.peak
    own, machine = (1000 * percentile(took, 0.99) for took in (flooded, idle))
    what = f"{peers} peers that flood for {seconds:g} s, {received} notes"
    control = f"the control socket ({len(flooded)}), p99, beyond the {machine:.0f} ms of an idle node beside it"
    return [
        Figure(20, f"{what}: memory, of which it has {BOUND} MiB", peak / MIB, BOUND - 1, "MiB"),
        Figure(20, f"{what}: {control}", own - machine, CONTROL, "ms", speed=True),
    ]
