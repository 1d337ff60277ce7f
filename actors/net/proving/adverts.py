"""A node's signed word on where it can be reached (PROTOCOL A). Pure: who keeps it and who asks is the caller's.

An advert says nothing about who is there: only the handshake does (PROTOCOL A5).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Self

from msgspec import Struct

from actors.errors import ConfigError, IdentityError, ProtocolError
from actors.identity import NodeID, NodeKey
from actors.net import wire
from actors.net.messages import (
    AdvertAccepted,
    AdvertContent,
    AdvertInvalid,
    AdvertReply,
    AdvertStale,
    WeightedAddress,
)

DOMAIN = b"trio-actors/1 advert\0"
"""Begins every string that is signed for an advert, and no other (PROTOCOL H10)."""
MAX_BYTES = 4096
TEXT_PREFIX = "advert1:"


class AdvertError(ConfigError):
    """Bytes or text that are no advert, or one that its node did not sign. `reason` is for programs."""

    code = "advert"
    hint = "print that node's line again with: actors advert"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class NodeAdvert(Struct, frozen=True):
    """An advert whose signature is good. `data` is the advert; the rest is what it says. (spec: NodeAdvert.)"""

    data: bytes
    """As signed and as received: stored and passed on like this, never encoded again (PROTOCOL A1)."""
    id: NodeID
    addresses: tuple[WeightedAddress, ...]
    version: int
    created: int
    """Milliseconds since 1970 by its node's clock, for people."""

    @classmethod
    def sign(cls, key: NodeKey, addresses: Iterable[tuple[str, int]], *, version: int, created: int) -> Self:
        """The advert of this key's node: (URL, weight) of at most 16 addresses. AdvertError if it breaks a limit."""
        weighted = [WeightedAddress(url, weight) for url, weight in addresses]
        draft = wire.encode_body(AdvertContent(key.id, weighted, version, created, wire.UNSIGNED))
        return cls.read(wire.signed(draft, key.sign(DOMAIN + wire.unsigned(draft))))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The advert that these bytes are, if its node signed it; else AdvertError."""
        if len(data) > MAX_BYTES:
            raise AdvertError("too_large", f"an advert has at most {MAX_BYTES} bytes, this has {len(data)}")
        try:
            content = wire.decode_advert(data)
            signed = DOMAIN + wire.unsigned(data)
        except ProtocolError as error:
            raise AdvertError("malformed", f"not an advert: {error}") from None
        if not content.id.verify(content.signature, signed):
            raise AdvertError("bad_signature", f"{content.id.short} did not sign this advert")
        return cls(data, content.id, tuple(content.addresses), content.version, content.created)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the one-line form, as `str` gives it. White space around it does not matter."""
        encoded = text.strip()
        if not encoded.startswith(TEXT_PREFIX):
            raise AdvertError("malformed", f"not an advert: it does not begin with {TEXT_PREFIX!r}")
        return cls.read(_from_base64(encoded.removeprefix(TEXT_PREFIX)))

    def __str__(self) -> str:
        return TEXT_PREFIX + base64.urlsafe_b64encode(self.data).decode().rstrip("=")

    def __repr__(self) -> str:
        urls = ", ".join(address.url for address in self.addresses)
        return f"NodeAdvert({self.id.short}… version {self.version}: {urls})"


def parse_peer(text: str) -> NodeAdvert | NodeID:
    """A node as people name it: by the line of its advert, or by its NodeID. AdvertError for anything else."""
    try:
        return NodeID.parse(text.strip())
    except IdentityError:
        return NodeAdvert.parse(text)


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise AdvertError("malformed", "not an advert: not base64url") from None


class Decision(Enum):
    """What becomes of an advert that a peer offers (PROTOCOL A2)."""

    ACCEPTED = "accepted"
    """It is newer than what we have: keep it instead."""
    KNOWN = "known"
    """We have these very bytes."""
    STALE = "stale"
    """We have a newer one (A3)."""
    EQUIVOCATION = "equivocation"
    """The same version with other bytes, both signed: keep the first, report it."""
    INVALID = "invalid"
    """No advert, or not signed by its node."""


class Judgement(Struct, frozen=True):
    """A decision, the advert it is about (None if INVALID), and what to tell the peer that offered it."""

    decision: Decision
    advert: NodeAdvert | None
    reply: AdvertReply


def consider(data: bytes, known: Callable[[NodeID], NodeAdvert | None]) -> Judgement:
    """Judge the bytes of an advert against the one that we keep of the same node."""
    try:
        offered = NodeAdvert.read(data)
    except AdvertError as error:
        return Judgement(Decision.INVALID, None, AdvertInvalid(error.reason))
    have = known(offered.id)
    decision = judge(offered, have)
    if have is not None and decision in (Decision.STALE, Decision.EQUIVOCATION):
        return Judgement(decision, offered, AdvertStale(have.data))
    return Judgement(decision, offered, AdvertAccepted(offered.version))


def judge(offered: NodeAdvert, have: NodeAdvert | None) -> Decision:
    """What becomes of an advert beside the one that we keep of the same node (PROTOCOL A2)."""
    if have is None or offered.version > have.version:
        return Decision.ACCEPTED
    if offered.version < have.version:
        return Decision.STALE
    return Decision.KNOWN if offered.data == have.data else Decision.EQUIVOCATION


def next_version(own: NodeAdvert, have: bytes) -> int | None:
    """The version to sign anew with, after AdvertStale(have) for our own advert (PROTOCOL A3).

    None if what the peer has is not ours, or not newer: then it says nothing.
    """
    try:
        theirs = NodeAdvert.read(have)
    except AdvertError:
        return None
    if theirs.id != own.id or judge(theirs, own) in (Decision.STALE, Decision.KNOWN):
        return None
    return theirs.version + 1
