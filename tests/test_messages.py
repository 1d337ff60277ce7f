"""Messages: what they look like on the wire, what may be in them, what they are answered with."""

from __future__ import annotations

import enum
import gc
import sys
import typing as t
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, NewType
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct, msgpack

from actors.engine import Engine, on
from actors.errors import DefinitionError
from actors.identity import EngineID, NodeID
from actors.messages import (
    PREFS,
    ChildFailed,
    Local,
    Message,
    Request,
    Started,
    Timer,
    TransportPrefs,
    reply_type,
)


class Add(Request[int]):
    amount: int
    note: str = ""


class Echo(Engine):
    class Ping(Request[int]):
        n: int


class HTTPGet(Message, kw_only=True):
    url: str


class Named(Message, tag="counter.relay"):
    to: EngineID
    type: str = ""
    tag: str = ""


class Colour(enum.Enum):
    RED = "red"


class Point(Struct, frozen=True):
    x: int
    y: int


class Tree(Struct, frozen=True):
    kids: tuple[Tree, ...] = ()


class Segment(Struct, frozen=True):
    start: Point


class Path(Message):
    points: tuple[Point, ...]


Metres = NewType("Metres", float)


class Everything(Request[tuple[Point, ...]]):
    raw: msgspec.Raw
    text: str | None
    data: bytes
    number: Decimal
    when: datetime
    date: date  # the field's own name hides the type's
    key: UUID
    node: NodeID
    engine: EngineID
    colour: Colour
    points: tuple[Point, ...]
    pair: tuple[int, str]
    flags: frozenset[str]
    size: Literal["s", "m"]
    port: Annotated[int, Meta(ge=0)]
    height: Metres
    tree: Tree
    inner: Add
    nothing: tuple[()] = ()
    limit: ClassVar[list[int]] = []
    other_limit: t.ClassVar[list[int]] = []


# -- on the wire --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "tag"),
    [(Add, "add"), (Echo.Ping, "echo.ping"), (HTTPGet, "http-get"), (Named, "counter.relay")],
)
def test_the_tag_is_the_name_in_dashed_lower_case_unless_it_is_given(message: type[Struct], tag: str) -> None:
    assert message.__struct_config__.tag == tag


def test_the_functions_around_a_class_are_no_part_of_its_tag() -> None:
    class DialNow(Message): ...

    assert DialNow.__struct_config__.tag == "dial-now"


def test_a_message_is_an_array_of_its_tag_and_its_fields() -> None:
    assert msgpack.encode(Add(2, "x")) == b"\x93\xa3add\x02\xa1x"
    assert msgpack.decode(b"\x93\xa3add\x02\xa1x", type=Add) == Add(2, "x")


def test_unknown_fields_are_ignored_and_new_ones_have_defaults() -> None:
    assert msgpack.decode(msgpack.encode(["add", 2]), type=Add) == Add(2)
    assert msgpack.decode(msgpack.encode(["add", 2, "x", "from the future"]), type=Add) == Add(2, "x")


def test_a_message_cannot_be_changed_and_costs_the_garbage_collector_nothing() -> None:
    with pytest.raises(AttributeError):
        Add(2).amount = 3  # type: ignore[misc]
    assert hash(Add(2)) == hash(Add(2))
    assert not gc.is_tracked(Path((Point(1, 2),)))


def test_a_local_message_may_hold_what_the_garbage_collector_must_find() -> None:
    class Accepted(Local[None]):
        listeners: list[object]
        on_close: Callable[[], None]

    assert gc.is_tracked(Accepted([object()], lambda: None))


@pytest.mark.parametrize("message", [Started, Timer, ChildFailed])
def test_what_the_runtime_itself_says_is_local(message: type) -> None:
    assert issubclass(message, Local)


def test_equal_timers_are_one_key() -> None:
    class Retry(Timer):
        peer: str

    assert {Retry("a"): 1, Retry("b"): 2, Retry("a"): 3} == {Retry("a"): 3, Retry("b"): 2}


