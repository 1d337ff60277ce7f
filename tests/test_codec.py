"""The guarded codec of an engine class: whatever the bytes are, they end in messages or in a ProtocolError."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, msgpack
from running import NODE, PEER

from actors.engine import Engine, on
from actors.errors import ConfigError, ProtocolError
from actors.identity import EngineID, NodeID
from actors.messages import Local, Message, Request
from actors.runtime import Codec, check_recursion_limit, encode, reply_decoder
from actors.runtime.codec import DEEPEST, _holds_raw, reason, reply_through_codec, through_codec


class Put(Message):
    key: str
    value: int = 0


class Find(Request[EngineID]):
    near: NodeID


class Undecoded(Request[Raw]):
    """As a node passes on what it has no class for."""


class Secret(Local[None]):
    thing: object


class Store(Engine):
    @on(Put)
    def put(self, _: Put) -> None: ...
    @on(Find)
    def find(self, msg: Find) -> EngineID:
        return EngineID(msg.near, "found")

    @on(Secret)
    def secret(self, _: Secret) -> None: ...


class Deaf(Engine):
    """Takes nothing from other nodes."""


class Parcel(Message):
    """Something that is not looked into, here and there."""

    cargo: Raw
    more: tuple[Raw, ...] = ()


class Crate(Message):
    """With itself, and a parcel in it."""

    inner: Crate | None = None
    parcels: tuple[Parcel, ...] = ()


class Parting(Request[Raw]):
    """Answered with something that is not looked into."""


class Carrier(Engine):
    @on(Parcel)
    def parcel(self, _: Parcel) -> None: ...
    @on(Crate)
    def crate(self, _: Crate) -> None: ...
    @on(Parting)
    def parting(self, _: Parting) -> Raw:
        return Raw(encode("bye"))


CODEC = Codec.of(Store)


def run(*items: object) -> bytes:
    """The body of a run."""
    return msgpack.encode([Raw(item) if isinstance(item, bytes) else item for item in items])


PUT, FIND = encode(Put("a", 1)), encode(Find(PEER))


def overwritten(body: bytes, decode: Callable[[memoryview], object]) -> object:
    """What was decoded, after the buffer that it came in has taken the next bytes, as a connection's does."""
    buffer = bytearray(body)
    value = decode(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    return value


def test_a_raw_outlives_the_buffer_that_it_came_in() -> None:
    codec, kept = Codec.of(Carrier), Raw(encode("kept"))
    parcel, crate = Parcel(kept, (kept,)), Crate(Crate(None, (Parcel(kept),)))
    found = overwritten(run(encode(parcel), encode(crate)), lambda body: codec.tells(body, 2))
    assert [encode(message) for message in found] == [encode(parcel), encode(crate)]  # type: ignore[attr-defined]
    asks = overwritten(run([7, Raw(encode(parcel))]), lambda body: codec.asks(body, 1))
    assert encode(asks) == encode([(7, parcel)])
    assert bytes(overwritten(bytes(kept), reply_decoder(Parting))) == bytes(kept)  # type: ignore[call-overload]


def test_only_engines_that_take_a_raw_pay_for_a_copy() -> None:
    assert _holds_raw(Crate)
    assert _holds_raw(tuple[int, Parcel | Put])
    assert not _holds_raw(tuple[int, Find | Put])


UNKNOWN = msgpack.encode(["store.drop", 1])
MISSHAPEN = msgpack.encode(["put", 7])


def test_a_run_of_good_messages_is_decoded_as_one() -> None:
    body = run(PUT, FIND)
    assert CODEC.tells(body, 2) == [Put("a", 1), Find(PEER)]
    assert CODEC.tells(memoryview(body), 2) == [Put("a", 1), Find(PEER)]
    assert type(CODEC.tells(run(FIND), 1)[0].near) is NodeID  # type: ignore[union-attr]
    assert CODEC.asks(run([5, Raw(PUT)], [6, Raw(FIND)]), 2) == [(5, Put("a", 1)), (6, Find(PEER))]


def test_fields_that_are_new_are_ignored_and_missing_ones_have_their_defaults() -> None:
    assert CODEC.tells(run(["put", "a", 1, "new"], ["put", "b"]), 2) == [Put("a", 1), Put("b")]


def test_one_bad_message_costs_only_itself_and_says_why() -> None:
    body = run(PUT, MISSHAPEN, UNKNOWN, FIND)
    assert CODEC.tells(body, 4) == [Put("a", 1), None, None, Find(PEER)]
    assert [CODEC.why(body, index) for index in (1, 2)] == ["bad_message", "unhandled"]
    asks = run([1, Raw(UNKNOWN)], [2, Raw(PUT)], [3, Raw(MISSHAPEN)])
    assert CODEC.asks(asks, 3) == [(1, None), (2, Put("a", 1)), (3, None)]
    assert [CODEC.why(asks, index, ask=True) for index in (0, 2)] == ["unhandled", "bad_message"]


def test_what_cannot_be_told_apart_at_all_is_a_bad_message() -> None:
    body = run(5, [], ["put"], [7, 8], None)
    assert CODEC.tells(body, 5) == [None] * 5
    assert {CODEC.why(body, index) for index in range(6)} == {"bad_message"}


def test_a_message_of_this_node_only_is_unknown_on_the_wire() -> None:
    body = run(["secret", 1])
    assert CODEC.tells(body, 1) == [None]
    assert CODEC.why(body, 0) == "unhandled"


def test_an_engine_without_messages_understands_none() -> None:
    codec = Codec.of(Deaf)
    assert codec.tells(run(PUT), 1) == [None]
    assert codec.asks(run([1, Raw(PUT)]), 1) == [(1, None)]
    assert codec.why(run(PUT), 0) == "unhandled"


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b"", 0),
        (run(PUT), 2),
        (run(PUT, PUT), 1),
        (b"\xdd\xff\xff\xff\xff", 0xFFFF_FFFF),
        (b"\xdd\xff\xff\xff\xff", 3),
        (b"\xdc\x00", 0),
        (run(PUT) + b"\x00", 1),
        (run(PUT)[:-1], 1),
        (b"\x81\xa1a\x01", 1),
        (b"\x91\xc1", 1),
    ],
)
def test_a_run_that_is_not_an_array_of_so_many_is_a_protocol_error(body: bytes, count: int) -> None:
    with pytest.raises(ProtocolError):
        CODEC.tells(body, count)
    with pytest.raises(ProtocolError):
        CODEC.asks(body, count)


