"""Slots for connections that have not proved who they are (PROTOCOL H9). Pure.

When they are full, the oldest of the source that holds most goes, and the newcomer stays: refusing newcomers would
let whoever fills the slots shut everybody else out.
"""

from __future__ import annotations

from collections import Counter


class Slots:
    """At most `most` in all, and `per_source` of one source."""

    def __init__(self, most: int, per_source: int) -> None:
        self.most = most
        self.per_source = per_source
        self.evicted = 0
        self._sources: dict[str, str] = {}
        self._held: Counter[str] = Counter()

    def enter(self, name: str, source: str) -> str | None:
        """A connection takes a slot; the name of the one that has to go for it, if one has."""
        self._sources[name] = source
        self._held[source] += 1
        if self._held[source] > self.per_source:
            return self._evict(source)
        if len(self._sources) > self.most:
            return self._evict(max(self._held, key=self._held.__getitem__))
        return None

    def leave(self, name: str) -> None:
        """It is proven, or over. Idempotent."""
        source = self._sources.pop(name, None)
        if source is not None:
            self._held[source] -= 1
            if not self._held[source]:
                del self._held[source]

    def _evict(self, source: str) -> str:
        oldest = next(name for name, its in self._sources.items() if its == source)
        self.leave(oldest)
        self.evicted += 1
        return oldest

    def __len__(self) -> int:
        return len(self._sources)
