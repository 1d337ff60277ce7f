"""What a node says of itself: frozen records for the control socket, the console and tests. Pure."""

from __future__ import annotations

from typing import Literal, dataclass_transform

from msgspec import Struct


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Snapshot(Struct, frozen=True, kw_only=True, gc=False):
    """One moment's figures. There are many of them, and no circles: the collector need not look at them."""


class LedgerSnapshot(Snapshot):
    """The conservation ledger (PROTOCOL O1): accepted = all the others together, at every moment."""

    accepted: int = 0
    delivered: int = 0
    sent: int = 0
    expired: int = 0
    lost: int = 0
    refused: int = 0
    in_flight: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every accepted message is accounted for."""
        ended = self.delivered + self.sent + self.expired + self.lost + self.refused
        return self.accepted == ended + self.in_flight


class DoorSnapshot(Snapshot):
    """Connections that came to a node since it started; `unproven` is how many have not proved themselves now."""

    unproven: int = 0
    came: int = 0
    proven: int = 0
    evicted: int = 0
    """Unproven ones that had to make room (PROTOCOL H9)."""
    delayed: int = 0
    """Handshakes that came too fast, and waited for their turn (PROTOCOL H9)."""
    hinted: int = 0
    """Turned away before the proof, without a signature (PROTOCOL H5)."""
    refused: int = 0
    """Turned away after the proof, in signed words (PROTOCOL H7)."""


class NodeStatistics(Snapshot):
    """Counters of one node since it started; `uptime` in seconds."""

    engines: int
    proxies: int
    connected: int
    ledger: LedgerSnapshot
    """All proxies there are and were, together."""
    received: int
    dead_letters: int
    uptime: float
    door: DoorSnapshot = DoorSnapshot()


class NodeSnapshot(Snapshot):
    """One node."""

    name: str
    id: str
    state: Literal["running", "stopping"]
    addresses: tuple[str, ...]
    pid: int
    statistics: NodeStatistics
    memory_bytes: int | None = None
    """What its process occupies; None where the system does not tell. Like `loop_lag_ms` only from a control socket."""
    loop_lag_ms: float | None = None
    """How long one turn of its event loop took, while it answered."""


class AddressSnapshot(Snapshot):
    """One address of a peer: when it would be dialed, and why."""

    url: str
    weight: float
    after: float | None
    """Seconds after the first of a race; None if it is not dialed."""
    why: str
    failures: int
    """In a row."""
    error: str
    """The last one, in words."""
    proven: int
    """Connections proven over it."""
    rtt_ms: float | None
    in_use: bool
    score: float = 0.0
    """Weight against distance, the last thing that decides."""
    tried_ago: float | None = None
    """Seconds since it was dialed last; None if it never was."""
    cools_for: float = 0.0
    """Seconds for which its last failure puts it behind the others."""
    better_in: float | None = None
    """Seconds until the link is tried over it, which stands over a worse one; None if it is no better."""


class ProxySnapshot(Snapshot):
    """One Node Proxy: what `node` knows of its link to `peer`."""

    node: str
    peer: str
    peer_id: str
    permanence: Literal["permanent", "ephemeral"]
    state: str
    """A state of the proxy in lower case."""
    transport: str | None
    address: str | None
    rtt_ms: float | None
    ledger: LedgerSnapshot
    connections: int
    reconnects: int
    """Sessions resumed with messages in flight."""
    resent: int
    duplicates_dropped: int
    dropped: int
    """Of the unreliable class: came from the peer, and no mailbox here had room, or there was none."""
    queued: int
    retained: int
    fill: float = 0.0
    """How full its outbox is, from 0 to 1, by weight."""
    since: float = 0.0
    """Seconds for which it has been in this state."""
    why: str = ""
    """What brought it there, or ended the last attempt since."""
    failures: int = 0
    """Attempts and short connections in a row."""
    retry_in: float | None = None
    """Seconds to the next attempt; None while none is due."""
    addresses: tuple[AddressSnapshot, ...] = ()
    """The peer's, in the order in which they would be dialed now; only where they were asked for."""
    p50_ms: float | None = None
    """From the acceptance of a message until its arrival is known here, in the last minute or two."""
    p99_ms: float | None = None


class StepSnapshot(Snapshot):
    """A proxy went into a state."""

    ago: float
    state: str
    why: str


class LinkSnapshot(Snapshot):
    """One Node Proxy, looked at closely: what is too much to tell of all of them at once."""

    peer_id: str
    path: tuple[StepSnapshot, ...]
    """The last states, newest last."""
    addresses: tuple[AddressSnapshot, ...]
    holders: tuple[str, ...]
    """Who wants it to be permanent."""
    jitter_ms: float | None
    heard_ago: float | None
    """Seconds since the connection brought anything."""
    dead_in: float | None
    """Seconds until the peer is asked, or given up, if it stays silent."""
    expires_in: float | None
    """Seconds until the first message expires."""
    outbox_bytes: int
    """By weight: each message counts for 2 KiB more than its bytes."""
    outbox_capacity: int
    received: int
    dropped: dict[str, int]
    """Of the unreliable class: messages of the peer that went into no mailbox here, by reason."""
    incarnation: str
    """The peer's, as last proven; empty if none was."""


class DeadLetterSnapshot(Snapshot):
    """A message that was told and did not arrive."""

    ago: float
    to: str
    sender: str
    tag: str
    outcome: str
    head: bytes
    """Its first bytes; empty if it was never encoded."""


class EngineSnapshot(Snapshot):
    """One engine."""

    node: str
    name: str
    type: str
    state: str
    held: int
    capacity: int
    handled: int
    crashes: int
    restarts: int
    held_bytes: int = 0
    waiting: int = 0
    """Senders on this node that wait for room."""
    reserved: int = 0
    """Room promised to other nodes, in messages."""
    unhandled: int = 0
    """Messages that no guard took."""
    late: int = 0
    """Answers that came after the asker had given up."""
    timers: int = 0
    children: int = 0
    spawner: str = ""
    """Empty if the node spawned it."""
    waits_on: tuple[str, ...] = ()
    """Engines without whose answer or room it stands still."""
    took_p50_ms: float | None = None
    """From the call of a handler until it has returned, in the last minute or two; None if nothing was looked at."""
    took_p99_ms: float | None = None


class GuardSnapshot(Snapshot):
    """One guard of an engine."""

    message: str
    """The type's wire name."""
    when: str
    """The name of the condition; empty where there is none."""
    action: str
    """The name of the method."""
    held: int
    """How often it held, of the messages that were looked at: one in a few."""


class HandledSnapshot(Snapshot):
    """A message that an engine has handled."""

    ago: float
    sender: str
    tag: str
    head: str
    """`Add(amount=40)`, cut short; empty for a heavy one."""
    took_ms: float | None
    """None: it crashed."""


class WorkSnapshot(Snapshot):
    """One engine, looked at closely: what is too much to tell of all of them at once."""

    engine: str
    guards: tuple[GuardSnapshot, ...]
    """In the order in which they are asked."""
    messages: tuple[HandledSnapshot, ...]
    """The last of those that were looked at, oldest first."""
