"""What is wrong with a message class, in words, where the class is written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, StructMeta

from actors.errors import DefinitionError
from actors.messages.annotations import resolved_annotations
from actors.messages.immutable import objection, shown

_OPTIONS = {"tag", "kw_only", "order", "forbid_unknown_fields", "cache_hash", "weakref"}


def check_body(name: str, namespace: Mapping[str, Any]) -> None:
    """Every attribute that looks like a field is one."""
    annotated = namespace.get("__annotations__", {})
    for key, value in namespace.items():
        if key in ("__init__", "__new__"):
            raise DefinitionError(f"{name}.{key} would never be called; fields with defaults make the constructor.")
        if not (key.startswith("__") or key in annotated or isinstance(value, type) or hasattr(value, "__get__")):
            raise DefinitionError(
                f"{name}.{key} has no annotation. A field: {key}: {type(value).__name__} = {value!r}. "
                f"A constant: {key}: ClassVar = {value!r}."
            )


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Messages are all made alike; their tag is text."""
    for option in options.keys() - _OPTIONS:
        raise DefinitionError(
            f"{name}: {option}= is the same for all messages (frozen arrays, told apart by their tags); leave it out."
        )
    if not isinstance(tag := options["tag"], str) or not tag:
        raise DefinitionError(f"{name}: a tag is text, and not empty; this is {tag!r}.")


def check_reply_is_said(name: str, reply: object) -> None:
    """`class Add(Request)` says nothing, and `class Add(Request[T])` not yet."""
    open_parameters = getattr(reply, "__parameters__", None)
    if isinstance(reply, TypeVar) or open_parameters:
        raise DefinitionError(
            f"{name}: say what it is answered with, class {name}(Request[Reply]), or subclass Message for no answer."
        )


def check_fields(cls: type[Struct], names: Mapping[str, object]) -> None:
    """Plain data that nobody can change after it was sent."""
    for owner in cls.__mro__:
        for key, kind in resolved_annotations(owner, names).items() if isinstance(owner, StructMeta) else ():
            if key in cls.__struct_fields__ and (words := objection(kind, names)):
                raise DefinitionError(f"{cls.__name__}.{key}: {words}.")


def check_reply(cls: type[Struct], reply: object, names: Mapping[str, object]) -> None:
    """The same for what it is answered with; and unions that the codec cannot tell apart, in either."""
    if words := objection(reply, names):
        raise DefinitionError(f"{cls.__name__} is answered with {shown(reply)}: {words}.")
    try:
        msgspec.msgpack.Decoder(cls)
        msgspec.msgpack.Decoder(reply)
    except RecursionError:
        raise DefinitionError(
            f"{cls.__name__}: an alias contains itself; write a frozen Struct in its place."
        ) from None
    except TypeError as error:
        cure = " Wrap each alternative in a frozen Struct with a tag." if "union" in str(error) else ""
        raise DefinitionError(f"{cls.__name__}: {str(error).rstrip('.')}.{cure}") from None
