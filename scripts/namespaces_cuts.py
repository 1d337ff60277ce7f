"""Rows 1 and 9 between hosts: connections that are broken, processes that are killed, hosts that are kept apart.

The limits are tenths of what they are by default, so that links die and come back ten times as fast.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import combinations, permutations
from random import Random
from typing import Final

import trio
from figures import Figure
from namespaces_app import Got, GotFrom, Halt
from namespaces_world import flow, kept, link, linked, look_until, nodes_on, settled, sink, source, tallies

from actors.testing.hosts import apart, deaf, open_hosts
from actors.testing.hosts.nodes import HostedNode

LIMITS: Final = {"heartbeat_seconds": 0.5, "dead_seconds": 1.5, "backoff_cap_seconds": 3.0}
HEALED: Final = 2 * 1.2 * LIMITS["backoff_cap_seconds"]
"""Seconds until links are up again: an attempt from before the heal that waits in vain, then a longest delay."""
PARTED: Final = 3.0
"""Seconds that a partition lasts: longer than death takes."""
FLAPS: Final = 15
FLAP: Final = 0.2
"""Seconds that a flapping network is gone, and as long it is there."""
QUICK: Final = 0.0005
SLOW: Final = 0.02
"""Seconds between two notes."""


# -- row 1 ------------------------------------------------------------------------------------------------


async def broken(breaks: int) -> list[Figure]:
    """Connections end at random moments, by either end's kernel (`ss -K`)."""
    dice = Random(1)
    async with open_hosts("a", "b") as (a, b), nodes_on(a, b, limits=LIMITS) as (one, other):
        await link(one, other)
        await flow(one, other, pause=QUICK, size=200)
        await flow(other, one, pause=QUICK, size=200)
        for number in range(breaks):
            await trio.sleep(dice.uniform(0, 0.2))
            await (a, b)[number % 2].break_connections()
        found = await tallies((one, other), (other, one))
        resent = (await one.proxies())[0].resent + (await other.proxies())[0].resent
        return kept(1, f"{breaks} breaks of the connection (ss -K), {resent} sent again", found)


async def killed(kills: int) -> list[Figure]:
    """The receiver's process ends at random moments (SIGKILL). Each of its lives knows what came to it."""
    dice = Random(2)
    async with open_hosts("a", "b") as hosts, nodes_on(*hosts, limits=LIMITS) as (one, other):
        await link(one, other)
        await flow(one, other, pause=QUICK, size=200)
        misplaced = 0
        for _ in range(kills):
            await _until_some_came(one, other)
            await trio.sleep(dice.uniform(0, 0.5))
            before = await other.ask(sink(other), GotFrom(one.id))
            await other.kill()
            await other.restart()
            after = await _until_some_came(one, other)
            misplaced += _misplaced(before) + (after.first <= before.last)
        told = await one.ask(source(one), Halt(other.id))
        await settled(one, other)
        got = await other.ask(sink(other), GotFrom(one.id))
        (proxy,) = await one.proxies()
    ledger = proxy.ledger
    what = f"{kills} kills of the receiver (SIGKILL), {told} notes, {ledger.lost} lost"
    misplaced += _misplaced(got) + (got.last != told - 1)
    return [
        Figure(1, f"{what}: doubled, out of order or missing in a life", misplaced, 0),
        Figure(1, f"{what}: neither delivered nor lost", abs(told - ledger.delivered - ledger.lost), 0),
    ]


async def _until_some_came(one: HostedNode, other: HostedNode) -> Got:
    """What came to this life of the other."""

    async def got() -> Got:
        return await other.ask(sink(other), GotFrom(one.id))

    async def some() -> bool:
        return (await got()).count > 0

    await look_until(some)
    return await got()


def _misplaced(got: Got) -> int:
    """A life after the first begins with whatever was not written to the one before."""
    return got.repeats + got.skips - (got.first > 0)


# -- row 9 ------------------------------------------------------------------------------------------------


async def parted(seconds: float, flaps: int) -> list[Figure]:
    """Two hosts and two others: apart, deaf one way, and apart again and again. All links carry notes both ways."""
    async with open_hosts("a", "b", "c", "d") as hosts, nodes_on(*hosts, limits=LIMITS) as nodes:
        for one, other in combinations(nodes, 2):
            await link(one, other)
        pairs = list(permutations(nodes, 2))
        for one, other in pairs:
            await flow(one, other, pause=SLOW)
        across = [(here, there) for here in hosts[:2] for there in hosts[2:]]
        figures = []
        for words, harm in (("apart", apart), ("deaf one way", deaf)):
            async with AsyncExitStack() as stack:
                for here, there in across:
                    await stack.enter_async_context(harm(here, there))
                await trio.sleep(seconds)
            took = await _healed(pairs)
            figures.append(Figure(9, f"{words} for {seconds:g} s: all links up after the heal", took, HEALED, "s"))
        for _ in range(flaps):
            async with AsyncExitStack() as stack:
                for here, there in across:
                    await stack.enter_async_context(apart(here, there))
                await trio.sleep(FLAP)
            await trio.sleep(FLAP)
        took = await _healed(pairs)
        figures.append(Figure(9, f"{flaps} flaps: all links up after the last", took, HEALED, "s"))
        return figures + kept(9, "all three", await tallies(*pairs))


async def _healed(pairs: Sequence[tuple[HostedNode, HostedNode]]) -> float:
    """Seconds until all these links are up."""
    began = time.monotonic()
    for one, other in pairs:
        await look_until(partial(linked, one, other))
    return time.monotonic() - began
