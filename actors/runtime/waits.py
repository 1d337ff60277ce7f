"""Who waits on whom, inside one node. Pure: a graph that refuses the edge which would close a cycle.

An engine handles one message at a time; while its handler waits for another engine it handles none. Engines
that wait in a ring wait for ever. Nodes of the graph are whatever can be hashed (the runtime's cells).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Waits(Generic[T]):
    """A multigraph: the same engine may wait twice on another (an async handler with a nursery)."""

    def __init__(self) -> None:
        self._edges: dict[T, Counter[T]] = {}

    def add(self, waiter: T, on: T) -> tuple[T, ...]:
        """Record that `waiter` waits on `on`: (). Or, recording nothing, the cycle that this would close.

        The cycle begins and ends with `waiter`: (a, b, c, a) says that a would wait on b, which waits on c,
        which waits on a.
        """
        if path := self._path(on, waiter):
            return (waiter, *path)
        self._edges.setdefault(waiter, Counter())[on] += 1
        return ()

    def remove(self, waiter: T, on: T) -> None:
        """Undo one `add`."""
        edges = self._edges[waiter]
        edges[on] -= 1
        if not edges[on]:
            del edges[on]
            if not edges:
                del self._edges[waiter]

    def waiting(self, waiter: T) -> tuple[T, ...]:
        """On whom, each once."""
        return tuple(self._edges.get(waiter, ()))

    def __len__(self) -> int:
        """How many wait."""
        return len(self._edges)

    def _path(self, start: T, goal: T) -> tuple[T, ...]:
        """From start to goal along the edges, or (). Depth first, without recursion; the graph has no cycles."""
        if start == goal:
            return (start,)
        came: dict[T, T] = {}
        seen = {start}
        stack = [start]
        while stack:
            here = stack.pop()
            for there in self._edges.get(here, ()):
                if there in seen:
                    continue
                seen.add(there)
                came[there] = here
                if there == goal:
                    return _walk(came, start, goal)
                stack.append(there)
        return ()


def _walk(came: dict[T, T], start: T, goal: T) -> tuple[T, ...]:
    path = [goal]
    while path[-1] != start:
        path.append(came[path[-1]])
    return tuple(reversed(path))
