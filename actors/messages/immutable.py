"""Which types may stand in a message: data that nobody can change after it was sent. Pure."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Collection, Iterable, Mapping, MutableSequence, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec
from msgspec import Struct, StructMeta

from actors.identity import EngineID, NodeID
from actors.messages.annotations import resolved_annotations

_ATOMS = {
    *(str, bytes, int, float, bool, type(None), datetime, date, time, timedelta, UUID, Decimal),
    *(NodeID, EngineID, msgspec.Raw),
}
_ABSTRACT = {Iterable, Collection, Sequence, MutableSequence}


def objection(kind: object, names: Mapping[str, object], within: tuple[object, ...] = ()) -> str | None:
    """Why a value of this type must not be in a message, with what to write instead; None if it may.

    `names` are for annotations of the Structs in it; `within` are the types being looked at, so that one may
    contain itself. Raises UnresolvedError.
    """
    if kind in within or _is_atom(kind):
        return None
    within = (*within, kind)
    if parts := _parts(kind):
        return next((words for part in parts if (words := objection(part, names, within))), None)
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, Struct):
        return _struct_objection(origin, names, within)
    return f"{shown(kind)} {_instead(kind, origin, get_args(kind))}"


def _is_atom(kind: object) -> bool:
    if kind is None or kind == tuple[()] or get_origin(kind) is Literal:
        return True
    return isinstance(kind, type) and (kind in _ATOMS or issubclass(kind, Enum))


def _parts(kind: object) -> tuple[object, ...]:
    """The types of which it is made and which decide about it."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType, tuple, frozenset):
        return tuple(arg for arg in args if arg is not ...)
    if origin is Annotated:
        return args[:1]
    if isinstance(kind, NewType):
        return (kind.__supertype__,)
    if type(kind).__name__ == "TypeAliasType":  # `type Name = ...`, Python 3.12 and newer
        return (getattr(kind, "__value__", None),)
    return ()


def _struct_objection(struct: type[Struct], names: Mapping[str, object], within: tuple[object, ...]) -> str | None:
    if instead := getattr(struct, "__instead__", ""):
        return f"{struct.__name__} {instead}"
    if not struct.__struct_config__.frozen:
        return f"{struct.__name__} can be changed after it was sent; write class {struct.__name__}(Struct, frozen=True)"
    for owner in struct.__mro__:
        for field, kind in resolved_annotations(owner, names).items() if isinstance(owner, StructMeta) else ():
            if field in struct.__struct_fields__ and (words := objection(kind, names, within)):
                return f"{struct.__name__}.{field}: {words}"
    return None


def _instead(kind: object, origin: object, args: tuple[object, ...]) -> str:
    """What is wrong with the type, and what to write."""
    if kind in (Any, object):
        return "says nothing; name the type, or msgspec.Raw for a value that stays undecoded"
    if isinstance(kind, TypeVar):
        return "is open; name the type, messages are not generic"
    if origin in (tuple, frozenset):
        return f"does not say what is in it; write {_frozen(origin, args)}"
    if isinstance(origin, type):
        if issubclass(origin, (bytearray, memoryview)):
            return "can be changed after it was sent; write bytes"
        if issubclass(origin, Mapping):
            key, value = map(shown, args) if len(args) == 2 else ("Key", "Value")
            return f"can be changed after it was sent; write tuple[tuple[{key}, {value}], ...], or a frozen Struct"
        if issubclass(origin, Set):
            return f"can be changed after it was sent; write {_frozen(frozenset, args)}"
        if issubclass(origin, (list, deque)) or origin in _ABSTRACT:
            return f"can be changed after it was sent; write {_frozen(tuple, args)}"
    return (
        "is not plain data that the codec knows; write a frozen Struct of plain data, "
        "or make the message a Local if it never leaves its node"
    )


def _frozen(container: object, args: tuple[object, ...]) -> str:
    item = shown(args[0]) if args else "Item"
    return f"tuple[{item}, ...]" if container is tuple else f"frozenset[{item}]"


def shown(kind: object) -> str:
    """A type as one would write it."""
    if isinstance(kind, list):  # the parameters of a Callable
        return f"[{', '.join(map(shown, kind))}]"
    if isinstance(kind, type) and not get_args(kind):
        return "None" if kind is type(None) else kind.__name__
    if get_origin(kind) in (Union, types.UnionType):
        return " | ".join(map(shown, get_args(kind)))
    if isinstance(origin := get_origin(kind), type) and get_args(kind):
        return f"{origin.__name__}[{', '.join('...' if arg is ... else shown(arg) for arg in get_args(kind))}]"
    return getattr(kind, "__name__", None) or str(kind).removeprefix("typing.")
