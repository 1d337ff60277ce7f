"""Carries out a plan of cuts at the first node of a stream: one after the other, while the stream goes on."""

from __future__ import annotations

import trio

from actors.console.cuts import Cuts
from actors.console.knife import Knife
from actors.identity import NodeID
from actors.snapshots import ProxySnapshot


class Cutting:
    """Which messages to mark, so that the last node severs the connection when it takes them.

    A cut is over when the session is resumed; one that found nothing in flight is made again at a later message.
    """

    def __init__(self, cuts: Cuts, knife: Knife, nursery: trio.Nursery, peer: NodeID) -> None:
        self._cuts = cuts
        self._knife = knife
        self._nursery = nursery
        self._peer = peer
        self._missed = 0
        self.resumed = 0
        """Sessions that were resumed after a cut with data in flight."""
        self.over = trio.Event()
        """No cut is under way."""
        self.over.set()

    def due(self, position: int) -> bool:
        """Whether a cut is due at this message."""
        return self._missed > 0 or self._cuts.due(position, trio.current_time())

    async def begin(self, position: int) -> bool:
        """Whether to mark this message, at which a cut is due. Waits for the cut that is under way."""
        await self.over.wait()
        if not self.due(position):
            return False
        if self._missed:
            self._missed -= 1
        else:
            self._cuts.made(position, trio.current_time())
        self.over = trio.Event()
        self._nursery.start_soon(self._follow, self._knife.link(self._peer))
        return True

    async def _follow(self, before: ProxySnapshot) -> None:
        if await self._knife.resumed(self._peer, before):
            self.resumed += 1
        else:
            self._missed += 1
        self.over.set()
