"""Cancelled asks, and waits that would never end."""

from __future__ import annotations

import itertools

import pytest
import trio
import trio.testing
from msgspec import field
from running import Log, Note, Notes, running

from actors.engine import Engine, on
from actors.errors import Crashed, Expired, Refused
from actors.identity import EngineID
from actors.messages import Local, Message, Request, Started


class Work(Request[str]):
    seconds: float


class Count(Request[int]):
    """How many were begun, and how many ended well."""


class Stubborn(Request[str]):
    """Takes a second to be cancelled, and then answers all the same."""


class Worker(Engine):
    log: EngineID
    begun: int = 0

    @on(Work)
    async def work(self, msg: Work) -> str:
        self.begun += 1
        self.tell(self.log, Note("done"))
        try:
            await trio.sleep(msg.seconds)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await self.send(self.log, Note("cleaned up"))
            raise
        return "done"

    @on(Stubborn)
    async def be_stubborn(self, _: Stubborn) -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        self.tell(self.log, Note("finished"))
        return "late"

    @on(Count)
    def count(self, _: Count) -> int:
        return self.begun


async def test_cancelling_an_ask_cancels_its_handler_and_the_engine_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        worker = runtime.spawn(Worker(log=log), "worker")
        with trio.move_on_after(1):
            await runtime.ask(worker, Work(100))
        assert await runtime.ask(worker, Count()) == 1
        assert trio.current_time() == 1
        assert await runtime.ask(log, Notes()) == ("cleaned up",)
        cell = runtime.find("worker")
        assert cell is not None
        assert (cell.statistics().crashes, cell.statistics().held) == (0, 0)


async def test_an_ask_that_is_cancelled_while_it_waits_is_never_handled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime, trio.open_nursery() as nursery:
        worker = runtime.spawn(Worker(log=runtime.spawn(Log(), "log")), "worker")
        nursery.start_soon(runtime.ask, worker, Work(5))
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await runtime.ask(worker, Work(1))
        assert await runtime.ask(worker, Count()) == 1
        assert trio.current_time() == 5


