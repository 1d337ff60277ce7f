"""Connections over TLS 1.3. The server shows the node's own key, in a certificate that says nothing else."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from socket import socket

from transports.addresses import HostAddress, TLSAddress, TransportAddress, source_of
from transports.channels import Channel, ChannelKind
from transports.errors import AddressError, ConnectionLost
from transports.tcp.sockets import SocketAddress, SocketListener, Target, connect, host_of, listen, reach
from transports.tcp.stream import SocketStream
from transports.tls.certificates import Certificate, NotOurs, key_in
from transports.tls.stream import OURS, Alpn, TlsStream


class TlsTransport:
    """The Transport of `tls://`.

    dial_timeout: seconds for one dial, lookup and handshake included.
    kind, alpn: the type of its addresses, and what is spoken inside; others for a protocol that lies on TLS.
    """

    serve = None

    def __init__(
        self,
        certificate: Certificate,
        *,
        dial_timeout: float = 10.0,
        kind: type[HostAddress] = TLSAddress,
        alpn: Alpn = OURS,
    ) -> None:
        self.scheme = kind.scheme
        self.secure = kind.secure
        self.dial_timeout = dial_timeout
        self._kind = kind
        self._alpn = alpn
        self._served = Channel(ChannelKind.TLS, certificate.digest)
        self._server = server_context(certificate, alpn)
        self._client = client_context(alpn)

    async def dial(self, address: TransportAddress) -> TlsStream:
        """See Transport. The handshake is over when this returns; `channel.key` says which node holds the key."""
        return await reach(
            self._own(address), self._connect, TlsStream.abort, loopback_only=False, give_up_after=self.dial_timeout
        )

    async def _connect(self, target: Target) -> TlsStream:
        """A number that is reached, and says nothing then, does not keep others from being tried."""
        stream = self._stream(await connect(target), target.address, self._client)
        try:
            stream.channel = channel_of(await stream.do_handshake())
        except (ConnectionLost, NotOurs) as error:
            stream.abort()
            raise ConnectionError(str(error)) from error
        except BaseException:
            stream.abort()
            raise
        return stream

    async def listen(self, address: TransportAddress) -> SocketListener:
        """See Transport. A connection is accepted before its handshake, which is part of its first reads."""
        return await listen(self._own(address), self._accepted, loopback_only=False)

    def _accepted(self, sock: socket, peer: SocketAddress) -> TlsStream:
        return self._stream(sock, peer, self._server)

    def _stream(self, sock: socket, peer: SocketAddress, context: ssl.SSLContext) -> TlsStream:
        local, remote = self._url(sock.getsockname()), self._url(peer)
        below = SocketStream(sock, local=local, remote=remote, source=source_of(host_of(peer)))
        server_side = context is self._server
        return TlsStream(
            below,
            context,
            server_side=server_side,
            channel=self._served,
            local=local,
            remote=remote,
            alpn=self._alpn,
        )

    def _own(self, address: TransportAddress) -> HostAddress:
        if type(address) is not self._kind:
            raise AddressError(f"{address} is no {self.scheme}:// address")
        return address

    def _url(self, address: SocketAddress) -> str:
        return str(self._kind(host_of(address), address[1]))


def server_context(certificate: Certificate, alpn: Alpn = OURS) -> ssl.SSLContext:
    """TLS 1.3 and nothing older, no tickets, one protocol inside."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, alpn)
    context.num_tickets = 0
    _load(context, certificate)
    return context


def client_context(alpn: Alpn = OURS) -> ssl.SSLContext:
    """The server may show any certificate: what counts is the key in it, and whoever dials compares that."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, alpn)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context(protocol: int, alpn: Alpn) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([alpn.name])
    return context


def _load(context: ssl.SSLContext, certificate: Certificate) -> None:
    """OpenSSL reads certificate and key from files and nothing else: from two pipes, so that no disk holds the key."""
    with _pipe_of(certificate.pem()) as chain, _pipe_of(certificate.secret_pem()) as key:
        context.load_cert_chain(chain, key)


@contextmanager
def _pipe_of(data: bytes) -> Iterator[str]:
    """A path at which these few bytes can be read, once."""
    out, into = os.pipe()
    try:
        with os.fdopen(into, "wb") as file:
            file.write(data)
        yield f"/dev/fd/{out}"
    finally:
        os.close(out)


def channel_of(der: bytes) -> Channel:
    """The channel to whoever showed this certificate. Raises NotOurs."""
    return Channel(ChannelKind.TLS, sha256(der).digest(), key_in(der))
