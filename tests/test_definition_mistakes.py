"""What a user sees for each mistake, at the place where the class is written."""

from __future__ import annotations

import textwrap

import pytest

from actors.errors import DefinitionError

PRELUDE = """
import enum
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar
import msgspec
from msgspec import Struct, field
from actors.engine import Engine, LocalCfg, on
from actors.messages import Local, Message, Request, Started, Timer
T = TypeVar("T")
class Add(Request[int]):
    amount: int
class Counter(Engine):
    total: int = 0
    def positive(self, msg: Add) -> bool:
        return msg.amount > 0
    @on(Add, when=positive)
    def add(self, msg: Add) -> int:
        return self.total
"""

MESSAGES = {
    "no reply is said": (
        "class Sub(Request): ...",
        "Sub: say what it is answered with, class Sub(Request[Reply]), or subclass Message for no answer.",
    ),
    "a local message without reply": ("class Sub(Local): ...", "Sub: say what it is answered with"),
    "a reply that is still open": ("class Page(Request[tuple[T, ...]]): ...", "Page: say what it is answered with"),
    "a generic message": (
        """
        class Put(Message, Generic[T]):
            item: T
        """,
        "Put.item: T is open; name the type, messages are not generic.",
    ),
    "a field without annotation": (
        "class Sub(Message): amount = 3",
        "Sub.amount has no annotation. A field: amount: int = 3. A constant: amount: ClassVar = 3.",
    ),
    "a field without default after one with": (
        """
        class Sub(Message):
            amount: int = 1
            note: str
        """,
        "Sub: Required field 'note' cannot follow optional fields",
    ),
    "a constructor": (
        """
        class Sub(Message):
            def __init__(self, amount): ...
        """,
        "Sub.__init__ would never be called; fields with defaults make the constructor.",
    ),
    "an option that messages share": (
        "class Sub(Message, frozen=False): ...",
        "Sub: frozen= is the same for all messages (frozen arrays, told apart by their tags); leave it out.",
    ),
    "a tag that is no text": ("class Sub(Message, tag=7): ...", "Sub: a tag is text, and not empty; this is 7."),
    "an empty tag": ("class Sub(Message, tag=''): ...", "Sub: a tag is text, and not empty; this is ''."),
    "an annotation that is no type": ("class Sub(Message): amount: 7", "Sub.amount: 7 is not plain data"),
    "an annotation that is no Python": ("class Sub(Message): amount: '1 +'", "Sub.amount: "),
    "a union that the codec cannot tell apart": (
        "class Sub(Message): amount: tuple[int, ...] | frozenset[int]",
        "Sub: Type unions may not contain",
    ),
    "a reply that the codec cannot tell apart": ("class Sub(Request[str | bytes]): ...", "Sub: Type unions may not"),
    "a list in the reply": (
        "class All(Request[list[int]]): ...",
        "All is answered with list[int]: list[int] can be changed after it was sent; write tuple[int, ...].",
    ),
    "an engine in the reply": (
        "class Hire(Request[Counter]): ...",
        "Hire is answered with Counter: Counter is an engine and stays where it runs; send its EngineID.",
    ),
    "a timer that is no key": ("class Tick(Timer): peers: list[str]", "Tick.peers: list[str] can be changed"),
}

CHANGEABLE = "can be changed after it was sent; write"
NOT_DATA = "is not plain data that the codec knows; write a frozen Struct of plain data, or make the message a Local"
FIELDS = {
    "list[int]": f"list[int] {CHANGEABLE} tuple[int, ...].",
    "list": f"list {CHANGEABLE} tuple[Item, ...].",
    "deque[int]": f"deque[int] {CHANGEABLE} tuple[int, ...].",
    "Sequence[int]": f"Sequence[int] {CHANGEABLE} tuple[int, ...].",
    "list[int | None]": f"list[int | None] {CHANGEABLE} tuple[int | None, ...].",
    "set[str]": f"set[str] {CHANGEABLE} frozenset[str].",
    "dict[str, int]": f"dict[str, int] {CHANGEABLE} tuple[tuple[str, int], ...], or a frozen Struct.",
    "Mapping": f"Mapping {CHANGEABLE} tuple[tuple[Key, Value], ...], or a frozen Struct.",
    "bytearray": f"bytearray {CHANGEABLE} bytes.",
    "memoryview": f"memoryview {CHANGEABLE} bytes.",
    "int | None | list[int]": f"list[int] {CHANGEABLE} tuple[int, ...].",
    "tuple[dict[str, list[int]], ...]": f"dict[str, list[int]] {CHANGEABLE} tuple[tuple[str, list[int]], ...]",
    "tuple": "tuple does not say what is in it; write tuple[Item, ...].",
    "frozenset": "frozenset does not say what is in it; write frozenset[Item].",
    "Any": "Any says nothing; name the type, or msgspec.Raw for a value that stays undecoded.",
    "object": "object says nothing; name the type, or msgspec.Raw for a value that stays undecoded.",
    "Callable[[int], None]": f"Callable[[int], None] {NOT_DATA}",
    "complex": f"complex {NOT_DATA}",
    "Pair": f"Pair {NOT_DATA}",
    "Loose": f"Loose {CHANGEABLE} class Loose(Struct, frozen=True).",
    "Deep": f"Deep.items: list[int] {CHANGEABLE} tuple[int, ...].",
    "Counter": "Counter is an engine and stays where it runs; send its EngineID.",
    "Opened": "Opened is a Local, which never leaves its node; send what it carries.",
}
FIELD_TYPES = """
class Pair(NamedTuple):
    a: int
class Loose(Struct):
    a: int
class Deep(Struct, frozen=True):
    items: list[int]
class Opened(Local[None]): ...
"""

