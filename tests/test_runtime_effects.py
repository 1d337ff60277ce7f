"""Effects: what a handler collects holds together after it returned, and not at all if it raised."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from msgspec import field
from running import NOBODY, Log, Note, Notes, happened, running

from actors.engine import Engine, Policy, Tell, on
from actors.errors import Crashed
from actors.events import EngineCrashed
from actors.identity import EngineID
from actors.messages import Local, Message, Request, Started, Timer


class Tick(Timer):
    name: str = "tick"


class Everything(Message):
    """Use every verb; then raise, if so told."""

    log: EngineID
    child: str
    raises: bool = False


class Pair(Message):
    first: str
    second: str


class SetTimer(Message):
    after: float
    name: str = "tick"


class CancelTimer(Message):
    name: str = "tick"


class Busy(Message):
    """Be busy for so long."""

    seconds: float


class Ticks(Request[tuple[float, ...]]):
    """When timers elapsed."""


class TellBad(Message):
    to: EngineID


class Doer(Engine):
    ticks: list[float] = field(default_factory=list)

    @on(Everything)
    def everything(self, msg: Everything) -> None:
        self.tell(msg.log, Note("one"))
        self.spawn(Log(notes=["born"]), msg.child)
        self.tell(EngineID(self.id.node, msg.child), Note("hello child"))
        self.set_timer(Tick(), after=1)
        self.tell(msg.log, Note("two"))
        if msg.raises:
            self.stop()
            raise ValueError("after everything")

    @on(Pair)
    def pair(self, msg: Pair) -> None:
        self.tell(NOBODY, Note("not even this"))
        self.spawn(Log(), msg.first)
        self.spawn(Log(), msg.second)

    @on(SetTimer)
    def start_timer(self, msg: SetTimer) -> None:
        self.set_timer(Tick(msg.name), after=msg.after)

    @on(CancelTimer)
    def end_timer(self, msg: CancelTimer) -> None:
        self.cancel_timer(Tick(msg.name))

    @on(Busy)
    async def busy(self, msg: Busy) -> None:
        await trio.sleep(msg.seconds)

    @on(Tick)
    def tick(self, _: Tick) -> None:
        self.ticks.append(self.now)

    @on(Ticks)
    def seen(self, _: Ticks) -> tuple[float, ...]:
        return tuple(self.ticks)


async def test_effects_hold_together_before_the_asker_has_its_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        log, doer = runtime.spawn(Log(), "log"), runtime.spawn(Doer(), "doer")
        await runtime.ask(doer, Everything(log, "kid"))
        cell = runtime.find("doer")
        assert cell is not None
        assert (cell.statistics().children, cell.statistics().timers) == (1, 1)
        assert await runtime.ask(EngineID(None, "kid"), Notes()) == ("born", "hello child")
        assert await runtime.ask(log, Notes()) == ("one", "two")
        await trio.sleep(2)
        assert await runtime.ask(doer, Ticks()) == (1,)


async def test_of_a_handler_that_raised_nothing_holds(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log, doer = runtime.spawn(Log(), "log"), runtime.spawn(Doer(), "doer")
        with pytest.raises(Crashed, match="after everything"):
            await runtime.ask(doer, Everything(log, "kid", raises=True))
        await trio.sleep(2)
        assert await runtime.ask(doer, Ticks()) == ()
        assert await runtime.ask(log, Notes()) == ()
        assert runtime.find("kid") is None
        assert len(runtime.clock) == 0


@pytest.mark.parametrize(
    ("first", "second"), [("a", "log"), ("log", "a"), ("a", "a"), ("a", "router"), ("a", "b c"), ("a", "")]
)
async def test_one_bad_name_undoes_all_effects(autojump_clock: trio.testing.MockClock, first: str, second: str) -> None:
    async with running() as runtime:
        doer = runtime.spawn(Doer(), "doer")
        runtime.spawn(Log(), "log")
        with pytest.raises(Crashed, match="EngineNameError"):
            await runtime.ask(doer, Pair(first, second))
        assert set(runtime.directory) == {"doer", "log"}
        assert runtime.dead_letters.count == 0


@pytest.mark.parametrize("after", [-1.0, float("nan"), float("inf")])
async def test_a_timer_that_never_elapses_is_a_mistake(autojump_clock: trio.testing.MockClock, after: float) -> None:
    async with running() as runtime:
        doer = runtime.spawn(Doer(), "doer")
        with pytest.raises(Crashed, match="ValueError"):
            await runtime.ask(doer, SetTimer(after))


async def test_an_equal_timer_replaces_the_one_that_is_set(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        doer = runtime.spawn(Doer(), "doer")
        await runtime.tell(doer, SetTimer(1))
        await runtime.tell(doer, SetTimer(3))
        await runtime.tell(doer, SetTimer(2, "other"))
        await trio.sleep(10)
        assert await runtime.ask(doer, Ticks()) == (2, 3)


async def test_a_cancelled_timer_does_not_come(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        doer = runtime.spawn(Doer(), "doer")
        await runtime.tell(doer, SetTimer(1))
        await runtime.tell(doer, CancelTimer())
        await runtime.tell(doer, CancelTimer("never set"))
        await trio.sleep(10)
        assert await runtime.ask(doer, Ticks()) == ()


async def test_a_timer_that_lies_in_the_mailbox_when_it_is_cancelled_is_dropped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        doer = runtime.spawn(Doer(), "doer")
        await runtime.tell(doer, SetTimer(1))
        await runtime.tell(doer, Busy(5))
        await runtime.tell(doer, CancelTimer())
        await trio.sleep(10)
        assert await runtime.ask(doer, Ticks()) == ()


async def test_a_timer_that_lies_in_the_mailbox_when_it_is_set_again_is_replaced(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        doer = runtime.spawn(Doer(), "doer")
        await runtime.tell(doer, SetTimer(1))
        await runtime.tell(doer, Busy(5))
        await runtime.tell(doer, SetTimer(2))
        await trio.sleep(20)
        assert await runtime.ask(doer, Ticks()) == (7,)


async def test_a_timer_or_a_post_that_no_guard_takes_is_a_dead_letter(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Aside(Local[None]): ...

    class Forgetful(Engine):
        @on(Started)
        def started(self, _: Started) -> None:
            self.set_timer(Tick(), after=1)
            self.post(Aside())

    async with running() as runtime:
        runtime.spawn(Forgetful(), "forgetful")
        await trio.sleep(2)
        assert [letter.tag for letter in runtime.dead_letters.recent] == ["aside", "tick"]
        assert runtime.statistics().crashes == 0


async def test_tells_of_an_engine_wait_for_room_and_hold_up_its_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(capacity=1) as runtime, trio.open_nursery() as nursery:
        slow, doer = runtime.spawn(Doer(), "slow"), runtime.spawn(Doer(), "doer")
        nursery.start_soon(runtime.ask, slow, Busy(5))
        await trio.testing.wait_all_tasks_blocked()
        await runtime.ask(doer, Everything(slow, "kid"))
        assert trio.current_time() == 5
        await trio.sleep(1)
        # Two Notes, for which the slow one has no action.
        assert [letter.outcome[:19] for letter in runtime.dead_letters.recent] == ["refused (unhandled)"] * 2


async def test_a_tell_of_an_engine_that_finds_no_room_in_time_is_a_dead_letter(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(capacity=1) as runtime:
        slow, doer = runtime.spawn(Doer(), "slow"), runtime.spawn(Doer(), "doer")
        await runtime.tell(slow, Busy(100))
        await trio.testing.wait_all_tasks_blocked()
        await runtime.ask(doer, Everything(slow, "kid"), expiry=100)
        assert trio.current_time() == 60  # 30 s for each of the two
        assert [letter.outcome for letter in runtime.dead_letters.recent] == ["expired before it was sent"] * 2


async def test_an_engine_stopped_while_its_tells_wait_for_room_loses_none_of_them_silently(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(capacity=1) as runtime, trio.open_nursery() as nursery:
        slow, doer = runtime.spawn(Doer(), "slow"), runtime.spawn(Doer(), "doer")
        nursery.start_soon(runtime.ask, slow, Busy(20))
        await trio.testing.wait_all_tasks_blocked()
        await runtime.tell(doer, Everything(slow, "kid"))
        await trio.sleep(1)
        await runtime.stop_engine("doer")
        assert trio.current_time() == 1
        outcomes = [letter.outcome for letter in runtime.dead_letters.recent if letter.to == slow]
        assert outcomes == ["refused (full): the mailbox of slow has no room"] * 2


async def test_a_message_that_cannot_leave_the_node_crashes_its_sender_before_any_effect(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Careless(Engine):
        @on(TellBad)
        def tell_bad(self, msg: TellBad) -> None:
            self.spawn(Log(), "kid")
            self.tell(msg.to, Note(text=object()))  # type: ignore[arg-type]

    async with running(strict=True) as runtime:
        log, careless = runtime.spawn(Log(), "log"), runtime.spawn(Careless(), "careless")
        with pytest.raises(Crashed, match="plain data"):
            await runtime.ask(careless, TellBad(log))
        assert runtime.find("kid") is None


class Chain(Message):
    length: int
    log: EngineID


class Link(Engine):
    @on(Chain)
    def pass_on(self, msg: Chain) -> None:
        if msg.length:
            self.tell(self.spawn(Link(), f"link-{msg.length}", policy=Policy.TEMPORARY), Chain(msg.length - 1, msg.log))
        else:
            self.tell(msg.log, Note(f"from {self.id.name}"))
            self.stop()


async def test_a_handler_can_tell_the_child_that_it_spawns(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log, link = runtime.spawn(Log(), "log"), runtime.spawn(Link(), "link")
        await runtime.tell(link, Chain(5, log))
        await trio.sleep(1)
        assert await runtime.ask(log, Notes()) == ("from link-1",)
        assert set(runtime.directory) == {"log", "link", *(f"link-{number}" for number in range(2, 6))}


async def test_tells_of_one_handler_arrive_in_order_even_where_they_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Counts(Engine):
        log: EngineID

        @on(Started)
        def count(self, _: Started) -> None:
            for number in range(100):
                self.tell(self.log, Note(str(number)))

    async with running(capacity=3) as runtime:
        log = runtime.spawn(Log(), "log")
        runtime.spawn(Counts(log=log), "counts")
        await trio.sleep(1)
        assert await runtime.ask(log, Notes()) == tuple(map(str, range(100)))


def test_without_a_runtime_effects_lie_ready_to_be_looked_at() -> None:
    doer = Doer()
    doer.everything(Everything(NOBODY, "kid"))
    assert [type(effect).__name__ for effect in doer.effects] == ["Tell", "Spawn", "Tell", "SetTimer", "Tell"]
    assert doer.effects[0] == Tell(NOBODY, Note("one"))


async def test_what_a_handler_says_to_itself_comes_after_it(autojump_clock: trio.testing.MockClock) -> None:
    class Step(Local[None]):
        number: int

    class Stepper(Engine):
        log: EngineID

        @on(Started)
        def begin(self, _: Started) -> None:
            self.post(Step(1))
            self.tell(self.log, Note("started"))

        @on(Step)
        def step(self, msg: Step) -> None:
            assert self.sender == self.id
            self.tell(self.log, Note(f"step {msg.number}"))
            if msg.number < 3:
                self.post(Step(msg.number + 1))

    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        runtime.spawn(Stepper(log=log), "stepper")
        await trio.sleep(1)
        assert await runtime.ask(log, Notes()) == ("started", "step 1", "step 2", "step 3")


async def test_an_effect_of_a_crash_is_reported_with_its_message(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        events = runtime.events.subscribe()
        doer = runtime.spawn(Doer(), "doer")
        await runtime.tell(doer, Pair("a", "a"))
        await trio.sleep(1)
        assert [(event.engine, event.tag) for event in happened(events, EngineCrashed)] == [(doer, "pair")]
