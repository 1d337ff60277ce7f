"""How a node that sends for a person makes a message and reads its answer: with whose classes.

An engine of this node: its own. One of a node on this machine: those of that node's process, through its
control socket, so that nothing but the engine's own classes ever judges a message. One of a node elsewhere:
the class of that wire name that this process happens to know.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import trio

from actors.control.client import ControlClient, open_control
from actors.control.compose import Address, AnyRequest, compose, find_message, readable
from actors.control.failures import ControlError
from actors.control.foreign import foreign
from actors.control.gathering import PATIENCE
from actors.control.messages import Fields
from actors.control.resolve import guess
from actors.control.surface import ControlledNode
from actors.messages import Local, Message, Request
from actors.runtime import is_reserved

Messages: TypeAlias = tuple[type[AnyRequest], ...]


class Language(Protocol):
    """What one engine is spoken to in."""

    async def message(self, type: str, fields: Fields) -> AnyRequest:
        """The message; ControlError `unknown_engine`, `unknown_message`, and those of `compose`."""

    async def readable(self, type: str, reply: Any) -> object:
        """The answer to such a message, as JSON values."""


class OfClasses:
    """In classes that this process has."""

    def __init__(self, engine: str, messages: Messages, address: Address) -> None:
        self._engine = engine
        self._messages = messages
        self._address = address

    async def message(self, type: str, fields: Fields) -> AnyRequest:
        return compose(find_message(self._engine, self._messages, type), fields, self._address)

    async def readable(self, type: str, reply: Any) -> object:
        return readable(reply)


class OfNeighbour:
    """In those of the process that serves this control socket."""

    def __init__(self, engine: str, path: Path) -> None:
        self._engine = engine
        self._path = path

    async def message(self, type: str, fields: Fields) -> AnyRequest:
        async with self._asked() as control:
            return foreign(await control.compose(self._engine, type, fields))

    async def readable(self, type: str, reply: Any) -> object:
        async with self._asked() as control:
            return await control.read_reply(self._engine, type, bytes(reply))

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[ControlClient]:
        """That process, which may be frozen. ControlError `unreachable`."""
        try:
            with trio.fail_after(PATIENCE):
                async with open_control(self._path) as control:
                    yield control
        except trio.TooSlowError:
            what = f"node {self._path.stem} does not say what {self._engine!r} understands: no answer in {PATIENCE:g} s"
            raise ControlError("unreachable", what, "actors ls nodes") from None


def messages_of(node: ControlledNode, engine: str) -> Messages:
    """What an engine of this node takes from outside. ControlError `unknown_engine`."""
    cell = node.runtime.find(engine)
    if cell is None:
        speaking = [other.name for other in node.engines() if not is_reserved(other.name)]
        hint = guess(engine, speaking, "actors ls engines")
        raise ControlError("unknown_engine", f"{node.name} has no engine {engine!r}", hint)
    return cell.pristine.wire_messages


def known_messages() -> Messages:
    """Every message class that this process has imported and that can cross between nodes."""
    classes = [cls for cls in _subclasses(Request) if not issubclass(cls, Local)]
    return tuple(cls for cls in classes if cls.__module__ not in (foreign.__module__, Message.__module__))


def _subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    for below in cls.__subclasses__():
        yield below
        yield from _subclasses(below)