# -- replies ------------------------------------------------------------------------------------------------


def test_a_request_knows_what_it_is_answered_with() -> None:
    class Find(Request[EngineID | None]): ...

    class FindAll(Find):
        limit: int = 10

    class Ready(Local[bool]): ...

    assert reply_type(Add) is int
    assert reply_type(Named) is type(None)
    assert reply_type(Find) == reply_type(FindAll) == EngineID | None
    assert reply_type(Ready) is bool


def test_a_reply_may_be_defined_after_its_request() -> None:
    class Where(Request["Place"]): ...

    class Place(Struct, frozen=True):
        x: int

    class Guide(Engine):
        @on(Where)
        def where(self, _: Where) -> Place:
            return Place(1)

    assert reply_type(Where) is Place


# -- fields -------------------------------------------------------------------------------------------------


def test_immutable_data_may_be_in_a_message() -> None:
    assert Everything.__struct_fields__[-2:] == ("inner", "nothing")
    assert Everything.__annotations__["date"] is date


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in Python 3.12")
def test_a_type_alias_is_what_it_stands_for() -> None:
    module = {"__name__": "shop", "Message": Message}
    exec("type Names = tuple[str, ...]\nclass Sub(Message): names: Names", module)
    with pytest.raises(DefinitionError, match=r"Sub\.names: list\[str\] can be changed"):
        exec("type Names = list[str]\nclass Sub(Message): names: Names", module)
    with pytest.raises(DefinitionError, match="Sub: an alias contains itself; write a frozen Struct"):
        exec("type Nested = int | tuple[Nested, ...]\nclass Sub(Message): it: Nested", module)


def test_string_annotations_are_resolved_also_within_a_function() -> None:
    class Shade(enum.Enum):
        DARK = "dark"

    class Dot(Struct, frozen=True):
        shade: Shade

    class Paint(Request[Dot]):
        shade: Shade
        dots: tuple[Dot, ...] = ()

    painted = Paint(Shade.DARK, (Dot(Shade.DARK),))
    assert msgpack.decode(msgpack.encode(painted), type=Paint) == painted
    assert reply_type(Paint) is Dot


def test_a_class_within_a_class_within_a_function_sees_the_functions_names() -> None:
    class Shade(enum.Enum):
        DARK = "dark"

    class Painter(Engine):
        class Paint(Message):
            shade: Shade

    assert Painter.Paint.__annotations__["shade"] is Shade


def test_a_message_may_contain_its_like() -> None:
    class Step(Message):
        next: Step | None

    assert msgpack.decode(msgpack.encode(Step(Step(None))), type=Step) == Step(Step(None))


def test_a_functions_names_hide_the_modules_only_for_what_stands_in_the_function() -> None:
    modules_own = Point

    def define() -> tuple[type[Struct], type[Struct]]:
        class Point(Struct, frozen=True):
            shade: str

        class Mark(Message):
            at: Point
            line: Segment

        return Point, Mark

    local, mark = define()
    assert mark.__annotations__["at"] is local
    assert Segment.__annotations__["start"] is modules_own


def test_a_field_type_that_comes_later_is_checked_when_an_engine_takes_the_message() -> None:
    class Draw(Message):
        shape: Shape

    class Redraw(Draw):
        times: int = 1

    class Shape(Struct, frozen=True):
        corners: list[int]

    with pytest.raises(DefinitionError, match=r"Redraw\.shape: Shape\.corners: list\[int\] can be changed"):

        class Painter(Engine):
            @on(Redraw)
            def redraw(self, _: Redraw) -> None: ...


def test_a_field_type_that_never_comes_is_explained() -> None:
    class Draw(Message):
        shape: Shape  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(DefinitionError, match=r"Draw: name 'Shape' is not defined\. Define or import it before"):
        reply_type(Draw)


# -- preferences --------------------------------------------------------------------------------------------


def test_by_default_a_message_travels_ordered_reliable_and_direct() -> None:
    assert TransportPrefs() == PREFS == TransportPrefs("ordered", "reliable", "direct")
