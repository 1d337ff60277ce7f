"""The transports that every node has. One more is one more line here, and a name in `schemes`."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from transports.addresses import WSAddress, WSSAddress
from transports.base import Transport
from transports.schemes import MISSING
from transports.tcp.transport import TcpTransport
from transports.tls.certificates import Certificate, make_certificate
from transports.tls.stream import Alpn
from transports.tls.transport import TlsTransport
from transports.websocket.transport import WebSocketTransport


def built_in(key: Ed25519PrivateKey, *, insecure: bool = False) -> tuple[Transport, ...]:
    """All of them, for the node that has this key. insecure: plain ones also beyond loopback."""
    certificate = make_certificate(key)
    plain = (TcpTransport(insecure=insecure), ws(insecure=insecure))
    transports: tuple[Transport, ...] = (*plain, TlsTransport(certificate), wss(certificate))
    if "quic" not in MISSING:
        from transports.quic.transport import QuicTransport

        transports += (QuicTransport(certificate),)
    return transports


def ws(*, insecure: bool = False) -> WebSocketTransport:
    """The Transport of `ws://`. insecure: as for `tcp://`."""
    return WebSocketTransport(TcpTransport(insecure=insecure, kind=WSAddress))


def wss(certificate: Certificate) -> WebSocketTransport:
    """The Transport of `wss://`. Whoever opens WebSockets over TLS names HTTP/1.1, or nothing (PROTOCOL, WebSocket)."""
    return WebSocketTransport(TlsTransport(certificate, kind=WSSAddress, alpn=Alpn("http/1.1", required=False)))
