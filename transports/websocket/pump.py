"""What moves the bytes of a WebSocketStream: the only file that knows trio-websocket. Not how streams come about.

That library may break in ways of its own, and some of its errors leave its tasks waiting: whatever happens in a
connection ends that connection, and every wait in here has an end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import trio
from trio_websocket import (
    CloseReason,
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
    wrap_server_stream,
)
from wsproto.utilities import RemoteProtocolError

from transports.base import Stream, send_all
from transports.errors import CLOSED_BY_PEER, ConnectionLost, NotSpoken
from transports.websocket.stream import WebSocketStream

SUBPROTOCOL: Final = "trio-actors.1"
"""What both sides agree on in the upgrade."""
MAX_MESSAGE: Final = 128 << 10
"""Bytes of one message that is accepted."""
_CHUNK: Final = 64 << 10
"""Bytes that are read at a time."""
_UPGRADE: Final = 16 << 10
"""Bytes that a request for an upgrade, or its answer, may have."""
_UNFINISHED: Final = 4 * MAX_MESSAGE
"""Bytes that may come without a message: pings, or pieces of one that never ends."""
_IN_ORDER: Final = (1000, 1001, 1005)
"""Codes of a peer that says it ends, as it should."""
_BROKEN: Final = (1002, 1003, 1007, 1009)
"""Codes of a connection on which somebody said what a WebSocket, or ours, does not say (RFC 6455 7.4.1)."""
_SHOWN: Final = 200
"""Characters of what a peer says about its refusal."""

Upgrade: TypeAlias = Callable[[trio.Nursery, "Carrier"], Awaitable[WebSocketConnection]]


class Carrier(trio.abc.Stream):
    """The stream below, as trio-websocket wants it. While there is no WebSocket yet, an end of it is an error.

    Otherwise nobody would be told: whoever waits for the upgrade goes on waiting.
    """

    def __init__(self, below: Stream) -> None:
        self._below = below
        self._buffer = memoryview(bytearray(_CHUNK))
        self._is_open = False
        self.unfinished = 0
        """Bytes that have come since the last message."""
        self.why = CLOSED_BY_PEER
        """How it ended."""

    def open(self) -> None:
        """There is a WebSocket."""
        self._is_open = True
        self.unfinished = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await send_all(self._below, bytes(data))
        except ConnectionLost as lost:
            raise self._broken(lost) from lost

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self.unfinished:  # a message that has come is a checkpoint of its own
            await trio.lowlevel.checkpoint()
        buffer = self._buffer if self._is_open else self._buffer[:_UPGRADE]
        try:
            count = await self._receive(buffer)
        except ConnectionLost as lost:
            raise self._broken(lost) from lost
        if not count and not self._is_open:
            raise ConnectionLost(CLOSED_BY_PEER)
        self.unfinished += count
        if not self._is_open and self.unfinished > _UPGRADE:
            raise NotSpoken(f"WebSocket: its upgrade is longer than {_UPGRADE} bytes")
        if self.unfinished > _UNFINISHED:
            raise NotSpoken(f"WebSocket: {self.unfinished} bytes without a message among them")
        return bytes(buffer[:count])

    async def _receive(self, buffer: memoryview) -> int:
        while True:
            try:
                return self._below.receive_nowait(buffer)
            except trio.WouldBlock:
                await self._below.wait_readable()

    def _broken(self, lost: ConnectionLost) -> Exception:
        self.why = lost.why
        return trio.BrokenResourceError(lost.why) if self._is_open else lost

    async def aclose(self) -> None:
        await self._below.aclose()
        if not self._is_open:
            raise ConnectionLost(CLOSED_BY_PEER)


async def pump_dialed(stream: WebSocketStream, host: str, path: str) -> None:
    """As the dialer: ask for the upgrade, then move bytes until the end."""

    async def upgrade(nursery: trio.Nursery, carrier: Carrier) -> WebSocketConnection:
        socket = await wrap_client_stream(
            nursery,
            carrier,  # type: ignore[arg-type]  # it looks for a socket in it only to show addresses
            host,
            path,
            subprotocols=[SUBPROTOCOL],
            max_message_size=MAX_MESSAGE,
            receive_buffer_size=_CHUNK,
        )
        if socket.subprotocol != SUBPROTOCOL:
            raise ConnectionLost(f"the server there does not speak {SUBPROTOCOL}")
        return socket

    await _pump(stream, upgrade)


async def pump_accepted(stream: WebSocketStream, path: str) -> None:
    """As the acceptor: let the peer ask for the upgrade, then move bytes until the end."""

    async def upgrade(nursery: trio.Nursery, carrier: Carrier) -> WebSocketConnection:
        request = await wrap_server_stream(nursery, carrier, max_message_size=MAX_MESSAGE, receive_buffer_size=_CHUNK)
        if request.path != path:
            await request.reject(404, body=b"no node listens at this path")
            raise NotSpoken(f"WebSocket: the peer asked for the path {_shown(request.path)}")
        if SUBPROTOCOL not in request.proposed_subprotocols:
            await request.reject(400, body=f"the subprotocol here is {SUBPROTOCOL}".encode())
            raise NotSpoken(f"WebSocket: the peer does not speak {SUBPROTOCOL}")
        return await request.accept(subprotocol=SUBPROTOCOL)

    await _pump(stream, upgrade)


async def _pump(stream: WebSocketStream, upgrade: Upgrade) -> None:
    if stream.is_closed:
        return
    carrier = Carrier(stream.below)
    with stream.pumping():
        try:
            async with trio.open_nursery() as nursery:
                socket = await upgrade(nursery, carrier)
                carrier.open()
                stream.open()
                nursery.start_soon(_write, stream, socket)
                await _read(stream, socket, carrier)
        except* Exception as errors:  # ours or the library's: they shall cost this connection and nothing else
            lost = _cause(errors)
            stream.end(lost.why, strange=isinstance(lost, NotSpoken))
        finally:
            await stream.below.aclose()


async def _read(stream: WebSocketStream, socket: WebSocketConnection, carrier: Carrier) -> None:
    """From the connection to the stream. The library's own queue is always emptied, as far as the stream has room."""
    try:
        while True:
            if stream.is_full:
                await stream.wait_room()
            message = await socket.get_message()
            carrier.unfinished = 0
            if isinstance(message, str):
                stream.end("WebSocket: the peer sent a text message; bytes come in binary ones", strange=True)
                await socket.aclose(1003, "binary messages only")
                return
            stream.put(message)
    except ConnectionClosed as closed:
        if closed.reason is None:
            return  # the library's task broke, and its error says why
        if closed.reason.code in _IN_ORDER:
            stream.end(CLOSED_BY_PEER, in_order=True)
        else:
            stream.end(_closed(closed.reason, carrier), strange=closed.reason.code in _BROKEN)


