"""How a message should travel, and for how long it is worth it. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class TransportPrefs(Struct, frozen=True, gc=False):
    """What a message asks of its transport (spec: TransportPrefs).

    An *unreliable* `tell` or `send` to another node is sent once at most, in no order: as a datagram where the
    transport has any, else in its stream. It may be lost without a word; `send` returns once it is Sent. Until then it
    takes room in the outbox and may expire; where no datagram can carry it, it is Refused("too_large"). An `ask` is
    always reliable, and so is what stays within a node.
    """

    ordering: Literal["ordered", "unordered"] = "ordered"
    reliability: Literal["reliable", "unreliable"] = "reliable"
    security: Literal["direct", "encrypted"] = "direct"
    """Encrypted: only over a connection that nobody on the way can read. An answer goes as its own node decides."""
    transports: tuple[str, ...] = ()
    """The only ones that may carry it, as in `tls`; none named: any. It waits for one of them, until its expiry."""


PREFS = TransportPrefs()
"""What holds where nothing is said: ordered, reliable, direct, over any transport."""

EXPIRY = 30.0
"""Seconds for which a message is worth delivering, where nothing is said."""
