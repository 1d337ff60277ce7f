"""What a simulation writes down, and where its chance comes from."""

from __future__ import annotations

from random import Random

import trio

from actors.identity import NodeID
from actors.testing.cluster.trace import Trace
from actors.testing.history.records import AnyRecord, History


class Chronicle:
    """The history of one run from one seed, and a digest of it. Each purpose has a stream of chance of its own."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.history: History = []
        self.trace = Trace()
        self._names: dict[NodeID, str] = {}
        self._messages = 0

    def stream(self, purpose: str) -> Random:
        """Chance for one purpose."""
        return Random(f"{self.seed} {purpose}")  # noqa: S311 - a simulation, no secrets

    def now(self) -> float:
        """Virtual seconds since the simulation began."""
        return trio.current_time()

    def record(self, record: AnyRecord) -> None:
        """Add to the history."""
        self.history.append(record)
        self.trace.add(record)

    def next_message(self) -> int:
        """A number for one more message."""
        self._messages += 1
        return self._messages

    def name_of(self, node: NodeID) -> str:
        """A node's name; its short form if it is no node of this simulation."""
        return self._names.get(node, node.short)
