"""A connected socket as a Stream: what all byte-stream transports over real sockets share. Not how it got connected."""

from __future__ import annotations

import socket
from contextlib import suppress
from struct import pack

import trio
from trio.lowlevel import notify_closing, wait_readable, wait_writable

from transports.channels import PLAIN, Channel
from transports.errors import CLOSED_HERE, ConnectionLost, in_words

LINGER = 1.0
"""Seconds that `aclose` gives the peer to read what is on its way and to end its side."""

_DROP = pack("ii", 1, 0)  # struct linger: on, for no time: close() sends a reset
_GULP = 64 << 10
_GULPS = 64


class SocketStream:
    """A Stream over a connected, non-blocking stream socket, which it owns from now on."""

    datagrams = None
    __slots__ = ("_closed", "_socket", "channel", "local", "remote", "source")

    def __init__(self, sock: socket.socket, *, local: str, remote: str, source: str, channel: Channel = PLAIN) -> None:
        self._socket = sock
        self._closed = False
        self.local = local
        self.remote = remote
        self.source = source
        self.channel = channel

    def send_nowait(self, data: bytes | memoryview) -> int:
        """See Stream."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(error) from error

    def receive_nowait(self, buffer: memoryview) -> int:
        """See Stream."""
        try:
            return self._socket.recv_into(buffer)
        except BlockingIOError:
            raise trio.WouldBlock from None
        except OSError as error:
            raise self._lost(error) from error

    async def wait_writable(self) -> None:
        """See Stream."""
        self._check_open()
        try:
            await wait_writable(self._socket)
        except trio.ClosedResourceError as error:
            raise ConnectionLost(CLOSED_HERE) from error

    async def wait_readable(self) -> None:
        """See Stream."""
        self._check_open()
        try:
            await wait_readable(self._socket)
        except trio.ClosedResourceError as error:
            raise ConnectionLost(CLOSED_HERE) from error

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionLost(CLOSED_HERE)

    def _lost(self, error: OSError) -> ConnectionLost:
        return ConnectionLost(CLOSED_HERE if self._closed else in_words(error))

    def abort(self) -> None:
        """Reset the connection: what the kernel still holds is thrown away, here and there. See Stream."""
        if self._socket.fileno() >= 0:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
            self._release()

    async def aclose(self, last: bytes = b"") -> None:
        """Send `last`, say the end, read the peer's out (at most LINGER seconds in all), close. See Stream.

        Reading on is what delivers: a socket closed with unread bytes resets the connection, and a reset
        overtakes what was sent before it.
        """
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        notify_closing(self._socket)  # wakes the tasks that wait; the socket itself lives a little longer
        try:
            with suppress(OSError, trio.ClosedResourceError), trio.move_on_after(LINGER):
                await self._send_out(last)
                self._socket.shutdown(socket.SHUT_WR)
                await self._read_out()
        finally:
            self._release()

    async def _send_out(self, last: bytes) -> None:
        while last:
            try:
                last = last[self._socket.send(last) :]
            except BlockingIOError:
                await wait_writable(self._socket)

    async def _read_out(self) -> None:
        while True:
            with suppress(BlockingIOError):
                for _ in range(_GULPS):
                    if not self._socket.recv(_GULP):
                        return
            await wait_readable(self._socket)

    def _release(self) -> None:
        self._closed = True
        if self._socket.fileno() >= 0:
            notify_closing(self._socket)
            self._socket.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.local} -> {self.remote}{' closed' if self._closed else ''}>"
