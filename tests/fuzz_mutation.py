"""Valid inputs made wrong in every way that a stranger would think of. All chance comes from the `Random` given.

Bytes are flipped, cut, doubled and spliced, and lengths made huge. Who knows what the bytes are does more: in msgpack
one value is put in another's place, at any depth; of frames one is left out, doubled, or comes too early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from random import Random
from struct import pack

from msgspec import MsgspecError, msgpack

LONGEST = 1 << 16
"""Bytes of an input. Deeper and longer ones have tests of their own."""


class Shape(Enum):
    """What an input is made of."""

    TEXT = auto()
    VALUE = auto()
    """One msgpack value."""
    FRAME = auto()
    """A type and one msgpack value, without a length."""
    FRAMES = auto()
    """Frames with their lengths, one behind the other."""


TOKENS = (
    b"", b"\x00", b"\xff", b"\xc1", b"\xc0", b"\x80", b"\x90", b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\x7f\xff\xff\xff", b"\xcf" + b"\xff" * 8,
    b"\xd3\x80" + bytes(7), b"\xcb\x7f\xf8" + bytes(6), b"\xcb\x7f\xf0" + bytes(6), b"\xc7\xff\x01",
    b"\xd6\xff" + bytes(4), b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xfe", b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe2\x80\xae", b"\x1b[2J", b"\n", b"\r\n", b'"', b"\\u0000", b"\\ud800",
    b"[" * 50, b"{" * 50, b'{"":' * 50, b"]" * 50, b"[[" * 1200, b"\x91" * 3000, b"\x81\xa0" * 2000, b"1" * 5000,
    b"-1", b"1e999", b"nan", b"inf", b"0x", b"99999999999999999999", b"%00", b"..", b"~root/", b"://", b"[::1]",
    b":65536", b"\xd9\xa1", b"=", b"'''", b"#",
)  # fmt: skip
"""What decoders are known to stumble over."""

VALUES: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0.0, -0.0, 1.5, 1e308,
    float("inf"), float("-inf"), float("nan"), "", "a", "x" * 300, "\x1b[2J", "\ud7ff", "\x00", b"", bytes(32),
    b"\x01" + bytes(31), b"\xff" * 32, bytes(31), bytes(64), b"\xff" * 5000, [], [[]], {}, {"a": 1}, {1: {}},
)  # fmt: skip


def mutate(data: bytes, shape: Shape, others: Sequence[bytes], chance: Random) -> bytes:
    """The input with one to four things wrong with it. `others` are valid inputs to take parts from."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        data = chance.choice(_WAYS[shape])(data, others, chance)[:LONGEST]
    return data


Way = Callable[[bytes, Sequence[bytes], Random], bytes]


# -- any bytes ----------------------------------------------------------------------------------------------


