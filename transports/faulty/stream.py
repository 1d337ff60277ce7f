"""A connection that can be made slow while it carries messages: a Stream over another one. No tasks of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

import trio
from msgspec import Struct

from transports.base import Datagrams, Stream
from transports.channels import Channel
from transports.errors import CLOSED_HERE, ConnectionLost

CAPACITY: Final = 1 << 20
"""Bytes that a slow connection holds back at most; what is beyond that waits where it is, as behind a full window."""
_GRAIN: Final = 0.05
"""Seconds of a limited line that go in one piece."""
_PARCEL: Final = 64 << 10


class Slowness(Struct, frozen=True, kw_only=True):
    """How a connection is slowed down: `latency` in seconds for each round trip, `rate` in bytes a second and way."""

    latency: float = 0.0
    rate: float = inf


NONE: Final = Slowness()


class FaultyStream:
    """A Stream over another, which it owns.

    What arrives is held back for the latency, so that each round trip takes so much longer; a rate holds both ways.
    While it is not slow it passes everything on as it is.
    """

    def __init__(self, below: Stream, slowness: Slowness, closed: Callable[[FaultyStream], object]) -> None:
        """`closed` is called when it is closed here, perhaps more than once."""
        self._below = below
        self._slowness = slowness
        self._on_close = closed
        self._closed = False
        self._held: deque[tuple[float, memoryview]] = deque()
        """When it has arrived, and what; nothing is the end."""
        self._size = 0
        self._ended = False
        self._lost: ConnectionLost | None = None
        self._in_busy = self._out_busy = 0.0
        """Until when the line is busy with what it has taken."""
        self._pauses: set[trio.CancelScope] = set()

    @property
    def local(self) -> str:
        """See Stream."""
        return self._below.local

    @property
    def remote(self) -> str:
        """See Stream."""
        return self._below.remote

    @property
    def channel(self) -> Channel:
        """See Stream."""
        return self._below.channel

    @property
    def source(self) -> str:
        """See Stream."""
        return self._below.source

    @property
    def datagrams(self) -> Datagrams | None:
        """See Stream. They are not slowed down."""
        return self._below.datagrams

    def slow(self, slowness: Slowness) -> None:
        """From now on; what was held back until now has arrived."""
        self._slowness = slowness
        self._held = deque((0.0, data) for _, data in self._held)
        self._in_busy = self._out_busy = 0.0
        self._rouse()

    # -- sending

    def send_nowait(self, data: bytes | memoryview) -> int:
        """See Stream."""
        rate = self._slowness.rate
        if rate == inf or self._closed:
            return self._below.send_nowait(data)
        now = trio.current_time()
        if self._out_busy > now + _GRAIN:
            return 0
        sent = self._below.send_nowait(memoryview(data)[: _grain(rate)])
        self._out_busy = max(now, self._out_busy) + sent / rate
        return sent

    async def wait_writable(self) -> None:
        """See Stream."""
        while self._out_busy > trio.current_time():
            await self._pause(self._out_busy, trio.sleep_forever)
        await self._below.wait_writable()

    # -- receiving

    def receive_nowait(self, buffer: memoryview) -> int:
        """See Stream."""
        if self._held or self._lost or self._slowness is not NONE:
            return self._receive_late(buffer)
        return self._below.receive_nowait(buffer)

    def _receive_late(self, buffer: memoryview) -> int:
        self._take()
        if self._lost:
            raise ConnectionLost(self._lost.why) from self._lost
        if not self._arrived():
            raise trio.WouldBlock
        due, data = self._held[0]
        count = min(len(buffer), len(data))
        if count:
            buffer[:count] = data[:count]
            self._size -= count
            self._held[0] = due, data[count:]
            if count == len(data):
                self._held.popleft()
        return count

    async def wait_readable(self) -> None:
        """See Stream."""
        if not self._held and self._slowness is NONE:
            return await self._below.wait_readable()
        await trio.lowlevel.checkpoint()
        self._take()
        while not (self._arrived() or self._lost):
            due = self._held[0][0] if self._held else inf
            await self._pause(due, self._below.wait_readable if self._room() else trio.sleep_forever)
            self._take()
        self._check_open()

    def _arrived(self) -> bool:
        return bool(self._held) and self._held[0][0] <= trio.current_time()

    def _room(self) -> bool:
        """Whether the line takes more from below."""
        busy = self._in_busy > trio.current_time()
        return not (self._ended or self._lost or busy) and self._size < CAPACITY

    def _take(self) -> None:
        """Let what is there below set out on its way."""
        rate = self._slowness.rate
        while self._room():
            parcel = memoryview(bytearray(min(_PARCEL, _grain(rate))))
            try:
                count = self._below.receive_nowait(parcel)
            except trio.WouldBlock:
                return
            except ConnectionLost as error:  # a socket tells it only once
                self._lost = error
                return
            self._in_busy = trio.current_time() + count / rate
            self._held.append((self._in_busy + self._slowness.latency, parcel[:count]))
            self._size += count
            self._ended = not count

    # -- ending

    def abort(self) -> None:
        """See Stream."""
        self._below.abort()
        self._end()

    async def aclose(self) -> None:
        """See Stream."""
        self._end()
        await self._below.aclose()

    def _end(self) -> None:
        self._closed = True
        self._held.clear()
        self._lost = None
        self._slowness = NONE
        self._in_busy = self._out_busy = 0.0
        self._rouse()
        self._on_close(self)

    # -- waiting

    async def _pause(self, until: float, wait: Callable[[], Awaitable[None]]) -> None:
        """`wait`, until then at most; less if something changes. ConnectionLost if it is closed meanwhile."""
        with trio.CancelScope(deadline=until) as scope:
            self._pauses.add(scope)
            try:
                await wait()
            finally:
                self._pauses.discard(scope)
        self._check_open()

    def _rouse(self) -> None:
        for scope in self._pauses:
            scope.cancel()

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionLost(CLOSED_HERE)

    def __repr__(self) -> str:
        return f"<FaultyStream over {self._below!r}>"


def _grain(rate: float) -> int:
    """Bytes that go in one piece."""
    return int(min(float(CAPACITY), 1 + rate * _GRAIN))
