"""Severs the connection that carries a stream, while data is in flight. For local clusters only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import trio

from actors.identity import NodeID
from actors.snapshots import ProxySnapshot

_PAUSE = 0.002
"""Seconds between two looks at a link that is not up."""
_SETTLED = 0.02
"""Seconds for which a connection has been the only one, before it is cut: both sides dial after a cut, and for a
moment there may be two. To cut one of two would end nothing."""


class Severable(Protocol):
    """The part of a node that is needed."""

    def proxies(self) -> Sequence[ProxySnapshot]: ...
    def cut(self, node_id: NodeID, /) -> bool: ...
    def dial_now(self, node_id: NodeID, /) -> None: ...


class Knife:
    """Cuts a node's connection to one peer, again and again."""

    def __init__(self, node: Severable) -> None:
        self._node = node
        self._connections = -1
        self._since = 0.0

    async def settled(self, peer: NodeID) -> None:
        """Returns once the link is up, on one connection. After a cut, the pauses of its backoff are cut short."""
        while not self._is_settled(link := self._link(peer)):
            if link.state == "backoff":
                self._node.dial_now(peer)
            await trio.sleep(_PAUSE)

    async def sever(self, peer: NodeID, told: trio.Event) -> bool:
        """Cut the connection to the peer while messages are written and not acknowledged; returns at once then.

        `told` is set once the sender's last messages are in the outbox. The best moment is just before they are
        written: the writer will find the connection dead. False, and nothing was cut, if everything has arrived
        by then: tell more, and try again.
        """
        while not self._is_due(link := self._link(peer), told):
            if told.is_set() and not link.ledger.in_flight:
                return False
            # In every round of the scheduler: what is written is acknowledged within milliseconds.
            await trio.lowlevel.checkpoint()
        self._connections = -1  # the link itself has not noticed yet
        return self._node.cut(peer)

    def _is_due(self, link: ProxySnapshot, told: trio.Event) -> bool:
        return link.state == "ready" and link.retained > 0 and (link.queued > 0 or told.is_set())

    def _is_settled(self, link: ProxySnapshot) -> bool:
        if link.connections != self._connections:
            self._connections, self._since = link.connections, trio.current_time()
        return link.state == "ready" and trio.current_time() >= self._since + _SETTLED

    def _link(self, peer: NodeID) -> ProxySnapshot:
        return next(proxy for proxy in self._node.proxies() if proxy.peer_id == str(peer))