ACTIONS = {
    "a second action that is never reached": (
        """
        class C(Engine):
            @on(Add)
            def one(self, msg): return 1
            @on(Add)
            def two(self, msg): return 2
        """,
        "C.two is never reached: C.one already takes every Add. Give the first a guard: @on(Add, when=...).",
    ),
    "an inherited action that is never reached": (
        """
        class C(Counter):
            @on(Add)
            def count(self, msg): return 1
        """,
        "C.add is never reached: C.count already takes every Add. "
        "To replace the inherited action, name yours add; to add to it, give yours a guard.",
    ),
    "two replacements that take all": (
        """
        class D(Engine):
            @on(Add, when=lambda self, msg: True)
            def one(self, msg): return 1
            @on(Add)
            def two(self, msg): return 2
        class C(D):
            @on(Add)
            def one(self, msg): return 1
            @on(Add)
            def two(self, msg): return 2
        """,
        "C.two is never reached: C.one already takes every Add. Give the first a guard: @on(Add, when=...).",
    ),
    "two actions of one name": (
        """
        class C(Engine):
            @on(Add, when=lambda self, msg: msg.amount > 0)
            def add(self, msg): return 1
            @on(Add)
            def add(self, msg): return 2
        """,
        "C.add is defined twice, and only the second would remain; give one of them another name.",
    ),
    "an action named as its guard": (
        """
        class C(Engine):
            def add(self, msg): return True
            @on(Add, when=add)
            def add(self, msg): return 1
        """,
        "C.add is defined twice",
    ),
    "an inherited action that would vanish": (
        """
        class C(Counter):
            def add(self, msg): return 1
        """,
        "C.add replaces the action Counter.add, but takes no message; "
        "write @on(Add) above it, or give it another name.",
    ),
    "one action for two messages": (
        """
        class C(Engine):
            @on(Add)
            @on(Started)
            def add(self, msg): ...
        """,
        "add already takes Started; write another action for Add.",
    ),
    "on without its message": (
        """
        class C(Engine):
            @on
            def add(self, msg): ...
        """,
        "@on above add lacks its message; write @on(SomeMessage).",
    ),
    "no message": (
        """
        class Thing: ...
        class C(Engine):
            @on(Thing)
            def thing(self, msg): ...
        """,
        "@on(Thing): not a message; subclass Message, or Request[Reply], to make one.",
    ),
    "a message in place of its class": ("on(Add(1))", "@on(Add(amount=1)): not a message"),
    "the base of all messages": ("on(Message)", "@on(Message): an action takes messages of exactly one class"),
    "not a method": ("on(Add)(print)", "@on(Add) belongs directly above a def or an async def"),
    "a generator": (
        """
        class C(Engine):
            @on(Add)
            def add(self, msg): yield 1
        """,
        "add yields; an action returns its reply, once.",
    ),
    "an action without the message": (
        """
        class C(Engine):
            @on(Add)
            def add(self): ...
        """,
        "add takes self and a message: def add(self, msg: Add).",
    ),
    "a guard by its name": (
        "on(Add, when='positive')",
        "@on(Add, when='positive'): a guard is a method, defined above",
    ),
    "a guard that waits": (
        """
        class C(Engine):
            async def ready(self, msg): return True
            @on(Add, when=ready)
            def add(self, msg): ...
        """,
        "ready: a guard decides at once; write def ready(self, msg), not async def.",
    ),
    "a guard without the message": ("on(Add, when=lambda self: True)", "<lambda> takes self and a message"),
    "two messages of one tag": (
        """
        class Plus(Request[int], tag="add"): ...
        class C(Counter):
            @on(Plus)
            def plus(self, msg): ...
        """,
        "C takes two messages with the tag 'add': shop.Plus and shop.Add. "
        "Give one a tag of its own: class Add(..., tag='...').",
    ),
    "a message whose type never comes": (
        """
        class Draw(Message):
            shape: "Shape"
        class C(Engine):
            @on(Draw)
            def draw(self, msg): ...
        """,
        "Draw: name 'Shape' is not defined. Define or import it before the engine that takes Draw, "
        "and not only under TYPE_CHECKING.",
    ),
}

