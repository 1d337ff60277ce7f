"""Which action takes which message. Pure (spec: guards in order, the first that holds wins)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, overload

from msgspec import Struct

from actors.engine import mistakes
from actors.messages import Local, Request

R = TypeVar("R")
E = TypeVar("E")
Q_co = TypeVar("Q_co", bound=Request[object], covariant=True)

# A table holds actions of all kinds of engines for all kinds of messages: here, and only here, types end.
When: TypeAlias = Callable[[Any, Any], object]
Action: TypeAlias = Callable[[Any, Any], Any]
Table: TypeAlias = dict[type, tuple[tuple[When | None, Action], ...]]


class Guard(Struct, frozen=True):
    """One line of a behaviour: for this message, when this holds, that action."""

    message: type[Request[object]]
    when: When | None
    name: str
    action: Action

    def __repr__(self) -> str:
        when = f" when {getattr(self.when, '__name__', self.when)}" if self.when else ""
        return f"<Guard {self.message.__name__}{when}: {self.name}>"


class Mark(NamedTuple):
    """What `on` leaves on a method."""

    message: type[Request[object]]
    when: When | None


class on(Generic[Q_co]):
    """Make a method the action for a message: `@on(Add)`, `@on(Add, when=positive)`.

    Guards are tried in source order, a subclass's own before inherited ones; the first that holds wins.
    An action returns the reply. It may be `def` or `async def`; a guard is a `def` without side effects.
    """

    __slots__ = ("_mark",)

    def __init__(self, message: type[Q_co], /, *, when: Callable[[Any, Q_co], object] | None = None) -> None:
        mistakes.check_message(message)
        if when is not None:
            mistakes.check_guard(message, when)
        self._mark = Mark(message, when)

    @overload
    def __call__(
        self: on[Request[R]], action: Callable[[E, Q_co], Coroutine[Any, Any, R]], /
    ) -> Callable[[E, Q_co], Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self: on[Request[R]], action: Callable[[E, Q_co], R], /) -> Callable[[E, Q_co], R]: ...
    def __call__(self, action: Any, /) -> Any:
        mistakes.check_action(self._mark.message, action)
        action.__on__ = self._mark
        return action


def mark_of(attribute: object) -> Mark | None:
    """What `on` left on a class's attribute."""
    return getattr(attribute, "__on__", None)


class _Line(NamedTuple):
    """A guard, the class that wrote it, and whether that replaced an inherited action."""

    guard: Guard
    writer: type
    replaces: bool


def behaviour_of(cls: type) -> tuple[Guard, ...]:
    """The guards of a class: its own in source order, then the inherited ones.

    An action that overrides an inherited one stands in its place. If such a one takes all messages of a kind,
    the inherited actions behind it go; anything else that could never be reached is a mistake.
    """
    behaviour: list[Guard] = []
    settled: dict[type, _Line] = {}
    for line in _lines(cls):
        guard, before = line.guard, settled.get(line.guard.message)
        if before is None:
            behaviour.append(guard)
            if guard.when is None:
                settled[guard.message] = line
        elif not before.replaces or before.writer is line.writer:
            own = before.writer is line.writer
            raise mistakes.never_reached(cls, guard.name, before.guard.name, guard.message, own=own)
    return tuple(behaviour)


def _lines(cls: type) -> Iterator[_Line]:
    for index, owner in enumerate(cls.__mro__):
        further = cls.__mro__[index + 1 :]
        for name, attribute in vars(owner).items():
            mark = mark_of(attribute)
            if mark is None or any(mark_of(vars(base).get(name)) for base in further):
                continue  # no action, or one that stands in the place of the one it replaces
            writer = next(base for base in cls.__mro__ if name in vars(base))
            action = vars(writer)[name]
            if (nearest := mark_of(action)) is None:
                raise mistakes.unmarked_override(cls, owner, name, mark.message)
            guard = Guard(nearest.message, _inherited(cls, nearest.when), name, action)
            yield _Line(guard, writer, replaces=writer is not owner)


def _inherited(cls: type, when: When | None) -> When | None:
    """A guard that is a method can be overridden like one."""
    name = getattr(when, "__name__", "")
    if when and any(vars(owner).get(name) is when for owner in cls.__mro__):
        override = inspect.getattr_static(cls, name)
        return override if inspect.isfunction(override) else when
    return when


def table_of(behaviour: tuple[Guard, ...]) -> Table:
    """The behaviour by message, for the runtime's loop: `for when, action in table[type(msg)]`."""
    return {
        message: tuple((guard.when, guard.action) for guard in behaviour if guard.message is message)
        for message in dict.fromkeys(guard.message for guard in behaviour)
    }


def wire_messages_of(table: Table) -> tuple[type, ...]:
    """Those that may come from another node."""
    return tuple(message for message in table if not issubclass(message, Local))
