"""A UDP relay between dialers and a listener, that moves, loses and mutilates. Not a test module itself."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from transports.addresses import QUICAddress


class Relay:
    """Stands before a listener, for one dialer. What it passes on comes from a port of its own."""

    def __init__(self, target: QUICAddress) -> None:
        self.target = (target.host, target.port)
        self.forwards: Callable[[bytes], bytes | None] = bytes
        """What becomes of a datagram to the listener; None: it is lost."""
        self.backwards: Callable[[bytes], bytes | None] = bytes
        self.ports: list[int] = []
        """From which it has sent to the listener."""
        self._front = _bound()
        self._back = _bound()
        self._dialer: tuple[str, int] | None = None

    @property
    def address(self) -> QUICAddress:
        return QUICAddress(*self._front.getsockname())

    def move(self) -> None:
        """From now on it sends to the listener from another port, and hears nothing at the old one."""
        old, self._back = self._back, _bound()
        trio.lowlevel.notify_closing(old)
        old.close()

    def inject(self, data: bytes) -> None:
        """Say something to the listener."""
        self._back.sendto(data, self.target)

    async def forth(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._front)
            data, self._dialer = self._front.recvfrom(65535)
            if (passed := self.forwards(data)) is not None:
                port = self._back.getsockname()[1]
                if port not in self.ports:
                    self.ports.append(port)
                self._back.sendto(passed, self.target)

    async def back(self) -> None:
        while True:
            sock = self._back
            try:
                await trio.lowlevel.wait_readable(sock)
            except trio.ClosedResourceError:
                continue
            if sock is not self._back:
                continue
            data = sock.recv(65535)
            if self._dialer is not None and (passed := self.backwards(data)) is not None:
                self._front.sendto(passed, self._dialer)

    def close(self) -> None:
        self._front.close()
        self._back.close()


def _bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    return sock


@asynccontextmanager
async def relayed(target: QUICAddress) -> AsyncIterator[Relay]:
    relay = Relay(target)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay.forth)
            nursery.start_soon(relay.back)
            yield relay
            nursery.cancel_scope.cancel()
    finally:
        relay.close()


def every(count: int) -> Callable[[bytes], bytes | None]:
    """Lose each so-many-th."""
    seen = 0

    def passed(data: bytes) -> bytes | None:
        nonlocal seen
        seen += 1
        return data if seen % count else None

    return passed
