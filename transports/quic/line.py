"""One QUIC connection at work: datagrams and deadlines in, datagrams out, and the bytes of its one stream both ways.

Never waits and owns no socket: a Host sends for it and calls it, and whoever reads and writes is woken by `on_change`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final, ParamSpec, Protocol, TypeAlias, cast

import trio
from aioquic.quic.events import (
    ConnectionIdIssued,
    ConnectionIdRetired,
    ConnectionTerminated,
    DatagramFrameReceived,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

from transports.errors import CLOSED_HERE, RESET_BY_PEER
from transports.quic.beside import Beside
from transports.quic.connection import STREAM, Connection, delivered, sent_for_the_first_time, terminated
from transports.quic.ends import ABORTED, DONE, STRANGE, at_fault, in_words
from transports.quic.timers import Timer, Timers
from transports.tcp.sockets import SocketAddress
from transports.tls.stream import ALPN

UNSENT: Final = 256 << 10
"""Bytes that wait unsent before a stream counts as full; what is under way, the peer's window bounds."""
HANDSHAKE: Final = 10.0
"""Seconds after which an accepted connection that is no further is given up."""
OPENING: Final = b"\0"
"""The first byte of the dialer's stream: it makes the stream known. Other values are for other kinds of streams."""

Why: TypeAlias = str
Given = ParamSpec("Given")
_FAREWELLS: Final = 8


class Host(Protocol):
    """What a line needs of the socket that it shares."""

    def transmit(self, line: Line, data: bytes, to: SocketAddress) -> None:
        """Send it, or lose it."""

    def known_as(self, line: Line, cid: bytes, *, known: bool) -> None:
        """Datagrams for this connection id are the line's from now on, or no more."""

    def opened(self, line: Line) -> None:
        """The handshake is over and its stream is there."""

    def lost(self, line: Line) -> None:
        """It carries nothing more; a farewell may still be on its way."""

    def over(self, line: Line) -> None:
        """It sends and receives nothing more."""


