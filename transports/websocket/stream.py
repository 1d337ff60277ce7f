"""A WebSocket connection as a Stream: the bytes that wait in it, both ways. Not what moves them: a pump does."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Final

import trio

from transports.base import Stream
from transports.channels import Channel
from transports.errors import CLOSED_BY_PEER, CLOSED_HERE, ConnectionLost, NotSpoken
from transports.tcp.stream import LINGER

CAPACITY: Final = 64 << 10
"""Bytes that wait to be sent at most; all that waits goes into one message."""
UNREAD: Final = 128 << 10
"""Bytes that have come and were not read, after which no more messages are taken in."""


class WebSocketStream:
    """A Stream over another, which it owns. What its owner hands over and reads is moved by one pump, elsewhere.

    The owner's side waits for nobody in `send_nowait` and `receive_nowait`; the pump's side is below it.
    """

    datagrams = None

    def __init__(self, below: Stream, *, local: str, remote: str) -> None:
        self.below = below
        self.local = local
        self.remote = remote
        self._out: list[bytes] = []
        self._unsent = 0
        self._in: deque[memoryview] = deque()
        self._unread = 0
        self._readers = trio.lowlevel.ParkingLot()
        self._writers = trio.lowlevel.ParkingLot()
        self._pump = trio.lowlevel.ParkingLot()
        self._scope = trio.CancelScope(shield=True)
        """The pump's. Whoever cancels what it runs in does not cut off an owner who is about to close."""
        self._pumped = False
        self._closed = False
        self._unsendable: str | None = None
        """Why nothing more can be sent."""
        self._ended: str | None = None
        """Why nothing more will come."""
        self._in_order = False
        """Whether the peer has said that it ends."""
        self._strange = False
        """Whether it ended because the peer does not speak what is spoken here."""
        self._is_open = False
        self._settled = trio.Event()
        """It is open, or never will be."""
        self._over = trio.Event()

    @property
    def channel(self) -> Channel:
        """See Stream."""
        return self.below.channel

    @property
    def source(self) -> str:
        """See Stream."""
        return self.below.source

    # -- sending ----------------------------------------------------------------------------------------

    def send_nowait(self, data: bytes | memoryview) -> int:
        """See Stream. Before the connection is open, what it takes waits."""
        if self._unsendable is not None:
            raise self._lost(self._unsendable)
        parcel = bytes(data[: CAPACITY - self._unsent])
        if parcel:
            self._out.append(parcel)
            self._unsent += len(parcel)
            self._pump.unpark_all()
        return len(parcel)

    async def wait_writable(self) -> None:
        """See Stream."""
        self._check_open()
        if self._unsent < CAPACITY or self._unsendable is not None:
            await trio.lowlevel.checkpoint()
        while self._unsent >= CAPACITY and self._unsendable is None:
            await self._writers.park()
        self._check_open()

    # -- receiving --------------------------------------------------------------------------------------

    def receive_nowait(self, buffer: memoryview) -> int:
        """See Stream. What came before the end can be read after it."""
        self._check_open()
        if not self._in:
            if self._ended is None:
                raise trio.WouldBlock
            if self._in_order:
                return 0
            raise self._lost(self._ended)
        count = self._read(buffer)
        if self._unread < UNREAD <= self._unread + count:
            self._pump.unpark_all()
        return count

    def _read(self, buffer: memoryview) -> int:
        count = 0
        while self._in and count < len(buffer):
            head = self._in.popleft()
            piece = head[: len(buffer) - count]
            buffer[count : count + len(piece)] = piece
            count += len(piece)
            if len(piece) < len(head):
                self._in.appendleft(head[len(piece) :])
        self._unread -= count
        return count

    async def wait_readable(self) -> None:
        """See Stream."""
        self._check_open()
        if self._in or self._ended is not None:
            await trio.lowlevel.checkpoint()
        while not self._in and self._ended is None:
            await self._readers.park()
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionLost(CLOSED_HERE)

    def _lost(self, why: str) -> ConnectionLost:
        return NotSpoken(why) if self._strange else ConnectionLost(why)

    # -- the end ----------------------------------------------------------------------------------------

    def abort(self) -> None:
        """See Stream."""
        self._close()
        self._scope.cancel()
        self.below.abort()
        if not self._pumped:
            self._over.set()

    async def aclose(self) -> None:
        """See Stream. What is left is sent by the pump, which goes on for a while also if this is cancelled."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        upgrading = not self._settled.is_set()
        self._close()
        if not self._pumped:
            self._over.set()
            await self.below.aclose()
        elif upgrading:
            self._scope.cancel()  # nothing can have been said yet
        else:
            self.end_within(LINGER)
        await self._over.wait()

    def _close(self) -> None:
        self._closed = True
        self._in.clear()
        self.end(CLOSED_HERE)

    # -- the pump's side --------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Whether its owner has closed it. What waits is still to be sent."""
        return self._closed

    @contextmanager
    def pumping(self) -> Iterator[None]:
        """The pump's whole life; it ends when the time of this stream is up."""
        self._pumped = True
        try:
            with self._scope:
                yield
        finally:
            self.end(CLOSED_HERE)
            self._over.set()

    def open(self) -> None:
        """Bytes flow from now on."""
        self._is_open = True
        self._settled.set()

    async def wait_open(self) -> None:
        """Until it is. Raises ConnectionLost."""
        await self._settled.wait()
        if not self._is_open:
            raise self._lost(self._ended or CLOSED_BY_PEER)

    async def take(self) -> bytes | None:
        """All that waits, for one message, once something does; None when nothing more is to be sent."""
        while not self._out:
            if self._unsendable is not None:
                return None
            await self._pump.park()
        parcel = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._unsent = 0
        self._writers.unpark_all()
        return parcel

    def put(self, data: bytes) -> None:
        """These bytes have come. After a close they are thrown away."""
        if data and not self._closed:
            self._in.append(memoryview(data))
            self._unread += len(data)
            self._readers.unpark_all()

    @property
    def is_full(self) -> bool:
        """Whether its owner has to read first."""
        return self._unread >= UNREAD and not self._closed

    async def wait_room(self) -> None:
        """Until it is not full."""
        while self.is_full:
            await self._pump.park()

    def end_sending(self, why: str) -> None:
        """Nothing more can be sent. What has come can still be read."""
        self._unsendable = self._unsendable or why
        self._writers.unpark_all()

    def end(self, why: str, *, in_order: bool = False, strange: bool = False) -> None:
        """Nothing more will come, and nothing more can be sent. The first word counts.

        in_order: the peer said so. strange: what it said is not what is spoken here.
        """
        if self._ended is None:
            self._ended, self._in_order, self._strange = why, in_order, strange
            if not self._closed:
                self.end_within(LINGER)
        self.end_sending(why)
        self._settled.set()
        self._readers.unpark_all()
        self._pump.unpark_all()

    def stop(self) -> None:
        """Nobody will move its bytes much longer: whoever closes it now may still deliver."""
        if self._pumped:
            self.end_within(LINGER)
        else:
            self.abort()

    def end_within(self, seconds: float) -> None:
        """The pump has so long."""
        if self._scope.deadline == inf:
            self._scope.deadline = trio.current_time() + seconds

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.local} -> {self.remote}{' closed' if self._closed else ''}>"
