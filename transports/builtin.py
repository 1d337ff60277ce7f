"""The transports that every node has, by scheme. One more is one more line here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from transports.addresses import WSAddress, WSSAddress
from transports.base import Transport
from transports.certificates import Certificate, make_certificate
from transports.tcp import TcpTransport
from transports.tls import TlsTransport
from transports.tls_stream import Alpn
from transports.websocket import WebSocketTransport

_EXTRAS: Final = {"quic": ("aioquic", (1, 7))}
"""What is only there if its package is installed, at this version or a later one."""


def _installed(name: str, least: tuple[int, int]) -> bool:
    try:
        major, minor = version(name).split(".")[:2]
        return find_spec(name) is not None and (int(major), int(minor)) >= least
    except (PackageNotFoundError, ValueError):
        return False


MISSING: Final = {
    scheme: f"pip install trio-actors[{scheme}]" for scheme, package in _EXTRAS.items() if not _installed(*package)
}
"""How to get those that are not here."""
SCHEMES: Final = tuple(scheme for scheme in ("tcp", "tls", "ws", "wss", "quic") if scheme not in MISSING)
"""Those between processes; `memory` is within one."""
LOOPBACK: Final = {scheme: f"{scheme}://127.0.0.1:0" for scheme in SCHEMES}
"""Where a node on this machine listens, at any free port."""


def built_in(key: Ed25519PrivateKey, *, insecure: bool = False) -> tuple[Transport, ...]:
    """All of them, for the node that has this key. insecure: plain ones also beyond loopback."""
    certificate = make_certificate(key)
    plain = (TcpTransport(insecure=insecure), ws(insecure=insecure))
    transports: tuple[Transport, ...] = (*plain, TlsTransport(certificate), wss(certificate))
    if "quic" not in MISSING:
        from transports.quic import QuicTransport

        transports += (QuicTransport(certificate),)
    return transports


def ws(*, insecure: bool = False) -> WebSocketTransport:
    """The Transport of `ws://`. insecure: as for `tcp://`."""
    return WebSocketTransport(TcpTransport(insecure=insecure, kind=WSAddress))


def wss(certificate: Certificate) -> WebSocketTransport:
    """The Transport of `wss://`. Whoever opens WebSockets over TLS names HTTP/1.1, or nothing (PROTOCOL, WebSocket)."""
    return WebSocketTransport(TlsTransport(certificate, kind=WSSAddress, alpn=Alpn("http/1.1", required=False)))
