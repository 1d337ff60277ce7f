"""Every request and reply of the control socket, on one page. Pure: no I/O, no state.

One JSON object a line, both ways; one reply for each request, in order. `do` names the request, `is` the
reply, so that a person can ask a node with nothing but socat:

    $ echo '{"do": "node"}' | socat - UNIX-CONNECT:$XDG_RUNTIME_DIR/actors/demo/a.sock
    $ echo '{"do": "ask", "to": "b/echo", "type": "echo.ping", "fields": {"n": 1}}' | socat …

Requests of one connection are handled one after the other; who wants more at once opens more connections.
A request that cannot be read, or that fails, is answered by `Failed`, and the connection goes on.
Seconds are seconds, `payload` is base64 of the message's msgpack bytes, a `peer` is a node's name, its
NodeID or a unique beginning of it, an address is `peer/engine`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, dataclass_transform

from msgspec import Meta, Struct, field

from actors.messages import EXPIRY, PREFS, TransportPrefs
from actors.snapshots import (
    AddressSnapshot,
    DeadLetterSnapshot,
    EngineSnapshot,
    LinkSnapshot,
    NodeSnapshot,
    ProxySnapshot,
    WorkSnapshot,
)

MAX_LINE = 4 << 20
"""Bytes of one line with its end. A longer request is answered by `Failed`, and the connection closed."""

ProxyAction: TypeAlias = Literal["permanent", "ephemeral", "dial_now", "close"]
Fields: TypeAlias = dict[str, object]
"""A message's fields by name, as JSON has them."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class ControlRequest(Struct, frozen=True, kw_only=True, tag_field="do", forbid_unknown_fields=True):
    """A line from a client."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class ControlReply(Struct, frozen=True, kw_only=True, tag_field="is"):
    """A line from the node. Clients ignore fields that they do not know."""


class Path(Struct, frozen=True, kw_only=True, rename={"source": "from", "target": "to"}):
    """The way that a message took: `a -> b  tcp  0.4 ms`."""

    source: str
    target: str
    transport: str | None
    """`local` on one node; None where the proxy has no connection at the moment."""
    rtt_ms: float | None
    """This message's own, from acceptance to outcome; for `tell` what the proxy measured last."""


# -- failures ---------------------------------------------------------------------------------------------


class Failed(ControlReply, tag="failed"):
    """The reply to any request that did not succeed.

    Codes: `bad_request`, `unknown_node`, `ambiguous_node`, `unknown_engine`, `unknown_message`,
    `unknown_field`, `missing_field`, `bad_field`, `not_connected`, `no_faults`, `busy`, `cancelled`; the codes of
    `actors.errors` (`expired`, `lost`, `refused`, `crashed`, `identity`, `configuration` …); `bug`.
    """

    code: str
    what: str
    hint: str = ""
    reason: str = ""
    """Of `refused` and `lost`."""
    detail: str = ""
    """Of `refused` and `crashed`."""
    maybe_sent: bool = False
    """Of `expired` and `lost`."""


# -- looking ----------------------------------------------------------------------------------------------


class GetNode(ControlRequest, tag="node"):
    """-> NodeIs"""


class NodeIs(ControlReply, tag="node"):
    node: NodeSnapshot


class GetProxies(ControlRequest, tag="proxies"):
    """addresses: also each peer's addresses. -> ProxiesAre"""

    addresses: bool = False


class ProxiesAre(ControlReply, tag="proxies"):
    proxies: tuple[ProxySnapshot, ...]


class GetLink(ControlRequest, tag="link"):
    """One proxy, closely. -> LinkIs; Failed `unknown_node` where there is no proxy for the peer"""

    peer: str


class LinkIs(ControlReply, tag="link"):
    link: LinkSnapshot


class ExplainProxy(ControlRequest, tag="explain"):
    """Which addresses of the peer would be dialed when, and why. -> Explained"""

    peer: str


class Explained(ControlReply, tag="explained"):
    addresses: tuple[AddressSnapshot, ...]


class GetEngines(ControlRequest, tag="engines"):
    """-> EnginesAre"""


class EnginesAre(ControlReply, tag="engines"):
    engines: tuple[EngineSnapshot, ...]


class GetWork(ControlRequest, tag="work"):
    """One engine, closely. -> WorkIs; Failed `unknown_engine`"""

    engine: str


class WorkIs(ControlReply, tag="work"):
    work: WorkSnapshot


class GetDeadLetters(ControlRequest, tag="dead_letters"):
    """-> DeadLettersAre"""


class DeadLettersAre(ControlReply, tag="dead_letters"):
    """The last ones, oldest first."""

    letters: tuple[DeadLetterSnapshot, ...]


class GetEvents(ControlRequest, tag="recent"):
    """-> EventsAre"""


class EventsAre(ControlReply, tag="recent"):
    """The last ones, oldest first."""

    events: tuple[Happened, ...]


class Follow(ControlRequest, tag="events"):
    """-> Done, then Happened, one line an event, until the client closes its side or the node stops."""


class Happened(ControlReply, tag="event"):
    """One event. A client that reads too slowly loses the oldest."""

    event: str
    """Its name in `actors.events`, such as `engine-crashed`."""
    at: float
    """The node's runtime clock, in seconds."""
    data: Fields


# -- what an engine of this node understands --------------------------------------------------------------


class Describe(ControlRequest, tag="describe"):
    """-> Described"""

    engine: str


class FieldDescription(Struct, frozen=True, kw_only=True):
    """One field: its name, its type as text, and whether it may be left out."""

    name: str
    type: str
    required: bool


