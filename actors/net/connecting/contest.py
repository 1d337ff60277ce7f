"""Which of several connections between two nodes is the current one (PROTOCOL C). Pure.

Every input is signed in the handshake, so that both ends of each connection decide alike.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from actors.identity import NodeID
from actors.net.messages import ConnectionID


class Contender(Struct, frozen=True, gc=False):
    """A connection as both its ends know it (PROTOCOL C1): who dialed, which dial, and what its dialer knew."""

    dialer: NodeID
    id: ConnectionID
    accepted: ConnectionID | None = None
    """The greatest dial of the other node that the dialer had accepted when it asked (PROTOCOL C2)."""

    def knew(self, other: Contender) -> bool:
        """Whether the dialer had accepted the other node's dial, or a later one, and dialed all the same."""
        return self.accepted is not None and self.accepted >= other.id


def beats(x: Contender, y: Contender) -> bool:
    """Whether x wins over y, another connection between the same two nodes (PROTOCOL C3)."""
    if x.dialer == y.dialer:
        return x.id > y.id
    if x.knew(y) != y.knew(x):
        return x.knew(y)
    return x.dialer > y.dialer  # truly simultaneous


def current(resumed: Iterable[Contender]) -> Contender | None:
    """The connection to write on: the best of the ends that the peer's Resume has reached (PROTOCOL C4)."""
    best: Contender | None = None
    for contender in resumed:
        if best is None or beats(contender, best):
            best = contender
    return best


def superseded(proven: Iterable[Contender], resumed: Iterable[Contender]) -> list[Contender]:
    """The proven ends to close: those worse than the current one, resumed or not (PROTOCOL C5)."""
    best = current(resumed)
    return [] if best is None else [contender for contender in proven if beats(best, contender)]


def greatest(accepted: ConnectionID | None, connection: ConnectionID) -> ConnectionID:
    """The greatest dial of a peer that we have accepted, after one more (PROTOCOL C2)."""
    return connection if accepted is None else max(accepted, connection)
