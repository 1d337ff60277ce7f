"""Crashes: a fresh copy, the same name and mailbox, timers and children gone; and nobody else is harmed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing
from running import Crash, Log, Note, Notes, happened, running

from actors.engine import Engine, Policy, on
from actors.errors import Crashed, Refused
from actors.events import EngineCrashed, EngineFailed, EngineRestarted, EngineStarted, EngineStopped, Event
from actors.identity import EngineID
from actors.messages import ChildFailed, Local, Message, Request, Started, Timer


class Tick(Timer): ...


class Lives(Request[tuple[str, ...]]):
    """What happened in all lives."""


class Raise(Message):
    kind: str = "ValueError"


class RaiseSlowly(Message): ...


class Live(Engine):
    """Writes into a list that all its lives share (a live object, as a socket is)."""

    diary: Diary
    total: int = 0

    @on(Started)
    def started(self, _: Started) -> None:
        self.diary.write("started")
        self.set_timer(Tick(), after=10)
        self.spawn(Log(), "kid")

    @on(Tick)
    def tick(self, _: Tick) -> None:
        self.diary.write(f"tick at {self.now:g}")

    @on(Note)
    def note(self, msg: Note) -> None:
        self.total += 1
        self.diary.write(f"{msg.text} {self.total}")

    @on(Raise)
    def crash(self, msg: Raise) -> None:
        self.total = 1000
        raise {"ValueError": ValueError, "unprintable": Unprintable}[msg.kind]("so told")

    @on(RaiseSlowly)
    async def crash_slowly(self, _: RaiseSlowly) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep(1)
            raise ValueError("in a nursery")


class Diary:
    """Not plain data: a new life shares it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)


