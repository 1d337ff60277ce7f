"""How engines stop, in what order a runtime ends, and that nothing outlives it."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from running import NODE, Log, Note, Notes, happened, running

from actors.engine import Engine, Policy, on
from actors.errors import EngineNameError, Refused
from actors.events import Connected, EngineStopped, Event
from actors.identity import EngineID, NodeKey
from actors.messages import Message, Request, Started
from actors.runtime import Runtime, open_service_nursery


class Finish(Request[str]):
    """Stop, and say goodbye."""


class Wait(Request[str]): ...


class Stopper(Engine):
    log: EngineID

    @on(Started)
    def started(self, _: Started) -> None:
        self.spawn(Child(log=self.log), f"child-of-{self.id.name}")

    @on(Finish)
    def finish(self, _: Finish) -> str:
        self.stop()
        self.tell(self.log, Note("last words"))
        return "goodbye"

    @on(Wait)
    async def wait(self, _: Wait) -> str:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
                await self.send(self.log, Note(f"{self.id.name} cleaned up"))


class Child(Stopper):
    """Cleans up in its port."""

    async def port(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
                await self.send(self.log, Note(f"{self.id.name} cleaned up"))

    @on(Started)
    def started(self, _: Started) -> None: ...


async def test_an_engine_that_stops_refuses_the_rest_of_its_mailbox(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        stopper = runtime.spawn(Stopper(log=log), "stopper")
        await trio.sleep(1)
        outcomes = list[str]()

        async def ask(message: Request[object]) -> None:
            try:
                outcomes.append(str(await runtime.ask(stopper, message)))
            except Refused as refused:
                outcomes.append(refused.reason)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, Finish())
            await trio.testing.wait_all_tasks_blocked()
        assert outcomes == ["goodbye"]
        # Its child still cleans up: the name is taken, but nothing is accepted any more.
        with pytest.raises(Refused, match="stopped"):
            await runtime.ask(stopper, Wait())
        await runtime.tell(stopper, Note("too late"))
        assert len(runtime.dead_letters.recent) == 1
        assert stopper not in runtime.ports
        with pytest.raises(EngineNameError):
            runtime.spawn(Log(), "stopper")
        assert trio.current_time() == 1
        await trio.sleep(2)
        with pytest.raises(Refused, match="no_engine"):
            await runtime.ask(stopper, Wait())
        assert await runtime.ask(log, Notes()) == ("last words", "child-of-stopper cleaned up")
        assert set(runtime.directory) == {"log"}


async def test_what_came_after_the_stop_in_one_batch_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        stopper = runtime.spawn(Stopper(log=log), "stopper")
        for message in (Finish(), Note("a"), Note("b")):
            await runtime.tell(stopper, message)
        with pytest.raises(Refused, match="stopped"):
            await runtime.ask(stopper, Wait())
        assert [(letter.tag, letter.outcome) for letter in runtime.dead_letters.recent] == [
            ("note", "refused (stopped): stopper has ended")
        ] * 2


async def test_stopping_an_engine_cancels_its_handler_and_ends_its_children_first(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        events = runtime.events.subscribe()
        log = runtime.spawn(Log(), "log")
        stopper = runtime.spawn(Stopper(log=log), "stopper")
        outcomes = list[str]()

        async def ask() -> None:
            try:
                await runtime.ask(stopper, Wait())
            except Refused as refused:
                outcomes.append(str(refused))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(1)
            await runtime.stop_engine("stopper")
            # Child and handler clean up side by side.
            assert trio.current_time() == 2
        assert outcomes == ["refused (stopped): stopper has ended"]
        assert sorted(await runtime.ask(log, Notes())) == ["child-of-stopper cleaned up", "stopper cleaned up"]
        assert [event.engine.name for event in happened(events, EngineStopped)] == ["child-of-stopper", "stopper"]
        with pytest.raises(EngineNameError, match="no engine 'stopper'"):
            await runtime.stop_engine("stopper")


async def test_an_engine_that_is_stopped_before_its_first_step_ends_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        runtime.spawn(Log(), "log")
        await runtime.stop_engine("log")
        assert not runtime.directory


async def test_users_engines_end_before_the_networks_and_these_before_the_clock(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = list[str]()

    class Ends(Engine):
        server: EngineID | None = None

        async def port(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    if self.server is not None:
                        # What ends later still answers, and asks still expire.
                        seen.append(await self.ask(self.server, Wait()))
                    await trio.sleep(1)
                seen.append(self.id.name)

        @on(Wait)
        def answer(self, _: Wait) -> str:
            return f"answered {self.sender.name}"

    async with running() as runtime:
        router = runtime.spawn(Ends(), "router", reserved=True)
        runtime.spawn(Ends(server=router), "user")
        await trio.sleep(1)
    assert seen == ["answered user", "user", "router"]


async def test_stop_engines_leaves_the_networks_engines_running(autojump_clock: trio.testing.MockClock) -> None:
    class Spawner(Engine):
        @on(Started)
        def started(self, _: Started) -> None:
            self.spawn(Log(), f"child-of-{self.id.name}")

    async with running() as runtime:
        runtime.spawn(Spawner(), "router", reserved=True)
        runtime.spawn(Spawner(), "user")
        await trio.sleep(1)
        await runtime.stop_engines()
        assert set(runtime.directory) == {"router", "child-of-router"}


class Carrier(Engine):
    """As a connection: a port that lasts, and now and then a message."""

    over: trio.Event

    async def port(self) -> None:
        try:
            await self.over.wait()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()

    @on(Wait)
    def answer(self, _: Wait) -> str:
        return "answered"


async def outcome(runtime: Runtime, engine: EngineID, into: list[str]) -> None:
    try:
        into.append(await runtime.ask(engine, Wait()))
    except Refused as refused:
        into.append(refused.reason)


async def test_the_few_messages_of_a_connection_are_handled_as_they_come(
    autojump_clock: trio.testing.MockClock,
) -> None:
    outcomes = list[str]()
    async with running() as runtime:
        carrier = runtime.spawn(Carrier(over=trio.Event()), "router", reserved=True, policy=Policy.TEMPORARY)
        await outcome(runtime, carrier, outcomes)  # before it lives
        for _ in range(2):
            await trio.sleep(1)
            await outcome(runtime, carrier, outcomes)
    assert outcomes == ["answered"] * 3


@pytest.mark.parametrize("ends", ["port", "cancel"])
@pytest.mark.parametrize("steps", range(8))
async def test_what_comes_while_a_connection_ends_is_handled_or_refused(
    steps: int, ends: str, autojump_clock: trio.testing.MockClock
) -> None:
    outcomes, over = list[str](), trio.Event()
    async with running() as runtime:
        carrier = runtime.spawn(Carrier(over=over), "router", reserved=True, policy=Policy.TEMPORARY)
        await trio.sleep(1)
        cell = runtime.find("router")
        assert cell is not None
        over.set() if ends == "port" else cell.cancel()
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        await outcome(runtime, carrier, outcomes)
        await outcome(runtime, carrier, outcomes)
    assert outcomes[0] in ("answered", "stopped", "no_engine")
    assert outcomes[1] in ("stopped", "no_engine")


class Waiter(Engine):
    @on(Wait)
    async def wait(self, _: Wait) -> str:
        await trio.sleep_forever()
        raise AssertionError


async def test_when_it_ends_nobody_is_left_waiting(autojump_clock: trio.testing.MockClock) -> None:
    outcomes = list[str]()
    async with trio.open_nursery() as nursery:
        runtime = Runtime(NODE)
        serving = trio.CancelScope()

        async def serve(*, task_status: trio.TaskStatus[None]) -> None:
            with serving:
                await runtime.serve(task_status=task_status)

        await nursery.start(serve)
        events = runtime.events.subscribe()
        waiter = runtime.spawn(Waiter(), "waiter")

        async def ask() -> None:
            try:
                await runtime.ask(waiter, Wait())
            except Refused as refused:
                outcomes.append(refused.reason)

        for _ in range(3):
            nursery.start_soon(ask)
        await trio.sleep(1)
        slot = runtime.asks.open(1e9, Wait, NODE)
        serving.cancel()
        with pytest.raises(Exception, match="node_stopped"):
            await slot.wait()
        while True:
            try:
                await events.receive()
            except trio.EndOfChannel:
                break
    assert outcomes == ["stopped"] * 3
    assert repr(runtime).endswith("does not run, 0 engines>")
    with pytest.raises(RuntimeError):
        runtime.spawn(Log(), "log")


class Busy(Message):
    rest: int


class Worker(Engine):
    """Does a little of everything, for ever."""

    @on(Started)
    def started(self, _: Started) -> None:
        if not self.id.name.startswith("kid"):
            self.spawn(Worker(), f"kid-{self.id.name}")
        self.tell(self.id, Busy(3))

    @on(Busy)
    async def busy(self, msg: Busy) -> None:
        await trio.sleep(0.1)
        self.tell(self.id, Busy(msg.rest - 1))
        if msg.rest == 0:
            raise ValueError("once in a while")

    async def port(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep_forever()


@pytest.mark.parametrize("steps", range(0, 60, 3))
async def test_cancelled_at_any_step_nothing_is_left_behind(autojump_clock: trio.testing.MockClock, steps: int) -> None:
    runtime = Runtime(NODE)
    async with open_service_nursery() as nursery:
        await nursery.start(runtime.serve)
        for number in range(3):
            runtime.spawn(Worker(), f"worker-{number}")
        for _ in range(steps):
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert not runtime.directory
    assert (len(runtime.clock), len(runtime.waits), len(runtime.asks)) == (0, 0, 0)
    started, stopped = runtime.statistics().restarts, runtime.statistics().crashes
    assert started <= stopped


async def test_a_slow_listener_loses_the_oldest_events_and_nobody_waits_for_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        slow, gone = runtime.events.subscribe(2), runtime.events.subscribe(2)
        gone.close()
        with pytest.raises(ValueError, match="at least one"):
            runtime.events.subscribe(0)
        for number in range(5):
            runtime.events.emit(EngineStopped(float(number), EngineID(NODE, "x")))
        assert [event.at for event in happened(slow, Event)] == [3, 4]
        assert runtime.statistics().events_dropped == 3
        assert repr(runtime.events) == "<Events: 5 emitted, 1 listeners, 3 dropped>"


async def test_the_next_event_about_a_peer_is_the_first_that_is_wanted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime, trio.open_nursery() as nursery:
        events, found = runtime.events, list[Event | None]()

        async def wait(task_status: trio.TaskStatus[None]) -> None:
            with events.next(NODE, lambda event: event.at >= 2) as each:
                task_status.started()
                found.append(await each.event())

        await nursery.start(wait)
        await nursery.start(wait)
        other = NodeKey.from_seed(b"o" * 32).id
        for event in (
            Connected(1.0, NODE, "tcp", ""),
            Connected(2.0, other, "tcp", ""),
            EngineStopped(3.0, EngineID(NODE, "x")),
        ):
            events.emit(event)
        await trio.sleep(1)
        assert not found
        events.emit(Connected(4.0, NODE, "tcp", ""))
        events.emit(Connected(5.0, NODE, "tcp", ""))
        await trio.sleep(1)
        assert found == [Connected(4.0, NODE, "tcp", "")] * 2


async def test_whoever_waits_for_the_next_event_learns_that_there_will_be_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    found = list[Event | None]()

    async def wait(runtime: Runtime, task_status: trio.TaskStatus[None]) -> None:
        with runtime.events.next(NODE, lambda _: True) as each:
            task_status.started()
            found.append(await each.event())

    async with trio.open_nursery() as nursery, running() as runtime:
        await nursery.start(wait, runtime)
    assert found == [None]


async def test_statistics_and_reprs_tell(autojump_clock: trio.testing.MockClock) -> None:
    async with running(capacity=10) as runtime, trio.open_nursery() as nursery:
        log = runtime.spawn(Log(), "log")
        runtime.spawn(Stopper(log=log), "stopper", capacity=5)
        cell = runtime.find("stopper")
        assert cell is not None
        states = [cell.state]
        await trio.sleep(1)
        states.append(cell.state)
        assert states == ["starting", "idle"]
        nursery.start_soon(runtime.ask, cell.id, Wait())
        await trio.sleep(1)
        await runtime.tell(cell.id, Note("x"))
        figures = cell.statistics()
        assert (figures.name, figures.type, figures.state) == ("stopper", "Stopper", "running")
        assert (figures.held, figures.capacity, figures.children, figures.spawner) == (2, 5, 1, "")
        child = runtime.find("child-of-stopper")
        assert child is not None
        assert child.statistics().spawner == "stopper"
        assert child.statistics().capacity == 10
        assert repr(cell) == "<Cell stopper (Stopper): running, 2 of 5 held>"
        assert repr(cell.mailbox) == "<Mailbox: 2 of 5 messages, 0 reserved, 0 senders wait>"
        assert repr(runtime) == f"<Runtime of {NODE.short}: runs, 3 engines>"
        assert runtime.statistics().engines == 3
        cell.cancel()
        assert cell.state == "stopping"
        nursery.cancel_scope.cancel()


async def test_an_engine_sees_its_own_environment(autojump_clock: trio.testing.MockClock) -> None:
    class Look(Request[tuple[str, ...]]): ...

    class Looker(Engine):
        @on(Started)
        def started(self, _: Started) -> None:
            self.spawn(Looker() if self.id.name == "top" else Log(), "below-" + self.id.name)

        @on(Look)
        def look(self, _: Look) -> tuple[str, ...]:
            env = self.env
            assert (env.mailbox.held, env.timers) == (1, ())
            assert self.cfg.node == NODE
            return tuple(sorted(engine.name for engine in env.acquaintances))

    async with running() as runtime:
        top = runtime.spawn(Looker(), "top")
        assert await runtime.ask(top, Look()) == ("below-top",)
        assert await runtime.ask(EngineID(None, "below-top"), Look()) == ("below-below-top", "top")
