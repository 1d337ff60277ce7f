"""Transports that can be troubled from outside, over any others: for local clusters, never for a node in service.

A node that cannot be reached here is one that is not dialed, and to which no connection that was dialed here lives on.
Each connection has one end that dialed: whoever parts two nodes tells both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from transports.addresses import TransportAddress
from transports.base import Listener, Stream, Transport
from transports.errors import ConnectFailed
from transports.faulty.stream import NONE, FaultyStream, Slowness

PARTED = "kept apart on purpose, until: actors fault heal"


class Faults:
    """What troubles all connections of one node."""

    def __init__(self) -> None:
        self.away: frozenset[str] = frozenset()
        """URLs that cannot be reached."""
        self.slowness = NONE
        self._streams: dict[FaultyStream, str] = {}
        """Those that are open, with the URL that was dialed; none for those that were accepted."""

    def over(self, transport: Transport) -> FaultyTransport:
        """This transport, troubled as it is said here."""
        return FaultyTransport(transport, self)

    def set(self, away: Collection[str] = (), slowness: Slowness = NONE) -> None:
        """In place of what there was. Connections to whom is away now are cut, without a word."""
        self.away = frozenset(away)
        self.slowness = NONE if slowness == NONE else slowness
        for stream, dialed in list(self._streams.items()):
            if dialed in self.away:
                stream.abort()
            else:
                stream.slow(self.slowness)

    def made(self, below: Stream, dialed: str = "") -> FaultyStream:
        """A new connection, troubled from now on."""
        stream = FaultyStream(below, self.slowness, lambda closed: self._streams.pop(closed, None))
        self._streams[stream] = dialed
        return stream


class FaultyTransport:
    """A Transport over another one."""

    def __init__(self, below: Transport, faults: Faults) -> None:
        self._below = below
        self._faults = faults

    @property
    def scheme(self) -> str:
        """See Transport."""
        return self._below.scheme

    @property
    def secure(self) -> bool:
        """See Transport."""
        return self._below.secure

    @property
    def serve(self) -> Callable[[], Awaitable[None]] | None:
        """See Transport."""
        return self._below.serve

    async def dial(self, address: TransportAddress) -> FaultyStream:
        """See Transport. ConnectFailed, too, for whom is kept away."""
        self._check_reach(address)
        stream = self._faults.made(await self._below.dial(address), str(address))
        try:
            self._check_reach(address)  # it may have been parted meanwhile
        except ConnectFailed:
            stream.abort()
            raise
        return stream

    async def listen(self, address: TransportAddress) -> FaultyListener:
        """See Transport."""
        return FaultyListener(await self._below.listen(address), self._faults)

    def _check_reach(self, address: TransportAddress) -> None:
        if str(address) in self._faults.away:
            raise ConnectFailed(str(address), PARTED)


class FaultyListener:
    """A Listener over another one, which it owns."""

    def __init__(self, below: Listener, faults: Faults) -> None:
        self._below = below
        self._faults = faults

    @property
    def address(self) -> TransportAddress:
        """See Listener."""
        return self._below.address

    async def accept(self) -> FaultyStream:
        """See Listener."""
        return self._faults.made(await self._below.accept())

    async def aclose(self) -> None:
        """See Listener."""
        await self._below.aclose()
