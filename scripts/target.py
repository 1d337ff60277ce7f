"""The node that scripts/hostile and scripts/storm do harm to: an engine that answers, and says how its loop fares.

actors run --app scripts.target:setup

With TARGET_NOTES, the name of a file, it writes down what it was told to: a line for each note, at once.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from pathlib import Path
from time import perf_counter

import trio
from msgspec import Struct, field

from actors import Engine, Message, Node, Request, Started, on
from actors.identity import EngineID

CARGO = 60 << 10
"""Bytes."""
GIVERS = 5
BEAT = 0.01
"""Seconds between two looks at the clock."""


class Count(Request[int], tag="target.count"):
    """Answered with one more."""

    n: int


class Lag(Struct, frozen=True):
    """How a node's loop fared, in seconds."""

    beats: tuple[float, ...]
    """How late each was, but for the garbage collector."""
    collector: float
    """The longest that it took at a time."""


class Lags(Request[Lag], tag="target.lags"):
    """Of the time since the last question."""


class Cargo(Message, tag="target.cargo"):
    """Something to keep."""

    data: bytes


class Note(Message, tag="target.note"):
    """Something to write down."""

    who: int
    n: int


class Shout(Request[int], tag="target.shout"):
    """Tell everybody who has had something written down so many notes, to his `guest`; answered with their number."""

    count: int


class Beg(Message, tag="target.beg"):
    """Tell whoever begs so many Cargos, by each of some engines."""

    count: int


class More(Message, tag="target.more"):
    """Go on."""


class Giver(Engine):
    """Tells one engine of a beggar one thing after the other, and waits for room."""

    to: EngineID
    left: int

    @on(Started)
    def started(self, _: Started) -> None:
        self.tell(self.id, More())

    @on(More)
    def give(self, _: More) -> None:
        self.tell(self.to, Cargo(bytes(CARGO)), expiry=3600)
        self.left -= 1
        if self.left:
            self.tell(self.id, More())


class Asleep(Engine):
    """Comes to its first message, and to no other."""

    @on(Cargo)
    async def cargo(self, _: Cargo) -> None:
        await trio.sleep_forever()


class Target(Engine):
    known: set[EngineID] = field(default_factory=set)
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=100_000))
    collections: list[float] = field(default_factory=list)

    @on(Count)
    def count(self, msg: Count) -> int:
        return msg.n + 1

    @on(Lags)
    def tell_lags(self, _: Lags) -> Lag:
        lag = Lag(tuple(round(each, 5) for each in self.lags), max(self.collections, default=0.0))
        self.lags.clear()
        self.collections.clear()
        return lag

    @on(Cargo)
    def cargo(self, _: Cargo) -> None:
        """It is of no use."""

    @on(Note)
    def note(self, msg: Note) -> None:
        assert self.sender.node is not None
        self.known.add(EngineID(self.sender.node, "guest"))
        with Path(os.environ["TARGET_NOTES"]).open("a") as file:
            file.write(f"{msg.who} {msg.n}\n")

    @on(Shout)
    def shout(self, msg: Shout) -> int:
        for who in self.known:
            for n in range(msg.count):
                self.tell(who, Note(0, n))
        return msg.count * len(self.known)

    @on(Beg)
    def beg(self, msg: Beg) -> None:
        node = self.sender.node
        assert node is not None
        for n in range(GIVERS):  # one alone may use half of an outbox, the next one half of the rest
            self.spawn(Giver(to=EngineID(node, f"greedy.{n}"), left=msg.count), f"giver.{node.short}.{n}")

    async def port(self) -> None:
        spent = began = 0.0

        def collecting(phase: str, _: object) -> None:
            nonlocal spent, began
            if phase == "start":
                began = perf_counter()
            else:
                took = perf_counter() - began
                self.collections.append(took)
                spent += took

        gc.callbacks.append(collecting)
        try:
            while True:
                due, spent = trio.current_time() + BEAT, 0.0
                await trio.sleep_until(due)
                self.lags.append(max(0.0, trio.current_time() - due - spent))
        finally:
            gc.callbacks.remove(collecting)


def setup(node: Node) -> None:
    """What the process does once its node runs."""
    node.spawn(Target(), "target")
    node.spawn(Asleep(), "asleep")
