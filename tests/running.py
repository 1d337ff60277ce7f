"""A runtime for one test, and the engines that several tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import trio
from msgspec import field

from actors.engine import Engine, on
from actors.events import Event
from actors.identity import EngineID, NodeKey
from actors.messages import Message, Request
from actors.runtime import Runtime, open_service_nursery

NODE = NodeKey.from_seed(b"n" * 32).id
PEER = NodeKey.from_seed(b"p" * 32).id
NOBODY = EngineID(NODE, "nobody")

E = TypeVar("E", bound=Event)


@asynccontextmanager
async def running(*, strict: bool = False, slice: int = 256, capacity: int = 4096) -> AsyncIterator[Runtime]:
    """A runtime that runs while the block does."""
    async with open_service_nursery() as nursery:
        runtime = Runtime(NODE, strict=strict, slice=slice, capacity=capacity)
        await nursery.start(runtime.serve)
        yield runtime
        nursery.cancel_scope.cancel()


def happened(events: trio.MemoryReceiveChannel[Event], kind: type[E]) -> list[E]:
    """The events of this kind that came so far; the others are thrown away."""
    found = list[E]()
    while True:
        try:
            event = events.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return found
        if isinstance(event, kind):
            found.append(event)


class Note(Message):
    """Something to remember."""

    text: str


class Notes(Request[tuple[str, ...]]):
    """What was remembered."""


class Crash(Message):
    """Raise."""


class Log(Engine):
    """Remembers what it is told, and crashes when told to."""

    notes: list[str] = field(default_factory=list)

    @on(Note)
    def note(self, msg: Note) -> None:
        self.notes.append(msg.text)

    @on(Notes)
    def all(self, _: Notes) -> tuple[str, ...]:
        return tuple(self.notes)

    @on(Crash)
    def crash(self, _: Crash) -> None:
        self.notes.append("half done")
        raise ValueError("as told")
