"""The UDP socket of a listener and of the connections that it accepted."""

from __future__ import annotations

import socket
from collections import deque
from typing import Final

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicHeader, QuicPacketType
from trio.lowlevel import ParkingLot, checkpoint

from transports.addresses import QUICAddress
from transports.errors import CLOSED_HERE, ListenerClosed
from transports.quic.connection import CID_LENGTH, VERSION, Connection, towards
from transports.quic.endpoint import LARGEST, Endpoint, Lines
from transports.quic.line import HANDSHAKE, Line
from transports.quic.places import ROOM, Ancillary, asks_for_places, place_of
from transports.quic.stateless import SMALLEST_FIRST, Retry, header_of, refusal, version_negotiation
from transports.quic.timers import Timers
from transports.tcp.sockets import SocketAddress

SHAKING: Final = 32
"""Handshakes at a time from which on a dialer has to show first that it is where it says."""
BACKLOG: Final = 256
"""Connections that shake hands, or wait to be accepted, at most."""
_LONG: Final = 0x80


class Listening(Endpoint):
    """The bound socket of a listener. It outlives the listener as long as there are connections that it accepted."""

    def __init__(
        self,
        sock: socket.socket,
        address: QUICAddress,
        configuration: QuicConfiguration,
        timers: Timers,
        lines: Lines,
    ) -> None:
        super().__init__(sock, timers, lines)
        self.address = address
        self.listening = True
        self._configuration = configuration
        self._routes: dict[bytes, Line] = {}
        self._names: dict[Line, set[bytes]] = {}
        self._shaking: set[Line] = set()
        self._waiting: deque[tuple[Line, SocketAddress]] = deque()
        self._acceptors = ParkingLot()
        self._retry = Retry()
        self._anywhere = asks_for_places(sock)
        self._place: Ancillary | None = None
        """Which number of this machine the datagram was sent to that is looked at, if there are many."""
        self._places: dict[Line, Ancillary] = {}

    @property
    def closed(self) -> bool:
        """Whether its place is free for others."""
        return self._socket.fileno() < 0

    # -- accepting --------------------------------------------------------------------------------------

    async def accept(self) -> tuple[Line, SocketAddress]:
        """The next one, and who dialed. Raises ListenerClosed; cancelled, none is lost."""
        await checkpoint()
        while self.listening and not self._waiting:
            await self._acceptors.park()
        if not self.listening:
            raise ListenerClosed(f"{self.address} is closed")
        return self._waiting.popleft()

    def stop_listening(self) -> None:
        """The place is free when the last connection has ended."""
        self.listening = False
        self._acceptors.unpark_all()
        for line in (*self._shaking, *(line for line, _ in self._waiting)):
            line.abort()
        self._waiting.clear()
        self._close_if_unused()

    def opened(self, line: Line) -> None:
        """See Host."""
        self._shaking.discard(line)
        self._hand_over(line)

    def _hand_over(self, line: Line) -> None:
        self._waiting.append((line, line.peer))
        self._acceptors.unpark()

    # -- datagrams --------------------------------------------------------------------------------------

    def transmit(self, line: Line, data: bytes, to: SocketAddress) -> None:
        """See Host."""
        self._send(data, to, self._places.get(line))

    def _send(self, data: bytes, to: SocketAddress, place: Ancillary | None) -> None:
        try:
            if place is None:
                self._socket.sendto(data, to)
            else:
                self._socket.sendmsg([data], [place], 0, to)
        except OSError:
            self.dropped += 1

    def _receive(self) -> tuple[bytes, SocketAddress]:
        if not self._anywhere:
            return super()._receive()
        data, ancillary, _, source = self._socket.recvmsg(LARGEST, ROOM)
        self._place = place_of(ancillary)
        return data, source

    def _line_for(self, data: bytes, source: SocketAddress, now: float) -> Line | None:
        line = self._known_or_new(data, source, now)
        if line is not None and self._place is not None:
            self._places[line] = self._place
        return line

    def _known_or_new(self, data: bytes, source: SocketAddress, now: float) -> Line | None:
        if not data or not data[0] & _LONG:
            return self._routes.get(data[1 : 1 + CID_LENGTH])
        header = header_of(data)
        if header is None:
            return None
        return self._routes.get(header.destination_cid) or self._stranger(header, len(data), source, now)

    def _stranger(self, header: QuicHeader, size: int, source: SocketAddress, now: float) -> Line | None:
        """Somebody's first datagram: a new line, or an answer that needs no memory, or nothing."""
        if size < SMALLEST_FIRST or header.packet_type == QuicPacketType.VERSION_NEGOTIATION:
            return None
        answer: bytes | None = None
        if header.version != VERSION:
            answer = version_negotiation(header)
        elif header.packet_type != QuicPacketType.INITIAL:
            return None
        elif not self.listening or len(self._shaking) + len(self._waiting) >= BACKLOG:
            answer = refusal(header)
        elif header.token:
            original = self._retry.original(header, source, now)
            return self._new_line(header, source, now, original, retry=header.destination_cid) if original else None
        elif len(self._shaking) >= SHAKING:
            answer = self._retry.ask(header, source, now)
        if answer is None:
            return self._new_line(header, source, now, header.destination_cid, retry=None)
        self._send(answer, source, self._place)
        return None

    def _new_line(
        self, header: QuicHeader, source: SocketAddress, now: float, original: bytes, *, retry: bytes | None
    ) -> Line:
        configuration = towards(source[0], self._configuration)
        connection = Connection(configuration, original=original, retry=retry)
        line = Line(connection, self, self._timers, dialed=False)
        line.until = now + HANDSHAKE
        self._shaking.add(line)
        self._lines.add(line)
        self._names[line] = set()
        for cid in (header.destination_cid, connection.host_cid):
            self.known_as(line, cid, known=True)
        return line

    def known_as(self, line: Line, cid: bytes, *, known: bool) -> None:
        """See Host."""
        if known:
            self._routes[cid] = line
            self._names[line].add(cid)
        else:
            self._routes.pop(cid, None)
            self._names[line].discard(cid)

    # -- the end ----------------------------------------------------------------------------------------

    def lost(self, line: Line) -> None:
        """See Host."""
        super().lost(line)
        if line in self._shaking:
            self._shaking.discard(line)
            if (
                line.strange and self.listening
            ):  # to be accepted all the same: whoever reads from it learns why it failed
                self._hand_over(line)

    def over(self, line: Line) -> None:
        """See Host."""
        for cid in self._names.pop(line, ()):
            del self._routes[cid]
        self._places.pop(line, None)
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if not self.listening and not self._names:
            super().close()

    def close(self) -> None:
        """See Endpoint."""
        self.listening = False
        self._acceptors.unpark_all()
        super().close()
        for line in list(self._names):
            line.end(CLOSED_HERE)
