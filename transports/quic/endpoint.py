"""A UDP socket under QUIC lines: reads it in batches. Whose a datagram is, its kinds know."""

from __future__ import annotations

import socket
from abc import abstractmethod
from contextlib import suppress
from typing import Final

import trio
from trio.lowlevel import ParkingLot, notify_closing, wait_readable

from transports.quic.line import Line
from transports.quic.timers import Timers
from transports.tcp.sockets import SocketAddress

BATCH: Final = 64
"""Datagrams that are taken in at a time, before anything is answered."""
LARGEST: Final = 65535


class Lines:
    """The lines of a transport that carry something."""

    def __init__(self) -> None:
        self._lines: set[Line] = set()
        self._none = ParkingLot()

    def add(self, line: Line) -> None:
        """A new one."""
        self._lines.add(line)

    def discard(self, line: Line) -> None:
        """It carries nothing more."""
        self._lines.discard(line)
        if not self._lines:
            self._none.unpark_all()

    async def wait_none(self) -> None:
        """Until all are lost."""
        while self._lines:
            await self._none.park()


class Endpoint:
    """A socket, read by `run`. A Host."""

    def __init__(self, sock: socket.socket, timers: Timers, lines: Lines) -> None:
        self._socket = sock
        self._timers = timers
        self._lines = lines
        self.ignored = 0
        """Datagrams that are no connection's."""
        self.dropped = 0
        """Datagrams that the system did not take; they are sent again as if they were lost on the way."""

    async def run(self) -> None:
        """Read until the socket is closed."""
        try:
            with suppress(trio.ClosedResourceError):
                while self._socket.fileno() >= 0:
                    await wait_readable(self._socket)
                    self._drain(trio.current_time())
        finally:
            self.close()

    def _drain(self, now: float) -> None:
        touched: dict[Line, None] = {}
        for _ in range(BATCH):
            try:
                data, source = self._receive()
            except BlockingIOError:
                break
            except OSError as error:
                if self._socket.fileno() < 0:
                    break
                self._trouble(error)
                continue
            line = self._line_for(data, source, now)
            if line is None:
                self.ignored += 1
            else:
                line.take(data, source, now)
                touched[line] = None
        for line in touched:
            if not line.over:
                line.pump(now)

    def _receive(self) -> tuple[bytes, SocketAddress]:
        return self._socket.recvfrom(LARGEST)

    @abstractmethod
    def _line_for(self, data: bytes, source: SocketAddress, now: float) -> Line | None: ...

    def _trouble(self, error: OSError) -> None:
        """The socket says that something cannot be reached. By default that is for timeouts to find out."""

    def lost(self, line: Line) -> None:
        """See Host."""
        self._lines.discard(line)

    def close(self) -> None:
        """And all that runs over it."""
        if self._socket.fileno() >= 0:
            notify_closing(self._socket)
            self._socket.close()
