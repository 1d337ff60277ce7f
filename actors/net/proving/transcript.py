"""What the two sides of a handshake sign: the bytes that crossed, as they crossed (PROTOCOL H3). Pure."""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from struct import Struct as Layout

from msgspec import Struct

from transports.channels import Channel

DOMAIN = b"trio-actors/1 connect\0"
"""Begins every string that a handshake signs, and no other (PROTOCOL H10)."""

_U32 = Layout("!I")
_KIND_AND_SIZE = Layout("!BH")
_EPOCH_AND_PERMANENCE = Layout("!QB")


class Role(Enum):
    """Who signs what: a signature made in one role never verifies in another."""

    ACCEPT = b"accept\0"
    DIAL = b"dial\0"
    WELCOME = b"welcome\0"
    REFUSE = b"refuse\0"


def _sized(part: bytes) -> bytes:
    return _U32.pack(len(part)) + part


class Transcript(Struct, frozen=True, gc=False):
    """One handshake as one side saw it. Leaving out any part was a hole (PROTOCOL H3 names each)."""

    request: bytes
    """The ConnectRequest frame without its length."""
    reply: bytes
    """The ConnectReply frame without its length and its signature."""
    channel: Channel

    def _signed(self, role: Role, *more: bytes) -> bytes:
        digest = sha256(_sized(self.request) + _sized(self.reply))
        digest.update(_KIND_AND_SIZE.pack(self.channel.kind, len(self.channel.digest)) + self.channel.digest)
        for part in more:
            digest.update(part)
        return DOMAIN + role.value + digest.digest()

    def accepting(self) -> bytes:
        """What the acceptor signs in its ConnectReply."""
        return self._signed(Role.ACCEPT)

    def dialing(self, epoch: int, permanent: bool) -> bytes:
        """What the dialer signs in its Proof."""
        return self._signed(Role.DIAL, _EPOCH_AND_PERMANENCE.pack(epoch, permanent))

    def welcoming(self, epoch: int, permanent: bool) -> bytes:
        """What the acceptor signs in its Accepted, on a channel that does not speak for it."""
        return self._signed(Role.WELCOME, _EPOCH_AND_PERMANENCE.pack(epoch, permanent))

    def refusing(self, refused: bytes) -> bytes:
        """What the acceptor signs in a refusal; `refused` is that frame before its signature (PROTOCOL H7)."""
        return self._signed(Role.REFUSE, _sized(refused))
