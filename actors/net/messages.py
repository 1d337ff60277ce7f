"""Every record that crosses the wire, on one page. Pure: no I/O, no state. PROTOCOL.md shows the bytes.

A frame is `u32 length | u8 type | body`, the length counting type and body, big-endian. The body is one
msgpack array, a record below. `Messages` alone carries more: `u16 length of the record | record | payloads`.
Types with the high bit set are critical: who does not know one ends the connection (PROTOCOL H11).
"""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import Annotated, TypeAlias, dataclass_transform

from msgspec import Meta, Struct

from actors.identity import U64, Incarnation, NodeID

VERSION_MIN = VERSION_MAX = 1
MAX_FRAME = 1 << 20
"""Bytes of one frame after the proof, unless the handshake agreed on fewer (S14)."""
MAX_FRAME_UNPROVEN = 4096
"""Bytes of one frame before the proof (H11)."""
MAX_TARGETS = 65_536
"""Engines that one session may name as targets. A sender refuses more before the receiver would have to."""
MAX_LANES = 65_536
"""Lanes that one connection may declare."""
MAX_FRAME_LEAST = 128 << 10
"""The smallest `max_frame` that a peer may ask for: whatever is no single large message fits in."""

Nonce: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature: TypeAlias = Annotated[bytes, Meta(min_length=64, max_length=64)]
Code: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]
"""A reason, for programs."""
Words: TypeAlias = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f]{0,1000}\Z")]
"""A reason, for people: nothing that steers a terminal."""
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=sys.float_info.max)]
"""Not negative, not infinite, a number."""
MaxFrame: TypeAlias = Annotated[int, Meta(ge=MAX_FRAME_LEAST, le=0xFFFF_FFFF)]


