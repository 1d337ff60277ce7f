"""Names to nodes, and JSON to messages: what people type, and what they are told when it is wrong."""

from __future__ import annotations

from typing import Literal

import pytest
from msgspec import Struct

from actors.control.compose import compose, decode, decode_message, describe, encode, find_message, readable
from actors.control.failures import ControlError
from actors.control.messages import FieldDescription, MessageDescription
from actors.control.neighbours import Nodes
from actors.control.resolve import Known, find_node, split_address
from actors.identity import EngineID, NodeID, NodeKey
from actors.messages import Message, Request

A, B, C = (NodeKey.from_seed(bytes([number]) * 32).id for number in (1, 2, 3))
NODES = [Known("a", str(A)), Known("b", str(B)), Known("", str(C))]


class Point(Struct, frozen=True, array_like=True):
    x: int
    y: int = 0


class Pong(Struct, frozen=True):
    n: int


class Ping(Request[Pong], tag="echo.ping"):
    n: int


class Relay(Request[int], tag="counter.relay"):
    to: EngineID
    amount: int
    via: NodeID | None = None


class Draw(Message):
    points: tuple[Point, ...]
    first: Point | None = None
    kind: Literal["line", "dots"] = "line"
    marks: frozenset[int] = frozenset()
    pair: tuple[Point, int] = (Point(0), 0)
    back: EngineID | None = None


class Odd(Message):
    n: int

    def __post_init__(self) -> None:
        if self.n % 2 == 0:
            raise ValueError("n must be odd")


def address(text: str) -> EngineID:
    node, engine = split_address(text)
    return EngineID(find_node(node, NODES), engine)


def failure(error: pytest.ExceptionInfo[ControlError]) -> tuple[str, str, str]:
    return error.value.code, str(error.value), error.value.hint


# -- nodes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "node"), [("a", A), (str(B), B), (str(B)[:4], B), (str(C)[:10], C)])
def test_a_node_is_found_by_name_by_id_and_by_the_beginning_of_its_id(text: str, node: NodeID) -> None:
    assert find_node(text, NODES) == node


def test_a_whole_node_id_need_not_be_known() -> None:
    assert find_node(str(A), []) == A


def test_an_unknown_node_is_an_error_with_a_guess() -> None:
    with pytest.raises(ControlError) as error:
        find_node("beta", [Known("alpha", str(A)), Known("bets", str(B))])
    assert failure(error) == ("unknown_node", "there is no node 'beta'", "did you mean bets?")


def test_a_beginning_that_fits_two_nodes_is_ambiguous() -> None:
    other = str(A)[:6] + str(B)[6:]
    with pytest.raises(ControlError) as error:
        find_node(str(A)[:5], [Known("a", str(A)), Known("x", other)])
    assert error.value.code == "ambiguous_node"
    assert str(A)[:12] in str(error.value)


def test_a_name_wins_over_the_beginning_of_an_id() -> None:
    assert find_node(str(A)[:5], [Known("a", str(A)), Known(str(A)[:5], str(B))]) == B


@pytest.mark.parametrize("length", [1, 3])
def test_a_beginning_of_three_characters_is_none(length: int) -> None:
    with pytest.raises(ControlError, match="there is no node"):
        find_node(str(A)[:length], [Known("x", str(A))])


def test_a_node_is_called_by_its_name_even_if_its_id_begins_like_that() -> None:
    letter = str(B)[0]
    nodes = Nodes([Known("", str(A)), Known(B.short, str(B)), Known(letter, str(B)), Known(C.short, str(C))], {})
    assert [nodes.name(node) for node in (A, B, C)] == [A.short, letter, C.short]


def test_two_nodes_of_one_name_are_ambiguous_and_one_seen_twice_is_not() -> None:
    assert find_node("a", [Known("a", str(A)), Known("a", str(A))]) == A
    with pytest.raises(ControlError, match="may be any of"):
        find_node("a", [Known("a", str(A)), Known("a", str(B))])


@pytest.mark.parametrize("text", ["echo", "/echo", "b/", ""])
def test_an_address_has_a_node_and_an_engine(text: str) -> None:
    with pytest.raises(ControlError, match="is no address"):
        split_address(text)


def test_an_engine_name_may_have_slashes() -> None:
    assert split_address("b/counter/kid") == ("b", "counter/kid")


# -- messages ---------------------------------------------------------------------------------------------


def test_a_message_is_composed_from_its_fields_by_name() -> None:
    assert compose(Ping, {"n": 1}, address) == Ping(1)


def test_identities_are_written_as_text() -> None:
    fields = {"to": "b/counter", "amount": 2, "via": str(C)}
    assert compose(Relay, fields, address) == Relay(EngineID(B, "counter"), 2, C)


