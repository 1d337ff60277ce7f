"""The one stream of a QUIC connection, as a Stream. What the connection does, its Line knows."""

from __future__ import annotations

from typing import Final

import trio
from trio.lowlevel import ParkingLot, checkpoint

from transports.channels import Channel
from transports.errors import CLOSED_BY_PEER, CLOSED_HERE, ConnectionLost, NotSpoken
from transports.quic.datagrams import QuicDatagrams
from transports.quic.line import UNSENT, Line

LINGER: Final = 1.0
"""Seconds that `aclose` gives the peer to acknowledge what is on its way."""


class QuicStream:
    """A Stream over a line, which it owns."""

    __slots__ = ("_closed", "_readers", "_writers", "channel", "datagrams", "line", "local", "remote", "source")

    def __init__(self, line: Line, *, channel: Channel, local: str, remote: str, source: str) -> None:
        self.line = line
        self._closed = False
        self._readers, self._writers = ParkingLot(), ParkingLot()
        self.channel = channel
        self.local = local
        self.remote = remote
        self.source = source
        datagrams = QuicDatagrams(self)
        self.datagrams = datagrams if datagrams.largest else None
        line.on_change = self._wake

    def _wake(self) -> None:
        if self._readers and self._readable:
            self._readers.unpark_all()
        if self._writers and self._writable:
            self._writers.unpark_all()
        if self.datagrams is not None:
            self.datagrams.wake()

    @property
    def _readable(self) -> bool:
        line = self.line
        return bool(line.inbox) or line.ended or line.lost is not None or self._closed

    @property
    def _writable(self) -> bool:
        """Half the room is free: a writer is not woken for each datagram that leaves."""
        line = self.line
        return line.room >= UNSENT // 2 or line.ended or line.lost is not None or self._closed

    # -- bytes ------------------------------------------------------------------------------------------

    def send_nowait(self, data: bytes | memoryview) -> int:
        """See Stream."""
        self.check()
        line = self.line
        if line.lost is None and line.ended:
            raise ConnectionLost(CLOSED_BY_PEER)
        if line.lost is not None:
            raise self._lost(line.lost)
        return line.write(data)

    def receive_nowait(self, buffer: memoryview) -> int:
        """See Stream. What came before the connection was lost can still be read."""
        self.check()
        line = self.line
        if line.inbox:
            return line.read(buffer)
        if line.ended:
            return 0
        if line.lost is not None:
            raise self._lost(line.lost)
        raise trio.WouldBlock

    async def wait_writable(self) -> None:
        """See Stream."""
        self.check()
        if self._writable:
            await checkpoint()
        while not self._writable:
            await self._writers.park()
        self.check()

    async def wait_readable(self) -> None:
        """See Stream."""
        self.check()
        if self._readable:
            await checkpoint()
        while not self._readable:
            await self._readers.park()
        self.check()

    @property
    def over(self) -> bool:
        """Whether it is closed here, or lost."""
        return self._closed or self.line.lost is not None

    def check(self) -> None:
        """Raises ConnectionLost if it is closed here."""
        if self._closed:
            raise ConnectionLost(CLOSED_HERE)

    def check_line(self) -> None:
        """Raises ConnectionLost if it carries nothing."""
        self.check()
        if self.line.lost is not None:
            raise self._lost(self.line.lost)

    def _lost(self, why: str) -> ConnectionLost:
        return NotSpoken(why) if self.line.strange else ConnectionLost(why)

    # -- the end ----------------------------------------------------------------------------------------

    def abort(self) -> None:
        """See Stream."""
        self._closed = True
        self.line.abort()
        self._wake()

    async def aclose(self) -> None:
        """See Stream. Cancelled, the connection goes on alone until what was sent has arrived, or LINGER is over."""
        closed, self._closed = self._closed, True
        if closed:
            await checkpoint()
            return
        self.line.finish(LINGER)
        self._wake()
        await self.line.wait_lost()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.local} -> {self.remote}{' closed' if self._closed else ''}>"
