"""Records to bytes and back, and what becomes of bytes that are none."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, inspect, msgpack

from actors.errors import IdentityError, ProtocolError
from actors.identity import Incarnation, NodeID, NodeKey
from actors.net import wire
from actors.net.messages import (
    CRITICAL,
    FRAMES,
    AdvertContent,
    Bye,
    ConnectOk,
    ConnectRequest,
    Denied,
    Frame,
    GoAway,
    Idle,
    Kind,
    Lane,
    Messages,
    OverCapacity,
    Ping,
    Refusal,
    Resume,
    RunHead,
    Want,
)

NODES = [NodeKey.from_seed(bytes([number]) * 32).id for number in range(3)]
U64 = st.integers(0, 2**64 - 1)


def values(kind: inspect.Type) -> st.SearchStrategy[object]:
    """Everything that a field of a record may hold."""
    match kind:
        case inspect.IntType(ge=least, le=most):
            return st.integers(least or 0, most or 2**64 - 1)
        case inspect.FloatType():
            return st.floats(min_value=0, allow_nan=False, allow_infinity=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.StrType(pattern=pattern):
            return st.text(max_size=40) if pattern is None else st.from_regex(pattern)
        case inspect.BytesType(min_length=size, max_length=most):
            return st.binary(min_size=size or 0, max_size=most or 80)
        case inspect.NoneType():
            return st.none()
        case inspect.CustomType(cls=cls) if cls is NodeID:
            return st.sampled_from(NODES)
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case inspect.ListType(item_type=item):
            return st.lists(values(item), max_size=3)
        case inspect.UnionType(types=types):
            return st.one_of(*map(values, types))
        case inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, *(values(field.type) for field in fields))
    raise AssertionError(kind)


RECORDS: list[type[Struct]] = [record for union in FRAMES.values() for record in (get_args(union) or (union,))]
FRAME = st.one_of(*(values(inspect.type_info(record)) for record in RECORDS if record is not Messages))
MESSAGES = values(inspect.type_info(Messages))


@given(FRAME)
def test_every_record_survives_the_wire(record: Frame) -> None:
    frame = wire.encode(record)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert wire.decode(memoryview(frame)[4:]) == record
    assert wire.decode(frame[4:]) == record
    assert wire.encode_body(record) == frame[5:]


@given(MESSAGES, st.binary(max_size=64))
def test_messages_travel_beside_their_payloads(record: Messages, payload: bytes) -> None:
    frame = wire.encode_messages(record, len(payload)) + payload
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert frame[4] == wire.MESSAGES
    said, rest = wire.decode_messages(memoryview(frame)[4:])
    assert (said, bytes(rest)) == (record, payload)


def test_every_frame_has_one_type_and_every_record_one_frame() -> None:
    assert len(RECORDS) == len(set(RECORDS))
    assert set(RECORDS) == set(get_args(Frame))


@pytest.mark.parametrize("record", [*RECORDS, AdvertContent, Incarnation, Refusal, Lane, RunHead])
def test_every_record_is_an_immutable_array_that_takes_no_unknown_field(record: type[Struct]) -> None:
    config = record.__struct_config__
    assert config.frozen
    assert config.array_like
    assert config.forbid_unknown_fields


# -- bytes that are no record ------------------------------------------------------------------------------

TYPES = st.sampled_from([*FRAMES, 0x00, 0x7F, 0x80, 0xFF])


@given(TYPES, st.binary(max_size=200))
def test_garbage_is_a_protocol_error_and_nothing_else(number: int, garbage: bytes) -> None:
    for decode in (wire.decode, wire.decode_messages):
        with suppress(ProtocolError):
            decode(memoryview(bytes([number]) + garbage))


@given(FRAME, st.data())
def test_a_damaged_frame_is_another_record_or_a_protocol_error(record: Frame, data: st.DataObject) -> None:
    frame = bytearray(wire.encode(record)[4:])
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    del frame[data.draw(st.integers(1, len(frame))) :]
    with suppress(ProtocolError):
        wire.decode(bytes(frame))


@given(MESSAGES, st.data())
def test_half_a_messages_frame_is_a_protocol_error(record: Messages, data: st.DataObject) -> None:
    frame = wire.encode_messages(record, 0)[4:]
    with pytest.raises(ProtocolError):
        wire.decode_messages(memoryview(frame)[: data.draw(st.integers(0, len(frame) - 1))])


def test_a_messages_frame_that_ends_within_what_it_calls_its_record_is_a_protocol_error() -> None:
    frame = bytearray(wire.encode_messages(Messages(1, 0, 0, [], []), 0)[4:])
    frame[2] += 1
    with pytest.raises(ProtocolError, match="half"):
        wire.decode_messages(memoryview(frame))


@pytest.mark.parametrize("head", [b"\x91\x00\x01\x00", b"\x91\x00\x05\x94\x01\x00\x90\xc0", b"\x91\x00\x00"])
def test_a_messages_frame_whose_record_is_none_is_a_protocol_error(head: bytes) -> None:
    with pytest.raises(ProtocolError, match="head of a Messages frame"):
        wire.decode_messages(memoryview(head))


@given(st.recursive(st.none() | st.integers(-9, 9), lambda inner: st.lists(inner, max_size=3), max_leaves=20), TYPES)
def test_msgpack_of_another_shape_is_a_protocol_error(value: object, number: int) -> None:
    frame = bytes([number]) + msgpack.encode(value)
    try:
        said = wire.decode(frame)
    except ProtocolError:
        return
    assert said is None or value in ([], [0]) or isinstance(value, list)


@pytest.mark.parametrize("first", [0x81, 0x90, 0x92, 0x30, 0x31])
@pytest.mark.parametrize(
    "bomb", [b"\x91" * 100_000, b"\x81\x00" * 50_000, b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
)
def test_deep_nesting_and_huge_claims_are_protocol_errors(first: int, bomb: bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.decode(bytes([first]) + bomb)
    with pytest.raises(ProtocolError):
        wire.decode(bytes([first]) + b"\x95\x00" + bomb)


def test_an_empty_frame_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="empty"):
        wire.decode(b"")


def test_an_unknown_optional_frame_is_skipped_and_an_unknown_critical_one_is_fatal() -> None:
    for number in set(range(256)) - set(FRAMES):
        if number & CRITICAL:
            with pytest.raises(ProtocolError, match=f"0x{number:02x}"):
                wire.decode(bytes([number]))
        else:
            assert wire.decode(bytes([number]) + b"anything") is None


def altered(record: Frame, index: int, value: object) -> bytes:
    frame = wire.encode(record)[4:]
    fields = msgpack.decode(frame[1:])
    fields[index] = value
    return frame[:1] + msgpack.encode(fields)


OK = ConnectOk(1, 1, 1, Incarnation(1, 2), bytes(32), 0, 0, 131_072, wire.UNSIGNED)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(altered(Ping(1), 0, -1), id="negative"),
        pytest.param(altered(Ping(1), 0, 1.5), id="a fraction"),
        pytest.param(altered(Ping(1), 0, True), id="a truth"),
        pytest.param(altered(Ping(1), 0, None), id="nothing"),
        pytest.param(altered(Resume(1, 0, [], 8, 1, []), 2, [[-1, "full"]]), id="negative inside"),
        pytest.param(altered(GoAway("stopping", 1.0), 1, math.nan), id="not a number"),
        pytest.param(altered(GoAway("stopping", 1.0), 1, math.inf), id="infinite"),
        pytest.param(altered(GoAway("stopping", 1.0), 1, -0.1), id="negative time"),
        pytest.param(altered(Bye("over"), 0, "words for a terminal \x1b[2J"), id="control characters"),
        pytest.param(altered(Bye("over"), 0, "x" * 1001), id="too many words"),
        pytest.param(altered(Denied("policy"), 1, "we do not like you"), id="words for a code"),
        pytest.param(altered(Denied("policy"), 1, "x" * 41), id="a long code"),
        pytest.param(altered(Denied("policy"), 1, "policy\n"), id="a line end"),
        pytest.param(altered(Want("counter", 1), 0, b"counter"), id="bytes for text"),
        pytest.param(altered(OK, 4, [1]), id="half an incarnation"),
        pytest.param(altered(OK, 4, [1, 2, 3]), id="more than an incarnation"),
        pytest.param(altered(OK, 5, bytes(31)), id="a short nonce"),
        pytest.param(altered(OK, 8, 8191), id="small frames"),
        pytest.param(altered(OK, 9, bytes(63)), id="a short signature"),
        pytest.param(altered(OK, 0, "okay"), id="an unknown tag"),
        pytest.param(wire.encode(Ping(1))[4:] + b"\x00", id="bytes after the record"),
        pytest.param(b"\xa0\x92\x01\x02", id="an unknown field"),
        pytest.param(b"\xa0\x90", id="a missing field"),
        pytest.param(b"\xa0\x81\xa5token\x01", id="a map"),
        pytest.param(b"\xa5\x91\xa2\xff\xfe", id="no UTF-8"),
    ],
)
def test_a_record_that_says_what_cannot_be_is_a_protocol_error(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.decode(frame)


REQUEST = ConnectRequest(1, 1, NODES[0], NODES[1], Incarnation(1, 2), bytes(32), 1, None, 0, 0, 131_072)


def test_a_malformed_nodeid_is_known_as_the_cause() -> None:
    with pytest.raises(ProtocolError) as caught:
        wire.decode(altered(REQUEST, 2, b"\x01" + bytes(31)))
    assert isinstance(caught.value.__cause__, IdentityError)
    with pytest.raises(ProtocolError) as caught:
        wire.decode(altered(REQUEST, 2, "a name"))
    assert caught.value.__cause__ is None


def test_a_record_that_says_nothing_is_an_empty_array() -> None:
    assert wire.encode(Idle()) == b"\x00\x00\x00\x02\xa2\x90"


def test_the_head_of_a_messages_frame_has_at_most_64_kib() -> None:
    lane = Lane(1, "s" * 40_000, "t" * 40_000)
    with pytest.raises(ProtocolError, match="head"):
        wire.encode_messages(Messages(1, 0, 0, [lane], [RunHead(1, Kind.TELL, 1, 1, 1)]), 0)


@pytest.mark.parametrize("data", [b"", bytes(65), bytes(66), b"\xc4\x40" + bytes(63), b"\xc4\x41" + bytes(64)])
def test_what_does_not_end_with_a_signature_has_no_signed_part(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.unsigned(data)


@given(st.binary(max_size=40), st.binary(min_size=64, max_size=64))
def test_the_signed_part_is_what_comes_before_the_signature(before: bytes, signature: bytes) -> None:
    draft = before + b"\xc4\x40" + wire.UNSIGNED
    assert wire.unsigned(wire.signed(draft, signature)) == before
    assert wire.signed(draft, signature).endswith(signature)


@pytest.mark.parametrize("hint", [OverCapacity(1.0), Denied("policy")])
def test_unions_share_a_type_and_are_told_apart_by_their_first_field(hint: Frame) -> None:
    frame = wire.encode(hint)
    assert frame[4] == wire.encode(OK)[4] == 0x82
    assert msgpack.decode(frame[5:])[0] in ("over_capacity", "denied")
