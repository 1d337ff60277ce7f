"""What a run of a node held of its link to a peer, at any moment: permanence, and whether it was up. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

from actors.testing.history.records import LinkDown, LinkUp, Permanence
from actors.testing.judge.book import Book, Pair
from actors.testing.judge.lives import Places

NO_CONNECTION = ("connection_lost", "unreachable")
"""How the reasons begin for which messages of ephemeral links are lost."""


class Ties:
    """Asked with the index of the moment: what was recorded before it counts."""

    def __init__(self, book: Book) -> None:
        self._permanence: dict[Pair, tuple[list[int], list[float | None]]] = defaultdict(lambda: ([], []))
        self._ups: dict[Pair, tuple[list[int], list[bool]]] = {}
        self._released: set[tuple[Pair, float]] = set()
        for index, held in book.of(Permanence):
            indices, states = self._permanence[book.pair(held)]
            since = states[-1] if states and states[-1] is not None else held.at
            indices.append(index)
            states.append(since if held.permanent else None)
            if not held.permanent:
                self._released.add((book.pair(held), held.at))
        changes: dict[Pair, Places[LinkUp | LinkDown]] = book.by_pair(LinkUp, LinkDown)
        for pair, places in changes.items():
            self._ups[pair] = [index for index, _ in places], [isinstance(change, LinkUp) for _, change in places]

    def permanent_since(self, pair: Pair, index: int) -> float | None:
        """Since when the link is held for permanent without a break; None if it is not."""
        if pair not in self._permanence:
            return None
        indices, states = self._permanence[pair]
        place = bisect_left(indices, index)
        return states[place - 1] if place else None

    def is_up(self, pair: Pair, index: int) -> bool:
        """Whether a connection can carry messages."""
        if pair not in self._ups:
            return False
        indices, states = self._ups[pair]
        place = bisect_left(indices, index)
        return bool(place) and states[place - 1]

    def released(self, pair: Pair, at: float) -> bool:
        """Whether at that time, before or after that moment, the last holder of permanence left."""
        return (pair, at) in self._released
