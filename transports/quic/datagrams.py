"""The datagrams of a QUIC connection, as Datagrams of its stream. Where they wait, `beside` knows."""

from __future__ import annotations

from typing import Protocol

import trio
from trio.lowlevel import ParkingLot, checkpoint

from transports.quic.beside import UNSENT
from transports.quic.connection import largest_datagram
from transports.quic.line import Line


class Owner(Protocol):
    """The stream that they belong to."""

    @property
    def line(self) -> Line: ...

    @property
    def over(self) -> bool:
        """Whether it is closed here, or lost."""

    def check_line(self) -> None:
        """Raises ConnectionLost if it carries nothing."""


class QuicDatagrams:
    """The Datagrams of a stream."""

    def __init__(self, stream: Owner) -> None:
        self._stream = stream
        self._wants_room = False
        self._waiting = ParkingLot()
        self.largest = largest_datagram(stream.line.connection)

    def wake(self) -> None:
        """Something has happened to the connection."""
        if self._waiting and self._ready:
            self._waiting.unpark_all()

    @property
    def _ready(self) -> bool:
        beside = self._stream.line.beside
        room = self._wants_room and beside.room >= UNSENT // 2
        return bool(beside.inbox) or room or self._stream.over

    def send_nowait(self, data: bytes) -> bool:
        """See Datagrams."""
        self._stream.check_line()
        if len(data) > self.largest:
            raise ValueError(f"a datagram of {len(data)} bytes, at most {self.largest} fit")
        self._wants_room = not self._stream.line.throw(data)
        return not self._wants_room

    def receive_nowait(self) -> bytes:
        """See Datagrams."""
        self._stream.check_line()
        beside = self._stream.line.beside
        if not beside.inbox:
            raise trio.WouldBlock
        return beside.read()

    async def wait(self) -> None:
        """See Datagrams."""
        await checkpoint()
        while not self._ready:
            await self._waiting.park()
        self._wants_room &= self._stream.line.beside.room < UNSENT // 2
        self._stream.check_line()
