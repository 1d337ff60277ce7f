"""What a transport is: three protocols that the network engines know, and nothing of how they are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from transports.addresses import TransportAddress
from transports.channels import Channel
from transports.errors import CLOSED_BY_PEER, ConnectionLost
from transports.frames import FrameBuffer


class Datagrams(Protocol):
    """What a connection carries beside its bytes: each datagram whole or not at all, in any order, perhaps twice.

    They end with the stream that they belong to. One task at a time may `wait`.
    """

    @property
    def largest(self) -> int:
        """Bytes of one, at most."""

    def send_nowait(self, data: bytes) -> bool:
        """Hand one over; False if there is no room now. Raises ConnectionLost, ValueError if it is too large."""

    def receive_nowait(self) -> bytes:
        """The next one that has come. Raises trio.WouldBlock if there is none, ConnectionLost.

        What nobody reads is bounded: beyond that, those that come are lost.
        """

    async def wait(self) -> None:
        """Until one has come, there is room for the one that was not taken, or the stream is over here.

        Raises ConnectionLost if it is. It may return for nothing, but not for ever.
        """


class Stream(Protocol):
    """One connection: bytes in order, both ways. Its owner ends it with `abort` or `aclose`.

    One task at a time may send, one may receive. After ConnectionLost the stream is still to be closed.
    """

    @property
    def local(self) -> str:
        """The URL of this end."""

    @property
    def remote(self) -> str:
        """The URL of the other end."""

    @property
    def channel(self) -> Channel:
        """What protects it."""

    @property
    def source(self) -> str:
        """Whom to count it against: the peer's host (for IPv6 the /64 it lies in)."""

    @property
    def datagrams(self) -> Datagrams | None:
        """What it carries beside its bytes; None if that is nothing."""

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Hand over what fits now; how many bytes that was, 0 if none. Raises ConnectionLost.

        The rest comes first in the next call: part of it may be encrypted already.
        """

    async def wait_writable(self) -> None:
        """Until `send_nowait` may take something, or would raise. Raises ConnectionLost if closed here."""

    def receive_nowait(self, buffer: memoryview) -> int:
        """Fill the front of `buffer` (not empty): how many bytes, 0 when the peer has ended.

        Raises trio.WouldBlock if nothing is there, ConnectionLost.
        """

    async def wait_readable(self) -> None:
        """Until `receive_nowait` may give something, or would raise. Raises ConnectionLost if closed here."""

    def abort(self) -> None:
        """End it at once, both ways; what was not delivered is lost and the peer is told if it can be.

        Idempotent. Tasks that wait on this stream wake with ConnectionLost. For a connection that is dead
        or not worth a word more.
        """

    async def aclose(self) -> None:
        """End it so that what `send_nowait` took arrives, if the peer still reads; bounded in time.

        Idempotent. Tasks that wait on this stream wake with ConnectionLost at once, bytes that still come
        are thrown away. Cancelled, it closes all the same, without waiting for the peer.
        """


class Listener(Protocol):
    """Accepts connections at one address. Its owner ends it with `aclose`."""

    @property
    def address(self) -> TransportAddress:
        """Where it listens, with the port it got."""

    async def accept(self) -> Stream:
        """The next connection. Raises ListenerClosed and nothing else; cancelled, no connection is lost."""

    async def aclose(self) -> None:
        """Stop listening; accepted connections stay. Idempotent. A waiting `accept` raises ListenerClosed."""


class Transport(Protocol):
    """One way to reach other nodes."""

    @property
    def scheme(self) -> str:
        """That of its addresses."""

    @property
    def secure(self) -> bool:
        """Whether its connections prove who answers and hide what is said."""

    @property
    def serve(self) -> Callable[[], Awaitable[None]] | None:
        """What has to run beside its connections for as long as there are any; None if nothing has to.

        Whoever uses the transport runs it, once. Cancelled, it ends all of them.
        """

    async def dial(self, address: TransportAddress) -> Stream:
        """Raises ConnectFailed, or AddressError if this transport does not use such an address."""

    async def listen(self, address: TransportAddress) -> Listener:
        """Raises AddressInUse, ListenFailed, or AddressError if this transport does not use such an address."""


async def send_all(stream: Stream, data: bytes) -> None:
    """All of it, waiting where it must. Cancelled, or with ConnectionLost, part of it may be sent: close the stream."""
    sent = stream.send_nowait(data)
    if sent < len(data):
        rest = memoryview(data)
        while sent < len(data):
            await stream.wait_writable()
            sent += stream.send_nowait(rest[sent:])


async def receive_frame(stream: Stream, frames: FrameBuffer) -> memoryview:
    """The next frame, a view that is valid until the next read. ConnectionLost if the peer ends; FrameError.

    Cancelled, nothing that has come is lost.
    """
    while (frame := frames.next_frame()) is None:
        await stream.wait_readable()
        try:
            count = stream.receive_nowait(frames.writable())
        except trio.WouldBlock:
            continue
        if not count:
            raise ConnectionLost(CLOSED_BY_PEER)
        frames.commit(count)
    return frame
