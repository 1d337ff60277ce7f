"""Connections over QUIC. The server shows the node's own key, in a certificate that says nothing else.

A connection has one stream, both ways, and survives a change of the dialer's address. It needs `serve` to run.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from hashlib import sha256
from math import inf

import trio
from msgspec.structs import replace

from transports.addresses import QUICAddress, TransportAddress, source_of
from transports.channels import Channel, ChannelKind
from transports.errors import AddressError, AddressInUse, ListenerClosed, ListenFailed, in_words
from transports.quic.connection import certificate_of_peer, client_configuration, server_configuration
from transports.quic.dialed import Dialed
from transports.quic.endpoint import Endpoint, Lines
from transports.quic.listening import Listening
from transports.quic.stream import LINGER, QuicStream
from transports.quic.timers import Timers
from transports.tcp.sockets import SocketAddress, Target, bind_first, host_of, reach, resolve
from transports.tls.certificates import Certificate, NotOurs, key_in

BUFFER = 4 << 20
"""Bytes asked of the system for what waits in a socket; it gives what it allows."""


class QuicTransport:
    """The Transport of `quic://`. dial_timeout: seconds for one dial, lookup and handshake included."""

    scheme = QUICAddress.scheme
    secure = QUICAddress.secure

    def __init__(self, certificate: Certificate, *, dial_timeout: float = 10.0) -> None:
        self.dial_timeout = dial_timeout
        self._served = Channel(ChannelKind.QUIC, certificate.digest)
        self._server = server_configuration(certificate)
        self._client = client_configuration()
        self._timers = Timers()
        self._lines = Lines()
        self._bound: dict[SocketAddress, Listening] = {}
        self._started, self._starting = trio.open_memory_channel[Endpoint](inf)
        self._ended = False

    # -- what runs beside the connections ---------------------------------------------------------------

    async def serve(self) -> None:
        """See Transport. Cancelled, it lets connections that are closed meanwhile deliver, LINGER seconds at most."""
        work = trio.CancelScope(shield=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._work, work)
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(LINGER):
                    await self._lines.wait_none()
                work.cancel()

    async def _work(self, work: trio.CancelScope) -> None:
        try:
            with work:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._timers.run)
                    async for endpoint in self._starting:
                        nursery.start_soon(endpoint.run)
        finally:
            self._ended = True
            with suppress(trio.WouldBlock):
                while True:
                    self._starting.receive_nowait().close()

    # -- dialing ----------------------------------------------------------------------------------------

    async def dial(self, address: TransportAddress) -> QuicStream:
        """See Transport. The handshake is over when this returns; `channel.key` says which node holds the key."""
        return await reach(
            _own(address), self._connect, QuicStream.abort, loopback_only=False, give_up_after=self.dial_timeout
        )

    async def _connect(self, target: Target) -> QuicStream:
        if self._ended:
            raise ConnectionError("this transport has ended")
        sock = _socket(target.family)
        try:
            sock.connect(target.address)
        except BaseException:
            sock.close()
            raise
        endpoint = Dialed(sock, target.address, self._timers, self._lines)
        local = _url(sock.getsockname())
        self._started.send_nowait(endpoint)
        line = await endpoint.connect(self._client)
        try:
            channel = channel_of(certificate_of_peer(line.connection))
        except NotOurs as error:
            line.abort()
            raise ConnectionError(str(error)) from error
        return QuicStream(
            line, channel=channel, local=local, remote=_url(target.address), source=_source(target.address)
        )

    # -- listening --------------------------------------------------------------------------------------

    async def listen(self, address: TransportAddress) -> QuicListener:
        """See Transport. A name stands for the first of its numbers that this machine has; `[::]` is IPv6 only."""
        address = _own(address)
        try:
            targets = await resolve(address, loopback_only=False)
            endpoint = self._rest_at(targets[0]) or self._bind(address, targets)
        except OSError as error:
            kind = AddressInUse if error.errno == errno.EADDRINUSE else ListenFailed
            raise kind(str(address), in_words(error)) from error
        return QuicListener(endpoint, self._served)

    def _rest_at(self, target: Target) -> Listening | None:
        """The socket of a listener that is closed, where connections of it go on: listens again."""
        endpoint = self._bound.get(target.address)
        if endpoint is None or endpoint.closed or endpoint.listening:
            return None
        endpoint.listening = True
        return endpoint

    def _bind(self, address: QUICAddress, targets: list[Target]) -> Listening:
        sock = bind_first(targets, _bind)
        place = sock.getsockname()
        address = replace(address, host=host_of(place), port=place[1])
        endpoint = Listening(sock, address, self._server, self._timers, self._lines)
        self._bound = {place: bound for place, bound in self._bound.items() if not bound.closed}
        self._bound[place] = endpoint
        self._started.send_nowait(endpoint)
        return endpoint


class QuicListener:
    """A Listener. Its socket may serve connections after it."""

    def __init__(self, endpoint: Listening, channel: Channel) -> None:
        self._endpoint = endpoint
        self._channel = channel
        self._closed = False
        self.address = endpoint.address

    @property
    def ignored(self) -> int:
        """Datagrams so far that were no connection's."""
        return self._endpoint.ignored

    async def accept(self) -> QuicStream:
        """See Listener. The handshake is over, so that the dialer is where it says."""
        if self._closed:
            raise ListenerClosed(f"{self.address} is closed")
        line, peer = await self._endpoint.accept()
        return QuicStream(line, channel=self._channel, local=str(self.address), remote=_url(peer), source=_source(peer))

    async def aclose(self) -> None:
        """See Listener."""
        if not self._closed:
            self._closed = True
            self._endpoint.stop_listening()
        await trio.lowlevel.checkpoint()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}{' closed' if self._closed else ''}>"


def channel_of(der: bytes) -> Channel:
    """The channel to whoever showed this certificate. Raises NotOurs."""
    return Channel(ChannelKind.QUIC, sha256(der).digest(), key_in(der))


def _socket(family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    for option in socket.SO_RCVBUF, socket.SO_SNDBUF:
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    return sock


def _bind(target: Target) -> socket.socket:
    sock = _socket(target.family)
    try:
        if target.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(target.address)
    except BaseException:
        sock.close()
        raise
    return sock


def _own(address: TransportAddress) -> QUICAddress:
    if not isinstance(address, QUICAddress):
        raise AddressError(f"{address} is no quic:// address")
    return address


def _source(peer: SocketAddress) -> str:
    return source_of(host_of(peer))


def _url(address: SocketAddress) -> str:
    return str(QUICAddress(host_of(address), address[1]))