class MessageDescription(Struct, frozen=True, kw_only=True):
    """One message that an engine takes: its wire name, its fields in order, the type of its answer as text."""

    type: str
    fields: tuple[FieldDescription, ...]
    reply: str


class Described(ControlReply, tag="described"):
    engine: str
    messages: tuple[MessageDescription, ...]


class Compose(ControlRequest, tag="compose"):
    """A message for an engine of this node, from JSON, checked by the engine's own classes. -> Composed"""

    engine: str
    type: str
    fields: Fields = {}


class Composed(ControlReply, tag="composed"):
    payload: bytes


class ReadReply(ControlRequest, tag="read"):
    """The answer to a message of an engine of this node, from its bytes. -> Read"""

    engine: str
    type: str
    payload: bytes


class Read(ControlReply, tag="read"):
    value: object


# -- sending ----------------------------------------------------------------------------------------------


class Sending(ControlRequest):
    """What all verbs have. `expiry` is from now."""

    to: str
    expiry: float = EXPIRY
    prefs: TransportPrefs = PREFS


class Tell(Sending, kw_only=True, tag="tell"):
    """-> Accepted, once the message is in the outbox"""

    type: str
    fields: Fields = {}


class Accepted(ControlReply, tag="accepted"):
    path: Path


class Send(Sending, kw_only=True, tag="send"):
    """-> Delivered, once the message is in its engine's mailbox"""

    type: str
    fields: Fields = {}


class Delivered(ControlReply, tag="delivered"):
    path: Path


class Ask(Sending, kw_only=True, tag="ask"):
    """-> Replied"""

    type: str
    fields: Fields = {}


class Replied(ControlReply, tag="reply"):
    """The answer as JSON, fields by name."""

    value: object
    path: Path


class Pass(Sending, kw_only=True, tag="pass"):
    """A message that the client has encoded with its own classes (`RemoteNode`). -> Passed"""

    verb: Literal["tell", "send", "ask"]
    payload: bytes


class Passed(ControlReply, tag="passed"):
    """`payload` is the answer's msgpack bytes, for `ask`; else empty."""

    payload: bytes = b""


class Cancel(ControlRequest, tag="cancel"):
    """Ends the request that the connection is busy with, which is answered by Failed `cancelled`.

    The only request that is not waited for: without one under way it does nothing. -> nothing of its own
    """


# -- acting -----------------------------------------------------------------------------------------------


class Connect(ControlRequest, tag="connect"):
    """-> Done, once the peer is connected"""

    peer: str
    permanent: bool = True


class SetProxy(ControlRequest, tag="proxy"):
    """-> Done, at once"""

    peer: str
    action: ProxyAction


class Migrate(ControlRequest, tag="migrate"):
    """Move the link to this transport, and prefer it from now on. -> Migrating, at once

    Failed `no_address` if the peer has none of it that may be dialed.
    """

    peer: str
    scheme: str


class Migrating(ControlReply, tag="migrating"):
    addresses: tuple[str, ...]


class Cut(ControlRequest, tag="cut"):
    """Sever the connection to the peer, as a fault. -> Done; Failed `not_connected` where there is none"""

    peer: str


class Away(Struct, frozen=True, kw_only=True):
    """A node that cannot be reached: its NodeID, and the URLs that it may be dialed at."""

    peer: str
    addresses: tuple[str, ...]


class Troubles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What troubles the connections of a node of a local cluster."""

    away: tuple[Away, ...] = ()
    latency: Annotated[float, Meta(ge=0)] = 0.0
    """Seconds added to each round trip."""
    rate: Annotated[float, Meta(gt=0)] | None = None
    """Bytes a second, each way; None: no limit."""


class GetFaults(ControlRequest, tag="faults"):
    """-> FaultsAre; Failed `no_faults` from a node that is none of a local cluster"""


class FaultsAre(ControlReply, tag="faults"):
    troubles: Troubles


class SetFaults(ControlRequest, tag="trouble"):
    """Trouble the node's connections so, and no longer as before. -> Done; Failed `no_faults`"""

    troubles: Troubles


class Learn(ControlRequest, tag="learn"):
    """Take a friend's advert, the one-line text. -> Learned"""

    advert: str


class Learned(ControlReply, tag="learned"):
    id: str


class GetAdvert(ControlRequest, tag="advert"):
    """-> AdvertIs"""


class AdvertIs(ControlReply, tag="advert"):
    """One line of text, for a friend."""

    advert: str


class Stop(ControlRequest, tag="stop"):
    """-> Done, at once; then the node stops as by SIGTERM"""


class Done(ControlReply, tag="done"):
    pass


Request: TypeAlias = (
    GetNode
    | GetProxies
    | GetLink
    | ExplainProxy
    | GetEngines
    | GetWork
    | GetDeadLetters
    | GetEvents
    | Follow
    | Describe
    | Compose
    | ReadReply
    | Tell
    | Send
    | Ask
    | Pass
    | Cancel
    | Connect
    | SetProxy
    | Migrate
    | Cut
    | GetFaults
    | SetFaults
    | Learn
    | GetAdvert
    | Stop
)

Reply: TypeAlias = (
    Failed
    | NodeIs
    | ProxiesAre
    | LinkIs
    | Explained
    | Migrating
    | EnginesAre
    | WorkIs
    | DeadLettersAre
    | EventsAre
    | Happened
    | Described
    | Composed
    | Read
    | Accepted
    | Delivered
    | Replied
    | Passed
    | FaultsAre
    | Learned
    | AdvertIs
    | Done
)
