"""What a connection inside one process carries beside its bytes: datagrams, each on its way by itself. No tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Final, Protocol

import trio

from transports.errors import ConnectionLost

KEPT: Final = 256
"""Datagrams of one direction that are under way, or have come and are not read."""


class Way(Protocol):
    """The direction of a connection that datagrams take, too."""

    def journeys(self, data: bytes) -> Iterable[float]:
        """Seconds after which each copy of this datagram arrives; none if it is lost."""

    @property
    def passable(self) -> bool:
        """Whether what arrives now does arrive."""


class Scatter:
    """Datagrams one way, in the order in which they arrive."""

    def __init__(self, way: Way) -> None:
        self.on_arrival: Callable[[], object] = _nothing
        """Called when one has set out: the reader has to look again."""
        self.on_room: Callable[[], object] = _nothing
        """Called when there is room again."""
        self._way = way
        self._flying: list[tuple[float, int, bytes]] = []
        self._numbers = count()

    @property
    def room(self) -> bool:
        """Whether `write` may take one more."""
        return len(self._flying) < KEPT

    def write(self, data: bytes) -> None:
        """It sets out, once, twice, or never."""
        now = trio.current_time()
        for delay in self._way.journeys(data):
            heappush(self._flying, (now + delay, next(self._numbers), data))
        self.on_arrival()

    @property
    def next_arrival(self) -> float:
        """When the next one arrives, or has arrived; infinity if none is under way."""
        return self._flying[0][0] if self._flying else inf

    def read(self) -> bytes | None:
        """The next one that has arrived."""
        now = trio.current_time()
        while self._flying and self._flying[0][0] <= now:
            _, _, data = heappop(self._flying)
            self.on_room()
            if self._way.passable:
                return data
        return None


class End(Protocol):
    """The end of a connection that the datagrams belong to."""

    @property
    def lost(self) -> str | None: ...

    def check(self) -> None:
        """Raises ConnectionLost."""


class MemoryDatagrams:
    """The Datagrams of one end of a connection."""

    def __init__(self, end: End, incoming: Scatter, outgoing: Scatter, *, largest: int) -> None:
        self.largest = largest
        self._end = end
        self._incoming, self._outgoing = incoming, outgoing
        self._wants_room = False
        self._waiting = trio.lowlevel.ParkingLot()
        incoming.on_arrival = outgoing.on_room = self.wake

    def wake(self) -> None:
        """Something has changed."""
        self._waiting.unpark_all()

    def send_nowait(self, data: bytes) -> bool:
        """See Datagrams."""
        self._end.check()
        if len(data) > self.largest:
            raise ValueError(f"a datagram of {len(data)} bytes, at most {self.largest} fit")
        self._wants_room = not self._outgoing.room
        if not self._wants_room:
            self._outgoing.write(data)
        return not self._wants_room

    def receive_nowait(self) -> bytes:
        """See Datagrams."""
        self._end.check()
        data = self._incoming.read()
        if data is None:
            raise trio.WouldBlock
        return data

    async def wait(self) -> None:
        """See Datagrams."""
        await trio.lowlevel.checkpoint()
        while not self._ready:
            with trio.move_on_at(self._incoming.next_arrival):
                await self._waiting.park()
        self._wants_room &= not self._outgoing.room
        if self._end.lost is not None:
            raise ConnectionLost(self._end.lost)

    @property
    def _ready(self) -> bool:
        arrived = self._incoming.next_arrival <= trio.current_time()
        return arrived or self._end.lost is not None or (self._wants_room and self._outgoing.room)


def _nothing() -> None: ...