STATE = {
    "state without annotation": (
        "class C(Engine): total = 0",
        "C.total has no annotation. State: total: int = 0. A constant: total: ClassVar = 0.",
    ),
    "state that hides a verb": ("class C(Engine): ask: int = 0", "C.ask hides Engine.ask; choose another name."),
    "state without default that hides a verb": ("class C(Engine): id: int", "C.id hides Engine.id"),
    "a method that hides a verb": (
        """
        class C(Engine):
            def tell(self): ...
        """,
        "C.tell hides Engine.tell; choose another name.",
    ),
    "what the engine keeps for itself": ("class C(Engine): _context: int = 0", "C._context hides Engine._context"),
    "state that all would share": (
        "class C(Engine): seen: list[int] = [1]",
        "C.seen: all engines of the class would share this list; "
        "write seen: ... = field(default_factory=lambda: [1]), field being msgspec's.",
    ),
    "a record that all would share": (
        """
        class State(Struct):
            total: int = 0
        class C(Engine):
            state: State = State()
        """,
        "C.state: all engines of the class would share this State; "
        "write state: ... = field(default_factory=lambda: State(total=0)), field being msgspec's.",
    ),
    "a queue that all would share": ("class C(Engine): seen: deque[int] = deque()", "C.seen: all engines of the class"),
    "a constructor": (
        """
        class C(Engine):
            def __init__(self, total): ...
        """,
        "C.__init__ would never be called; fields with defaults make the constructor, "
        "and @on(Started) begins the work.",
    ),
    "a port that is not async": (
        """
        class C(Engine):
            def port(self): ...
        """,
        "C.port is what touches the world; write async def port(self) -> None.",
    ),
    "two configurations": (
        """
        class Limits(LocalCfg): ...
        class Style(LocalCfg): ...
        class C(Engine):
            limits: Limits = Limits()
            style: Style = Style()
        """,
        "C.limits and C.style are both LocalCfg; an engine has one configuration, put the settings into one class.",
    ),
    "a base that hides misspelt state": (
        """
        class Mixin: ...
        class C(Mixin, Engine): ...
        """,
        "C: its base Mixin lets misspelt state pass unnoticed; write __slots__ = () into Mixin.",
    ),
    "an option that engines share": (
        "class C(Engine, frozen=True): ...",
        "C: frozen= is the same for all engines; leave it out.",
    ),
    "a base without room for engines": (
        """
        class Other(Engine):
            x: int = 0
        class C(Counter, Other): ...
        """,
        "C: multiple bases have instance lay-out conflict. Only one base may have state.",
    ),
}

MISTAKES = {
    **MESSAGES,
    **{f"a field of type {kind}": (f"class Sub(Message): it: {kind}", f"Sub.it: {it}") for kind, it in FIELDS.items()},
    **ACTIONS,
    **{f"engine: {name}": mistake for name, mistake in STATE.items()},
}


@pytest.mark.parametrize("annotations", ["types", "strings"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_explained_where_the_class_is_written(mistake: str, annotations: str) -> None:
    source, words = MISTAKES[mistake]
    future = "from __future__ import annotations\n" if annotations == "strings" else ""
    module = {"__name__": "shop"}
    exec(future + PRELUDE + FIELD_TYPES, module)
    with pytest.raises(DefinitionError) as caught:
        exec(future + textwrap.dedent(source), module)
    assert str(caught.value).startswith(words)
    assert str(caught.value).endswith(".")


def test_a_local_message_may_carry_anything() -> None:
    source = "class Took(Local[list[int]]):\n    it: list[object]\n    then: Callable[[], None]"
    exec(PRELUDE + source, {"__name__": "shop"})


def test_constants_methods_and_classes_are_no_state() -> None:
    source = """
class C(Counter):
    most: ClassVar[list[int]] = [1]
    class Limits(LocalCfg): ...
    limits: Limits = Limits()
    names: list[str] = []
    @property
    def twice(self) -> int: return 2 * self.total
    @staticmethod
    def half(n: int) -> int: return n // 2
"""
    module: dict[str, object] = {"__name__": "shop"}
    exec("from __future__ import annotations\n" + PRELUDE + source, module)
    made = module["C"]
    assert isinstance(made, type)
    assert made.__struct_fields__ == ("total", "limits", "names")  # type: ignore[attr-defined]
