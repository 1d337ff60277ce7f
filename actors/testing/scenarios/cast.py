"""The engines and the traffic that scenarios are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

import trio

from actors.engine import Engine, on
from actors.errors import SendError
from actors.identity import EngineID
from actors.messages import Message, Request
from actors.node import Node
from actors.testing.cluster.simulation import NotRunning, Simulation

LONG = 3600.0
"""An expiry that no scenario waits for: a message with it must not expire."""


class Item(Message):
    """One of many; `n` is never the same twice in a simulation."""

    n: int
    pad: bytes = b""


class Question(Request[int]):
    """Answered with -n."""

    n: int


class Work(Request[int]):
    """Answered with -n, after so many seconds."""

    n: int
    seconds: float


class Fail(Request[int]):
    """The handler raises."""

    n: int


class Unknown(Message):
    """What no engine of a scenario has an action for."""

    n: int


class Say(Request[int]):
    """Tell `to` the items `first` to `first + count - 1`; answered with the count."""

    to: EngineID
    first: int
    count: int
    pad: int = 0
    expiry: float = LONG


class Deliberate(Exception):
    """What handlers of scenarios raise."""


class Sink(Engine):
    """Takes everything at once."""

    sim: Simulation

    @on(Item)
    def item(self, msg: Item) -> None:
        self.sim.handled(self, msg)

    @on(Question)
    def question(self, msg: Question) -> int:
        self.sim.handled(self, msg)
        return -msg.n

    @on(Work)
    async def work(self, msg: Work) -> int:
        self.sim.handled(self, msg)
        await trio.sleep(msg.seconds)
        return -msg.n

    @on(Fail)
    def fail(self, msg: Fail) -> int:
        raise Deliberate(f"as told by {msg.n}")


class Slow(Engine):
    """Takes its time for each message, drawn from up to `most` seconds."""

    sim: Simulation
    most: float
    rng: Random

    @on(Item)
    async def item(self, msg: Item) -> None:
        self.sim.handled(self, msg)
        await trio.sleep(self.rng.uniform(0, self.most))

    @on(Question)
    async def question(self, msg: Question) -> int:
        self.sim.handled(self, msg)
        await trio.sleep(self.rng.uniform(0, self.most))
        return -msg.n


class Talker(Engine):
    """Says what it is told to say: a sender that is an engine, with lanes of its own."""

    @on(Say)
    def say(self, msg: Say) -> int:
        for n in range(msg.first, msg.first + msg.count):
            self.tell(msg.to, Item(n, bytes(msg.pad)), expiry=msg.expiry)
        return msg.count


def cast(sim: Simulation, *, slow: float = 0.0) -> Callable[[Node], None]:
    """A setup: `sink`, `talker`, and with `slow` an engine `slow` that takes up to so many seconds for each message."""

    def setup(node: Node) -> None:
        node.spawn(Sink(sim=sim), "sink")
        node.spawn(Talker(), "talker")
        if slow:
            node.spawn(Slow(sim=sim, most=slow, rng=sim.stream(f"slow {node.name}")), "slow")

    return setup


class Traffic:
    """Drawn messages from some nodes to engines of others, each with a number of its own."""

    def __init__(
        self, sim: Simulation, *, expiries: Sequence[float] = (LONG,), targets: Sequence[str] = ("sink",)
    ) -> None:
        self.sim = sim
        self.rng = sim.stream("traffic")
        self.expiries = expiries
        self.targets = targets
        self._next = 0

    def take(self, count: int = 1) -> int:
        """The first of so many numbers that nobody has used."""
        first, self._next = self._next, self._next + count
        return first

    async def flow(self, sender: str, receiver: str, *, gap: float) -> None:
        """One after the other, with pauses of `gap` seconds on average, until cancelled."""
        while True:
            await self.one(sender, receiver)
            await trio.sleep(self.rng.expovariate(1 / gap))

    async def one(self, sender: str, receiver: str) -> int:
        """One message, or a burst of them; how many."""
        sim, rng = self.sim, self.rng
        to = sim.to(receiver, rng.choice(list(self.targets)))
        expiry = rng.choice(list(self.expiries))
        way = rng.random()
        count = rng.randint(1, 40) if way < 0.5 else 1
        first = self.take(count)
        try:
            if way < 0.3:
                pad = rng.choice((0, 0, 0, 2000))
                await sim[sender].ask(sim.to(sender, "talker"), Say(to, first, count, pad, expiry))
            elif way < 0.5:
                for n in range(first, first + count):
                    await sim[sender].tell(to, Item(n), expiry=expiry)
            elif way < 0.7:
                sim.start_soon(self._quietly, sender, "send", to, Item(first), expiry)
            elif way < 0.9:
                sim.start_soon(self._quietly, sender, "ask", to, Question(first), expiry)
            elif way < 0.95:
                sim.start_soon(self._given_up, sender, to, rng.randint(2, 12), rng.uniform(0, 0.5), expiry)
            else:
                await sim[sender].tell(to, Unknown(first), expiry=expiry)
        except (NotRunning, SendError):
            pass
        return count

    async def _given_up(self, sender: str, to: EngineID, count: int, after: float, expiry: float) -> None:
        """Several asks at once, all cancelled in one moment."""
        with trio.move_on_after(after):
            async with trio.open_nursery() as nursery:
                for n in range(self.take(count), self._next):
                    nursery.start_soon(self._quietly, sender, "ask", to, Work(n, 2 * after), expiry)

    async def _quietly(self, sender: str, verb: str, to: EngineID, msg: Request[object], expiry: float) -> None:
        with suppress(NotRunning):
            await getattr(self.sim, verb)(sender, to, msg, expiry=expiry)
