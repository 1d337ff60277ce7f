"""What a QUIC connection carries beside its stream: datagrams (RFC 9221), bounded where they wait. No I/O, no clock."""

from __future__ import annotations

from collections import deque
from typing import Final

from transports.quic.connection import Connection, hand_over, take_back
from transports.tcp.sockets import SocketAddress

UNSENT: Final = 64 << 10
"""Bytes that wait to be sent before there is no room."""
UNREAD: Final = 256 << 10
"""Bytes that may have come and wait to be read; what comes beyond is lost."""
AT_ONCE: Final = 16 << 10
"""Bytes that the connection is handed at a time."""
_EACH: Final = 64
"""What a datagram weighs besides its bytes."""


class Beside:
    """The datagrams of one connection that wait on either side."""

    def __init__(self) -> None:
        self.out: deque[bytes] = deque()
        self.inbox: deque[bytes] = deque()
        self.missed = 0
        """Those that came and were too many."""
        self._unsent = self._unread = 0
        self._stream_first = False

    @property
    def room(self) -> int:
        """Bytes that `put` would take."""
        return UNSENT - self._unsent

    def put(self, data: bytes) -> bool:
        """Take one to be sent, if there is room."""
        if len(data) + _EACH > self.room:
            return False
        self._unsent += len(data) + _EACH
        self.out.append(data)
        return True

    def leaving(self, connection: Connection, now: float) -> list[tuple[bytes, SocketAddress]]:
        """What may leave now. The stream and the datagrams are first by turns: either could take all the room."""
        if not self.out:
            return connection.datagrams_to_send(now)
        self._stream_first = not self._stream_first
        leaving = connection.datagrams_to_send(now) if self._stream_first else []
        while self.out:
            self._hand_over(connection)
            leaving += connection.datagrams_to_send(now)
            if self._take_back(connection):
                break
        return leaving

    def _hand_over(self, connection: Connection) -> None:
        size = 0
        while self.out and size < AT_ONCE:
            data = self.out.popleft()
            size += len(data)
            self._unsent -= len(data) + _EACH
            hand_over(connection, data)

    def _take_back(self, connection: Connection) -> bool:
        """What the connection had no room for is first the next time. Whether that was any."""
        left = take_back(connection)
        self.out.extendleft(reversed(left))
        self._unsent += sum(len(data) + _EACH for data in left)
        return bool(left)

    def came(self, data: bytes) -> None:
        """Keep it for whoever reads."""
        if self._unread + len(data) + _EACH > UNREAD:
            self.missed += 1
        else:
            self._unread += len(data) + _EACH
            self.inbox.append(data)

    def read(self) -> bytes:
        """The oldest one."""
        data = self.inbox.popleft()
        self._unread -= len(data) + _EACH
        return data

    def clear(self) -> None:
        """The connection is over."""
        self.out.clear()
        self.inbox.clear()
        self._unsent = self._unread = 0