class Line:
    """A connection with the bytes that came and were not read."""

    def __init__(self, connection: Connection, host: Host, timers: Timers, *, dialed: bool) -> None:
        self.connection = connection
        self.dialed = dialed
        self.lost: Why | None = None
        """Why it carries nothing more; set once."""
        self.strange = False
        """It was lost because the peer does not speak as it should."""
        self.open = False
        self.ended = False
        """The peer has said that nothing more comes."""
        self.closing = False
        """This side has."""
        self.over = False
        self.until = inf
        """When the handshake, or the closing, has taken too long."""
        self.on_change: Callable[[], object] = _nothing
        self.inbox = bytearray()
        self.beside = Beside()
        """Datagrams."""
        self._host = host
        self._timer = Timer(timers, self._ring)
        self._written = 0
        self._greeted = dialed
        self._gone = trio.Event()
        self._farewell: list[tuple[bytes, SocketAddress]] = []
        self._farewells = _FAREWELLS

    # -- what the host calls ----------------------------------------------------------------------------

    def dial(self, peer: SocketAddress) -> None:
        """The first flight."""
        now = trio.current_time()
        self.connection.connect(peer, now)
        self.connection.send_stream_data(STREAM, OPENING)
        self._written = len(OPENING)
        self.pump(now)

    def take(self, data: bytes, source: SocketAddress, now: float) -> None:
        """A datagram for it; `pump` comes when there are no more."""
        if self.lost is None:
            self._spared(self.connection.receive_datagram, data, source, now)
            if self.lost is None and terminated(self.connection) is not None:
                self.pump(now)  # what comes after it is not worth a look
        elif self._farewells:
            self._farewells -= 1
            for farewell in self._farewell:  # it was lost, or crossed this datagram
                self._host.transmit(self, *farewell)

    def pump(self, now: float) -> None:
        """All that follows from what happened: events, datagrams, the next deadline."""
        if not self.over:
            self._spared(self._pump, now)
        self.on_change()

    def _pump(self, now: float) -> None:
        while (event := self.connection.next_event()) is not None:
            self._on(event)
        end = terminated(self.connection)
        if end is not None and self.lost is None:
            self.strange = at_fault(end)
            self._lose(in_words(end))
        if self.closing and self.lost is None and delivered(self.connection):
            self.lose(CLOSED_HERE, DONE)
        if not self.over:
            self._send(now)

    def _spared(self, deed: Callable[Given, None], *args: Given.args, **kwargs: Given.kwargs) -> None:
        try:
            deed(*args, **kwargs)
        except Exception as error:  # aioquic's own mistakes with a hostile peer's bytes cost that connection, no more
            self.strange = True
            self.end(f"QUIC: {type(error).__name__}")

    def _send(self, now: float) -> None:
        datagrams = self.beside.leaving(self.connection, now)
        for data, to in datagrams:
            self._host.transmit(self, data, to)
        if self.lost is not None and datagrams:
            self._farewell = datagrams
        timer = self.connection.get_timer()
        self._timer.set(min(self.until, inf if timer is None else timer), now)

    def _ring(self) -> None:
        now = trio.current_time()
        if self.over:
            return
        if now >= self.until and self.lost is None:
            self.lose(CLOSED_HERE if self.closing else "no handshake in time", ABORTED)
        self._spared(self._time, now)
        self.pump(now)

    def _time(self, now: float) -> None:
        timer = self.connection.get_timer()
        if timer is not None and now >= timer:
            self.connection.handle_timer(now)

    # -- events -----------------------------------------------------------------------------------------

    def _on(self, event: QuicEvent) -> None:
        match event:
            case StreamDataReceived(stream_id=stream, data=data, end_stream=end):
                self._arrived(stream, data, end=end)
            case DatagramFrameReceived(data=data):
                self.beside.came(data)
            case HandshakeCompleted(alpn_protocol=alpn):
                self._shaken(alpn)
            case StreamReset() | StopSendingReceived():
                self.lose(RESET_BY_PEER, ABORTED)
            case ConnectionIdIssued(connection_id=cid):
                self._host.known_as(self, cid, known=True)
            case ConnectionIdRetired(connection_id=cid):
                self._host.known_as(self, cid, known=False)
            case ConnectionTerminated():
                self.end(in_words(event))

    def _arrived(self, stream: int, data: bytes, *, end: bool) -> None:
        if stream != STREAM:
            return self.lose("QUIC: the peer opened a second stream", STRANGE)
        if not self._greeted and data:
            if data[:1] != OPENING:
                return self.lose("QUIC: the peer opened a stream of an unknown kind", STRANGE)
            self._greeted = True
            data = data[1:]
            self.connection.read += 1
            self._opened()
        self.inbox += data
        self.ended = self.ended or end
        if self.closing or self.lost is not None:
            self._forget()

    def _shaken(self, alpn: str | None) -> None:
        if alpn != ALPN:
            self.lose(f"QUIC: the peer does not speak {ALPN}", STRANGE)
        elif self.dialed:
            self._opened()

    def _opened(self) -> None:
        self.open = True
        self.until = inf
        self._host.opened(self)

    @property
    def peer(self) -> SocketAddress:
        """Where the peer is now; a dialer may move."""
        return cast(SocketAddress, self.connection.get_peer_address())

    # -- the stream -------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Bytes that `write` would take."""
        return UNSENT - self._written + sent_for_the_first_time(self.connection)

    def write(self, data: bytes | memoryview) -> int:
        """Take what there is room for, and send what may be sent."""
        taken = bytes(data[: max(self.room, 0)])
        if taken:
            self._written += len(taken)
            self.connection.send_stream_data(STREAM, taken)
            self.pump(trio.current_time())
        return len(taken)

    def read(self, buffer: memoryview) -> int:
        """Move what came to the front of the buffer, and let the peer send as much again."""
        count = min(len(buffer), len(self.inbox))
        with memoryview(self.inbox) as inbox:
            buffer[:count] = inbox[:count]
        del self.inbox[:count]
        self._was_read(count)
        return count

    def _forget(self) -> None:
        count = len(self.inbox)
        self.inbox.clear()
        self.connection.read += count

    def _was_read(self, count: int) -> None:
        self.connection.read += count
        if self.connection.window_is_due and self.lost is None and not self.ended:
            self.pump(trio.current_time())

    # -- beside the stream --------------------------------------------------------------------------------

    def throw(self, data: bytes) -> bool:
        """Take a datagram if there is room; those of one moment leave together."""
        taken = self.lost is None and self.beside.put(data)
        if taken:
            self._timer.set((now := trio.current_time()), now)
        return taken

    # -- the end ----------------------------------------------------------------------------------------

    async def wait_lost(self) -> None:
        """Until it carries nothing more. A checkpoint."""
        await self._gone.wait()

    def finish(self, linger: float) -> None:
        """Nothing more is written or read. It ends when all that was written has arrived, or after `linger` seconds."""
        if self.lost is not None or self.closing:
            return
        self.closing = True
        self._forget()
        now = trio.current_time()
        self.until = now + linger
        self.connection.send_stream_data(STREAM, b"", end_stream=True)
        self.pump(now)

    def abort(self) -> None:
        """End it now; the peer is told, and what was not delivered is lost."""
        if self.lost is None:
            self.lose(CLOSED_HERE, ABORTED)
            self.pump(trio.current_time())

    def lose(self, why: Why, code: int) -> None:
        """It carries nothing more; tell the peer at the next pump."""
        if self.lost is None:
            self.strange = code == STRANGE
            self.connection.close(error_code=code, reason_phrase=why if self.strange else "")
            self._lose(why)

    def _lose(self, why: Why) -> None:
        self.lost = why
        self.beside.clear()
        self.until = inf
        self._gone.set()
        self._host.lost(self)
        self.on_change()
        if not self.open and not self.over:  # nobody waits for its last datagrams: send them, and be gone
            self._send(trio.current_time())
            self.end(why)

    def end(self, why: Why) -> None:
        """It sends and receives nothing more, not even a farewell."""
        if not self.over:
            self.over = True
            self._timer.stop()
            if self.lost is None:
                self._lose(why)
            self._host.over(self)


def _nothing() -> None:
    pass
