"""What a simulation may watch and choose inside a node. In service nobody does, and it costs a look at None. Pure.

The seam between the network of a node and `actors.testing`; nothing else stands on it.
"""

from __future__ import annotations

from typing import Protocol

from actors.errors import Outcome
from actors.events import Event
from actors.identity import NodeID
from actors.net.session.receive import Arrived
from actors.net.session.runs import Run

POINTS = {
    "acceptor.over_capacity": "an inbound connection is proven and turned away: over capacity",
    "acceptor.pause": "the acceptor takes its time between two steps of a handshake",
    "dialer.pause": "the dialer takes its time between two steps of a handshake",
    "link.ack_at_once": "an acknowledgement does not wait for something to ride on",
    "link.flush_pause": "what the socket did not take waits a little longer than it must",
    "outbox.forward_pause": "messages lie between channel and transmit half for a moment",
    "peers.forget": "the book of peers forgets a peer that nobody uses, as if it were full",
}
"""Fault points: places in the code where the unlikely, but allowed, may be made to happen."""


class Onlooker(Protocol):
    """Sees what becomes of one peer's messages. Called for each run, before the run changes; must not change it."""

    def accepted(self, run: Run) -> None:
        """The outbox has taken these messages. Those that another proxy hands on are told again."""

    def settled(self, run: Run, outcome: Outcome) -> None:
        """They have their outcome."""

    def withdrawn(self, run: Run) -> None:
        """Whoever waited for their outcome gave up, or their time is over."""

    def arrived(self, run: Arrived) -> None:
        """The peer's messages go into a mailbox."""

    def offered(self, sender: str, target: str, message: object) -> None:
        """One of the unreliable class does."""


class Links(Protocol):
    """The Router's table, as far as an onlooker may see it."""

    def is_connected(self, peer: NodeID) -> bool:
        """Whether a connection carries messages to this peer now."""

    def is_permanent(self, peer: NodeID) -> bool:
        """Whether anybody holds the link to this peer for permanent."""


class Conditions:
    """Those of a node in service: nobody looks on, nothing unlikely is chosen."""

    def begin(self, links: Links) -> None:
        """The node is being put together."""

    def event(self, event: Event) -> None:
        """What the node says of itself, in the step in which it happens."""

    def onlooker(self, peer: NodeID) -> Onlooker | None:
        """Who sees the messages to and from this peer."""
        return None

    def forgot(self, peer: NodeID) -> None:
        """What was received of this peer is forgotten."""

    def retry_after(self, peer: NodeID, seconds: float) -> None:
        """The peer itself asked not to be called for so long, and is believed (H7)."""

    def point(self, name: str) -> bool:
        """Whether the fault point of this name (see POINTS) is to happen now."""
        return False

    def pause(self, name: str) -> float:
        """Seconds to wait at the point of this name."""
        return 0.0
