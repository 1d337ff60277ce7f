"""Where the network meets the runtime: lanes, origins, waiting slots. The network here is a fake."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

import pytest
import trio
import trio.testing
from msgspec import Raw, msgpack
from running import NOBODY, NODE, PEER, Crash, Log, Note, Notes, running

from actors.engine import Engine, on
from actors.errors import DELIVERED, Expired, Lost, Refused
from actors.identity import EngineID, NodeID
from actors.messages import Message, Request, TransportPrefs
from actors.runtime import Batch, Cell, Kind, Runtime, Slot, encode

FAR = EngineID(PEER, "far")


class FakePort:
    """A lane that grants room for `grant` messages at a time, and keeps what it was given."""

    local: Final[Literal[False]] = False
    FLAT = 10

    def __init__(self, sender: str, target: str, grant: int = 4) -> None:
        self.name = (sender, target)
        self.closed = False
        self.left = -1
        self.expiry = 0.0
        self.got: list[bytes] = []
        self.append: Callable[[bytes], None] = self.take
        self.slow = 0
        self.slots: list[Slot] = []
        self.grant = grant

    def take(self, data: bytes) -> None:
        if self.left < 0:
            raise RuntimeError("there is no room in this run")
        self.got.append(data)

    async def tell_slow(self, data: bytes, expiry: float, prefs: TransportPrefs) -> None:
        await trio.lowlevel.checkpoint()
        self.tell_nowait(data, expiry, prefs)

    def tell_nowait(self, data: bytes, expiry: float, prefs: TransportPrefs) -> None:
        self.slow += 1
        self.left, self.expiry = self.grant * (self.FLAT + 40), expiry
        self.left -= len(data) + self.FLAT
        self.append(data)

    async def send(self, data: bytes, expiry: float, prefs: TransportPrefs, slot: Slot) -> None:
        self.got.append(data)
        self.slots.append(slot)

    async def ask(self, data: bytes, expiry: float, prefs: TransportPrefs, slot: Slot) -> None:
        await self.send(data, expiry, prefs, slot)


class FakeNetwork:
    """The outbox of every other node."""

    def __init__(self, runtime: Runtime) -> None:
        self.ports: list[FakePort] = []
        self.port: type[FakePort] = FakePort
        runtime.gateway = self.outlet

    def outlet(self, node: NodeID) -> FakeNetwork:
        if node != PEER:
            raise Refused("no_route")
        return self

    def lane(self, sender: str, target: str) -> FakePort:
        self.ports.append(self.port(sender, target))
        return self.ports[-1]


class FakeOrigin:
    """A session with another node, as a mailbox sees it."""

    def __init__(self) -> None:
        self.count = self.size = self.flushed = 0
        self.replies: list[tuple[int, int, object]] = []
        self.log: list[str] = []

    def consumed(self, count: int, size: int) -> None:
        self.count += count
        self.size += size

    def reply(self, correlation: int, status: int, value: object) -> None:
        if status == 0:
            assert isinstance(value, Raw)
            value = msgpack.decode(value)
        self.replies.append((correlation, status, value))

    def flush(self) -> None:
        self.flushed = len(self.replies)


class Far(Request[int]):
    number: int


class Sleep(Request[str]):
    seconds: float


class Bad(Request[int]):
    """Answered with something that cannot be encoded."""


class End(Message): ...


class Server(Engine):
    log: EngineID

    @on(Sleep)
    async def sleep(self, msg: Sleep) -> str:
        try:
            await trio.sleep(msg.seconds)
        except trio.Cancelled:
            self.tell(self.log, Note("an effect of a cancelled handler"))
            raise
        return f"slept {msg.seconds:g}"

    @on(Far)
    def far(self, msg: Far) -> int:
        return msg.number + 1

    @on(Bad)
    def bad(self, _: Bad) -> int:
        self.tell(self.log, Note("an effect of a bad answer"))
        return object()  # type: ignore[return-value]

    @on(Crash)
    def crash(self, _: Crash) -> None:
        raise ValueError("private detail")

    @on(End)
    def end(self, _: End) -> None:
        self.stop()


def cell_of(runtime: Runtime, name: str) -> Cell:
    cell = runtime.find(name)
    assert cell is not None
    return cell


# -- out ----------------------------------------------------------------------------------------------------


async def test_tells_to_another_node_go_into_the_open_run_while_it_lasts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        network = FakeNetwork(runtime)
        notes = [Note(str(number)) for number in range(20)]
        for note in notes:
            await runtime.tell(FAR, note)
        (port,) = network.ports
        assert port.name == ("", "far")
        assert port.got == [encode(note) for note in notes]
        assert 2 <= port.slow <= 8
        before = port.slow
        await runtime.tell(FAR, notes[0], expiry=1)
        await runtime.tell(FAR, notes[0], expiry=1, prefs=TransportPrefs(ordering="unordered"))
        assert port.slow == before + 2


async def test_a_closed_lane_is_replaced_by_another(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        network = FakeNetwork(runtime)
        for send in (runtime.tell, runtime.tell, runtime.tell):
            await send(FAR, Note("x"))
            network.ports[-1].closed, network.ports[-1].left = True, -1
        runtime.tell_nowait(FAR, Note("x"))
        assert [len(port.got) for port in network.ports] == [1, 1, 1, 1]
        assert list(runtime.ports.values()) == [network.ports[-1]]


async def test_lanes_of_outboxes_that_have_ended_are_not_kept_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        network = FakeNetwork(runtime)
        await runtime.tell(FAR, Note("x"))
        for number in range(5000):
            await runtime.tell(EngineID(PEER, f"engine-{number}"), Note("x"))
            network.ports[-1].closed = True
        assert len(runtime.ports) <= 1024
        assert FAR in runtime.ports


async def test_a_lane_that_cannot_be_had_again_makes_a_dead_letter(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        network = FakeNetwork(runtime)
        await runtime.tell(FAR, Note("x"))
        network.ports[-1].closed, network.ports[-1].left = True, -1
        runtime.gateway = lambda node: network.outlet(NODE)
        await runtime.tell(FAR, Note("y"))
        (letter,) = runtime.dead_letters.recent
        assert (letter.tag, letter.head, letter.outcome) == ("note", encode(Note("y")), "refused (no_route)")


async def test_engines_have_lanes_of_their_own_and_use_them_for_collected_tells(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Forward(Message):
        count: int

    class Forwarder(Engine):
        @on(Forward)
        def forward(self, msg: Forward) -> None:
            for number in range(msg.count):
                self.tell(FAR, Note(str(number)))

    async with running() as runtime:
        network = FakeNetwork(runtime)
        forwarder = runtime.spawn(Forwarder(), "forwarder")
        for count in (1, 1, 1, 10, 1, 1, 1, 1, 1):
            await runtime.tell(forwarder, Forward(count))
        await trio.sleep(1)
        (port,) = network.ports
        assert port.name == ("forwarder", "far")
        assert [msgpack.decode(data)[1] for data in port.got] == ["0", "0", "0", *map(str, range(10)), *"00000"]
        assert runtime.statistics().crashes == 0
        assert port.slow == 2  # a run has room for eleven
        assert len(cell_of(runtime, "forwarder").verbs.ports) == 1


async def test_a_send_ends_with_the_outcome_that_the_network_gives(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime, trio.open_nursery() as nursery:
        network = FakeNetwork(runtime)

        async def settle() -> None:
            await trio.sleep(1)
            good, lost = network.ports[0].slots
            assert good.give(DELIVERED)
            assert lost.fail(Lost("connection_lost", maybe_sent=True))
            assert not lost.give(DELIVERED)

        nursery.start_soon(runtime.send, FAR, Note("x"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(settle)
        with pytest.raises(Lost, match="connection_lost"):
            await runtime.send(FAR, Note("y"))


@pytest.mark.parametrize("written", [False, True])
async def test_a_send_and_an_ask_expire_by_themselves_and_say_whether_they_were_written(
    autojump_clock: trio.testing.MockClock, written: bool
) -> None:
    async with running() as runtime, trio.open_nursery() as nursery:
        network = FakeNetwork(runtime)
        withdrawn = list[int]()

        async def mark() -> None:
            await trio.sleep(1)
            for slot in network.ports[0].slots:
                slot.written = written
                slot.withdraw = partial(withdrawn.append, slot.correlation)

        async def fails(verb: Callable[..., Any], message: Request[Any]) -> None:
            with pytest.raises(Expired) as expired:
                await verb(FAR, message, expiry=5)
            assert expired.value.maybe_sent == written
            assert trio.current_time() == 5

        nursery.start_soon(fails, runtime.ask, Far(1))
        nursery.start_soon(fails, runtime.send, Note("x"))
        nursery.start_soon(mark)
        await trio.sleep(10)
        assert len(withdrawn) == 2
        assert (len(runtime.asks), len(runtime.clock)) == (0, 0)


async def test_an_answer_finds_the_one_who_asked(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime, trio.open_nursery() as nursery:
        network = FakeNetwork(runtime)
        outcomes = dict[int, object]()

        async def ask(number: int) -> None:
            try:
                outcomes[number] = await runtime.ask(FAR, Far(number))
            except Exception as error:
                outcomes[number] = str(error)

        for number in range(5):
            nursery.start_soon(ask, number)
            await trio.testing.wait_all_tasks_blocked()
        slots = network.ports[0].slots
        assert [slot.correlation for slot in slots] == [1, 2, 3, 4, 5]
        asks = runtime.asks
        assert not asks.answer(PEER, 1, 0, Raw(encode(7)))  # to a question that has not left
        for slot in slots:
            slot.written = True
        assert not asks.answer(NODE, 1, 0, Raw(encode(7)))  # of a node that was not asked
        assert asks.answer(PEER, 1, 0, Raw(encode(7)))
        assert not asks.answer(PEER, 1, 0, Raw(encode(8)))
        assert asks.answer(PEER, 2, 1, Raw(encode(None)))
        assert asks.answer(PEER, 3, 2, Raw(encode("no_engine")))
        assert asks.answer(PEER, 4, 2, Raw(encode("No \x1b[31mCode")))
        assert asks.answer(PEER, 5, 0, Raw(encode("not a number")))
        await trio.sleep(1)
        assert outcomes == {
            0: 7,
            1: "the handler crashed",
            2: "refused (no_engine)",
            3: "refused (bad_reply): the answer is not what Far is answered with",
            4: "refused (bad_reply): the answer is not what Far is answered with",
        }
        assert asks.late == runtime.statistics().late == 3
        assert len(runtime.clock) == 0
        assert repr(asks) == "<Asks: 0 wait, 3 came late>"


async def test_a_cancelled_ask_is_withdrawn(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        network, withdrawn = FakeNetwork(runtime), list[str]()

        async def withdrawable() -> None:
            await trio.sleep(1)
            network.ports[0].slots[0].withdraw = lambda: withdrawn.append("cancel")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(withdrawable)
            with trio.move_on_after(3):
                await runtime.ask(FAR, Far(1))
        assert withdrawn == ["cancel"]
        assert len(runtime.asks) == 0
        assert not runtime.asks.answer(PEER, 1, 0, Raw(encode(1)))


async def test_an_answer_may_come_before_the_ask_is_even_accepted(autojump_clock: trio.testing.MockClock) -> None:
    class Hasty(FakePort):
        async def ask(self, data: bytes, expiry: float, prefs: TransportPrefs, slot: Slot) -> None:
            slot.written = True
            runtime.asks.answer(PEER, slot.correlation, 0, Raw(encode(42)))
            await trio.lowlevel.checkpoint()

    async with running() as runtime:
        network = FakeNetwork(runtime)
        network.port = Hasty
        assert await runtime.ask(FAR, Far(1)) == 42
        assert (runtime.asks.late, len(runtime.clock)) == (0, 0)


async def test_tells_of_an_engine_that_is_ended_while_an_outbox_is_full_are_not_lost_silently(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Full(FakePort):
        async def tell_slow(self, data: bytes, expiry: float, prefs: TransportPrefs) -> None:
            await trio.sleep_forever()

        def tell_nowait(self, data: bytes, expiry: float, prefs: TransportPrefs) -> None:
            if self.got:
                raise Refused("full")
            self.got.append(data)

    class Teller(Engine):
        @on(Note)
        def tell_twice(self, msg: Note) -> None:
            self.tell(FAR, msg)
            self.tell(FAR, msg)
            self.tell(NOBODY, msg)

    async with running() as runtime:
        network = FakeNetwork(runtime)
        network.port = Full
        await runtime.tell(runtime.spawn(Teller(), "teller"), Note("x"))
        await trio.sleep(1)
        await runtime.stop_engine("teller")
        assert network.ports[0].got == [encode(Note("x"))]
        outcomes = [(letter.to, letter.outcome.split(":")[0]) for letter in runtime.dead_letters.recent]
        assert outcomes == [(FAR, "refused (full)"), (NOBODY, "refused (no_engine)")]


async def test_asks_that_were_written_end_with_the_session(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime, trio.open_nursery() as nursery:
        network = FakeNetwork(runtime)

        async def lost() -> None:
            with pytest.raises(Lost) as error:
                await runtime.ask(FAR, Far(1))
            assert error.value.maybe_processed

        nursery.start_soon(lost)
        await trio.sleep(1)
        network.ports[0].slots[0].written = True
        waiting = runtime.asks.open(100.0, Far, PEER)
        runtime.asks.fail_written(PEER, Lost("connection_lost", maybe_sent=True))
        await trio.sleep(1)
        assert list(runtime.asks) == [waiting]
        assert repr(waiting) == "<Slot 2 for Far, waiting>"


# -- in -----------------------------------------------------------------------------------------------------


async def test_what_another_node_sends_is_handled_answered_and_accounted_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        runtime.spawn(Server(log=log), "server")
        origin, box = FakeOrigin(), cell_of(runtime, "server").mailbox
        asks = [(1, Far(1)), (2, Crash()), (3, Note("x")), (4, Bad()), (5, Far(5))]
        box.deliver(Batch(FAR, Kind.ASK, asks, size=100, origin=origin))
        box.deliver(Batch(FAR, Kind.TELL, [Note("y"), Far(9)], size=20, origin=origin))
        assert (box.held, box.held_bytes) == (7, 120)
        await trio.sleep(1)
        assert origin.replies == [(1, 0, 2), (2, 1, None), (3, 2, "unhandled"), (4, 1, None), (5, 0, 6)]
        assert origin.flushed == 5
        assert (origin.count, origin.size, box.held, box.held_bytes) == (7, 120, 0, 0)
        assert await runtime.ask(log, Notes()) == ()
        assert [letter.sender for letter in runtime.dead_letters.recent] == [FAR]


async def test_answers_leave_before_a_handler_that_takes_its_time(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        runtime.spawn(Server(log=FAR), "server")
        origin, box = FakeOrigin(), cell_of(runtime, "server").mailbox
        asks = [(1, Far(1)), (2, Sleep(5)), (3, Sleep(5)), (4, Far(4))]
        box.deliver(Batch(FAR, Kind.ASK, asks, size=40, origin=origin))
        seen = []
        for _ in range(3):
            await trio.sleep(4.9)
            seen.append((origin.flushed, origin.count, origin.size, box.held))
        assert seen == [(1, 0, 0, 4), (2, 2, 20, 2), (4, 4, 40, 0)]


async def test_an_ask_of_another_node_that_is_withdrawn_cancels_its_handler(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        runtime.spawn(Server(log=log), "server")
        origin, cell = FakeOrigin(), cell_of(runtime, "server")
        cell.mailbox.deliver(Batch(FAR, Kind.ASK, [(1, Sleep(5)), (2, Sleep(5)), (3, Sleep(5))], origin=origin))
        cell.mailbox.deliver(Batch(FAR, Kind.ASK, [(4, Sleep(5)), (5, Sleep(5))], origin=origin))
        await trio.sleep(1)
        for correlation in (1, 3, 4, 99):
            cell.cancel_ask(origin, correlation)
        cell.cancel_ask(FakeOrigin(), 2)
        await trio.sleep(20)
        assert [reply[0] for reply in origin.replies] == [2, 5]
        assert origin.count == 5
        assert await runtime.ask(log, Notes()) == ()
        assert cell.statistics().crashes == 0


async def test_the_deadline_of_a_batch_of_asks_is_that_of_its_handlers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as runtime:
        runtime.spawn(Server(log=FAR), "server")
        origin, cell = FakeOrigin(), cell_of(runtime, "server")
        cell.mailbox.deliver(Batch(FAR, Kind.ASK, [(1, Sleep(5)), (2, Sleep(5))], origin=origin, deadline=7.0))
        await trio.sleep(20)
        assert origin.replies == [(1, 0, "slept 5")]
        assert cell.statistics().crashes == 0


async def test_what_waits_for_an_engine_that_ends_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        runtime.spawn(Server(log=FAR), "server")
        origin, cell = FakeOrigin(), cell_of(runtime, "server")
        cell.mailbox.deliver(Batch(FAR, Kind.ASK, [(1, Sleep(5)), (2, Sleep(5)), (3, Far(1))], size=3, origin=origin))
        cell.mailbox.deliver(Batch(FAR, Kind.TELL, [Note("x")], size=3, origin=origin))
        await trio.sleep(1)
        cell.cancel_ask(origin, 2)
        await runtime.stop_engine("server")
        cell.mailbox.deliver(Batch(FAR, Kind.ASK, [(4, Far(1))], size=3, origin=origin))
        assert origin.replies == [(1, 2, "stopped"), (3, 2, "stopped"), (4, 2, "stopped")]
        assert (origin.flushed, origin.count) == (3, 5)
        assert [letter.tag for letter in runtime.dead_letters.recent] == ["note"]


async def test_asks_behind_the_one_that_stops_the_engine_are_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        runtime.spawn(Server(log=FAR), "server")
        origin, cell = FakeOrigin(), cell_of(runtime, "server")
        cell.mailbox.deliver(Batch(FAR, Kind.ASK, [(1, Far(1)), (2, End()), (3, Far(3))], size=9, origin=origin))
        await trio.sleep(1)
        assert origin.replies == [(1, 0, 2), (2, 0, None), (3, 2, "stopped")]
        assert (origin.flushed, origin.count, origin.size) == (3, 3, 9)


async def test_a_long_batch_does_not_keep_others_from_running(autojump_clock: trio.testing.MockClock) -> None:
    async with running(slice=10) as runtime:
        runtime.spawn(Server(log=FAR), "server")
        origin, cell = FakeOrigin(), cell_of(runtime, "server")
        cell.mailbox.deliver(Batch(FAR, Kind.TELL, [Far(number) for number in range(1000)], origin=origin))
        steps = 0
        while not origin.count:
            await trio.lowlevel.checkpoint()
            steps += 1
        assert steps > 40
        assert cell.statistics().handled == 1000


async def test_what_a_crash_leaves_of_a_batch_goes_to_the_next_life(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        origin, cell = FakeOrigin(), cell_of(runtime, "log")
        messages = [Note("a"), Crash(), Note("b"), Note("c")]
        cell.mailbox.deliver(Batch(FAR, Kind.TELL, messages, size=7, origin=origin))
        await trio.sleep(1)
        assert await runtime.ask(log, Notes()) == ("b", "c")
        assert (origin.count, origin.size) == (4, 7)


async def test_under_test_everything_local_goes_through_the_codec(autojump_clock: trio.testing.MockClock) -> None:
    async with running(strict=True) as runtime:
        log = runtime.spawn(Log(), "log")
        sent = Note("x")
        kept = list[object]()

        class Keeper(Engine):
            @on(Note)
            def note(self, msg: Note) -> None:
                kept.append(msg)

        keeper = runtime.spawn(Keeper(), "keeper")
        await runtime.tell(keeper, sent)
        runtime.tell_nowait(keeper, sent)
        await runtime.send(keeper, sent)
        await runtime.ask(keeper, sent)
        assert kept == [sent] * 4
        assert all(message is not sent for message in kept)
        with pytest.raises(TypeError, match="plain data"):
            await runtime.tell(log, Note(object()))  # type: ignore[arg-type]
