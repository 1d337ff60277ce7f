"""The connected UDP socket of one connection that was dialed."""

from __future__ import annotations

import errno
import socket
from typing import Final

import trio
from aioquic.quic.configuration import QuicConfiguration

from transports.errors import CLOSED_HERE, in_words
from transports.quic.connection import Connection, towards
from transports.quic.endpoint import Endpoint, Lines
from transports.quic.line import Line
from transports.quic.timers import Timers
from transports.tcp.sockets import SocketAddress

REFUSALS: Final = 3
"""So many datagrams in a row that the peer's system had nobody for, and the peer is gone."""


class Dialed(Endpoint):
    """An Endpoint with one line. Being connected, its socket hears of a peer that is not there."""

    def __init__(self, sock: socket.socket, peer: SocketAddress, timers: Timers, lines: Lines) -> None:
        super().__init__(sock, timers, lines)
        self._peer = peer
        self._refusals = 0
        self._known = trio.Event()

    async def connect(self, configuration: QuicConfiguration) -> Line:
        """Until the handshake is over. Raises OSError, with words; whatever it raises, the socket is closed."""
        self.line = line = Line(Connection(towards(self._peer[0], configuration)), self, self._timers, dialed=True)
        self._lines.add(line)
        try:
            line.dial(self._peer)
            await self._known.wait()
        except BaseException:
            line.abort()
            raise
        if line.lost is not None:
            raise ConnectionError(line.lost)
        return line

    def transmit(self, line: Line, data: bytes, to: SocketAddress) -> None:
        """See Host."""
        try:
            self._socket.send(data)
        except BlockingIOError:
            self.dropped += 1
        except OSError as error:
            self._trouble(error)

    def _line_for(self, data: bytes, source: SocketAddress, now: float) -> Line:
        self._refusals = 0
        return self.line

    def _trouble(self, error: OSError) -> None:
        """Before the handshake it is the answer. Later a single word of the network, which anybody may say, is not."""
        refused = error.errno == errno.ECONNREFUSED
        self._refusals += refused
        if not self.line.open or self._refusals >= REFUSALS:
            self.line.end(in_words(error))

    def known_as(self, line: Line, cid: bytes, *, known: bool) -> None:
        """See Host. All that comes here is the line's."""

    def opened(self, line: Line) -> None:
        """See Host."""
        self._known.set()

    def lost(self, line: Line) -> None:
        """See Host."""
        super().lost(line)
        self._known.set()

    def over(self, line: Line) -> None:
        """See Host."""
        self.close()

    def close(self) -> None:
        """See Endpoint."""
        super().close()
        self.line.end(CLOSED_HERE)
