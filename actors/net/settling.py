"""Settling: what becomes of all that a Node Proxy still owes when a connection of its peer, or it itself, is gone.

Each message gets its one outcome, or goes to the proxy that comes after (PROTOCOL D4, L1, L4, Q3). The proxy has left
the Router's table before anything is settled for good (C10).
"""

from __future__ import annotations

from actors.errors import Lost
from actors.net.network import Entry, Network
from actors.net.session.runs import Run


class Settling:
    """For one proxy. All of it is synchronous."""

    def __init__(self, network: Network, entry: Entry) -> None:
        self._network = network
        self._entry = entry

    def hand_over(self) -> None:
        """What was never written goes to the next proxy, in order (D4)."""
        outbox, table, peer = self._entry.outbox, self._network.table, self._entry.peer
        if table.stopping:
            return self.stopped()
        outbox.hand_on(lambda sender, target: (table.find(peer) or table.open(peer)).outbox.lane(sender, target))
        self.fail_asks("connection_lost")

    def written(self) -> None:
        """What was written on the connection that is gone is lost; the rest waits for another (L4)."""
        outbox, owed = self._entry.outbox, self._answers_owed()
        outbox.collect()
        outbox.transmit.give_up_written("connection_lost")
        outbox.settled()
        for run in owed:
            outbox.adopt(run, outbox.lane("", ""))
        self.fail_asks("connection_lost")

    def lost(self, reason: str) -> None:
        """All of it, but for answers that somebody waits for."""
        self._hand_on_answers()
        self._entry.outbox.close(reason)
        self.fail_asks("connection_lost")

    def stopped(self) -> None:
        """All of it: this node stops (D5)."""
        self._entry.outbox.close("node_stopped")
        self.fail_asks("node_stopped")

    def fail_asks(self, reason: str) -> None:
        """Nobody will answer any more (Q3). What was never written has its outcome, or waits in another outbox."""
        self._network.runtime.asks.fail_written(self._entry.peer, Lost(reason, maybe_sent=True))

    def _answers_owed(self) -> list[Run]:
        """Who holds its end for permanent waits for answers over any number of connections, also of ours (Q3)."""
        waits = self._entry.record.waits and not self._network.table.stopping
        return self._entry.outbox.take_answers() if waits else []

    def _hand_on_answers(self) -> None:
        table, peer = self._network.table, self._entry.peer
        for run in self._answers_owed():
            successor = (table.find(peer) or table.open(peer)).outbox
            successor.adopt(run, successor.lane("", ""))
