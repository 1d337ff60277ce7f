"""What one direction between two hosts is like, and what is wrong with it: where, how, and until when."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from math import inf
from types import TracebackType
from typing import Literal, Self, TypeAlias

from msgspec import Struct

from transports.memory.connection import Connection

Dials: TypeAlias = Literal["pass", "refuse", "ignore", "hold"]

WHOLE = sys.maxsize
"""A part of any length."""


class Wire(Struct, frozen=True, gc=False):
    """What one direction between two hosts is like. Seconds, bytes, bytes a second."""

    latency: float
    jitter: float
    capacity: int
    bandwidth: float = inf
    """Of all connections together: they share the wire."""
    read_rate: float = inf
    """What the receiver reads, of each connection."""
    corruption: float = 0.0
    """The probability that a bit of a parcel is flipped."""
    longest_write: int | None = None
    """A write takes a part of drawn length, at most this; None: all that there is room for."""
    longest_read: int | None = None
    loss: float = 0.0
    """The probability that a datagram is lost."""
    copies: float = 0.0
    """The probability that a datagram arrives twice."""
    scatter: float = 0.0
    """Seconds that a datagram, or a copy of it, may take longer than another."""
    held: bool = False
    """Nothing arrives."""
    dials: Dials = "pass"
    """What becomes of dials in this direction."""

    @property
    def rationed(self) -> bool:
        """Whether many bytes take longer than few."""
        return self.bandwidth < inf or self.read_rate < inf

    def faster_than(self, other: Wire) -> bool:
        """Whether bytes that are on their way would have come sooner."""
        return (
            self.latency < other.latency
            or self.jitter < other.jitter
            or self.bandwidth > other.bandwidth
            or self.read_rate > other.read_rate
        )


# -- where ------------------------------------------------------------------------------------------------


class Between(Struct, frozen=True):
    """What two hosts say to each other, or `one_way` what the first says to the second; None is every other host."""

    one: str | None = None
    other: str | None = None
    one_way: bool = False
    spared: tuple[Between, ...] = ()

    def covers(self, sender: str, receiver: str, connection: Connection | None = None) -> bool:
        """Whether this is about what the sender says to the receiver, over this connection or, without one, any."""
        found = self._matches(sender, receiver) or (not self.one_way and self._matches(receiver, sender))
        return found and not any(spared.covers(sender, receiver) for spared in self.spared)

    def _matches(self, one: str, other: str) -> bool:
        return (
            self.one in (None, one)
            and self.other in (None, other)
            and (one != other or None not in (self.one, self.other))  # a host always reaches itself
        )

    def without(self, healed: Between) -> Between | None:
        """What is left when all is well between these; None if nothing is."""
        if healed.encloses(self):
            return None
        return Between(self.one, self.other, self.one_way, (*self.spared, healed))

    def encloses(self, inner: Between) -> bool:
        """Whether this covers whatever the other one does."""
        return (self.one in (None, inner.one) and self.other in (None, inner.other)) or (
            self.one in (None, inner.other) and self.other in (None, inner.one)
        )


class Apart(Struct, frozen=True):
    """Pairs of hosts, both ways."""

    pairs: frozenset[tuple[str, str]]

    def covers(self, sender: str, receiver: str, connection: Connection | None = None) -> bool:
        """See Between."""
        return (sender, receiver) in self.pairs or (receiver, sender) in self.pairs

    def without(self, healed: Between) -> Apart | None:
        """See Between."""
        left = frozenset(pair for pair in self.pairs if not healed.covers(*pair))
        return Apart(left) if left else None


class Over(Struct, frozen=True):
    """Some connections, or what one host says over them."""

    connections: tuple[Connection, ...]
    sender: str | None = None

    def covers(self, sender: str, receiver: str, connection: Connection | None = None) -> bool:
        """See Between."""
        return connection in self.connections and self.sender in (None, sender)

    def without(self, healed: Between) -> Over | None:
        """See Between."""
        hosts = ((each, Between(each.dialer.host, each.acceptor.host)) for each in self.connections)
        return self.only(each for each, between in hosts if not healed.encloses(between))

    def only(self, connections: Iterable[Connection]) -> Over | None:
        """The same over these of its connections; None if they are none."""
        left = tuple(connections)
        return Over(left, self.sender) if left else None


Where: TypeAlias = Between | Apart | Over


# -- until when -------------------------------------------------------------------------------------------


class Trouble:
    """Something that is wrong with a network until `heal`; as a `with` block, until the end of the block."""

    def __init__(
        self,
        what: str,
        where: Where,
        change: Callable[[Wire], Wire],
        *,
        heal: Callable[[Trouble], object],
        on_end: Callable[[], object] | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.change = change
        self.in_force = True
        self.on_end = on_end
        """Called once, when it is over."""
        self._heal = heal

    def heal(self) -> None:
        """All is as if it had never been; what was held back arrives. Idempotent."""
        if self.in_force:
            self._heal(self)

    def end(self) -> None:
        """Once, by the network."""
        self.in_force = False
        if self.on_end is not None:
            self.on_end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.heal()

    def __repr__(self) -> str:
        return f"<Trouble {self.what}{'' if self.in_force else ' (over)'}>"