class Unprintable(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("not even this works")


async def test_a_crash_makes_a_fresh_copy_of_what_was_spawned(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(notes=["spawned with"]), "log")
        await runtime.tell(log, Note("first life"))
        with pytest.raises(Crashed, match=r"ValueError\('as told'\)"):
            await runtime.ask(log, Crash())
        await runtime.tell(log, Note("second life"))
        assert await runtime.ask(log, Notes()) == ("spawned with", "second life")


async def test_what_the_spawner_keeps_of_the_instance_is_its_own(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        mine = Log(notes=["mine"])
        log = runtime.spawn(mine, "log")
        mine.notes.append("changed after the spawn")
        assert await runtime.ask(log, Notes()) == ("mine",)


async def test_the_mailbox_stays_and_started_comes_first(autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()
    async with running() as runtime:
        live = runtime.spawn(Live(diary=diary), "live")
        for message in (Note("a"), Raise(), Note("b"), Note("c")):
            await runtime.tell(live, message)
        await trio.sleep(5)
        assert diary.lines == ["started", "a 1", "started", "b 1", "c 2"]


async def test_timers_of_the_earlier_life_are_gone(autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()
    async with running() as runtime:
        live = runtime.spawn(Live(diary=diary), "live")
        await trio.sleep(3)
        await runtime.tell(live, Raise())
        await trio.sleep(1)
        assert len(runtime.clock) == 1
        await trio.sleep(29)
        assert diary.lines == ["started", "started", "tick at 13"]


async def test_a_timer_of_the_earlier_life_that_lies_in_the_mailbox_is_dropped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Sleeper(Live):
        @on(Crash)
        async def sleep_and_crash(self, _: Crash) -> None:
            await trio.sleep(15)
            raise ValueError

    diary = Diary()
    async with running() as runtime:
        await runtime.tell(runtime.spawn(Sleeper(diary=diary), "sleeper"), Crash())
        await trio.sleep(20)
        assert diary.lines == ["started", "started"]


async def test_children_end_with_the_life_and_their_names_are_free_for_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        events = runtime.events.subscribe()
        live = runtime.spawn(Live(diary=Diary()), "live")
        await trio.sleep(1)
        kid = runtime.find("kid")
        await runtime.tell(live, Raise())
        await trio.sleep(1)
        assert kid is not None
        assert kid.gone.is_set()
        assert runtime.find("kid") not in (None, kid)
        assert [event.engine.name for event in happened(events, EngineStopped)] == ["kid"]


async def test_events_tell_of_every_step(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        events = runtime.events.subscribe()
        log = runtime.spawn(Log(), "log")
        await runtime.tell(log, Crash())
        await trio.sleep(1)
        await runtime.stop_engine("log")
        assert happened(events, Event) == [
            EngineStarted(0.0, log),
            EngineCrashed(0.0, log, "ValueError('as told')", "crash"),
            EngineRestarted(0.0, log, 1),
            EngineStopped(1.0, log),
        ]


async def test_beyond_its_intensity_an_engine_of_the_node_fails_and_is_gone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        events = runtime.events.subscribe()
        log = runtime.spawn(Log(), "log")
        for _ in range(4):
            await runtime.tell(log, Crash())
        await runtime.tell(log, Note("too late"))
        with pytest.raises(Refused, match="stopped"):
            await runtime.ask(log, Notes())
        await trio.sleep(1)
        assert runtime.find("log") is None
        assert [event.error for event in happened(events, EngineFailed)] == ["ValueError('as told')"]
        assert [letter.tag for letter in runtime.dead_letters.recent] == ["note"]
        with pytest.raises(Refused, match="no_engine"):
            await runtime.ask(log, Notes())
        runtime.spawn(Log(), "log")
        assert await runtime.ask(log, Notes()) == ()


async def test_crashes_that_lie_far_apart_are_forgiven(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        for _ in range(20):
            await runtime.tell(log, Crash())
            await trio.sleep(2)
        cell = runtime.find("log")
        assert cell is not None
        assert cell.statistics().restarts == 20


async def test_an_engine_that_crashes_as_it_starts_fails_at_once(autojump_clock: trio.testing.MockClock) -> None:
    class Hopeless(Engine):
        @on(Started)
        def started(self, _: Started) -> None:
            raise ValueError("hopeless")

    async with running() as runtime:
        events = runtime.events.subscribe()
        runtime.spawn(Hopeless(), "hopeless")
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == 0
        assert len(happened(events, EngineCrashed)) == 4
        assert not runtime.directory


@pytest.mark.parametrize(
    ("policy", "lives"), [(Policy.TEMPORARY, 1), (Policy("transient", most=1, within=60), 2), (Policy.PERMANENT, 4)]
)
async def test_the_policy_says_how_many_lives_there_are(
    autojump_clock: trio.testing.MockClock, policy: Policy, lives: int
) -> None:
    diary = Diary()
    async with running() as runtime:
        live = runtime.spawn(Live(diary=diary), "live", policy=policy)
        for _ in range(6):
            await runtime.tell(live, Raise())
        await trio.sleep(1)
        assert diary.lines == ["started"] * lives
        assert runtime.find("live") is None


async def test_an_exception_from_a_handlers_nursery_is_one_crash(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        live = runtime.spawn(Live(diary=Diary()), "live")
        with pytest.raises(Crashed, match="in a nursery") as crashed:
            await runtime.ask(live, RaiseSlowly())
        assert crashed.value.detail == "ValueError('in a nursery')"


async def test_an_exception_that_cannot_be_shown_does_no_harm(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        live = runtime.spawn(Live(diary=Diary()), "live")
        with pytest.raises(Crashed, match="Unprintable"):
            await runtime.ask(live, Raise("unprintable"))


async def test_a_guard_that_raises_is_a_crash(autojump_clock: trio.testing.MockClock) -> None:
    class Picky(Engine):
        def fits(self, msg: Note) -> bool:
            raise ValueError("no idea")

        @on(Note, when=fits)
        def note(self, msg: Note) -> None: ...

    async with running() as runtime:
        picky = runtime.spawn(Picky(), "picky")
        with pytest.raises(Crashed, match="no idea"):
            await runtime.ask(picky, Note("x"))
        assert await runtime.ask(runtime.spawn(Log(), "log"), Notes()) == ()


async def test_a_bad_reply_is_found_where_it_is_given_when_under_test(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Wrong(Engine):
        @on(Notes)
        def all(self, _: Notes) -> tuple[str, ...]:
            self.spawn(Log(), "kid")
            return (1, 2)  # type: ignore[return-value]

    async with running(strict=True) as runtime:
        with pytest.raises(Crashed, match="no answer to Notes"):
            await runtime.ask(runtime.spawn(Wrong(), "wrong"), Notes())
        assert runtime.find("kid") is None


# -- a cancelled engine whose handler fails on the way out --------------------------------------------------


class FailOnTheWayOut(Message): ...


class BadLoser(Engine):
    @on(FailOnTheWayOut)
    async def wait(self, _: FailOnTheWayOut) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("cleanup failed")


async def test_a_handler_that_raises_while_it_is_cancelled_is_reported_and_harms_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        events = runtime.events.subscribe()
        loser, log = runtime.spawn(BadLoser(), "loser"), runtime.spawn(Log(), "log")
        await runtime.tell(loser, FailOnTheWayOut())
        await trio.sleep(1)
        await runtime.stop_engine("loser")
        assert [event.error for event in happened(events, EngineCrashed)] == ["ValueError('cleanup failed')"]
        assert await runtime.ask(log, Notes()) == ()


async def test_no_life_begins_in_a_scope_that_is_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()

    class Reluctant(Engine):
        diary: Diary

        @on(Started)
        async def started(self, _: Started) -> None:
            self.diary.write("started")
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("in the place of Cancelled")

    async with running() as runtime:
        runtime.spawn(Reluctant(diary=diary), "reluctant")
        await trio.sleep(1)
    assert diary.lines == ["started"]


async def test_what_is_no_exception_is_not_contained() -> None:
    class Interrupted(Engine):
        @on(Note)
        def note(self, _: Note) -> None:
            raise KeyboardInterrupt

    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with running() as runtime:
            await runtime.tell(runtime.spawn(Interrupted(), "interrupted"), Note("x"))
            await trio.sleep_forever()


# -- ports --------------------------------------------------------------------------------------------------


class Heard(Local[None]):
    what: str


class Listener(Engine):
    """Its port says what `script` does; it writes down what it hears."""

    script: Callable[[Listener], object]
    diary: Diary

    @on(Heard)
    def heard(self, msg: Heard) -> None:
        self.diary.write(msg.what)

    @on(Crash)
    def crash(self, _: Crash) -> None:
        raise ValueError("as told")

    @on(RaiseSlowly)
    async def wait(self, _: RaiseSlowly) -> None:
        await trio.sleep_forever()

    async def port(self) -> None:
        self.diary.write("open")
        try:
            self.script(self)
            await trio.sleep(2)
        finally:
            self.diary.write("closed")


def say(engine: Listener) -> None:
    engine.post(Heard("hello"))


def fail(engine: Listener) -> None:
    raise OSError("cable cut")


async def test_a_port_runs_beside_the_mailbox_and_posts_into_it(autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()
    async with running() as runtime:
        events = runtime.events.subscribe()
        runtime.spawn(Listener(script=say, diary=diary), "listener", policy=Policy.TRANSIENT)
        await trio.sleep(1)
        assert diary.lines == ["open", "hello"]
        await trio.sleep(5)
        assert diary.lines == ["open", "hello", "closed"]
        assert len(happened(events, EngineStopped)) == 1
        assert not runtime.directory


async def test_a_permanent_engine_is_started_again_when_its_port_returns_but_not_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    diary = Diary()
    async with running() as runtime:
        events = runtime.events.subscribe()
        runtime.spawn(Listener(script=say, diary=diary), "listener", policy=Policy("permanent", most=2, within=60))
        await trio.sleep(20)
        assert diary.lines == ["open", "hello", "closed"] * 3
        assert len(happened(events, EngineFailed)) == 1


async def test_a_port_that_raises_crashes_its_engine_and_whoever_asks_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    diary = Diary()

    def fail_later(engine: Listener) -> None:
        if "failed" not in diary.lines:
            diary.write("failed")
            raise OSError("cable cut")

    async with running() as runtime:
        events = runtime.events.subscribe()
        runtime.spawn(Listener(script=fail_later, diary=diary), "listener")
        await trio.sleep(1)
        assert diary.lines == ["open", "failed", "closed", "open"]
        assert [(event.error, event.tag) for event in happened(events, EngineCrashed)] == [("OSError('cable cut')", "")]


async def test_an_ask_that_is_worked_on_when_the_port_fails_ends_as_crashed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Fails(Engine):
        async def port(self) -> None:
            await trio.sleep(2)
            raise OSError("cable cut")

        @on(RaiseSlowly)
        async def wait(self, _: RaiseSlowly) -> None:
            await trio.sleep_forever()

    async with running() as runtime:
        with pytest.raises(Crashed, match="cable cut"):
            await runtime.ask(runtime.spawn(Fails(), "fails"), RaiseSlowly())
        assert trio.current_time() == 2


async def test_a_crash_of_a_handler_closes_the_port_and_opens_another(
    autojump_clock: trio.testing.MockClock,
) -> None:
    diary = Diary()
    async with running() as runtime:
        listener = runtime.spawn(Listener(script=say, diary=diary), "listener")
        await trio.sleep(1)
        await runtime.tell(listener, Crash())
        await trio.sleep(1)
        assert diary.lines == ["open", "hello", "closed", "open", "hello"]


async def test_what_an_earlier_life_posts_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    diary, earlier = Diary(), list[Listener]()
    async with running() as runtime:
        listener = runtime.spawn(Listener(script=earlier.append, diary=diary), "listener")
        await trio.sleep(1)
        earlier[0].post(Heard("in time"))
        await runtime.tell(listener, Crash())
        earlier[0].post(Heard("behind the crash"))
        await trio.sleep(0.5)
        earlier[0].post(Heard("after its end"))
        await trio.sleep(0.5)
        assert diary.lines == ["open", "in time", "closed", "open"]


# -- children that fail --------------------------------------------------------------------------------------


class Parent(Engine):
    diary: Diary
    policy: Policy = Policy.PERMANENT

    @on(Started)
    def started(self, _: Started) -> None:
        self.diary.write("started")
        self.spawn(Log(), "kid", policy=self.policy)

    @on(Note)
    def note(self, msg: Note) -> None:
        self.diary.write(msg.text)


class CaringParent(Parent):
    @on(ChildFailed)
    def lost(self, msg: ChildFailed) -> None:
        self.diary.write(f"{self.sender.name} failed: {msg.error}")


@pytest.mark.parametrize(("policy", "crashes"), [(Policy.PERMANENT, 4), (Policy.TEMPORARY, 1)])
async def test_a_spawner_with_a_guard_is_told_that_a_child_failed(
    autojump_clock: trio.testing.MockClock, policy: Policy, crashes: int
) -> None:
    diary = Diary()
    async with running() as runtime:
        runtime.spawn(CaringParent(diary=diary, policy=policy), "parent")
        await trio.sleep(1)
        for _ in range(crashes):
            await runtime.tell(EngineID(None, "kid"), Crash())
        await trio.sleep(1)
        assert diary.lines == ["started", "kid failed: ValueError('as told')"]
        cell = runtime.find("parent")
        assert cell is not None
        assert cell.statistics().children == 0


async def test_a_spawner_without_a_guard_crashes_with_its_child(autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()
    async with running() as runtime:
        events = runtime.events.subscribe()
        runtime.spawn(Parent(diary=diary), "parent")
        await trio.sleep(1)
        for _ in range(4):
            await runtime.tell(EngineID(None, "kid"), Crash())
        await trio.sleep(1)
        assert diary.lines == ["started", "started"]
        assert "kid failed: ValueError" in happened(events, EngineCrashed)[-1].error
        assert runtime.find("kid") is not None


async def test_the_failure_of_a_temporary_child_harms_no_spawner(autojump_clock: trio.testing.MockClock) -> None:
    diary = Diary()
    async with running() as runtime:
        runtime.spawn(Parent(diary=diary, policy=Policy.TEMPORARY), "parent")
        await trio.sleep(1)
        await runtime.tell(EngineID(None, "kid"), Crash())
        await trio.sleep(1)
        assert diary.lines == ["started"]
        assert set(runtime.directory) == {"parent"}


async def test_failure_climbs_until_someone_cares_or_the_node_is_reached(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Grandparent(Engine):
        @on(Started)
        def started(self, _: Started) -> None:
            self.spawn(Parent(diary=Diary()), "parent")

    async with running() as runtime:
        events = runtime.events.subscribe(10_000)
        runtime.spawn(Grandparent(), "grandparent")
        with trio.move_on_after(4.9):
            while "grandparent" in runtime.directory:
                await runtime.tell(EngineID(None, "kid"), Crash())
                await trio.sleep(0.01)
        assert [event.engine.name for event in happened(events, EngineFailed)].count("grandparent") == 1
        assert not runtime.directory
