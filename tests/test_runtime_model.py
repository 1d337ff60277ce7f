"""Any program of engines: every message ends once, in order for each sender and target, and nothing is left behind."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import count

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from running import NODE, happened

from actors.engine import Engine, Policy, on
from actors.errors import EngineNameError, SendError
from actors.events import DeadLetter
from actors.identity import EngineID
from actors.messages import Message, Request, Started, Timer
from actors.runtime import Runtime, open_service_nursery

NAMES = ("a", "b", "c", "d")


class Item(Message):
    """A numbered message; `kind` says what its handler does with it."""

    number: int
    kind: str
    to: str


class Question(Request[int]):
    number: int
    kind: str
    to: str


class Alarm(Timer):
    number: int


class Ledger:
    """What was told, by whom, to whom; and what was begun."""

    def __init__(self) -> None:
        self.numbers = count()
        self.told: dict[int, str] = {}
        """Who told it, by number: an engine, or one of the clients of the node."""
        self.begun: dict[str, list[int]] = defaultdict(list)
        """What each engine began, in order."""
        self.lost: list[int] = []
        self.busy: Counter[str] = Counter()

    def new(self, sender: str) -> int:
        number = next(self.numbers)
        self.told[number] = sender
        return number


class Node(Engine):
    ledger: Ledger
    kids: int = 0

    @on(Started)
    def started(self, _: Started) -> None:
        self.set_timer(Alarm(0), after=0.5)

    @on(Alarm)
    def alarm(self, msg: Alarm) -> None:
        self.set_timer(Alarm(msg.number + 1), after=0.5)

    @on(Item)
    async def item(self, msg: Item) -> None:
        self.begin(msg.number)
        await self.act(msg.kind, msg.to)
        self.ledger.busy[self.id.name] -= 1

    @on(Question)
    async def question(self, msg: Question) -> int:
        assert self.ledger.busy[self.id.name] == 0
        await self.act(msg.kind, msg.to)
        return msg.number

    def begin(self, number: int) -> None:
        name = self.id.name
        # Zero: one message at a time. A crashed handler leaves its mark to the next life.
        self.ledger.busy[name] = 1
        self.ledger.begun[name].append(number)

    async def act(self, kind: str, to: str) -> None:
        match kind:
            case "crash":
                self.ledger.busy[self.id.name] = 0
                raise ValueError
            case "stop":
                self.stop()
            case "forward":
                for _ in range(3):
                    self.tell(EngineID(None, to), Item(self.ledger.new(self.id.name), "nothing", to), expiry=1)
            case "ask":
                try:
                    await self.ask(EngineID(None, to), Question(7, "sleep", to), expiry=1)
                except SendError:
                    pass
                finally:
                    self.ledger.busy[self.id.name] = 0
            case "sleep":
                try:
                    await trio.sleep(0.3)
                finally:
                    self.ledger.busy[self.id.name] = 0
            case "spawn":
                self.kids += 1
                self.spawn(Kid(), f"kid-{self.kids}-of-{self.id.name}")


class Kid(Engine):
    async def port(self) -> None:
        await trio.sleep(1)
        raise OSError


KINDS = st.sampled_from(["nothing", "nothing", "crash", "stop", "forward", "ask", "sleep", "spawn"])
NAME = st.sampled_from(NAMES)
OPERATION = st.tuples(
    st.sampled_from(["tell", "tell", "tell", "ask", "patient", "pause", "spawn", "stop"]), NAME, KINDS, NAME
)


async def act(runtime: Runtime, ledger: Ledger, me: str, operations: list[tuple[str, str, str, str]]) -> None:
    """One client, under the name of the node itself."""
    for what, target, kind, to in operations:
        engine = EngineID(NODE, target)
        try:
            match what:
                case "tell":
                    number = ledger.new(me)
                    try:
                        await runtime.tell(engine, Item(number, kind, to), expiry=1)
                    except SendError:
                        ledger.lost.append(number)
                case "ask":
                    await runtime.ask(engine, Question(1, kind, to), expiry=0.2)
                case "patient":
                    assert await runtime.ask(engine, Question(5, kind, to)) == 5
                case "pause":
                    await trio.sleep(0.1)
                case "spawn":
                    runtime.spawn(Node(ledger=ledger), target, policy=Policy("permanent", most=2, within=1))
                case "stop":
                    await runtime.stop_engine(target)
        except (SendError, EngineNameError):
            pass


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(OPERATION, max_size=15), min_size=1, max_size=3), st.integers(1, 6), st.integers(1, 8))
def test_every_message_ends_once_and_in_order(
    programs: list[list[tuple[str, str, str, str]]], capacity: int, slice: int
) -> None:
    ledger = Ledger()
    dead = list[DeadLetter]()

    async def main() -> None:
        async with open_service_nursery() as nursery:
            runtime = Runtime(NODE, capacity=capacity, slice=slice)
            await nursery.start(runtime.serve)
            events = runtime.events.subscribe(100_000)
            for name in NAMES[:3]:
                runtime.spawn(Node(ledger=ledger), name)
            async with trio.open_nursery() as clients:
                for index, program in enumerate(programs):
                    clients.start_soon(act, runtime, ledger, str(index), program)
            await trio.sleep(100)
            assert (len(runtime.waits), len(runtime.asks)) == (0, 0)
            assert all(cell.statistics().held == 0 for cell in runtime.directory.values())
            nursery.cancel_scope.cancel()
        assert not runtime.directory
        assert len(runtime.clock) == 0
        dead.extend(letter for letter in happened(events, DeadLetter) if letter.tag == "item")

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    begun = Counter(number for numbers in ledger.begun.values() for number in numbers)
    assert max(begun.values(), default=1) == 1
    assert not begun.keys() & set(ledger.lost)
    assert len(ledger.told) == len(begun) + len(dead) + len(ledger.lost)
    for numbers in ledger.begun.values():
        for sender in set(ledger.told.values()):
            of_sender = [number for number in numbers if ledger.told[number] == sender]
            assert of_sender == sorted(of_sender)
