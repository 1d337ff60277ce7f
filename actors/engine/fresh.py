"""A new life from what was spawned. Pure."""

from __future__ import annotations

from collections import deque
from copy import copy
from typing import TypeVar

from msgspec import Struct

from actors.engine.base import Engine
from actors.engine.context import Context, Detached

E = TypeVar("E", bound=Engine)


def bind(engine: E, context: Context) -> E:
    """Let the engine's verbs act on this context. Gives the engine back."""
    engine._context = context
    return engine


def fresh(engine: E, context: Context | None = None) -> E:
    """A copy that shares no mutable state with the engine, bound to the context (else detached).

    Copied are lists, dicts, sets, deques, bytearrays and Structs that are not frozen, also within each
    other. Everything else is shared: immutable data, and live objects such as channels and sockets.
    """
    life = copy(engine)
    _unshare_fields(life, {id(engine): life})
    return bind(life, context or Detached())


def _unshared(value: object, known: dict[int, object]) -> object:
    """`known`: what was copied already, by identity, so that what is one object in the engine stays one."""
    if id(value) in known:
        return known[id(value)]
    if type(value) is tuple:
        return tuple(_unshared(item, known) for item in value)
    if not isinstance(value, (list, dict, set, deque, bytearray, Struct)) or _frozen(value):
        return value
    twin = known[id(value)] = copy(value)
    if isinstance(twin, (list, deque)):
        for index, item in enumerate(twin):
            twin[index] = _unshared(item, known)
    elif isinstance(twin, dict):
        for key, item in twin.items():
            twin[key] = _unshared(item, known)
    elif isinstance(twin, Struct):
        _unshare_fields(twin, known)
    return twin


def _unshare_fields(twin: Struct, known: dict[int, object]) -> None:
    for name in twin.__struct_fields__:
        setattr(twin, name, _unshared(getattr(twin, name), known))
    if isinstance(twin, Engine):
        bind(twin, Detached())


def _frozen(value: object) -> bool:
    return isinstance(value, Struct) and value.__struct_config__.frozen
