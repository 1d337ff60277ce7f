"""What a runtime says of itself: frozen figures of one moment. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from actors.engine import MailboxStatistics

State: TypeAlias = Literal["starting", "idle", "running", "stopping"]


class EngineStatistics(Struct, frozen=True, kw_only=True):
    """One engine. Counters are of its whole stay, restarts included."""

    name: str
    type: str
    """The name of its class."""
    state: State
    """`running` while it has messages in hand."""
    spawner: str
    """The engine that spawned it; empty if the node did."""
    children: int
    timers: int
    mailbox: MailboxStatistics
    reserved: int
    """Room promised to other nodes, in messages."""
    waiting: int
    """Senders on this node that wait for room."""
    handled: int
    crashes: int
    restarts: int
    late: int
    """Answers that came after the asker had given up."""
    unhandled: int
    """Messages that no guard took."""
    took_p50: float | None
    """Seconds for a message in the last minute or two, as far as they were looked at; None if none was."""
    took_p99: float | None

    @property
    def held(self) -> int:
        """Messages in the mailbox and in hand."""
        return self.mailbox.held

    @property
    def capacity(self) -> int:
        """Messages that the mailbox holds at most."""
        return self.mailbox.capacity


class RuntimeStatistics(Struct, frozen=True, kw_only=True):
    """All engines of a node together, those that have ended included in the counters."""

    engines: int
    handled: int
    crashes: int
    restarts: int
    dead_letters: int
    asks: int
    """Asks that wait for another node."""
    late: int
    """Answers of other nodes that nobody waited for any more."""
    waits: int
    """Engines that stand still until another has answered or has room."""
    alarms: int
    events: int
    events_dropped: int
    """Events that a slow listener did not get."""