@dataclass_transform(frozen_default=True)
class Record(Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """A wire record. Unknown fields are errors: a new field is a new protocol version."""


# -- handshake (H1 to H7) ---------------------------------------------------------------------------------


class ConnectionID(Record, order=True):
    """One dial (C1): incarnation of the dialer, and its dial number for this peer."""

    incarnation: Incarnation
    dial: U64


class ConnectRequest(Record):
    """Dialer, first frame."""

    ver_min: U64
    ver_max: U64
    src: NodeID
    dst: NodeID
    incarnation: Incarnation
    nonce: Nonce
    dial: U64
    accepted: ConnectionID | None
    """The greatest dial of the peer that this node had accepted when it wrote this (C2)."""
    advert_mine: U64
    advert_yours: U64
    max_frame: MaxFrame


class ConnectOk(Record, tag="ok"):
    """Acceptor, once, after ConnectRequest. The signature comes last: what it signs ends before it (H3)."""

    ver: U64
    ver_min: U64
    ver_max: U64
    incarnation: Incarnation
    nonce: Nonce
    advert_mine: U64
    advert_yours: U64
    max_frame: MaxFrame
    signature: Signature


class OverCapacity(Record, tag="over_capacity"):
    """Unsigned hint (H5): try again after so many seconds."""

    retry_after: Seconds


class Incompatible(Record, tag="incompatible"):
    """Unsigned hint (H5): no common version."""

    ver_min: U64
    ver_max: U64


class Denied(Record, tag="denied"):
    """Unsigned hint (H5): `wrong_node`, `self`, `malformed`, `policy`."""

    reason: Code


ConnectReply: TypeAlias = ConnectOk | OverCapacity | Incompatible | Denied


class Proof(Record):
    """Dialer, once, after a good ConnectOk. `epoch` names its transmit half (S1)."""

    epoch: U64
    permanent: bool
    signature: Signature


class Accepted(Record):
    """Acceptor, once, after a good Proof (H2); signed (H3). `epoch` names its transmit half (S1)."""

    epoch: U64
    permanent: bool
    signature: Signature


class HandshakeRefused(Record):
    """Acceptor, in place of Accepted; signed over the transcript and the fields before the signature (H7)."""

    reason: Code
    retry_after: Seconds
    newest: Incarnation | None
    """For `stale_incarnation`: the newest this node has proven (I2)."""
    signature: Signature


# -- session (S, K) ---------------------------------------------------------------------------------------


class Refusal(Record):
    """A message that was turned down (S7)."""

    number: U64
    reason: Code


class Limit(Record):
    """Credit for one target (K1): how much this epoch may ever carry. Never shrinks."""

    target: str
    count: U64
    size: U64


class Resume(Record):
    """Each side, first frame of a proven end, once; speaks for the receive half (S6, K2)."""

    record: U64
    """Names the receive half itself: another number than before in this epoch means that it was forgotten (S2)."""
    position: U64
    refusals: list[Refusal]
    first_count: U64
    first_size: U64
    """The limit of every target that `credit` does not list (K3)."""
    credit: list[Limit]


class Ack(Record):
    """Each side, after its Resume, on any proven end. Cumulative (S7)."""

    upto: U64
    refusals: list[Refusal]
    credit: list[Limit]


class Settled(Record):
    """Sender: the refusals up to this number need not be repeated (S7)."""

    number: U64


class Want(Record):
    """Sender without credit for its next message, and nothing outstanding there (K4)."""

    target: str
    size: U64


class Kind(IntEnum):
    """What a run's messages are."""

    TELL = 0
    ASK = 1
    REPLY = 2
    SKIP = 3
    """In the place of messages that expired after they were written (S8); it tells what they weighed."""
    CANCEL = 4


class Lane(Record):
    """Declares a lane of this connection: from which engine to which. "" is the node itself."""

    lane: U64
    sender: str
    target: str


class RunHead(Record):
    """Consecutive messages of one lane and kind. `ttl` is what remains of their time, in milliseconds (S15)."""

    lane: U64
    kind: Kind
    count: U64
    ttl: U64
    size: U64


class Messages(Record):
    """Numbered messages `first`, `first` + 1, … (S3), in runs. The payloads follow the record, run by run.

    The payload of a run is one msgpack array of `count` items: messages (TELL), `[correlation, message]`
    (ASK), `[correlation, status, value]` (REPLY), the sizes of what is skipped (SKIP), correlations (CANCEL).
    For credit a message counts the bytes of its item: a payload without the head of its array.
    """

    first: U64
    settled: U64
    """As in Settled: every write carries it."""
    upto: U64
    """As in Ack: an Ack without refusals and limits rides here. Where there are any, an Ack goes ahead (S11)."""
    lanes: list[Lane]
    runs: list[RunHead]


class Datagram(Record):
    """One message of the unreliable class (U1). It is not numbered, not acknowledged, and never written again."""

    id: U64
    """Drawn at random: by it a copy that the transport made is known (U3)."""
    target: str
    sender: str
    ttl: U64
    """What remains of its time, in milliseconds (S15)."""
    payload: bytes
    """The message, as an item of a TELL run."""


class Status(IntEnum):
    """How an ask was answered."""

    OK = 0
    CRASHED = 1
    REFUSED = 2


# -- upkeep (T, D, A) ------------------------------------------------------------------------------------


class Ping(Record):
    """Answered by a Pong with the same token (T1)."""

    token: U64


class Pong(Record):
    """The answer to a Ping."""

    token: U64


class Idle(Record):
    """An ephemeral end asks whether to close (D1)."""


class IdleOk(Record):
    """The other end is idle too, and promises silence (D2)."""


class GoAway(Record):
    """The node is stopping: write nothing new on this connection (D5)."""

    reason: Code
    retry_after: Seconds


class Disperse(Record):
    """Many hold a permanent link to this node: should they all lose it at once, they come back over this time (L7)."""

    within: Seconds


class Bye(Record):
    """The last frame of a connection."""

    reason: Words


URL: TypeAlias = Annotated[str, Meta(max_length=255, pattern=r"\A[a-z][a-z0-9+.-]*://[!-~]+\Z")]
"""Printable ASCII: one spelling of a host, and nothing that steers a terminal."""
Weight: TypeAlias = Annotated[int, Meta(ge=0, le=0xFFFF)]
AdvertVersion: TypeAlias = Annotated[int, Meta(ge=1)]


class WeightedAddress(Record):
    """A transport address. The node that offers it prefers the greater weight."""

    url: URL
    weight: Weight


class AdvertContent(Record):
    """What the bytes of an advert say. Not a frame; signed with its node's key over all before the signature (A1)."""

    id: NodeID
    addresses: Annotated[list[WeightedAddress], Meta(max_length=16)]
    version: AdvertVersion
    created: U64
    """Milliseconds since 1970, for people."""
    signature: Signature


class Advert(Record):
    """A signed advert, as its bytes (A1)."""

    data: bytes


class AdvertAccepted(Record, tag="accepted"):
    """The advert is kept."""

    version: U64


class AdvertStale(Record, tag="stale"):
    """An older or equal one; this is what the node has (A3)."""

    data: bytes


class AdvertInvalid(Record, tag="invalid"):
    """The advert was not believed."""

    reason: Code


AdvertReply: TypeAlias = AdvertAccepted | AdvertStale | AdvertInvalid


# -- the table of types -----------------------------------------------------------------------------------

CRITICAL = 0x80

FRAMES: dict[int, object] = {
    0x81: ConnectRequest,
    0x82: ConnectReply,
    0x83: Proof,
    0x84: Accepted,
    0x85: HandshakeRefused,
    0x90: Resume,
    0x91: Messages,
    0x92: Ack,
    0x93: Settled,
    0x94: Want,
    0xA0: Ping,
    0xA1: Pong,
    0xA2: Idle,
    0xA3: IdleOk,
    0xA4: GoAway,
    0xA5: Bye,
    0x30: Advert,
    0x31: AdvertReply,
    0x32: Disperse,
    0x40: Datagram,
}
"""Type byte -> record, or union of records."""

Frame: TypeAlias = (
    ConnectRequest
    | ConnectOk
    | OverCapacity
    | Incompatible
    | Denied
    | Proof
    | Accepted
    | HandshakeRefused
    | Resume
    | Messages
    | Ack
    | Settled
    | Want
    | Ping
    | Pong
    | Idle
    | IdleOk
    | GoAway
    | Bye
    | Advert
    | AdvertAccepted
    | AdvertStale
    | AdvertInvalid
    | Disperse
    | Datagram
)
