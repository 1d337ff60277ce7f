"""Simulated hosts without nodes: the bench of the test_simulated_* files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import ParamSpec

import pytest
import trio
from conformance import read_exactly

from actors.testing.network.troubles import Trouble
from actors.testing.network.wires import SimulatedNetwork
from actors.testing.virtual.runner import run_virtual
from transports.addresses import MemoryAddress
from transports.base import send_all
from transports.errors import ConnectionLost
from transports.memory.connection import MemoryStream
from transports.memory.network import MemoryListener

P = ParamSpec("P")
RTT = 0.002
HOUR = 3600.0


def virtual(test: Callable[P, Awaitable[object]]) -> Callable[P, None]:
    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(partial(test, *args, **kwargs))

    return run


async def listening(network: SimulatedNetwork, host: str) -> MemoryListener:
    for listener in network.listeners_of(host):
        return listener
    return await network.transport(host).listen(MemoryAddress(host))


async def dial(network: SimulatedNetwork, one: str, other: str) -> MemoryStream:
    return await network.transport(one).dial(MemoryAddress(other))


async def pair(network: SimulatedNetwork, one: str = "a", other: str = "b") -> tuple[MemoryStream, MemoryStream]:
    """Both ends of a new connection, the dialer's first."""
    listener = await listening(network, other)
    dialer = await dial(network, one, other)
    while (acceptor := await listener.accept()).connection is not dialer.connection:
        pass
    return dialer, acceptor


async def passes(sender: MemoryStream, receiver: MemoryStream, data: bytes = b"word") -> float:
    """Send it, read it, and no more than it; how long that took."""
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, sender, data)
        assert await read_exactly(receiver, len(data)) == data
    return trio.current_time() - start


async def silence(stream: MemoryStream, seconds: float = HOUR) -> None:
    """Nothing comes."""
    with trio.move_on_after(seconds) as scope:
        await stream.wait_readable()
    assert scope.cancelled_caught


async def hangs(network: SimulatedNetwork, one: str, other: str) -> None:
    """A dial gets no answer, and leaves nothing behind when it gives up."""
    with trio.move_on_after(HOUR) as scope:
        await dial(network, one, other)
    assert scope.cancelled_caught
    assert network.waiting_dials == 0


async def reaches(network: SimulatedNetwork, one: str, other: str) -> None:
    """A new connection, and bytes both ways over it."""
    dialer, acceptor = await pair(network, one, other)
    await passes(dialer, acceptor)
    await passes(acceptor, dialer)
    dialer.abort()
    acceptor.abort()


async def is_cut(*ends: MemoryStream) -> None:
    for end in ends:
        with pytest.raises(ConnectionLost, match="cut"):
            await end.wait_readable()


TROUBLES: dict[str, Callable[[SimulatedNetwork], Trouble]] = {
    "partition": lambda network: network.partition("a", "b"),
    "isolate": lambda network: network.isolate("b"),
    "deafen": lambda network: network.deafen("b", to="a"),
    "deafen all": lambda network: network.deafen("b"),
    "mute": lambda network: network.mute("a", to="b"),
    "mute all": lambda network: network.mute("a"),
    "slow": lambda network: network.slow("a", "b", latency=5.0, jitter=1.0, bandwidth=10.0),
    "slow everywhere": lambda network: network.slow(latency=5.0),
    "corrupt": lambda network: network.corrupt("a", "b", rate=1.0),
    "shrink": lambda network: network.shrink("a", "b", capacity=7),
    "short writes": lambda network: network.short_writes("a", "b"),
    "short reads": lambda network: network.short_reads("a", "b", longest=3),
    "slow reader": lambda network: network.slow_reader("b", 5.0),
    "refuse dials": lambda network: network.refuse_dials("b"),
    "ignore dials": lambda network: network.ignore_dials("b"),
    "hold dials": lambda network: network.hold_dials(),
}
