"""Who is who: a node is its public key, an engine is a name on a node. Pure."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import Annotated, Self, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from actors.errors import IdentityError

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_SHORT = 8

U64: TypeAlias = Annotated[int, Meta(ge=0)]
"""Bounded below here and above by msgpack, which knows no greater integer."""


@lru_cache(maxsize=4096)
def _check(raw: bytes) -> None:
    """PROTOCOL H6: the canonical encoding of a curve point that is not of small order.

    `cryptography` verifies signatures that anyone can make for the encodings refused here.
    """
    if len(raw) != 32:
        raise IdentityError(f"a NodeID has 32 bytes, these are {len(raw)}")
    encoded = int.from_bytes(raw, "little")
    y, sign = encoded & (1 << 255) - 1, encoded >> 255
    if y >= _P:
        raise IdentityError("not a NodeID: not the canonical encoding of a point")
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    square = u * pow(v, -1, _P) % _P
    if square and pow(square, (_P - 1) // 2, _P) != 1:
        raise IdentityError("not a NodeID: not a point of the curve")
    if not square and sign:
        raise IdentityError("not a NodeID: not the canonical encoding of a point")
    if _times_eight_is_neutral(square, y):
        raise IdentityError("not a NodeID: a point of small order, for which anyone can sign")


@lru_cache(maxsize=4096)
def _text(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _times_eight_is_neutral(square: int, y: int) -> bool:
    """Whether 8·(x, y) is the neutral element; doubling needs only x² and y."""
    for _ in range(3):
        xx, yy = square, y * y % _P
        cross = 4 * xx * yy % _P
        t = _D * xx * yy % _P
        square = cross * pow((1 + t) * (1 + t), -1, _P) % _P
        y = (yy + xx) * pow(1 - t, -1, _P) % _P
    return square == 0 and y == 1


class NodeID(bytes):
    """A node's Ed25519 public key: 32 bytes, ordered by bytes, shown as lower-case base32.

    Raises IdentityError for bytes that are no public key, wherever they come from. (spec: ExternalID.)
    """

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        if not isinstance(raw, cls):
            _check(bytes(raw))
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form, as `str` gives it."""
        try:
            raw = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
        except (binascii.Error, ValueError):
            raise IdentityError(f"not a NodeID: {text!r} is not base32") from None
        node = cls(raw)
        if str(node) != text:
            raise IdentityError(f"not a NodeID: {text!r} is not its canonical form")
        return node

    def __str__(self) -> str:
        return _text(self)

    @property
    def short(self) -> str:
        """The first characters, for people. Not an address."""
        return str(self)[:_SHORT]

    def __repr__(self) -> str:
        return f"NodeID({self.short}…)"

    def verify(self, signature: bytes, signed: bytes) -> bool:
        """Whether this node's key made the signature."""
        try:
            _public_key(self).verify(signature, signed)
        except (InvalidSignature, ValueError):
            return False
        return True


_public_key = lru_cache(maxsize=256)(Ed25519PublicKey.from_public_bytes)


class NodeKey:
    """A node's private key. Its bytes appear in no repr, log or error."""

    __slots__ = ("_key", "id")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.id = NodeID(key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """A new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key whose 32 secret bytes these are (the content of a key file, a test's fixed key)."""
        if len(seed) != 32:
            raise IdentityError(f"a node key has 32 secret bytes, these are {len(seed)}")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def seed(self) -> bytes:
        """The 32 secret bytes, to be written to a key file and nowhere else."""
        return self._key.private_bytes_raw()

    def private_key(self) -> Ed25519PrivateKey:
        """The key itself, for the certificate of secure transports and nothing else."""
        return self._key

    def sign(self, signed: bytes) -> bytes:
        """64 bytes. Only for strings that begin with a domain of ours (PROTOCOL H10)."""
        return self._key.sign(signed)

    def __repr__(self) -> str:
        return f"NodeKey(of {self.id.short}…)"


class EngineID(Struct, frozen=True, array_like=True, gc=False):
    """The address of an engine. `node` is None for one on the node that reads it."""

    node: NodeID | None
    name: str

    def __str__(self) -> str:
        return f"{self.node.short if self.node else ''}/{self.name}"


class Incarnation(Struct, frozen=True, array_like=True, gc=False, order=True, forbid_unknown_fields=True):
    """One run of a node (PROTOCOL I1): ordered by boot number, told apart by the random half."""

    boot: U64
    random: U64
