"""What the network engines of one node say to each other. They never import each other: they share these words.

All of it is Local: none of it can come from the wire. The records that cross the wire stand in `messages`.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from actors.identity import EngineID, Incarnation, NodeID
from actors.messages import Local, Timer
from actors.net.call import Call
from actors.net.connecting.contest import Contender
from actors.net.life.table import Event
from actors.net.messages import AdvertReply, ConnectionID, Frame
from actors.net.proving.adverts import NodeAdvert
from actors.net.proving.handshake import Proven
from actors.net.session.link import Link
from transports.addresses import TransportAddress
from transports.base import Stream
from transports.frames import FrameBuffer

ROUTER = EngineID(None, "router")
KEEPER = "router.keeper"
"""The name of the engine that other nodes ask about the engines of this one."""


def transport_engine(scheme: str) -> EngineID:
    """The Transport Protocol engine of this node for a scheme."""
    return EngineID(None, f"transport.{scheme}")


class TurnedAway(Struct, frozen=True):
    """A proven node that is not let in, and why (H7)."""

    reason: str
    retry_after: float = 0.0
    newest: Incarnation | None = None


# -- to the Router ----------------------------------------------------------------------------------------


class NodeSend(Local[None]):
    """There is a first message for this node; it waits in an outbox that has no proxy yet."""

    peer: NodeID


class NodeConnectRequest(Local[str | TurnedAway]):
    """Connect to a node, whatever there is to send. The answer is the proxy's phase, or why there is none."""

    node: NodeID


class SetPermanence(Local[None]):
    """`holder` wants the link to be permanent, or does not any more (L5)."""

    node: NodeID
    permanent: bool
    holder: str


class GetNodeAdvert(Local[NodeAdvert | None]):
    """The newest advert known of a node."""

    node: NodeID


class ConnectedNodes(Local[tuple[NodeID, ...]]):
    """The nodes with a proven connection."""


class OfferAdvert(Local[AdvertReply]):
    """An advert as it came; `learned_from` is the host that told us, None for our own configuration (A4)."""

    data: bytes
    learned_from: str | None


class AdvertLearned(Local[None]):
    """This node's user has told it a newer advert; it is kept already."""

    node: NodeID


class Admit(Local[EngineID | TurnedAway]):
    """A node has proved itself on a connection that it opened: to which proxy does it belong (C10)?"""

    proven: Proven


class StopNetwork(Local[tuple[EngineID, ...]]):
    """The node is stopping: every proxy drains (D5), and ends. The answer tells which there are."""


# -- to a Node Proxy --------------------------------------------------------------------------------------


class PermanenceChanged(Local[None]):
    """The first holder of permanence came, or the last one left."""

    event: Event


class AdvertChanged(Local[None]):
    """The peer has new addresses."""


class DialNow(Local[None]):
    """Somebody wants a connection at once."""


class Migrate(Local[tuple[str, ...]]):
    """Move the session to a connection over one of these transports, the first of them that answers (C7).

    From now on they are preferred. The answer names the addresses that are dialed; none if there is no such address.
    """

    schemes: tuple[str, ...]


class Disconnect(Local[None]):
    """Close what connections there are; a permanent proxy dials again."""


class StopProxy(Local[None]):
    """The node is stopping (D5)."""


class HandshakeStarted(Local[None]):
    """A ConnectRequest of ours was written."""

    call: Call


class Attach(Local[Link | TurnedAway]):
    """A proven connection joins the session. The answer is the link for the connection to run."""

    stream: Stream
    frames: FrameBuffer
    contender: Contender
    incarnation: Incarnation
    """Of the peer."""
    epoch: int
    """Of the peer's transmit half."""
    permanent: bool
    """Whether the peer's end is."""
    proved_epoch: int | None
    """The epoch that we proved as the dialer; None as the acceptor."""
    greet: Callable[[int, bool], bytes] | None
    """The acceptor's Accepted frame, from our epoch and permanence."""
    max_frame: int
    advert_yours: int
    """The version of our advert that the peer has."""
    rtt: float
    deadline: float
    """When the peer's Resume must have come (H9)."""
    taken: Callable[[Link], None]
    """Called with the link at once: whoever waits for the answer may be cancelled before it comes."""
    call: Call | None = None
    """As the dialer: what comes out when the link is taken. One that nobody wants any more is not."""
    dialed: str = ""
    """The URL that was dialed; empty as the acceptor."""


# what a proxy and its session, links and attempts say to itself


class LinkEnded(Local[None]):
    """A proven end is gone; clean: nothing that is not settled was written on it (D4)."""

    reason: str
    clean: bool


class IdleAgreed(Local[None]):
    """The peer's IdleOk came (D3)."""

    link: Link


class GoingAway(Local[None]):
    """The peer is stopping (D5)."""

    retry_after: float


class AdvertCame(Local[None]):
    """An advert, or the reply to ours, came over a link."""

    link: Link
    record: Frame


class AttemptOver(Local[None]):
    """A dial attempt has ended, one way or the other."""


class Emptied(Local[None]):
    """Nothing is left in the outbox."""


class LinkStands(Local[None]):
    """A connection carries messages; the peer has other addresses, too."""


class RetryDue(Timer):
    """The next attempt may start."""


class EstablishDue(Timer):
    """A proxy that was made for somebody: has it come?"""


class Demanded(Timer):
    """Something waits that the current connection may not carry."""


class UpgradeDue(Timer):
    """Look whether a better address than that of the link is worth a try."""


class DrainDue(Timer):
    """The time for draining is up."""


# -- to Transport Protocol and Transport Connection -------------------------------------------------------


class Dial(Local[None]):
    """Make a Transport Connection that dials this address, proves who we are, and attaches to the proxy.

    What becomes of it the call tells, to both.
    """

    address: TransportAddress
    proxy: EngineID
    peer: NodeID
    dial: int
    accepted: ConnectionID | None
    adverts: tuple[int, int]
    epoch: int
    permanent: bool
    call: Call


class Incoming(Local[None]):
    """A connection was accepted."""

    stream: Stream


class Settling(Local[None]):
    """An accepted connection is proven or over: its slot before proof is free (H9)."""

    connection: EngineID


class Evict(Local[None]):
    """Give up your slot: too many connections have not proved themselves (H9)."""