@pytest.mark.parametrize(
    "item", [b"\xc0", msgpack.encode([]), msgpack.encode(["x", 1]), msgpack.encode([-(2**70) // 2**8])]
)
def test_an_ask_without_correlation_is_a_protocol_error(item: bytes) -> None:
    with pytest.raises(ProtocolError):
        CODEC.asks(run(item), 1)


def test_text_that_is_not_utf_8_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        CODEC.tells(run(PUT, b"\x92\xa3put\xa2\xff\xfe"), 2)


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa0"])
def test_nesting_beyond_the_limit_is_a_protocol_error(opening: bytes) -> None:
    bomb = opening * 300_000
    with pytest.raises(ProtocolError):
        CODEC.tells(b"\x91" + bomb + b"\xc0", 1)
    with pytest.raises(ProtocolError):
        CODEC.asks(b"\x91\x92\x01" + bomb + b"\xc0", 1)
    assert CODEC.why(b"\x91" + bomb + b"\xc0", 0) == "bad_message"


def test_a_node_id_that_is_no_public_key_is_refused() -> None:
    assert CODEC.tells(run(["find", bytes(32)], ["find", b"short"], ["find", "text"]), 3) == [None] * 3


WIRE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(WIRE | st.tuples(st.sampled_from(["put", "find", "secret"]), WIRE)))
def test_any_array_of_anything_decodes_to_messages_or_none(items: list[object]) -> None:
    messages = CODEC.tells(msgpack.encode(items), len(items))
    assert len(messages) == len(items)
    assert all(message is None or isinstance(message, (Put, Find)) for message in messages)


@given(st.binary(max_size=60), st.integers(0, 20))
def test_any_bytes_decode_or_are_a_protocol_error(body: bytes, count: int) -> None:
    for decode in (CODEC.tells, CODEC.asks):
        with suppress(ProtocolError):
            assert len(decode(body, count)) == count
    assert CODEC.why(body, 0) in ("unhandled", "bad_message")


@given(st.data())
def test_damaged_runs_decode_or_are_a_protocol_error(data: st.DataObject) -> None:
    body = bytearray(run(PUT, FIND, PUT))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        assert len(CODEC.tells(bytes(body), 3)) == 3


# -- replies ----------------------------------------------------------------------------------------------


def test_a_reply_is_read_as_what_the_request_says() -> None:
    found = EngineID(PEER, "found")
    assert reply_decoder(Find)(encode(found)) == found
    assert reply_decoder(Find)(Raw(encode(found))) == found
    assert reply_decoder(Put)(encode(None)) is None
    assert reply_decoder(Find) is reply_decoder(Find)


@pytest.mark.parametrize("body", [b"", b"\xc1", encode(5), b"\x91" * 100_000, encode(["short"])])
def test_a_reply_of_another_shape_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="no answer to Find"):
        reply_decoder(Find)(body)


def test_a_reason_is_a_code_and_nothing_else_of_a_strangers_words() -> None:
    assert reason(encode("no_engine")) == "no_engine"
    for words in ("No Engine", "\x1b[31mred", "", "a" * 41, 5):
        with pytest.raises(ProtocolError):
            reason(encode(words))


# -- under test ---------------------------------------------------------------------------------------------


def test_through_the_codec_a_message_is_what_another_node_would_have_got() -> None:
    message = Find(PEER)
    copy = through_codec(message)
    assert copy == message
    assert copy is not message
    local = Secret(object())
    assert through_codec(local) is local
    assert reply_through_codec(Find, EngineID(NODE, "x")) == EngineID(NODE, "x")
    thing = object()
    assert reply_through_codec(Secret, thing) is thing


def test_through_the_codec_wrong_fields_are_found() -> None:
    with pytest.raises(msgspec.ValidationError):
        through_codec(Put(key=5))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="object is not plain data"):
        through_codec(Put(key=object()))  # type: ignore[arg-type]
    with pytest.raises(ProtocolError):
        reply_through_codec(Find, "no engine")


@contextmanager
def recursion_limit(limit: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def test_a_recursion_limit_at_which_nested_bytes_end_the_process_is_refused() -> None:
    check_recursion_limit()
    with recursion_limit(DEEPEST + 1), pytest.raises(ConfigError, match="setrecursionlimit"):
        check_recursion_limit()


def test_an_answer_that_stays_undecoded_outlives_the_buffer_it_came_in() -> None:
    undecoded = reply_decoder(Undecoded)
    buffer = bytearray(encode(7))
    answer = undecoded(memoryview(buffer))
    buffer[:] = encode(8)  # the next frame
    assert bytes(answer) == encode(7)


def test_a_codec_says_what_it_understands() -> None:
    assert repr(CODEC) == "<Codec of Store: find, put>"
    assert Codec.of(Store) is CODEC
