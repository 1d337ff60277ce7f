"""Who comes to a node, or waits for it at an address, and is not who it should be: for test_security_matrix."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio

from actors.errors import ProtocolError
from actors.identity import Incarnation, NodeID, NodeKey
from actors.net.proving.handshake import Acceptor
from transports.addresses import parse_address
from transports.base import Stream, Transport, send_all
from transports.builtin import built_in
from transports.channels import Channel
from transports.errors import ConnectionLost, TransportError
from transports.tls.stream import Alpn
from transports.tls.transport import TlsTransport

MALLORY = NodeKey.from_seed(b"m" * 32)

GONE = (ConnectionLost, TransportError, ProtocolError, OSError)


class Mallory:
    """Somebody with a key of their own, all transports, and a place to listen."""

    def __init__(self, nursery: trio.Nursery, transports: dict[str, Transport]) -> None:
        self._nursery = nursery
        self._transports = transports
        self.heard = bytearray()
        """All that honest nodes sent here, as it was before any encryption."""

    async def dial(self, url: str) -> Stream:
        """By the transport of that address."""
        address = parse_address(url)
        return await self._transports[address.scheme].dial(address)

    async def listen(self, scheme: str, serve: Callable[[Stream], Awaitable[object]]) -> str:
        """Give every connection to `serve`, and close it afterwards; where that is."""
        listener = await self._transports[scheme].listen(parse_address(f"{scheme}://127.0.0.1:0"))

        async def one(stream: Stream) -> None:
            try:
                with suppress(*GONE):
                    await serve(stream)
            finally:
                with trio.CancelScope(shield=True):
                    await stream.aclose()

        async def accept() -> None:
            try:
                while True:
                    self._nursery.start_soon(one, await listener.accept())
            finally:
                with trio.CancelScope(shield=True):
                    await listener.aclose()

        self._nursery.start_soon(accept)
        return str(listener.address)

    def pass_on(self, url: str) -> Callable[[Stream], Awaitable[object]]:
        """A relay to that address: what comes is noted and handed on, both ways."""

        async def relay(stream: Stream) -> None:
            other = await self.dial(url)
            try:
                async with trio.open_nursery() as both:
                    both.start_soon(self._pump, stream, other, both.cancel_scope)
                    both.start_soon(self._pump, other, stream, both.cancel_scope)
            finally:
                with trio.CancelScope(shield=True):
                    await other.aclose()

        return relay

    async def _pump(self, source: Stream, sink: Stream, both: trio.CancelScope) -> None:
        with suppress(*GONE):
            async for data in chunks(source):
                self.heard += data
                await send_all(sink, data)
        both.cancel()

    async def listen_on(self, stream: Stream) -> None:
        """Note what comes until the end."""
        async for data in chunks(stream):
            self.heard += data


async def chunks(stream: Stream) -> AsyncIterator[bytes]:
    """What comes, until the other end closes. Raises ConnectionLost."""
    buffer = memoryview(bytearray(1 << 16))
    while True:
        await stream.wait_readable()
        try:
            count = stream.receive_nowait(buffer)
        except trio.WouldBlock:
            continue
        if not count:
            return
        yield bytes(buffer[:count])


@asynccontextmanager
async def mallory(change: Callable[[Transport], object] = repr) -> AsyncIterator[Mallory]:
    """Mallory, with transports that are changed so."""
    transports = built_in(MALLORY.private_key())
    for transport in transports:
        change(transport)
    async with trio.open_nursery() as nursery:
        for transport in transports:
            if transport.serve is not None:
                nursery.start_soon(transport.serve)
        yield Mallory(nursery, {transport.scheme: transport for transport in transports})
        nursery.cancel_scope.cancel()


# -- handshakes that are none -------------------------------------------------------------------------------


def posing(key: NodeKey, claimed: NodeID) -> NodeKey:
    """A key that says it is another node's."""
    pose = NodeKey(key.private_key())
    pose.id = claimed
    return pose


def acceptor(key: NodeKey, channel: Channel) -> Acceptor:
    """Of a node with that key."""
    return Acceptor(
        key,
        incarnation=Incarnation(1, 1),
        nonce=b"a" * 32,
        max_frame=1 << 20,
        channel=channel,
        adverts=lambda _: (0, 0),
    )


def older_tls(transport: Transport) -> None:
    """It knows nothing newer than TLS 1.2, as a client and as a server."""
    for context in _contexts(transport):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = ssl.TLSVersion.TLSv1_2


def strange_alpn(transport: Transport) -> None:
    """It wants to speak something else inside, as a client and as a server."""
    if transport.scheme == "quic":
        for configuration in (transport._client, transport._server):  # type: ignore[attr-defined]
            configuration.alpn_protocols = ["h3"]
    for context in _contexts(transport):
        context.set_alpn_protocols(["h2"])
        below: Any = getattr(transport, "_below", transport)
        below._alpn = Alpn("h2", required=False)  # whatever the other side names


def _contexts(transport: Any) -> list[ssl.SSLContext]:
    below = getattr(transport, "_below", transport)
    return [below._client, below._server] if isinstance(below, TlsTransport) else []
