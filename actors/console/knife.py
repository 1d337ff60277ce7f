"""Severs the connection that carries a stream, while data is in flight. For local clusters only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import trio

from actors.identity import NodeID
from actors.snapshots import ProxySnapshot

_PAUSE = 0.002
"""Seconds between two looks at a link that is not up."""


class Severable(Protocol):
    """The part of a node that is needed."""

    def proxies(self) -> Sequence[ProxySnapshot]: ...
    def cut(self, node_id: NodeID, /) -> bool: ...
    def dial_now(self, node_id: NodeID, /) -> None: ...


class Knife:
    """Cuts a node's connections to its peers."""

    def __init__(self, node: Severable) -> None:
        self._node = node

    async def sever(self, peer: NodeID) -> bool:
        """Cut the connection to the peer as soon as written messages are unacknowledged, and wait until it is resumed.

        False, and nothing was cut, if everything had arrived before that: tell more, and try again. False too if
        the session was resumed without anything in flight. The pause of the peer's backoff is cut short.
        """
        before = await self._in_flight(peer)
        if before is None or not self._node.cut(peer):
            return False
        while True:
            link = self.link(peer)
            if link.connections > before.connections and link.state == "ready":
                return link.reconnects > before.reconnects
            if link.state == "backoff":
                self._node.dial_now(peer)
            await trio.sleep(_PAUSE)

    async def _in_flight(self, peer: NodeID) -> ProxySnapshot | None:
        while True:
            link = self.link(peer)
            if link.state == "ready" and link.retained:
                return link
            if link.ledger.in_flight == 0:
                return None
            # A look in every round of the scheduler: what is written is acknowledged within milliseconds.
            if link.state == "ready":
                await trio.lowlevel.checkpoint()
            else:
                await trio.sleep(_PAUSE)

    def link(self, peer: NodeID) -> ProxySnapshot:
        """The proxy as it is now."""
        return next(proxy for proxy in self._node.proxies() if proxy.peer_id == str(peer))
