"""What runs on the nodes of `actors up`, for people to talk to.

    actors ask b/echo echo.ping '{"n": 1}'
    actors ask b/counter counter.add '{"amount": 2}'
    actors tell b/sink sink.drop '{"data": "anything"}'

They are examples, too: the whole of what an engine can do is in `Counter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from actors.engine import Engine, LocalCfg, on
from actors.identity import EngineID
from actors.messages import Message, Request, Started, Timer

if TYPE_CHECKING:
    from actors.node import Node


class Pong(Struct, frozen=True):
    """The same number."""

    n: int


class Ping(Request[Pong], tag="echo.ping"):
    """Is answered with its number."""

    n: int = 0


class Echo(Engine):
    """Answers."""

    pings: int = 0

    @on(Ping)
    def ping(self, msg: Ping) -> Pong:
        self.pings += 1
        return Pong(msg.n)


class Add(Request[int], tag="counter.add"):
    """Add a positive amount; answered with the new total."""

    amount: int = 1


class Total(Request[int], tag="counter.total"):
    """Answered with the total."""


class Relay(Request[int], tag="counter.relay"):
    """Add the amount to another counter, and answer with its total."""

    to: EngineID
    amount: int = 1


class Reset(Message, tag="counter.reset"):
    """Begin again at nothing."""


class Tick(Timer):
    """A minute has passed."""


class Limits(LocalCfg):
    """How much a counter adds at once."""

    most: int = 100


class Counter(Engine):
    """Adds up, and counts the minutes: a guard, a timer, replies, and an ask of its own."""

    limits: Limits = Limits()
    total: int = 0
    minutes: int = 0

    @on(Started)
    def started(self, _: Started) -> None:
        self.set_timer(Tick(), after=60)

    def within_limits(self, msg: Add) -> bool:
        return 0 < msg.amount <= self.limits.most

    @on(Add, when=within_limits)
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total

    @on(Total)
    def say(self, _: Total) -> int:
        return self.total

    @on(Relay)
    async def relay(self, msg: Relay) -> int:
        return await self.ask(msg.to, Add(msg.amount))

    @on(Reset)
    def reset(self, _: Reset) -> None:
        self.total = 0

    @on(Tick)
    def tick(self, _: Tick) -> None:
        self.minutes += 1
        self.set_timer(Tick(), after=60)


class Drop(Message, tag="sink.drop"):
    """Anything, to be counted and forgotten."""

    data: str = ""


class Counts(Struct, frozen=True):
    """How many messages, with how many characters."""

    messages: int
    characters: int


class Count(Request[Counts], tag="sink.count"):
    """Answered with what the sink has got so far."""


class Sink(Engine):
    """Counts what it gets."""

    messages: int = 0
    characters: int = 0

    @on(Drop)
    def drop(self, msg: Drop) -> None:
        self.messages += 1
        self.characters += len(msg.data)

    @on(Count)
    def count(self, _: Count) -> Counts:
        return Counts(self.messages, self.characters)


def setup(node: Node) -> None:
    """The app of the nodes of `actors up`."""
    node.spawn(Echo(), "echo")
    node.spawn(Counter(), "counter")
    node.spawn(Sink(), "sink")
