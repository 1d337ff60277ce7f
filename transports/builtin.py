"""The transports that every node has, by scheme. One more is one more line here."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from transports.base import Transport
from transports.certificates import make_certificate
from transports.tcp import TcpTransport
from transports.tls import TlsTransport

SCHEMES: Final = ("tcp", "tls")
"""Those between processes; `memory` is within one."""
LOOPBACK: Final = {scheme: f"{scheme}://127.0.0.1:0" for scheme in SCHEMES}
"""Where a node on this machine listens, at any free port."""


def built_in(key: Ed25519PrivateKey, *, insecure: bool = False) -> tuple[Transport, ...]:
    """All of them, for the node that has this key. insecure: plain ones also beyond loopback."""
    certificate = make_certificate(key)
    return (TcpTransport(insecure=insecure), TlsTransport(certificate))