def _flip(data: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    if not data:
        return b"\x00"
    changed = bytearray(data)
    changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _byte(data: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _truncate(data: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    return data[: chance.randint(0, len(data))]


def _cut(data: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    start, end = _part(data, chance)
    return data[:start] + data[end:]


def _double(data: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    start, end = _part(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 1, 2, 20)) + data[end:]


def _token(data: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    token, at = chance.choice(TOKENS), chance.randint(0, len(data))
    return data[:at] + token + data[at + chance.choice((0, len(token))) :]


def _splice(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    other = chance.choice(others) if others else data
    start, end = _part(other, chance)
    at, to = _part(data, chance)
    return data[:at] + other[start:end] + data[to:]


def _number(data: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    """Somewhere a number of one to eight bytes, at the edge of its range or beside what it was."""
    size = chance.choice((1, 2, 4, 8))
    at = chance.randint(0, max(0, len(data) - size))
    near = int.from_bytes(data[at : at + size], "big") + chance.choice((-1, 1, 256))
    number = chance.choice((0, 1, near, (1 << 8 * size) - 1, 1 << 8 * size - 1))
    return data[:at] + (number % (1 << 8 * size)).to_bytes(size, "big") + data[at + size :]


def _part(data: bytes, chance: Random) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + chance.choice((1, 2, 4, 8, 32, len(data))))


# -- msgpack ------------------------------------------------------------------------------------------------


def _value(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    """One value, at any depth, is another one."""
    try:
        tree = msgpack.decode(data)
        return msgpack.encode(_grafted(tree, [tree, *_decoded(others, chance)], chance))
    except (MsgspecError, RecursionError, ValueError, TypeError, OverflowError):
        return _flip(data, others, chance)


def _decoded(others: Sequence[bytes], chance: Random) -> list[object]:
    return [msgpack.decode(chance.choice(others))] if others else []


def _grafted(tree: object, trees: Sequence[object], chance: Random) -> object:
    if isinstance(tree, list) and tree and chance.random() < 0.8:
        at, copy = chance.randrange(len(tree)), list(tree)
        how = chance.randrange(8)
        if how == 0:
            del copy[at]
        elif how == 1:
            copy.insert(at, copy[at])
        elif how == 2:
            copy[at], copy[-1] = copy[-1], copy[at]
        else:
            copy[at] = _grafted(copy[at], trees, chance)
        return copy
    if isinstance(tree, int) and chance.random() < 0.5:
        return max(-(2**63), min(2**64 - 1, tree + chance.choice((-1, 1, 2, 1000, -tree))))
    return _below(chance.choice(trees), chance) if chance.random() < 0.3 else chance.choice(VALUES)


def _below(tree: object, chance: Random) -> object:
    while isinstance(tree, list) and tree and chance.random() < 0.7:
        tree = chance.choice(tree)
    return tree


def _frame(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    """The value in a frame, or its type."""
    if chance.random() < 0.1 or not data:
        return bytes([chance.choice((0x81, 0x82, 0x83, 0x90, 0x91, 0x92, 0x30, 0x31, 0x7F, 0xFF))]) + data[1:]
    if data[:1] == b"\x91" and len(data) > 3:
        return _messages(data, chance)
    return data[:1] + _value(data[1:], [other[1:] for other in others if other[:1] == data[:1]], chance)


def _messages(data: bytes, chance: Random) -> bytes:
    """The record of a Messages frame, or its payloads; the length between them fits."""
    end = 3 + int.from_bytes(data[1:3], "big")
    record, payload = data[3:end], data[end:]
    if chance.random() < 0.6:
        record = _value(record, (), chance)[:0xFFFF]
    else:
        payload = _value(payload, (), chance)
    return data[:1] + pack("!H", len(record)) + record + payload


# -- frames -------------------------------------------------------------------------------------------------


def split(data: bytes) -> list[bytes]:
    """The frames with their lengths; what is no whole frame comes last, as it is."""
    frames = []
    while len(data) >= 4 and 0 < (end := 4 + int.from_bytes(data[:4], "big")) <= len(data):
        frames.append(data[:end])
        data = data[end:]
    return [*frames, data] if data else frames


def _frames(data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
    """One frame is left out, doubled, moved, taken from another input, or changed and given its new length."""
    frames = split(data)
    if not frames:
        return chance.choice(others) if others else data
    at, how = chance.randrange(len(frames)), chance.randrange(8)
    if how == 0:
        del frames[at]
    elif how == 1:
        frames.insert(chance.randint(0, len(frames)), frames[at])
    elif how == 2:
        frames.insert(chance.randint(0, len(frames)), frames.pop(at))
    elif how == 3 and others:
        frames.insert(at, chance.choice(split(chance.choice(others)) or [b""]))
    else:
        body = chance.choice(_WAYS[Shape.FRAME])(frames[at][4:], [frame[4:] for frame in frames], chance)
        frames[at] = pack("!I", len(body)) + body
    return b"".join(frames)


_ANY: tuple[Way, ...] = (_flip, _byte, _truncate, _cut, _double, _token, _splice, _number)
_WAYS: dict[Shape, tuple[Way, ...]] = {
    Shape.TEXT: _ANY,
    Shape.VALUE: (*_ANY, *[_value] * 8),
    Shape.FRAME: (*_ANY, *[_frame] * 8),
    Shape.FRAMES: (*_ANY, *[_frames] * 16),
}
