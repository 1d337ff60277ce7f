"""The words of a proxy's life: its phases, what happens to it, what it has to do. Pure. The table is in `life`."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Phase(Enum):
    """Where a proxy stands."""

    IDLE = "idle"
    """Just made by the Router, which has an event for it."""
    DIALING = "dialing"
    """An attempt of ours is under way, no handshake yet."""
    HANDSHAKING = "handshaking"
    """A handshake of ours is under way."""
    READY = "ready"
    """At least one proven end."""
    DRAINING = "draining"
    """The node stops: what is queued goes out, nothing more is accepted."""
    BACKOFF = "backoff"
    """Nothing is under way until the next attempt is due."""
    CLOSED = "closed"
    """Not in the Router's table any more; everything is settled."""


class Event(Enum):
    """What happens to a proxy. `Facts` are those of the moment when the event is handled."""

    SEND = "send"
    """A message was queued; or, after the proxy's end, brought by a handle that somebody kept (L2)."""
    TO_PERMANENT = "to permanent"
    """The first holder of permanence came (L5)."""
    TO_EPHEMERAL = "to ephemeral"
    """The last one left."""
    DIAL_STARTED = "dial started"
    """One address of the attempt is dialed, or its handshake is over and others go on."""
    HANDSHAKE_STARTED = "handshake started"
    """A ConnectRequest of ours was written."""
    DIAL_FAILED = "dial failed"
    """The whole attempt is over, no address of it is proven. `Facts.dialing` is False by then."""
    DENIED = "denied"
    """As DIAL_FAILED, and the peer signed that its policy will not have us (H5)."""
    PROVEN = "proven"
    """An end is proven, ours or the peer's. Once, END_LOST or CLEAN_END follows for it, whoever closes it."""
    END_LOST = "end lost"
    """A proven end is closed, for whatever reason but a clean end."""
    CLEAN_END = "clean end"
    """A proven end is closed after we promised silence on it (D4)."""
    QUEUE_EMPTY = "queue empty"
    """Nothing is queued any more: written, or expired. Or nothing ever came to a proxy in IDLE."""
    RETRY_DUE = "retry due"
    """The time that WAIT or WAKE asked for has come."""
    DIAL_NOW = "dial now"
    """Somebody asks for a connection at once."""
    ADVERT_CHANGED = "advert changed"
    """The peer has new addresses."""
    IDLE_AGREED = "idle agreed"
    """The peer's IdleOk came while our question stood (D3)."""
    STOP = "stop"
    """The node stops (D5)."""
    DRAINED = "drained"
    """All is written and acknowledged, or the time for it is up."""
    SECOND_STOP = "second stop"
    """Stop at once."""


class Action(Enum):
    """What the proxy has to do. `LEAVE` always comes before anything is settled (C10)."""

    DIAL = "dial"
    """Start an attempt and forget a retry that is still to come: `Backoff.attempt`, `rank`, and a race.

    Its whole deadline is at most the backoff cap (T4).
    """
    WIDEN = "widen"
    """Let the attempt under way take the new addresses in."""
    WAIT = "wait"
    """`Backoff.ended`; RETRY_DUE at its time."""
    PARK = "park"
    """`Backoff.park`; no RETRY_DUE before a WAKE."""
    WAKE = "wake"
    """`Backoff.wake`; RETRY_DUE at its time instead."""
    CANCEL_WAIT = "cancel wait"
    """No RETRY_DUE any more."""
    DRAIN = "drain"
    """Cancel our dials, send GoAway, write what is queued, wait for acks (D5); then DRAINED."""
    REFUSE = "refuse"
    """Refuse what was asked for: the node is stopping."""
    REFUSE_END = "refuse end"
    """Close the end that was just proven."""
    HAND_ON = "hand on"
    """Give what came to the Router, which makes a new proxy for it (L2, C10)."""
    LEAVE = "leave"
    """Leave the Router's table."""
    BYE = "bye"
    """Send Bye on every end and close it."""
    HAND_OVER = "hand over"
    """The queue goes to the Router for a new proxy, if it holds anything; a Router that stops settles it (D3, D4)."""
    SETTLE_WRITTEN = "settle written"
    """What was written, or waits for a reply, is Lost(connection_lost, True) (L4)."""
    SETTLE_LOST = "settle lost"
    """Unwritten: Lost(why the last attempt or connection ended, False); written: Lost(…, True) (P4)."""
    SETTLE_STOPPED = "settle stopped"
    """Unwritten: Lost(node_stopped, False); written: Lost(node_stopped, True) (D5)."""
    END = "end"
    """Cut what is left: dials, ends, timers. The engine stops."""


class Facts(Struct, frozen=True, gc=False, kw_only=True):
    """What else decides. The proxy reads these off its own state when it handles an event."""

    queued: bool = False
    """Messages that were never written."""
    retained: bool = False
    """Messages written and not acknowledged."""
    awaiting: bool = False
    """Asks that were delivered and wait for their reply."""
    proven: int = 0
    """Proven ends, both ways."""
    dialing: bool = False
    """An attempt of our own is under way."""
    handshaking: bool = False
    """A ConnectRequest of our own is out, and not yet proven, refused or lost."""

    @property
    def busy(self) -> bool:
        """Not idle in the sense of D1."""
        return self.queued or self.retained or self.awaiting


class Life(Struct, frozen=True, gc=False, kw_only=True):
    """A proxy's whole state of life."""

    phase: Phase = Phase.IDLE
    permanent: bool = False
    spent: bool = False
    """An ephemeral link was connected, once: it is not established again (L1)."""
