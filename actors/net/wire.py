"""Records to bytes and back, one guarded decoder for each frame type. Pure.

`encode` gives a whole frame; `decode` takes one without its length. Anything that is not exactly a known
record is a ProtocolError; an unknown optional type is None.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct as Layout
from typing import TypeVar, get_args

from msgspec import DecodeError, msgpack

from actors.errors import IdentityError, ProtocolError
from actors.identity import NodeID
from actors.net.messages import CRITICAL, FRAMES, AdvertContent, Frame, Messages

LENGTH = Layout("!I")
_HEAD = Layout("!IB")
_MESSAGES_HEAD = Layout("!IBH")

T = TypeVar("T")

HEAD_SIZE = LENGTH.size
MESSAGES = next(number for number, record in FRAMES.items() if record is Messages)

_SIGNATURE = 64
_SIGNATURE_HEAD = b"\xc4\x40"
UNSIGNED = bytes(_SIGNATURE)
"""Stands in a record where `signed` will put the signature."""

DECODING_ERRORS = (DecodeError, RecursionError, UnicodeDecodeError, ValueError, OverflowError, IdentityError)
"""Everything that msgspec and our hooks can raise for bytes of a stranger."""


def _hook(kind: type, value: object) -> object:
    if kind is NodeID and isinstance(value, bytes):
        return NodeID(value)
    raise ValueError(f"no {kind.__name__}")


def _bytes(value: object) -> object:
    if isinstance(value, NodeID):
        return bytes(value)
    raise NotImplementedError(type(value).__name__)


_encode = msgpack.Encoder(enc_hook=_bytes).encode
_decoders = {number: msgpack.Decoder(record, dec_hook=_hook).decode for number, record in FRAMES.items()}
_decode_advert = msgpack.Decoder(AdvertContent, dec_hook=_hook).decode
_types: dict[type, int] = {
    record: number for number, union in FRAMES.items() for record in (get_args(union) or (union,))
}


def guarded(decoder: Callable[[memoryview], T], body: memoryview) -> T:
    """Decode bytes of a stranger: the value, or a ProtocolError and nothing else."""
    try:
        return decoder(body)
    except DECODING_ERRORS as error:
        raise ProtocolError(str(error)) from None


def encode(record: Frame) -> bytes:
    """The whole frame of a record other than Messages."""
    body = _encode(record)
    return _HEAD.pack(1 + len(body), _types[type(record)]) + body


def encode_body(record: Frame | AdvertContent) -> bytes:
    """The record alone, as it stands in its frame."""
    return _encode(record)


def encode_messages(record: Messages, payload: int) -> bytes:
    """The frame of `Messages` up to its payloads, which add `payload` bytes."""
    body = _encode(record)
    if len(body) > 0xFFFF:
        raise ProtocolError(f"the head of a Messages frame has {len(body)} bytes, at most {0xFFFF} fit")
    return _MESSAGES_HEAD.pack(3 + len(body) + payload, MESSAGES, len(body)) + body


def decode(frame: memoryview | bytes) -> Frame | None:
    """A frame without its length. None: an unknown optional frame, to be skipped and counted (H11).

    A ProtocolError for a malformed NodeID has the IdentityError as its cause.
    """
    if not frame:
        raise ProtocolError("an empty frame")
    decoder = _decoders.get(frame[0])
    if decoder is None:
        if frame[0] & CRITICAL:
            raise ProtocolError(f"unknown critical frame 0x{frame[0]:02x}")
        return None
    try:
        record: Frame = decoder(frame[1:])
    except DECODING_ERRORS as error:
        cause = error.__cause__ if isinstance(error.__cause__, IdentityError) else None
        raise ProtocolError(f"frame 0x{frame[0]:02x}: {error}") from cause
    return record


def decode_messages(frame: memoryview) -> tuple[Messages, memoryview]:
    """A Messages frame without its length: its record and its payloads."""
    end = 3 + int.from_bytes(frame[1:3], "big")
    if end > len(frame):
        raise ProtocolError("half a Messages frame")
    try:
        record: Messages = _decoders[MESSAGES](frame[3:end])
    except DECODING_ERRORS as error:
        raise ProtocolError(f"the head of a Messages frame: {error}") from None
    return record, frame[end:]


def decode_advert(data: bytes) -> AdvertContent:
    """What the bytes of an advert say. Its signature is not verified here."""
    try:
        content: AdvertContent = _decode_advert(data)
    except DECODING_ERRORS as error:
        raise ProtocolError(f"an advert: {error}") from None
    return content


def unsigned(data: bytes) -> bytes:
    """The part of a signed record or its frame before the signature: what is signed, as it crossed.

    A signature is the last field, in msgpack always these two bytes and then 64.
    """
    end = len(data) - _SIGNATURE - len(_SIGNATURE_HEAD)
    if end < 0 or data[end : end + len(_SIGNATURE_HEAD)] != _SIGNATURE_HEAD:
        raise ProtocolError("the record does not end with a signature")
    return data[:end]


def signed(data: bytes, signature: bytes) -> bytes:
    """A record or its frame, encoded with UNSIGNED, with its signature."""
    return data[:-_SIGNATURE] + signature
