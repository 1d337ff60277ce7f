"""Connections over WebSocket, which lies on another transport: `ws://` on TCP, `wss://` on TLS. Not how bytes move."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import TypeAlias

import trio

from transports.addresses import TransportAddress, WSAddress
from transports.base import Listener, Stream, Transport
from transports.errors import AddressError, ConnectFailed, ConnectionLost
from transports.websocket.pump import pump_accepted, pump_dialed
from transports.websocket.stream import WebSocketStream

Pump: TypeAlias = tuple[WebSocketStream, Callable[[], Awaitable[None]]]


class WebSocketTransport:
    """The Transport of `ws://` and `wss://`.

    below: the transport that carries it, for addresses of that very kind. dial_timeout: seconds for one dial, the
    upgrade included.
    """

    def __init__(self, below: Transport, *, dial_timeout: float = 10.0) -> None:
        self.scheme = below.scheme
        self.secure = below.secure
        self.dial_timeout = dial_timeout
        self._below = below
        self._live: set[WebSocketStream] = set()
        self._begun, self._to_serve = trio.open_memory_channel[Pump](inf)
        """Bounded by what it stands for: sockets that are open."""

    @property
    def connections(self) -> int:
        """How many are open, or end just now."""
        return len(self._live)

    async def serve(self) -> None:
        """See Transport. Each connection is moved by a task in here, and no error in one of them leaves it.

        Cancelled, connections whose owners close them in a moment still deliver what was sent.
        """
        async with trio.open_nursery() as nursery:
            try:
                while True:
                    nursery.start_soon(self._run, *await self._to_serve.receive())
            finally:
                for stream in tuple(self._live):
                    stream.stop()

    async def _run(self, stream: WebSocketStream, pump: Callable[[], Awaitable[None]]) -> None:
        try:
            await pump()
        finally:
            self._live.discard(stream)

    def _begin(self, stream: WebSocketStream, pump: Callable[[], Awaitable[None]]) -> WebSocketStream:
        self._live.add(stream)
        self._begun.send_nowait((stream, pump))
        return stream

    async def dial(self, address: TransportAddress) -> Stream:
        """See Transport. The upgrade is over when this returns."""
        until = trio.current_time() + self.dial_timeout
        below = await self._below.dial(address)
        stream = self._dialed(below, _own(address))
        try:
            with trio.fail_at(until):
                await stream.wait_open()
        except BaseException as error:
            stream.abort()
            match error:
                case trio.TooSlowError():
                    raise ConnectFailed(str(address), f"no answer in {self.dial_timeout:g} s") from None
                case ConnectionLost():
                    raise ConnectFailed(str(address), error.why) from error
            raise
        return stream

    def _dialed(self, below: Stream, address: WSAddress) -> WebSocketStream:
        stream = WebSocketStream(below, local=below.local, remote=below.remote + _tail(address))
        return self._begin(stream, partial(pump_dialed, stream, _host_header(address), address.path))

    async def listen(self, address: TransportAddress) -> Listener:
        """See Transport. A connection is accepted before its upgrade, which happens beside it."""
        below = await self._below.listen(address)
        return WebSocketListener(below, partial(self._accepted, _own(address)))

    def _accepted(self, address: WSAddress, below: Stream) -> WebSocketStream:
        stream = WebSocketStream(below, local=below.local + _tail(address), remote=below.remote)
        return self._begin(stream, partial(pump_accepted, stream, address.path))


class WebSocketListener:
    """A Listener over another, which it owns."""

    def __init__(self, below: Listener, accepted: Callable[[Stream], WebSocketStream]) -> None:
        self._below = below
        self._accepted = accepted
        self.address = below.address

    async def accept(self) -> Stream:
        """See Listener."""
        return self._accepted(await self._below.accept())

    async def aclose(self) -> None:
        """See Listener."""
        await self._below.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self._below!r}>"


def _own(address: TransportAddress) -> WSAddress:
    if not isinstance(address, WSAddress):
        raise AddressError(f"{address} is no address of a WebSocket")
    return address


def _tail(address: WSAddress) -> str:
    """What its URL ends with."""
    return "" if address.path == "/" else address.path


def _host_header(address: WSAddress) -> str:
    host = address.host.partition("%")[0]  # RFC 6874: the zone means something on this machine only
    return f"{f'[{host}]' if ':' in host else host}:{address.port}"
