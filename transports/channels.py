"""What protects a connection: part of what a handshake signs (PROTOCOL H3). Pure."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct


class ChannelKind(IntEnum):
    """What protects a connection below us (PROTOCOL H3)."""

    PLAIN = 0
    TLS = 1
    QUIC = 2
    FRONT = 3
    """TLS that a front ends before us."""


class Channel(Struct, frozen=True, gc=False):
    """What the handshake signs of the connection it runs on (PROTOCOL H3).

    `digest` is the SHA-256 of the server's certificate (DER) as this side sees or serves it; empty for PLAIN. `key` is
    the key in that certificate, where this side dialed: the server holds it, and is the node of that name or nobody.
    Raises ValueError if kind and digest do not fit together.
    """

    kind: int
    """A ChannelKind."""
    digest: bytes = b""
    key: bytes = b""

    def __post_init__(self) -> None:
        if self.kind not in range(4) or len(self.digest) != (32 if self.kind else 0):
            raise ValueError(f"no channel of kind {self.kind} has a digest of {len(self.digest)} bytes")

    @property
    def speaks_for_server(self) -> bool:
        """Whether what the server says over it needs no signature: who dialed has compared its key."""
        return self.kind in (ChannelKind.TLS, ChannelKind.QUIC)


PLAIN = Channel(ChannelKind.PLAIN)
