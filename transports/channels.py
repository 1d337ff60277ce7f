"""What protects a connection: part of what a handshake signs (PROTOCOL H3). Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from msgspec import Struct


class ChannelKind(IntEnum):
    """What protects a connection below us (PROTOCOL H3)."""

    PLAIN = 0
    TLS = 1
    QUIC = 2
    FRONT = 3
    """TLS that a front ends before us."""


PROVES_SERVER: Final = (ChannelKind.TLS, ChannelKind.QUIC)
"""Who dialed has compared the key that the server holds with the node that it means: what comes is that node's word."""


class Channel(Struct, frozen=True, gc=False):
    """What the handshake signs of the connection it runs on (PROTOCOL H3).

    `digest` is the SHA-256 of the server's certificate (DER) as this side sees or serves it; empty for PLAIN. `key` is
    the key in that certificate, where this side dialed: the server holds it, and is the node of that name or nobody.
    """

    kind: ChannelKind
    digest: bytes = b""
    key: bytes = b""


PLAIN = Channel(ChannelKind.PLAIN)
