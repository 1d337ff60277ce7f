"""Rows 10 and 22 between hosts: a line that loses, delays and swaps packets; addresses that swallow whatever comes."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

import trio
from figures import Figure
from namespaces_children import open_child
from namespaces_world import flow, kept, link, nodes_on, tallies, told_all, watching

from actors.testing.hosts import Weather, open_hosts, open_line
from actors.testing.hosts.host import Protocol
from transports.addresses import HostAddress, parse_address

BAD: Final = Weather(delay=0.05, jitter=0.01, loss=0.05, seed=10)
SCHEMES: Final = ("tls", "wss", "quic", "tls", "wss", "quic")
"""Six addresses."""
DIALS: Final = 3
"""A second, at most (PROTOCOL A4)."""
USABLE: Final = 1.0
"""Seconds until the first answer, where one address works."""


# -- row 10 -----------------------------------------------------------------------------------------------


async def bad_line(scheme: str, notes: int) -> list[Figure]:
    """So many notes each way, as fast as they go."""
    async with open_line("a", "b", BAD) as hosts, nodes_on(*hosts, schemes=[scheme]) as (one, other):
        await link(one, other)
        async with watching(one, other) as watch:
            began = trio.current_time()
            for here, there in ((one, other), (other, one)):
                await flow(here, there, count=notes, pause=0)
            for here, there in ((one, other), (other, one)):
                await told_all(here, there.id, notes)
            found = await tallies((one, other), (other, one))
            took = trio.current_time() - began
            ended = [*watch.of(one, "disconnected", other), *watch.of(other, "disconnected", one)]
    where = f"{scheme} with {BAD.loss:.0%} loss, {1000 * BAD.delay:g} ms and swapped packets, {took:.1f} s"
    return [*kept(10, where, found), Figure(10, f"{scheme}: links that ended of it", len(ended), 0)]


# -- row 22 -----------------------------------------------------------------------------------------------


async def black_holes() -> list[Figure]:
    """Of six addresses the best swallows all that comes, or all but one do; how long until a new node is answered."""
    async with AsyncExitStack() as stack:
        here, there = await stack.enter_async_context(open_hosts("a", "b"))
        (node,) = await stack.enter_async_context(nodes_on(there, schemes=SCHEMES))
        dialer = await stack.enter_async_context(open_child("dialer", here, await node.control.advert()))
        order = [port_of(url) for url in await dialer.asked("order", list[str])]
        assert len(order) == len(SCHEMES)
        async with there.shut(order[0]):
            without_best = await dialer.asked("seconds", float)
        alone = []
        for port in order:
            async with there.shut(*(each for each in order if each != port)):
                alone.append(await dialer.asked("seconds", float))
    soon, late = max(alone[:DIALS]), max(alone[DIALS:])
    return [
        Figure(22, "the best of six addresses is a black hole: usable after", without_best, USABLE, "s"),
        Figure(22, "five of six are, but not one of the best three: usable after", soon, USABLE, "s"),
        Figure(22, "the best five are; 3 dials a second are allowed (A4): usable after", late, USABLE + 1, "s"),
    ]


def port_of(url: str) -> tuple[Protocol, int]:
    """What has to be shut so that nothing comes to this address."""
    address = parse_address(url)
    assert isinstance(address, HostAddress)
    return "udp" if address.scheme == "quic" else "tcp", address.port
