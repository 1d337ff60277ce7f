"""What type checkers say of the public surface. Checked by `mypy --strict`, never run.

Every `type: ignore` is a misuse that must be flagged: `warn_unused_ignores` fails the check otherwise.
"""

from __future__ import annotations

from typing import Protocol, TypeVar, assert_type

from msgspec import field

from actors.engine import Context, Detached, Engine, EngineCfg, EngineEnv, Guard, LocalCfg, Policy, bind, fresh, on
from actors.identity import EngineID
from actors.messages import Local, Message, Request, Started, Timer, TransportPrefs
from actors.node import Node as RealNode

R = TypeVar("R")


class Node(Protocol):
    """A node's verbs, as far as they matter here."""

    def spawn(self, engine: Engine, /, name: str) -> EngineID: ...
    async def tell(self, to: EngineID, msg: Request[object]) -> None: ...
    async def ask(self, to: EngineID, msg: Request[R]) -> R: ...


# -- what is right ------------------------------------------------------------------------------------------


class Add(Request[int]):
    amount: int
    note: str = ""


class Find(Request[EngineID | None], tag="directory.find"):
    name: str


class Reset(Message): ...


class Tick(Timer):
    round: int = 0


class Accepted(Local[bool]):
    listener: object


class Limits(LocalCfg):
    most: int = 100


class Counter(Engine):
    limits: Limits = Limits()
    total: int = 0
    seen: list[int] = field(default_factory=list)

    @on(Started)
    def started(self, _: Started) -> None:
        self.set_timer(Tick(1), after=60)

    def positive(self, msg: Add) -> bool:
        return 0 < msg.amount <= self.limits.most

    @on(Add, when=positive)
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total

    @on(Add, when=lambda self, msg: msg.amount == 0)
    async def look(self, msg: Add) -> int:
        return self.total

    @on(Find)
    async def find(self, msg: Find) -> EngineID | None:
        assert_type(await self.ask(self.id, Add(1), expiry=5), int)
        assert_type(await self.ask(self.id, Find("x"), prefs=TransportPrefs(reliability="unreliable")), EngineID | None)
        await self.ask(self.id, Reset())
        await self.send(self.sender, Reset())
        return None

    @on(Accepted)
    def accepted(self, msg: Accepted) -> bool:
        return True

    @on(Reset)
    def reset(self, _: Reset) -> None:
        self.tell(self.sender, Add(1), expiry=3)
        kid = self.spawn(Counter(total=5), "kid", policy=Policy("transient", most=10))
        assert_type(kid, EngineID)
        self.cancel_timer(Tick(1))
        self.stop()

    async def port(self) -> None:
        self.post(Accepted(object()))
        self.post(Tick())


class Loud(Counter):
    volume: int = 11

    @on(Add)
    def add(self, msg: Add) -> int:
        return super().add(msg) + self.volume


def an_engine_without_a_runtime() -> None:
    counter = Counter(total=3)
    assert_type(counter.add(Add(2)), int)
    assert_type(counter.cfg, EngineCfg)
    assert_type(counter.env, EngineEnv)
    assert_type(Counter.behaviour, tuple[Guard, ...])
    assert_type(fresh(Loud(volume=2)), Loud)
    context: Context = Detached(now=12.0)
    assert_type(bind(counter, context), Counter)


# -- what is wrong ------------------------------------------------------------------------------------------


class Careless(Engine):
    total: int = 0

    @on(Add)
    def add(self, msg: Add) -> int:
        self.totl += 1  # type: ignore[attr-defined]
        self.tell(self.sender, Add("x"))  # type: ignore[arg-type]
        self.set_timer(Reset(), after=1)  # type: ignore[arg-type]
        self.ask(self.sender, Add(1))  # type: ignore[unused-coroutine]
        return self.total

    @on(Add)  # type: ignore[arg-type]
    def answers_with_another_type(self, msg: Add) -> str:
        return ""

    @on(Add)  # type: ignore[arg-type]
    def takes_another_message(self, msg: Reset) -> int:
        return 0

    @on(Add, when=lambda self, msg: msg.amont > 0)  # type: ignore[attr-defined]
    def guards_by_a_misspelt_field(self, msg: Add) -> int:
        return 0


async def blocks(node: RealNode, counter: EngineID) -> None:
    async with node.watch(counter, within=5) as watched:
        assert_type(watched, EngineID)
    node.offer(Counter(total=3), "counter", policy=Policy.TEMPORARY)
    async with node.spawn_on(node.id, "counter") as one, node.spawn_on(node.id, Counter) as other:
        assert_type((one, other), tuple[EngineID, EngineID])
        assert_type(await node.ask(one, Add(1)), int)


async def careless(a: Node, b: Node, real: RealNode) -> None:
    c = b.spawn(Counter(total="x"), "c")  # type: ignore[arg-type]
    b.spawn(Careless(3), "c")  # type: ignore[call-arg]
    b.spawn(Counter, "c")  # type: ignore[arg-type]
    text: str = await a.ask(c, Add(1))  # type: ignore[arg-type]
    Add(1).amount = len(text)  # type: ignore[misc]
    await a.ask(c, Counter())  # type: ignore[arg-type]
    a.tell(c, Add(1))  # type: ignore[unused-coroutine]
    real.offer(Counter, "counter")  # type: ignore[arg-type]
    real.spawn_on(real.id, Counter())  # type: ignore[arg-type]
