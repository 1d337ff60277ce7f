"""Severs the connection that carries a stream, while data is in flight. For local clusters only.

The last node severs, when it takes a message that the first has marked: so the message is on its way still, and
so is what came behind it. The first node sees to it that the link comes back, and whether it was worth it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import trio

from actors.identity import NodeID
from actors.snapshots import ProxySnapshot

_PAUSE = 0.002
"""Seconds between two looks at a link that is not up."""
_SETTLED = 0.02
"""Seconds for which a connection has been the only one, before the next cut: both sides dial after a cut, and for a
moment there may be two. To cut one of two would end nothing."""
_PATIENCE = 1.0
"""Seconds for which everything has arrived, and still nothing was cut."""


class Severable(Protocol):
    """The part of a node that is needed."""

    def proxies(self) -> Sequence[ProxySnapshot]: ...
    def cut(self, node_id: NodeID, /) -> bool: ...
    def dial_now(self, node_id: NodeID, /) -> None: ...


class Knife:
    """A node's hand on its connections."""

    def __init__(self, node: Severable) -> None:
        self._node = node

    def sever(self, peer: NodeID | None) -> None:
        """Cut the connection to the peer, without a word."""
        if peer is not None:
            self._node.cut(peer)

    def link(self, peer: NodeID) -> ProxySnapshot:
        """The proxy of the peer, as it is now."""
        return next(proxy for proxy in self._node.proxies() if proxy.peer_id == str(peer))

    async def resumed(self, peer: NodeID, before: ProxySnapshot) -> bool:
        """Returns once the connection that there was `before` is severed, and the next has settled.

        True if the session was resumed with data in flight. The pauses of the link's backoff are cut short.
        """
        patience = trio.current_time() + _PATIENCE
        while (link := self.link(peer)).connections == before.connections or link.state != "ready":
            if link.state == "backoff":
                self._node.dial_now(peer)
            if link.ledger.in_flight or link.state != "ready":
                patience = trio.current_time() + _PATIENCE
            elif trio.current_time() >= patience:
                return False
            await trio.sleep(_PAUSE)
        await self.settled(peer)
        return self.link(peer).reconnects > before.reconnects

    async def settled(self, peer: NodeID) -> None:
        """Returns once the link is up, on one connection."""
        since, connections = trio.current_time(), -1
        while trio.current_time() < since + _SETTLED:
            await trio.sleep(_PAUSE)
            link = self.link(peer)
            if link.state != "ready" or link.connections != connections:
                since, connections = trio.current_time(), link.connections
