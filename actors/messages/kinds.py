"""The kinds of messages, and what is checked where one is written. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, dataclass_transform, get_args, get_origin

from msgspec import Struct, StructMeta, field

from actors.errors import DefinitionError
from actors.identity import EngineID
from actors.messages import mistakes
from actors.messages.annotations import UnresolvedError, mark_class_variables, resolved_reply, visible_from

R_co = TypeVar("R_co", covariant=True)


def tag_of(qualname: str) -> str:
    """`NodeProxy.DialNow` -> `node-proxy.dial-now`; the functions around a class do not count."""
    parts = qualname.rpartition("<locals>.")[2].split(".")
    return ".".join(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", part).lower() for part in parts)


class MessageMeta(StructMeta):
    """Makes a message class and checks it."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        ours = namespace["__module__"] == __name__
        options.setdefault("tag", tag_of(namespace["__qualname__"]))
        here = sys._getframe(1)
        names = {**here.f_globals, **visible_from(here)}
        if not ours:
            mark_class_variables(namespace.get("__annotations__", {}), names)
            mistakes.check_body(name, namespace)
            mistakes.check_options(name, options)
        try:
            cls: Any = super().__new__(mcls, name, bases, namespace, **options)
        except (TypeError, ValueError) as error:
            raise DefinitionError(f"{name}: {str(error).rstrip('.')}.") from None
        cls.__reply__ = _reply_of(cls)
        cls.__open__ = False
        if not ours:
            mistakes.check_reply_is_said(name, cls.__reply__)
            _examine(cls, names, later=True)
        return cls


def _reply_of(cls: type) -> object:
    for base in cls.__dict__.get("__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, MessageMeta):
            return get_args(base)[0]
    # A message that extends another is answered like it.
    return getattr(cls, "__reply__", R_co)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Request(Struct, Generic[R_co], metaclass=MessageMeta, frozen=True, array_like=True, tag_field="", gc=False):
    """A message that is answered with an R: `class Add(Request[int])`. Its fields are immutable data.

    On the wire it is an array: its tag (from the class's name, `class Add(Request[int], tag="add")` where it
    must outlive the name), then its fields in order. Unknown fields are ignored; a new field needs a default.
    """

    __reply__: ClassVar[object]
    __open__: ClassVar[bool]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Message(Request[None]):
    """A message without an answer; asking it waits until it is handled."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Local(Request[R_co], gc=True):
    """A message between engines of one node. Never encoded, never read from the wire; it may carry anything."""

    __instead__: ClassVar[str] = "is a Local, which never leaves its node; send what it carries"


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Timer(Local[None]):
    """A timer's handle and, when it elapses, its message. Equal handles are one timer (spec: TimerHandle)."""


class Started(Local[None]):
    """The first message of an engine's every start and restart."""


class ChildFailed(Local[None]):
    """To the engine that spawned it: a child crashed more often than its policy allows, and is gone."""

    child: EngineID
    error: str


def reply_type(message: type[Request[object]]) -> object:
    """What the message is answered with, as the type written in `Request[...]`."""
    settle(message, {})
    return message.__reply__


def settle(message: type[Request[object]], names: Mapping[str, object]) -> None:
    """Check what named something not yet defined where the message was written.

    Engine classes do this for the messages they take. `names` are visible there besides the message's module.
    """
    if message.__open__:
        _examine(message, names, later=False)


def _examine(cls: type[Request[object]], names: Mapping[str, object], *, later: bool) -> None:
    """Look at the types of a message's fields and of its reply. `later`: names may still be missing."""
    wire = not issubclass(cls, Local)
    try:
        if wire or issubclass(cls, Timer):
            mistakes.check_fields(cls, names)
        if wire:
            cls.__reply__ = resolved_reply(cls.__reply__, cls, names)
            mistakes.check_reply(cls, cls.__reply__, names)
    except UnresolvedError as error:
        if not later:
            raise DefinitionError(
                f"{cls.__name__}: {error}. Define or import it before the engine that takes {cls.__name__}, "
                f"and not only under TYPE_CHECKING."
            ) from None
        cls.__open__ = True
    else:
        cls.__open__ = False