def test_structs_in_fields_are_written_as_objects_wherever_they_stand() -> None:
    fields = {"points": [{"x": 1}, {"y": 3, "x": 2}], "first": {"x": 5}, "pair": [{"x": 7}, 8], "back": "a/echo"}
    points = (Point(1), Point(2, 3))
    expected = Draw(points=points, first=Point(5), pair=(Point(7), 8), back=EngineID(A, "echo"))
    assert compose(Draw, fields, address) == expected


def test_an_unknown_message_is_an_error_with_a_guess() -> None:
    with pytest.raises(ControlError) as error:
        find_message("echo", [Ping, Relay], "echo.pong")
    assert failure(error) == ("unknown_message", "echo takes no message 'echo.pong'", "did you mean echo.ping?")
    with pytest.raises(ControlError) as error:
        find_message("echo", [Ping, Relay], "zzz")
    assert error.value.hint == "there is counter.relay, echo.ping"


def test_a_wire_name_of_two_classes_is_none() -> None:
    class Other(Message, tag="echo.ping"): ...

    with pytest.raises(ControlError, match=r"may be any of test_resolve\.Ping, test_resolve\..*Other"):
        find_message("echo", [Ping, Other], "echo.ping")


@pytest.mark.parametrize(
    ("fields", "code", "what", "hint"),
    [
        ({"m": 1}, "unknown_field", "echo.ping has no field 'm'", "there is n"),
        ({}, "missing_field", "echo.ping needs the field 'n'", "it is int"),
        ({"n": "one"}, "bad_field", "echo.ping.n: Expected `int`, got `str`", "it is int"),
        ({"n": None}, "bad_field", "echo.ping.n: Expected `int`, got `null`", "it is int"),
    ],
)
def test_fields_that_do_not_fit_are_errors(fields: dict[str, object], code: str, what: str, hint: str) -> None:
    with pytest.raises(ControlError) as error:
        compose(Ping, fields, address)
    assert failure(error) == (code, what, hint)


@pytest.mark.parametrize(
    ("fields", "code", "what"),
    [
        ({"points": [{"z": 1}]}, "unknown_field", "draw.points[0] has no field 'z'"),
        ({"points": 1}, "bad_field", "draw.points: Expected `array`, got `int`"),
        ({"points": [], "pair": [{"x": 1}]}, "bad_field", "draw.pair: Expected `array` of length 2, got 1"),
        ({"points": [], "pair": [{"x": 1}, 2, 3]}, "bad_field", "draw.pair: Expected `array` of length 2, got 3"),
        ({"points": [], "kind": "box"}, "bad_field", "draw.kind: Invalid enum value 'box'"),
        ({"points": [], "back": "z/echo"}, "unknown_node", "there is no node 'z'"),
    ],
)
def test_mistakes_within_fields_name_the_place(fields: dict[str, object], code: str, what: str) -> None:
    with pytest.raises(ControlError) as error:
        compose(Draw, fields, address)
    assert (error.value.code, str(error.value)) == (code, what)


def test_a_text_that_is_no_node_id_is_a_bad_field() -> None:
    with pytest.raises(ControlError, match=r"counter\.relay\.via: not a NodeID") as error:
        compose(Relay, {"to": "a/counter", "amount": 1, "via": "nobody"}, address)
    assert error.value.code == "bad_field"


def test_a_message_class_that_objects_is_quoted() -> None:
    with pytest.raises(ControlError, match="odd: n must be odd") as error:
        compose(Odd, {"n": 2}, address)
    assert error.value.code == "bad_field"


def test_a_message_is_described_in_words() -> None:
    assert describe(Relay) == MessageDescription(
        type="counter.relay",
        fields=(
            FieldDescription(name="to", type="EngineID", required=True),
            FieldDescription(name="amount", type="int", required=True),
            FieldDescription(name="via", type="NodeID | None", required=False),
        ),
        reply="int",
    )


def test_messages_survive_their_bytes() -> None:
    message = Relay(EngineID(B, "counter"), 2, C)
    assert decode_message("counter", [Ping, Relay], encode(message)) == message


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x90", b"\x92\xa9echo.ping\xa1x", b"\x92\xa4nope\x01", b"\x93\x01"]
)
def test_bytes_that_are_no_message_are_an_error(payload: bytes) -> None:
    with pytest.raises(ControlError) as error:
        decode_message("echo", [Ping, Relay], payload)
    assert error.value.code in {"bad_field", "unknown_message"}


def test_an_answer_is_readable_as_json_with_names() -> None:
    assert readable(decode(encode(Pong(1)), Pong)) == {"n": 1}
    assert readable((Point(1), None, b"hi", EngineID(A, "x"), frozenset({2}))) == [
        {"x": 1, "y": 0},
        None,
        "aGk=",
        f"{A}/x",
        [2],
    ]
    assert readable(Ping(3)) == {"type": "echo.ping", "n": 3}
