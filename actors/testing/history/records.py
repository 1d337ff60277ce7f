"""What happened in a simulated cluster, as records in the order in which it happened. Pure.

A `History` is what `judge` (`actors.testing.judge`) reads: it knows nothing of how the records came about, so that a
bad one can be written by hand. Times are virtual seconds since the simulation began.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, dataclass_transform

from msgspec import Struct


@dataclass_transform(frozen_default=True)
class Record(Struct, frozen=True, gc=False, tag=True):
    """Something that happened at a node: `node` is its name, `run` says in which of its runs, counted from 1."""

    at: float
    node: str
    run: int


# -- lives ------------------------------------------------------------------------------------------------


class Began(Record):
    """A run of the node. `boot` is its incarnation's number, `id` its NodeID; `lost_state`: with an empty folder."""

    id: str
    boot: int
    lost_state: bool = False


class Stopping(Record):
    """The node was told to stop, and drains from here on."""


class Ended(Record):
    """The run is over. `killed`: as when the process is killed; `failed`: an exception came out of the node."""

    how: Literal["stopped", "killed", "failed"]
    error: str = ""


class Left(Record):
    """Something outlived the node: a task, a listener, a connection's end."""

    what: str


class CoreCrashed(Record):
    """An engine of the node's own raised: the router, a transport, a proxy, a connection. Users' engines may."""

    engine: str
    error: str = ""


# -- messages ---------------------------------------------------------------------------------------------
# A message is known by a number that is the simulation's own, and crosses the wire as nothing but its content:
# `content` is a digest of its encoded bytes, of an ask's without the correlation. A lane is (node, sender engine) ->
# (peer, target engine).

Kind: TypeAlias = Literal["tell", "ask", "reply", "cancel", "datagram"]
"""`datagram`: a tell of the unreliable class (PROTOCOL U)."""


class Accepted(Record):
    """An outbox has taken a message. `expires` is when its time is up."""

    message: int
    kind: Kind
    sender: str
    peer: str
    target: str
    content: str
    expires: float


class Settled(Record):
    """Its outcome. `reason` is that of Lost and Refused."""

    message: int
    outcome: Literal["delivered", "sent", "expired", "lost", "refused"]
    reason: str = ""
    maybe_sent: bool = False


class Withdrawn(Record):
    """Whoever waited for the message's outcome or answer gave up before it came (PROTOCOL Q1)."""

    message: int


class Told(Record):
    """A caller of `send` or `ask` learned this: what the node says to its user. `message` is that of Accepted.

    `answered` is for asks: a reply came. `crashed`: the handler raised.
    """

    message: int
    outcome: Literal["delivered", "sent", "answered", "crashed", "expired", "lost", "refused", "cancelled"]
    reason: str = ""
    maybe_sent: bool = False


class Entered(Record):
    """A message came out of a session into a mailbox of this node. `peer` is the node that the session is with.

    `came_from` is who the far end of the connection truly is; empty if that is not known.
    """

    peer: str
    sender: str
    target: str
    kind: Literal["tell", "ask", "datagram"]
    content: str
    came_from: str = ""


class Handled(Record):
    """An engine was given it to handle."""

    peer: str
    sender: str
    target: str
    content: str


# -- links ------------------------------------------------------------------------------------------------


class Permanence(Record):
    """From now on the node holds its link to the peer for permanent, or does not any more."""

    peer: str
    permanent: bool


class Phase(Record):
    """The proxy for the peer went from one phase to another; `closed` is its end."""

    peer: str
    old: str
    new: str
    why: str = ""


class LinkUp(Record):
    """A connection to the peer can carry messages; there was none that could."""

    peer: str


class LinkDown(Record):
    """The last one that could is gone."""

    peer: str
    why: str = ""


class Forgot(Record):
    """The node has forgotten what it had received of the peer: its book of peers was full (PROTOCOL S2)."""

    peer: str


class RetryAfter(Record):
    """The peer asked not to be called before so many seconds have passed, and the node believed it."""

    peer: str
    seconds: float


class Bytes(Record):
    """Bytes of an application went to, or were taken from, the far end of a connection.

    `peer` is who that end truly is, empty for somebody without a node's key; `proven`: whether it had proved to be
    that peer. A message, an advert, an engine's name: whatever PROTOCOL H1 keeps back until then.
    """

    peer: str
    direction: Literal["out", "in"]
    proven: bool


# -- figures ----------------------------------------------------------------------------------------------


class Ledger(Record):
    """The conservation ledger of the proxy for a peer; `peer` is empty for the whole node."""

    peer: str
    accepted: int
    delivered: int
    sent: int
    expired: int
    lost: int
    refused: int
    in_flight: int


class Held(Record):
    """How full a queue is: messages and bytes, and how many of each it may hold at most."""

    queue: str
    count: int
    size: int
    most_count: int
    most_size: int


# -- the simulation itself --------------------------------------------------------------------------------


class Fault(Record):
    """The simulation did this to the cluster. `node` and `run` are of whom it concerns most; see `faults`."""

    what: str
    corrupts: bool = False
    """Whether bytes may be changed from here to the next Healed."""
    stalls: float = 0.0
    """Seconds from here on in which nothing runs: at the node, or anywhere if `node` is empty."""


class Healed(Record):
    """No fault is in force any more; none follows in this history's liveness part. `node` is empty."""

    recovery: float
    """Seconds within which every permanent link must be up again (P6)."""


class Finished(Record):
    """The end. `settled`: all that was accepted must have its outcome by now. `node` is empty."""

    settled: bool


AnyRecord: TypeAlias = (
    Began
    | Stopping
    | Ended
    | Left
    | CoreCrashed
    | Accepted
    | Settled
    | Withdrawn
    | Told
    | Entered
    | Handled
    | Permanence
    | Phase
    | LinkUp
    | LinkDown
    | Forgot
    | RetryAfter
    | Bytes
    | Ledger
    | Held
    | Fault
    | Healed
    | Finished
)
"""Every record there is."""

History: TypeAlias = list[AnyRecord]


class Violation(Struct, frozen=True):
    """A promise that a history breaks."""

    promise: str
    """P1 … P9."""
    rule: str
    """Which sentence of it, as one word with dashes: `twice-in-a-mailbox`."""
    at: float
    words: str
    """What happened, with nodes, engines and times."""