async def _write(stream: WebSocketStream, socket: WebSocketConnection) -> None:
    """From the stream to the connection, all that waits as one message; then the end."""
    try:
        while (parcel := await stream.take()) is not None:
            await socket.send_message(parcel)
        await socket.aclose()
    except ConnectionClosed:
        stream.end_sending(CLOSED_BY_PEER)


def _closed(reason: CloseReason, carrier: Carrier) -> str:
    if reason.code == 1006:
        return carrier.why
    return f"WebSocket: closed with {reason.code}, {_shown(reason.reason or reason.name)}"


def _cause(errors: BaseExceptionGroup[Exception]) -> ConnectionLost:
    """Why a connection broke: the first cause that says something about the peer."""
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    error: BaseException | None = first
    while error is not None:
        match error:
            case RemoteProtocolError():
                return NotSpoken(f"WebSocket: {_shown(str(error)).lower()}")
            case ConnectionRejected():
                said = (error.body or b"").decode("utf-8", "replace")
                hint = f": {_shown(said)}" if said else ""
                return ConnectionLost(f"the server there answered HTTP {error.status_code}{hint}")
        error = error.__context__
    if isinstance(first, ConnectionLost):
        return first
    return ConnectionLost(f"WebSocket: {type(first).__name__} {_shown(str(first))}")


def _shown(text: str) -> str:
    """What a stranger says, fit to be read."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:_SHOWN]).strip()
