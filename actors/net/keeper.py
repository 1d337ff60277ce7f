"""Keeper: tells other nodes when engines of this one end, and starts for them what this node offers (PROTOCOL W).

It starts when somebody asks it. What it knows lies in `Loans`.
"""

from __future__ import annotations

from functools import partial

import trio

from actors.engine import Engine, on
from actors.identity import NodeID
from actors.net.keeping import Find, Found, Gone, Held, Hold, Lend, Lent, NotLent, Release
from actors.net.loans import Loans
from actors.runtime import Beside, Cell, Runtime


class Keeper(Engine):
    """All its questions come from other nodes, but for a node that spawns on itself."""

    runtime: Runtime
    loans: Loans

    @on(Find)
    def find(self, msg: Find) -> Found | Gone:
        """The network's own engines are nobody else's business."""
        cell = self._cell(msg.name)
        return Gone("no_engine") if cell is None else Found(cell.stay)

    @on(Hold)
    async def hold(self, msg: Hold) -> Held | Gone:
        """Waits beside what others ask."""
        peer = self._peer
        self.loans.renew(peer, msg.stay, msg.lease)
        cell = self._cell(msg.name)
        if cell is None or cell.stay != msg.stay:
            return Gone(self.runtime.end_of(msg.stay) or "no_engine")
        return Beside(partial(self._hold, peer, cell, msg.wait))  # type: ignore[return-value]  # its value is the reply

    async def _hold(self, peer: NodeID, cell: Cell, wait: float) -> Held | Gone:
        with self.loans.watched(peer) as allowed, trio.move_on_after(wait):
            if not allowed:
                return Gone("too_many")
            await cell.gone.wait()
        return Gone(cell.end) if cell.gone.is_set() else Held()

    @on(Lend)
    def lend(self, msg: Lend) -> Lent | NotLent:
        """Only what this node's own app offers."""
        return self.loans.lend(self._peer, msg.offer, msg.token, msg.lease)

    @on(Release)
    async def release(self, msg: Release) -> None:
        """Its asker waits until nothing is left of it."""
        cell = self.loans.release(self._peer, msg.token)
        if cell is not None:
            return Beside(cell.gone.wait)  # type: ignore[return-value]  # its value is the reply
        return None

    @property
    def _peer(self) -> NodeID:
        return self.sender.node or self.runtime.id

    def _cell(self, name: str) -> Cell | None:
        cell = self.runtime.find(name)
        return None if cell is None or cell.reserved else cell
