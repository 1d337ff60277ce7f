"""tell, send and ask between engines of one node."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from msgspec import field
from running import NOBODY, NODE, PEER, Log, Note, Notes, running

from actors.engine import Engine, on
from actors.errors import EngineNameError, Expired, Refused
from actors.identity import EngineID
from actors.messages import Message, Request
from actors.runtime import Runtime, check_name


class Double(Request[int]):
    number: int


class Slow(Request[str]):
    seconds: float


class Unknown(Request[int]):
    """Nobody takes it."""


class Whence(Request[str]):
    """The name of the sender."""


class Worker(Engine):
    done: list[float] = field(default_factory=list)

    @on(Double)
    def double(self, msg: Double) -> int:
        return 2 * msg.number

    @on(Slow)
    async def slow(self, msg: Slow) -> str:
        await trio.sleep(msg.seconds)
        return "done"

    @on(Whence)
    def whence(self, _: Whence) -> str:
        return self.sender.name


async def test_an_ask_is_answered_by_def_and_async_def(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        worker = runtime.spawn(Worker(), "worker")
        assert worker == EngineID(NODE, "worker")
        assert await runtime.ask(worker, Double(21)) == 42
        assert await runtime.ask(worker, Slow(3)) == "done"
        assert await runtime.ask(EngineID(None, "worker"), Whence()) == ""
        assert trio.current_time() == 3


async def test_tells_of_one_sender_arrive_in_order_however_they_are_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(slice=4) as runtime:
        runtime.spawn(Log(), "log")
        spellings = (EngineID(NODE, "log"), EngineID(None, "log"))
        for number in range(0, 40, 4):
            await runtime.tell(spellings[0], Note(str(number)))
            await runtime.tell(spellings[1], Note(str(number + 1)))
            runtime.tell_nowait(spellings[0], Note(str(number + 2)))
            await runtime.send(spellings[1], Note(str(number + 3)))
        assert await runtime.ask(spellings[0], Notes()) == tuple(map(str, range(40)))


async def test_tell_gives_way_once_in_a_slice(autojump_clock: trio.testing.MockClock) -> None:
    steps = 0

    async def other() -> None:
        nonlocal steps
        while True:
            await trio.lowlevel.checkpoint()
            steps += 1

    async with running(slice=10) as runtime, trio.open_nursery() as nursery:
        log = runtime.spawn(Log(), "log")
        nursery.start_soon(other)
        for _ in range(100):
            await runtime.tell(log, Note("x"))
        assert 5 <= steps <= 40  # about nine: which task runs first in a step is random
        nursery.cancel_scope.cancel()


async def test_a_tell_to_nobody_is_a_dead_letter_and_no_error(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        await runtime.tell(NOBODY, Note("lost"))
        runtime.tell_nowait(NOBODY, Note("lost too"))
        assert runtime.dead_letters.count == 2
        letter = runtime.dead_letters.recent[0]
        assert (letter.to, letter.sender, letter.tag) == (NOBODY, EngineID(NODE, ""), "note")
        assert letter.outcome.startswith("refused (no_engine)")
        assert "2, last" in repr(runtime.dead_letters)


async def test_send_and_ask_to_nobody_are_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        for verb in (runtime.send, runtime.ask):
            with pytest.raises(Refused, match="no_engine"):
                await verb(NOBODY, Note("x"))


async def test_without_a_network_other_nodes_cannot_be_reached(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        far = EngineID(PEER, "far")
        with pytest.raises(Refused, match="no_route"):
            await runtime.ask(far, Double(1))
        await runtime.tell(far, Note("x"))
        assert "no_route" in runtime.dead_letters.recent[0].outcome


async def test_a_message_that_no_guard_takes_is_refused_or_a_dead_letter(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        worker = runtime.spawn(Worker(), "worker")
        with pytest.raises(Refused, match=r"unhandled.*worker has no action for Unknown"):
            await runtime.ask(worker, Unknown())
        await runtime.tell(worker, Note("x"))
        await runtime.tell(worker, "no message at all")  # type: ignore[arg-type]
        assert await runtime.ask(worker, Double(1)) == 2
        assert [letter.tag for letter in runtime.dead_letters.recent] == ["note", "str"]
        cell = runtime.find("worker")
        assert cell is not None
        assert (cell.statistics().unhandled, cell.statistics().crashes) == (3, 0)


async def test_an_ask_expires_whether_it_waits_or_is_worked_on(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime, trio.open_nursery() as nursery:
        worker = runtime.spawn(Worker(), "worker")
        nursery.start_soon(runtime.ask, worker, Slow(10))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Expired) as waiting:
            await runtime.ask(worker, Double(1), expiry=2)
        assert (trio.current_time(), waiting.value.maybe_sent) == (2, False)
        with pytest.raises(Expired) as begun:
            await runtime.ask(worker, Slow(10), expiry=12)
        assert (trio.current_time(), begun.value.maybe_sent) == (14, True)
        assert await runtime.ask(worker, Double(2)) == 4


async def test_a_local_sender_waits_for_room_at_most_until_its_expiry(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(capacity=2) as runtime, trio.open_nursery() as nursery:
        worker = runtime.spawn(Worker(), "worker")
        nursery.start_soon(runtime.ask, worker, Slow(10))
        await trio.testing.wait_all_tasks_blocked()
        await runtime.tell(worker, Double(1))
        with pytest.raises(Refused, match="full"):
            runtime.tell_nowait(worker, Double(1))
        for verb in (runtime.tell, runtime.send, runtime.ask):
            before = trio.current_time()
            with pytest.raises(Expired) as expired:
                await verb(worker, Double(1), expiry=2)
            assert trio.current_time() - before == 2
            assert not expired.value.maybe_sent
        await runtime.tell(worker, Double(1), expiry=5)
        assert trio.current_time() == 10


async def test_those_who_wait_for_room_all_get_in(autojump_clock: trio.testing.MockClock) -> None:
    async with running(capacity=4) as runtime:
        worker, log = runtime.spawn(Worker(), "worker"), runtime.spawn(Log(), "log")
        for target, message in ((worker, Slow(1)), (log, Note("x"))):
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(runtime.tell, target, message)
                    nursery.start_soon(runtime.send, target, message)
        await runtime.ask(worker, Double(1))
        assert len(await runtime.ask(log, Notes())) == 20
        assert runtime.dead_letters.count == 0


class SlowLog(Log):
    @on(Slow)
    async def slow(self, msg: Slow) -> str:
        await trio.sleep(msg.seconds)
        return "done"


async def test_a_newcomer_does_not_overtake_those_who_wait_for_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(capacity=2) as runtime, trio.open_nursery() as nursery:
        log = runtime.spawn(SlowLog(), "log")
        cell = runtime.find("log")
        assert cell is not None
        nursery.start_soon(runtime.ask, log, Slow(5))
        await trio.testing.wait_all_tasks_blocked()
        await runtime.tell(log, Note("first"))
        nursery.start_soon(runtime.tell, log, Note("has waited"))
        await trio.testing.wait_all_tasks_blocked()
        assert cell.mailbox.waiting == 1
        cell.mailbox.release(1)  # the one who waits is woken, and has not run yet
        with pytest.raises(Refused, match="full"):
            runtime.tell_nowait(log, Note("cannot wait"))
        await runtime.tell(log, Note("newcomer"))
        cell.mailbox.held += 1
        assert await runtime.ask(log, Notes()) == ("first", "has waited", "newcomer")


async def test_a_waiting_sender_that_is_cancelled_leaves_its_turn_to_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(capacity=1) as runtime, trio.open_nursery() as nursery:
        worker = runtime.spawn(Worker(), "worker")
        nursery.start_soon(runtime.ask, worker, Slow(5))
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as first:
            first.start_soon(runtime.tell, worker, Double(1))
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(runtime.tell, worker, Double(2))
            await trio.testing.wait_all_tasks_blocked()
            first.cancel_scope.cancel()
        assert await runtime.ask(worker, Double(3)) == 6


async def test_an_engine_that_ends_refuses_those_who_wait_for_its_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(capacity=1) as runtime:
        worker = runtime.spawn(Worker(), "worker")
        outcomes = list[str]()

        async def ask() -> None:
            try:
                await runtime.ask(worker, Slow(100))
            except Refused as refused:
                outcomes.append(refused.reason)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ask)
            nursery.start_soon(runtime.tell, worker, Double(1))
            await trio.testing.wait_all_tasks_blocked()
            await runtime.stop_engine("worker")
        assert outcomes == ["stopped", "stopped"]
        assert [letter.outcome.split(":")[0] for letter in runtime.dead_letters.recent] == ["refused (stopped)"]


async def test_a_port_to_an_engine_that_ended_finds_the_one_that_took_its_name(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        await runtime.tell(log, Note("to the first"))
        await runtime.stop_engine("log")
        await runtime.tell(log, Note("to nobody"))
        runtime.spawn(Log(), "log")
        await runtime.tell(EngineID(None, "log"), Note("to the second"))
        assert await runtime.ask(log, Notes()) == ("to the second",)


async def test_ports_of_engines_that_ended_are_not_kept(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        for number in range(50):
            log = runtime.spawn(Log(), f"log-{number}")
            await runtime.tell(log, Note("x"))
            await runtime.ask(EngineID(None, log.name), Notes())
            await runtime.stop_engine(log.name)
        assert not runtime.ports


@pytest.mark.parametrize("name", ["", "a b", "a/b", "tab\t", "x" * 201, 5, "router", "transport.tcp", str(PEER)])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(EngineNameError):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "worker-17", "café", "echo.server", "routers", "x" * 200])
def test_a_good_name_is_not(name: str) -> None:
    check_name(name)


async def test_a_name_is_given_once_and_reserved_ones_to_the_network_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        runtime.spawn(Log(), "log")
        with pytest.raises(EngineNameError, match="runs already"):
            runtime.spawn(Log(), "log")
        with pytest.raises(EngineNameError, match="reserved"):
            runtime.spawn(Log(), "router")
        assert runtime.spawn(Log(), "router", reserved=True) == EngineID(NODE, "router")


def test_a_runtime_that_does_not_run_spawns_nothing() -> None:
    runtime = Runtime(NODE)
    with pytest.raises(RuntimeError, match="does not run"):
        runtime.spawn(Log(), "log")
    assert repr(runtime) == f"<Runtime of {NODE.short}: does not run, 0 engines>"


class Hello(Message):
    to: EngineID


class Greeter(Engine):
    """Sends in an async handler: delivered before the handler goes on."""

    @on(Hello)
    async def hello(self, msg: Hello) -> None:
        await self.send(msg.to, Note("sent"))
        await self.ask(msg.to, Note("asked"))
        self.tell(msg.to, Note("told"))


async def test_an_engine_sends_asks_and_tells_under_its_own_name(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log, greeter = runtime.spawn(Log(), "log"), runtime.spawn(Greeter(), "greeter")
        await runtime.ask(greeter, Hello(log))
        assert await runtime.ask(log, Notes()) == ("sent", "asked", "told")
