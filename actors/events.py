"""What happened on a node, as typed records for people and tests. Pure: no channel, no clock.

Events tell, they do not decide: nothing on a node waits for one to be read. As JSON or msgpack each is an
object whose `event` is its name in dashed lower case (`{"event": "engine-crashed", "at": 3.2, …}`).
"""

from __future__ import annotations

import re
from typing import TypeAlias, dataclass_transform

from msgspec import Struct, field

from actors.identity import EngineID, Incarnation, NodeID


def _tag(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Event(Struct, frozen=True, gc=False, tag=_tag, tag_field="event"):
    """Something that happened `at` this time of the runtime's clock, in seconds."""

    at: float


# -- engines ------------------------------------------------------------------------------------------------


class EngineStarted(Event):
    """An engine was spawned."""

    engine: EngineID


class EngineCrashed(Event):
    """A handler or the port raised. `tag` is the message's; empty if there was none."""

    engine: EngineID
    error: str
    tag: str = ""


class EngineRestarted(Event):
    """A fresh copy runs, after so many restarts since it was spawned."""

    engine: EngineID
    restarts: int


class EngineFailed(Event):
    """It crashed more often than its policy allows, and is gone; its spawner was told."""

    engine: EngineID
    error: str


class EngineStopped(Event):
    """It is gone without a failure: it stopped or was stopped, its spawner's life ended, or its policy let it end."""

    engine: EngineID


# -- messages -----------------------------------------------------------------------------------------------


class DeadLetter(Event):
    """A message that was told and did not arrive, which nobody waits to learn (PROTOCOL O3)."""

    to: EngineID
    sender: EngineID
    tag: str
    outcome: str
    """As the outcome says of itself: `refused (no_engine): …`, `expired before it was sent`."""
    head: bytes = b""
    """The first bytes of the message as it was encoded; empty if it never was."""


# -- peers --------------------------------------------------------------------------------------------------


class ProxyChanged(Event):
    """The proxy of a peer went from one state to another."""

    peer: NodeID
    old: str
    new: str
    why: str


class DialFailed(Event):
    """An address of the peer did not lead to it."""

    peer: NodeID
    address: str
    why: str


class Connected(Event):
    """A connection to the peer is proven."""

    peer: NodeID
    transport: str
    why: str


class Disconnected(Event):
    """It is gone."""

    peer: NodeID
    transport: str
    why: str


class AdvertRejected(Event):
    """What was said about the peer's addresses was not believed (PROTOCOL A)."""

    peer: NodeID
    why: str


class DuplicateIdentity(Event):
    """A peer has proof that a newer incarnation of this node exists: two nodes hold one key (PROTOCOL I3)."""

    peer: NodeID
    own: Incarnation
    newest: Incarnation


class PeerRefused(Event):
    """Somebody who connected was turned away, and was told so; `peer` is None for one who had not proved who it is."""

    peer: NodeID | None
    remote: str
    why: str


class StateNotWritten(Event):
    """The state folder does not take what the node is to remember. It goes on, and tries again."""

    why: str


class HostileConnection(Event):
    """Someone unproven broke the protocol at an address of ours, and was closed."""

    remote: str
    why: str


AnyEvent: TypeAlias = (
    EngineStarted
    | EngineCrashed
    | EngineRestarted
    | EngineFailed
    | EngineStopped
    | DeadLetter
    | ProxyChanged
    | DialFailed
    | Connected
    | Disconnected
    | AdvertRejected
    | DuplicateIdentity
    | PeerRefused
    | StateNotWritten
    | HostileConnection
)
"""Every event there is."""
