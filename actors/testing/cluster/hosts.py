"""A node of a simulation over all its runs: who it is, what it remembers, how it is set up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeAlias

import trio

from actors.identity import NodeID, NodeKey
from actors.net.network import NetworkCfg
from actors.net.session.credit import FIRST
from actors.net.session.runs import FLAT
from actors.node import Node
from actors.testing.cluster.watch import Watch

Setup: TypeAlias = Callable[[Node], Awaitable[object] | object]
"""Called with a node at the start of each of its runs, to spawn its engines."""


@lru_cache(maxsize=256)
def key_of(name: str) -> NodeKey:
    """The key of a simulated node: the same in every simulation."""
    return NodeKey.from_seed(sha256(name.encode()).digest())


class Host:
    """What stays when a node's process ends, and the run that is under way, if one is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = key_of(name)
        self.run = 0
        self.node: Node | None = None
        self.watch: Watch | None = None
        self.scope = trio.CancelScope()
        self.stopping = trio.Event()
        self.gone = trio.Event()
        self.setup: Setup | None = None
        self.cfg: NetworkCfg | None = None
        self.options: dict[str, Any] = {}
        self.know: bool | Collection[str] = True
        """Whose adverts it is told: all, none, or those of these names."""
        self.permanent: dict[str, None] = {}
        """The peers to which it holds a permanent link."""
        self.wall_offset = 0.0
        self.crashed = False
        """It was crashed by a fault, and is to run again when all is healed."""
        self._boot = 0

    def next_boot(self, wall_ms: int, *, lose_state: bool) -> int:
        """As a state folder counts boots (PROTOCOL I1): above the last one, and at least the wall clock."""
        self._boot = wall_ms if lose_state else max(self._boot + 1, wall_ms)
        return self._boot

    def knows(self, name: str) -> bool:
        """Whether it is told the advert of the node of this name."""
        return self.know if isinstance(self.know, bool) else name in self.know

    def queues(self, node: Node, name_of: Callable[[NodeID], str]) -> Iterator[tuple[str, int, int, int, int]]:
        """Each bounded queue of the run: name, messages and bytes in it, and how many of each it may hold."""
        for entry in node._network.table:
            outbox = entry.outbox
            # Answers take no room of the outbox: the one who asked made it, with the credit for its question.
            answers = outbox.lane("", "").target.weight
            weight = outbox.transmit.weight + outbox.reserved - answers
            most = outbox.capacity + node._network.cfg.max_frame
            yield f"outbox for {name_of(entry.peer)}", weight // FLAT, weight, most // FLAT, most
        for name, cell in node.runtime.directory.items():
            if not cell.reserved:
                box = cell.mailbox.statistics()
                # Every peer has a first allowance beside the capacity (PROTOCOL K3).
                peers = len(node._network.peers)
                most, most_size = box.capacity + FIRST[0] * peers, box.capacity_bytes + FIRST[1] * peers
                yield f"mailbox of {name}", box.held, box.held_bytes, most, most_size
