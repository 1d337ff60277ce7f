"""The four steps by which two nodes prove to each other who they are (PROTOCOL H). Pure: frames in, frames out.

    Dialer   request ─────────▶ request   Acceptor
             reply   ◀───────── (reply, True)
             prove   ─────────▶ proof
             verdict ◀───────── accept | refuse

Frames go in without their length and come out whole. A method called out of turn is a RuntimeError: the
caller's mistake. Whatever the peer does wrong is a ProtocolError or HandshakeFailed, and both end the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from msgspec import Struct

from actors.errors import ActorError, IdentityError, ProtocolError
from actors.identity import Incarnation, NodeID, NodeKey
from actors.net import wire
from actors.net.messages import (
    VERSION_MAX,
    VERSION_MIN,
    Accepted,
    ConnectionID,
    ConnectOk,
    ConnectRequest,
    Denied,
    Frame,
    HandshakeRefused,
    Incompatible,
    OverCapacity,
    Proof,
)
from actors.net.proving.transcript import Transcript
from actors.net.wire import UNSIGNED, unsigned
from transports.channels import Channel

UNSIGNED_RETRY_CAP = 30.0
"""Seconds that a stranger's hint can hold up the next attempt, at most (PROTOCOL H7)."""
SIGNED_RETRY_CAP = 600.0
"""Seconds that the peer itself can hold up the next attempt, at most (PROTOCOL H7)."""

VERSIONS = (VERSION_MIN, VERSION_MAX)

_Bytes = memoryview | bytes


