"""How many hold a permanent link to this node, and over which time they are to come back (PROTOCOL L7). Pure."""

from __future__ import annotations

from actors.identity import NodeID

FEW = 16
"""So many may come at once; they are told nothing."""
APART = 0.02
"""Seconds from one to the next, on average: 50 a second, of 200 not more than a tenth in any tenth of a second."""
GROWN = 1.5
"""All are told anew when there are so many times as many as the last time."""


class Crowd:
    """Of the peers whose end of the link is permanent: they dial again when it is lost."""

    __slots__ = ("_peers", "_said")

    def __init__(self) -> None:
        self._peers: set[NodeID] = set()
        self._said = 0
        """How many there were when all were told."""

    @property
    def within(self) -> float:
        """Seconds over which they are to come back; 0 for few."""
        return APART * self._many

    @property
    def _many(self) -> int:
        return len(self._peers) if len(self._peers) >= FEW else 0

    def join(self, peer: NodeID) -> bool:
        """One has come. Whether the time has changed so much that all are to be told."""
        self._peers.add(peer)
        if self._said / GROWN <= self._many <= self._said * GROWN:
            return False
        self._said = self._many
        return True

    def leave(self, peer: NodeID) -> None:
        """One has gone. Nobody is told of that before another comes."""
        self._peers.discard(peer)
