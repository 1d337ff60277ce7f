"""QUIC transports that run, for tests over loopback. Not a test module itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
from conformance import InTheLoop, pattern, read_exactly, serving
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import MockClock

from transports.addresses import QUICAddress
from transports.base import send_all
from transports.quic.stream import QuicStream
from transports.quic.transport import QuicListener, QuicTransport
from transports.tls.certificates import make_certificate

LOOPBACK = QUICAddress("127.0.0.1", 0)
CERTIFICATE = make_certificate(Ed25519PrivateKey.generate())


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        trio.socket.set_custom_hostname_resolver(InTheLoop())
        with trio.fail_after(600):
            await main()

    trio.run(bounded, clock=MockClock(rate=1, autojump_threshold=0.05))


def transport(**options: float) -> QuicTransport:
    return QuicTransport(make_certificate(Ed25519PrivateKey.generate()), **options)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[QuicTransport, QuicTransport, QuicListener]]:
    """A dialer, an acceptor, and where it listens."""
    dialer, acceptor = transport(), QuicTransport(CERTIFICATE)
    async with serving(dialer, acceptor):
        listener = await acceptor.listen(LOOPBACK)
        yield dialer, acceptor, listener
        await listener.aclose()


async def pair(
    dialer: QuicTransport, listener: QuicListener, at: QUICAddress | None = None
) -> tuple[QuicStream, QuicStream]:
    dialed = await dialer.dial(at or listener.address)
    return dialed, await listener.accept()


async def carried(one: QuicStream, other: QuicStream, size: int) -> None:
    """So many bytes arrive as they were sent."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, one, pattern(0, size))
        assert await read_exactly(other, size) == pattern(0, size)


def drop(*streams: QuicStream) -> None:
    for stream in streams:
        stream.abort()