class HandshakeFailed(ActorError):
    """The handshake ended without a proven connection.

    `signed` tells the peer's own word from a hint that anyone on the way may have written: a hint ends this
    attempt and changes nothing else (PROTOCOL H5, H7). `newest` comes with `stale_incarnation` (PROTOCOL I2).
    """

    code = "handshake"

    def __init__(
        self, reason: str, retry_after: float = 0.0, *, signed: bool = False, newest: Incarnation | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.signed = signed
        self.newest = newest


class Proven(Struct, frozen=True, gc=False):
    """What a good Proof proved about the dialer."""

    peer: NodeID
    connection: ConnectionID
    accepted: ConnectionID | None
    """The greatest of our own dials that the peer had accepted when it dialed (PROTOCOL C2)."""
    epoch: int
    permanent: bool
    max_frame: int
    """Bytes of a frame on this connection, either way: the smaller of both wishes (PROTOCOL S14)."""
    version: int
    advert_mine: int
    """The version of the peer's own advert; 0 if it has none."""
    advert_yours: int
    """The version of our advert that the peer knows; 0 if it knows none."""

    @property
    def incarnation(self) -> Incarnation:
        """Of the peer."""
        return self.connection.incarnation


class _Step(Enum):
    FRESH = auto()
    REQUESTED = auto()
    REPLIED = auto()
    PROVED = auto()
    OVER = auto()


class _Steps:
    """Where a machine stands. A step that fails leaves it over."""

    def __init__(self) -> None:
        self._step = _Step.FRESH

    def _leave(self, step: _Step) -> None:
        if self._step is not step:
            raise RuntimeError(f"{type(self).__name__} is {self._step.name}, not {step.name}")
        self._step = _Step.OVER


def _misplaced(record: Frame | None, due: str) -> ProtocolError:
    return ProtocolError(f"{'an unknown frame' if record is None else type(record).__name__} where {due} is due")


def _highest_common(a: tuple[int, int], b: tuple[int, int]) -> int | None:
    highest = min(a[1], b[1])
    return highest if highest >= max(a[0], b[0]) else None


class Dialer(_Steps):
    """The side that opened the connection.

    `nonce` is 32 fresh random bytes, `adverts` the versions of our own advert and of the peer's as we know it,
    `accepted` the greatest dial of the peer that we have accepted (PROTOCOL C2).
    """

    version: int
    """The version in use. This and the next two are there from `reply` on."""
    max_frame: int
    """Bytes of a frame on this connection, either way: the smaller of both wishes (PROTOCOL S14)."""
    peer_incarnation: Incarnation

    def __init__(
        self,
        key: NodeKey,
        dst: NodeID,
        *,
        incarnation: Incarnation,
        dial: int,
        accepted: ConnectionID | None,
        nonce: bytes,
        adverts: tuple[int, int],
        max_frame: int,
        channel: Channel,
        versions: tuple[int, int] = VERSIONS,
        retry_caps: tuple[float, float] = (UNSIGNED_RETRY_CAP, SIGNED_RETRY_CAP),
    ) -> None:
        super().__init__()
        self.peer = dst
        self.connection = ConnectionID(incarnation, dial)
        self._key = key
        self._channel = channel
        self._versions = versions
        self._hint_cap, self._signed_cap = retry_caps
        self._wish = max_frame
        self._request = wire.encode(
            ConnectRequest(*versions, key.id, dst, incarnation, _fresh(nonce), dial, accepted, *adverts, max_frame)
        )

    def request(self) -> bytes:
        """The ConnectRequest frame, to be sent first."""
        self._leave(_Step.FRESH)
        self._step = _Step.REQUESTED
        return self._request

    def reply(self, frame: _Bytes) -> ConnectOk:
        """The acceptor's ConnectReply, verified.

        Raises HandshakeFailed for a hint, and with `bad_signature` for a reply that is not the peer's.
        """
        self._leave(_Step.REQUESTED)
        frame = bytes(frame)
        ok = self._signed_reply(frame)
        self._transcript = Transcript(_body(self._request), unsigned(frame), self._channel)
        # spec S3: "connection establishment", with "one specific remote node" and no other
        if not self.peer.verify(ok.signature, self._transcript.accepting()):
            raise HandshakeFailed("bad_signature")
        if ok.ver != _highest_common(self._versions, (ok.ver_min, ok.ver_max)):  # PROTOCOL H4
            raise ProtocolError(f"version {ok.ver} is not the highest common one")
        self.version = ok.ver
        self.max_frame = min(self._wish, ok.max_frame)
        self.peer_incarnation = ok.incarnation
        self._step = _Step.REPLIED
        return ok

    def _signed_reply(self, frame: bytes) -> ConnectOk:
        match wire.decode(frame):
            case ConnectOk() as ok:
                return ok
            case OverCapacity(retry_after=seconds):
                raise HandshakeFailed("over_capacity", min(seconds, self._hint_cap))  # PROTOCOL H7
            case Incompatible():
                raise HandshakeFailed("incompatible")
            case Denied(reason=reason):
                raise HandshakeFailed(reason)
            case other:
                raise _misplaced(other, "a ConnectReply")

    def prove(self, *, epoch: int, permanent: bool) -> bytes:
        """The Proof frame. Nothing may follow it before the verdict (PROTOCOL H1)."""
        self._leave(_Step.REPLIED)
        self._step = _Step.PROVED
        proof = wire.encode(Proof(epoch, permanent, UNSIGNED))
        return wire.signed(proof, self._key.sign(self._transcript.dialing(epoch, permanent)))

    def verdict(self, frame: _Bytes) -> Accepted:
        """The acceptor's last word. Raises HandshakeFailed, `signed` if it is a refusal in the peer's own hand."""
        self._leave(_Step.PROVED)
        frame = bytes(frame)
        match wire.decode(frame):
            case Accepted() as accepted:
                if not self._is_word_of_peer(accepted):
                    raise HandshakeFailed("bad_signature")
                return accepted  # spec S3: "connection establishment": both nodes are proven
            case HandshakeRefused() as refused:
                raise self._refusal(refused, frame)
            case other:
                raise _misplaced(other, "Accepted or HandshakeRefused")

    def _is_word_of_peer(self, accepted: Accepted) -> bool:
        if self._channel.speaks_for_server:  # it is the channel that the signed reply names
            return True
        return self.peer.verify(accepted.signature, self._transcript.welcoming(accepted.epoch, accepted.permanent))

    def _refusal(self, refused: HandshakeRefused, frame: bytes) -> HandshakeFailed:
        if not self.peer.verify(refused.signature, self._transcript.refusing(unsigned(frame))):
            return HandshakeFailed("bad_signature")
        seconds = min(refused.retry_after, self._signed_cap)  # PROTOCOL H7
        return HandshakeFailed(refused.reason, seconds, signed=True, newest=refused.newest)


class Acceptor(_Steps):
    """The side that was dialed.

    `nonce` is 32 fresh random bytes. `adverts` tells, for the NodeID that the dialer claims, the versions of
    our own advert and of that node's as we know it.
    """

    hint: Denied | Incompatible | OverCapacity | None = None
    """Why the request was not gone on with."""

    def __init__(
        self,
        key: NodeKey,
        *,
        incarnation: Incarnation,
        nonce: bytes,
        max_frame: int,
        channel: Channel,
        adverts: Callable[[NodeID], tuple[int, int]],
        versions: tuple[int, int] = VERSIONS,
    ) -> None:
        super().__init__()
        self._key = key
        self._incarnation = incarnation
        self._nonce = _fresh(nonce)
        self._wish = max_frame
        self._channel = channel
        self._adverts = adverts
        self._versions = versions

    def request(self, frame: _Bytes, turned_away: Denied | OverCapacity | None = None) -> tuple[bytes, bool]:
        """Answer a ConnectRequest: the frame to send, and whether to go on. Not, if whoever came is turned away.

        False: the frame is an unsigned hint (PROTOCOL H5), to be sent before closing. Nothing that the request
        says is to be believed yet (PROTOCOL H8).
        """
        self._leave(_Step.FRESH)
        frame = bytes(frame)
        try:
            request = wire.decode(frame)
        except ProtocolError as error:
            if isinstance(error.__cause__, IdentityError):
                return self._turn_away(Denied("malformed"))
            raise
        if not isinstance(request, ConnectRequest):
            raise _misplaced(request, "ConnectRequest")
        if request.ver_min > request.ver_max:
            raise ProtocolError(f"no version lies between {request.ver_min} and {request.ver_max}")
        version = _highest_common(self._versions, (request.ver_min, request.ver_max))
        if request.dst != self._key.id:
            return self._turn_away(Denied("wrong_node"))
        if request.src == self._key.id:
            return self._turn_away(Denied("self"))
        if version is None:
            return self._turn_away(Incompatible(*self._versions))
        if turned_away is not None:
            return self._turn_away(turned_away)
        self._step = _Step.REPLIED
        return self._ok(request, frame, version), True

    def _turn_away(self, hint: Denied | Incompatible | OverCapacity) -> tuple[bytes, bool]:
        self.hint = hint
        return wire.encode(hint), False

    def _ok(self, request: ConnectRequest, frame: bytes, version: int) -> bytes:
        adverts = self._adverts(request.src)
        ok = ConnectOk(
            version, *self._versions, self._incarnation, self._nonce, *adverts, self._wish, signature=UNSIGNED
        )
        reply = wire.encode(ok)
        self._request = request
        self._version = version
        self._transcript = Transcript(frame, unsigned(_body(reply)), self._channel)
        return wire.signed(reply, self._key.sign(self._transcript.accepting()))

    def proof(self, frame: _Bytes) -> Proven:
        """Who the dialer is. Raises HandshakeFailed("bad_proof"): close, and say nothing."""
        self._leave(_Step.REPLIED)
        proof = wire.decode(frame)
        if not isinstance(proof, Proof):
            raise _misplaced(proof, "Proof")
        request = self._request
        if not request.src.verify(proof.signature, self._transcript.dialing(proof.epoch, proof.permanent)):
            raise HandshakeFailed("bad_proof")
        self._step = _Step.PROVED
        return Proven(
            peer=request.src,
            connection=ConnectionID(request.incarnation, request.dial),
            accepted=request.accepted,
            epoch=proof.epoch,
            permanent=proof.permanent,
            max_frame=min(self._wish, request.max_frame),
            version=self._version,
            advert_mine=request.advert_mine,
            advert_yours=request.advert_yours,
        )

    def accept(self, *, epoch: int, permanent: bool) -> bytes:
        """The Accepted frame. This end is proven once it is written."""
        self._leave(_Step.PROVED)
        accepted = wire.encode(Accepted(epoch, permanent, UNSIGNED))
        if self._channel.speaks_for_server:
            return accepted
        return wire.signed(accepted, self._key.sign(self._transcript.welcoming(epoch, permanent)))

    def refuse(self, reason: str, retry_after: float = 0.0, newest: Incarnation | None = None) -> bytes:
        """The signed refusal (PROTOCOL H7), to be sent before closing."""
        self._leave(_Step.PROVED)
        refused = wire.encode(HandshakeRefused(reason, retry_after, newest, UNSIGNED))
        return wire.signed(refused, self._key.sign(self._transcript.refusing(unsigned(_body(refused)))))


def _fresh(nonce: bytes) -> bytes:
    if len(nonce) != 32:
        raise ValueError(f"a nonce has 32 bytes, this has {len(nonce)}")
    return nonce


def _body(frame: bytes) -> bytes:
    """A whole frame without its length: type and record, as a reader hands it on."""
    return frame[wire.HEAD_SIZE :]
