"""The engines that tests record and run again; node processes, and the replay, import them by their names."""

from __future__ import annotations

import random
import time
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import trio
from msgspec import field

from actors.engine import Engine, LocalCfg, Policy, on
from actors.errors import Refused, SendError
from actors.identity import EngineID
from actors.messages import Local, Message, Request, Started, Timer

if TYPE_CHECKING:
    from actors.node import Node

CRASHES_AT = 1000


class Add(Request[int]):
    amount: int


class Counter(Engine):
    """Crashes at its thousandth message; draws chance, and looks at the clock."""

    total: int = 0
    seen: int = 0
    last: float = 0.0

    @on(Add)
    def add(self, msg: Add) -> int:
        self.seen += 1
        self.total += msg.amount + random.randrange(3)
        self.last = self.now
        if self.seen == CRASHES_AT:
            raise ValueError(f"{self.total} after {self.seen}")
        return self.total


class Tick(Timer):
    n: int = 0


class Look(Request[str]):
    what: str


class Odds(Engine):
    """Everything that is the same again, although it is nowhere in the messages."""

    seen: deque[int] = field(default_factory=lambda: deque(maxlen=3))
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    own: Random = field(default_factory=lambda: Random(3))
    tags: set[str] = field(default_factory=set)

    @on(Tick)
    def tick(self, _: Tick) -> None:
        """Never in a test's time."""

    def is_guarded(self, msg: Look) -> bool:
        return msg.what == "guarded" and random.random() < 2 and self.now >= 0

    @on(Look, when=is_guarded)
    def guarded(self, msg: Look) -> str:
        return f"guarded {random.random()}"

    @on(Look)
    def look(self, msg: Look) -> str:
        self.counts[msg.what] += 1
        self.seen.append(random.randrange(100))
        self.tags |= {msg.what, str(random.random())}
        env = self.env
        self.set_timer(Tick(len(self.tags)), after=1000)
        drawn = (self.own.random(), random.gauss(0, 1), uuid.uuid4())
        told = (self.now, env.mailbox.held, sorted(self.tags), env.timers)
        return f"{drawn} {told} {list(self.seen)} {dict(self.counts)} {sorted(map(str, env.acquaintances))}"


class Through(Request[str]):
    to: EngineID
    how: str


class Asker(Engine):
    """Handlers that wait: for one answer, several, none, an outcome."""

    given_up: int = 0

    @on(Through)
    async def through(self, msg: Through) -> str:
        match msg.how:
            case "once":
                return f"{await self.ask(msg.to, Add(1))} at {trio.current_time()}"
            case "both":
                return await self._both(msg.to)
            case "in time":
                with trio.move_on_after(5):
                    await self.ask(msg.to, Add(-1))
                self.given_up += 1
                return "given up"
            case "refused":
                return await self._refused(msg.to)
            case "sent":
                await self.send(msg.to, Add(7))
                return "sent"
        await trio.sleep(1)
        raise KeyError(f"no way {msg.how}, at {trio.current_time()}")

    async def _both(self, to: EngineID) -> str:
        found: list[int] = []

        async def one(amount: int) -> None:
            found.append(await self.ask(to, Add(amount)))

        async with trio.open_nursery() as nursery:
            for amount in (3, 1, 2):
                nursery.start_soon(one, amount)
        return str(found)

    async def _refused(self, to: EngineID) -> str:
        try:
            await self.ask(to, Add(1))
        except Refused as outcome:
            return outcome.reason
        except SendError as outcome:
            return str(outcome)
        return "not refused"


class Slow(Engine):
    """Answers after so many seconds; never where they are less than none."""

    @on(Add)
    async def add(self, msg: Add) -> int:
        await trio.sleep(msg.amount if msg.amount >= 0 else 1e9)
        return msg.amount


class Parent(Engine):
    """Timers, children, its own end."""

    ticks: int = 0

    @on(Started)
    def start(self, _: Started) -> None:
        self.spawn(Counter(total=5), "child", policy=Policy.TEMPORARY)
        self.set_timer(Tick(1), after=1.0)

    @on(Tick)
    def tick(self, msg: Tick) -> None:
        self.ticks += msg.n
        self.tell(EngineID(None, "child"), Add(self.ticks))
        if self.ticks < 3:
            self.set_timer(Tick(1), after=1.0)
        else:
            self.stop()


@dataclass
class Wire:
    """No plain data."""

    lock: Any = None


class Cfg(LocalCfg):
    name: str = "wired"


class Pull(Local[None]):
    wire: Any
    by: int = 0


class Wired(Engine):
    """Holds what cannot be written down."""

    cfg_: Cfg = Cfg()
    wire: Any = None
    pulled: int = 0

    @on(Pull)
    def pull(self, msg: Pull) -> None:
        self.pulled += msg.by

    @on(Add)
    def add(self, msg: Add) -> int:
        self.pulled += msg.amount
        return self.pulled

    @on(Look)
    def look(self, _: Look) -> str:
        return str(self.wire.lock)


class Ported(Engine):
    """Its port changes a field that no handler looks at."""

    touched: int = 0

    async def port(self) -> None:
        await trio.sleep(1)
        self.touched += 1
        await trio.sleep_forever()

    @on(Add)
    def add(self, msg: Add) -> int:
        return msg.amount


class Wild(Engine):
    """Uses what is not recorded."""

    @on(Look)
    def look(self, msg: Look) -> str:
        return str(time.perf_counter_ns())


class Bad(Message): ...


class Clumsy(Engine):
    """Its handler returns, and what it asks for cannot be."""

    @on(Bad)
    def bad(self, _: Bad) -> None:
        self.spawn(Clumsy(), "router")


def setup(node: Node) -> None:
    node.spawn(Counter(), "counter")
    node.spawn(Asker(), "asker")