async def test_the_handlers_deadline_is_that_of_the_ask(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        worker = runtime.spawn(Worker(log=log), "worker")
        with pytest.raises(Expired) as expired:
            await runtime.ask(worker, Work(100), expiry=3)
        assert expired.value.maybe_sent
        assert await runtime.ask(worker, Count()) == 1
        assert trio.current_time() == 3
        assert await runtime.ask(log, Notes()) == ("cleaned up",)


async def test_a_tell_has_no_deadline_once_it_is_handled(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        worker = runtime.spawn(Worker(log=log), "worker")
        await runtime.tell(worker, Work(100), expiry=1)
        await trio.sleep(200)
        assert await runtime.ask(log, Notes()) == ("done",)


async def test_an_answer_that_comes_too_late_is_counted(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        worker = runtime.spawn(Worker(log=log), "worker")
        with pytest.raises(Expired):
            await runtime.ask(worker, Stubborn(), expiry=1)
        assert await runtime.ask(worker, Count()) == 0
        assert trio.current_time() == 5
        assert await runtime.ask(log, Notes()) == ("finished",)
        cell = runtime.find("worker")
        assert cell is not None
        assert cell.statistics().late == 1


async def test_cancelling_reaches_through_a_chain_of_asks(autojump_clock: trio.testing.MockClock) -> None:
    class Pass(Request[str]):
        on_to: tuple[EngineID, ...]

    class Passer(Engine):
        @on(Pass)
        async def pass_on(self, msg: Pass) -> str:
            first, *rest = msg.on_to
            return await self.ask(first, Pass(tuple(rest)) if rest else Work(100), expiry=1000)

    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        passers = [runtime.spawn(Passer(), f"passer-{number}") for number in range(4)]
        worker = runtime.spawn(Worker(log=log), "worker")
        with trio.move_on_after(1):
            await runtime.ask(passers[0], Pass((*passers[1:], worker)), expiry=1000)
        await trio.testing.wait_all_tasks_blocked()
        assert await runtime.ask(log, Notes()) == ("cleaned up",)
        assert runtime.statistics().waits == 0
        assert runtime.statistics().crashes == 0


# -- rings ---------------------------------------------------------------------------------------------------


class AskAround(Request[str]):
    """Ask the first, with the rest."""

    ring: tuple[EngineID, ...]


class AskBoth(Request[int]):
    both: tuple[EngineID, EngineID]


class Ring(Engine):
    @on(AskAround)
    async def ask_around(self, msg: AskAround) -> str:
        if not msg.ring:
            return "end"
        try:
            return await self.ask(msg.ring[0], AskAround(msg.ring[1:]))
        except Refused as refused:
            return refused.detail

    @on(AskBoth)
    async def ask_both(self, msg: AskBoth) -> int:
        async with trio.open_nursery() as nursery:
            for engine in msg.both:
                nursery.start_soon(self.ask, engine, AskAround(()))
        return 2


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
async def test_a_ring_of_asks_is_refused_and_named(autojump_clock: trio.testing.MockClock, size: int) -> None:
    async with running() as runtime:
        ring = [runtime.spawn(Ring(), f"r{number}") for number in range(size)]
        answer = await runtime.ask(ring[0], AskAround((*ring[1:], ring[0])))
        names = [engine.name for engine in ring]
        assert answer == " -> ".join([names[-1], *names])
        assert trio.current_time() == 0
        assert len(runtime.waits) == 0


@pytest.mark.parametrize("path", list(itertools.permutations(range(3))))
async def test_a_chain_that_visits_each_engine_once_is_no_ring(
    autojump_clock: trio.testing.MockClock, path: tuple[int, ...]
) -> None:
    async with running() as runtime:
        ring = [runtime.spawn(Ring(), f"r{number}") for number in range(3)]
        order = [ring[place] for place in path]
        assert await runtime.ask(order[0], AskAround(tuple(order[1:]))) == "end"


async def test_a_handler_may_wait_for_several_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        a, b, c = (runtime.spawn(Ring(), name) for name in "abc")
        assert await runtime.ask(a, AskBoth((b, b))) == 2
        assert await runtime.ask(a, AskBoth((b, c))) == 2
        with pytest.raises(Crashed, match=r"deadlock.*a -> a"):
            await runtime.ask(a, AskBoth((b, a)))
        assert len(runtime.waits) == 0


class Flood(Message):
    to: EngineID
    count: int


class Flooder(Engine):
    got: int = 0

    @on(Flood)
    def flood(self, msg: Flood) -> None:
        for _ in range(msg.count):
            self.tell(msg.to, Note("x"))

    @on(Note)
    def note(self, _: Note) -> None:
        self.got += 1


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
async def test_engines_that_flood_each_other_in_a_ring_do_not_freeze(
    autojump_clock: trio.testing.MockClock, size: int
) -> None:
    async with running(capacity=4) as runtime:
        ring = [runtime.spawn(Flooder(), f"r{number}") for number in range(size)]
        for number, engine in enumerate(ring):
            await runtime.tell(engine, Flood(ring[(number + 1) % size], 50))
        await trio.sleep(1)
        handled = sum(cell.statistics().handled for cell in runtime.directory.values()) - size
        refused = [letter.outcome for letter in runtime.dead_letters.recent]
        assert refused
        assert handled + len(refused) == 50 * size
        names = {engine.name for engine in ring}
        for outcome in refused:
            assert outcome.startswith("refused (deadlock): ")
            cycle = outcome.removeprefix("refused (deadlock): ").split(" -> ")
            assert cycle[0] == cycle[-1]
            assert set(cycle) == names
        assert len(runtime.waits) == 0


async def test_asking_one_that_waits_for_my_room_is_a_deadlock(autojump_clock: trio.testing.MockClock) -> None:
    class AskLater(Message):
        to: EngineID

    class Asker(Engine):
        outcome: str = ""

        @on(AskLater)
        async def ask_later(self, msg: AskLater) -> None:
            await trio.sleep(1)
            try:
                await self.ask(msg.to, Note("?"))
            except Refused as refused:
                self.outcome = refused.detail

        @on(Notes)
        def tell_outcome(self, _: Notes) -> tuple[str, ...]:
            return (self.outcome,)

        @on(Note)
        def note(self, _: Note) -> None: ...

    async with running(capacity=2) as runtime:
        asker, flooder = runtime.spawn(Asker(), "asker"), runtime.spawn(Flooder(), "flooder")
        await runtime.tell(asker, AskLater(flooder))
        await trio.testing.wait_all_tasks_blocked()
        await runtime.tell(flooder, Flood(asker, 5))
        assert await runtime.ask(asker, Notes()) == ("asker -> flooder -> asker",)


async def test_a_port_that_asks_does_not_make_its_engine_stand_still(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Said(Local[None]):
        what: str

    class WithPort(Engine):
        log: EngineID

        async def port(self) -> None:
            # Its own engine, and one that asks it in turn: the loop is free to answer both.
            self.post(Said(await self.ask(self.id, AskAround(()))))
            self.post(Said(await self.ask(EngineID(None, "ring"), AskAround((self.id,)))))
            await trio.sleep_forever()

        @on(AskAround)
        def answer(self, _: AskAround) -> str:
            return "free"

        @on(Said)
        def said(self, msg: Said) -> None:
            self.tell(self.log, Note(msg.what))

    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        runtime.spawn(Ring(), "ring")
        runtime.spawn(WithPort(log=log), "with-port")
        await trio.sleep(1)
        assert await runtime.ask(log, Notes()) == ("free", "free")


async def test_a_task_that_outlives_the_handler_which_started_it_is_no_handler(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Begin(Message): ...

    class Background(Engine):
        log: EngineID
        jobs: list[trio.Nursery] = field(default_factory=list)

        async def port(self) -> None:
            async with trio.open_nursery() as nursery:
                self.jobs.append(nursery)
                await trio.sleep_forever()

        @on(Begin)
        async def begin(self, _: Begin) -> None:
            await trio.sleep(1)
            self.jobs[0].start_soon(self.job)

        async def job(self) -> None:
            await trio.sleep(1)
            await self.send(self.log, Note(await self.ask(self.id, AskAround(()))))

        @on(AskAround)
        def answer(self, _: AskAround) -> str:
            return "free"

    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        await runtime.tell(runtime.spawn(Background(log=log), "background"), Begin())
        await trio.sleep(5)
        assert await runtime.ask(log, Notes()) == ("free",)


async def test_the_node_itself_is_in_no_ring(autojump_clock: trio.testing.MockClock) -> None:
    class First(Engine):
        @on(Started)
        async def started(self, _: Started) -> None:
            await trio.sleep(1)

    async with running() as runtime:
        first = runtime.spawn(First(), "first")
        with pytest.raises(Refused, match="unhandled"):
            await runtime.ask(first, Note("x"))
        assert trio.current_time() == 1


async def test_a_flood_gives_way_to_others(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        flooder = runtime.spawn(Flooder(), "flooder")
        await runtime.tell(flooder, Flood(log, 100_000))
        ticks = 0
        while len(runtime.dead_letters.recent) == 0 and ticks < 100:
            await trio.lowlevel.checkpoint()
            ticks += 1
        assert ticks == 100
