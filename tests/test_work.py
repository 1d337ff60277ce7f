"""How long an engine's messages take, which were the last, which guards held; how long messages take between nodes."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from proxies import Item, Wires, bench, virtual
from running import Crash, Log, Note, running

from actors.engine import Engine, on
from actors.errors import Crashed
from actors.messages import Message, Request
from actors.runtime.figures import engine_snapshots, work_snapshot
from actors.runtime.heads import HEAD, head
from actors.runtime.work import EVERY
from actors.snapshots import WorkSnapshot


class Take(Request[float]):
    """Answered after so many seconds."""

    seconds: float


class Slow(Engine):
    """Takes its time."""

    open: bool = False

    @on(Take)
    async def take(self, msg: Take) -> float:
        await trio.sleep(msg.seconds)
        return msg.seconds

    def is_open(self, msg: Note) -> bool:
        return self.open

    @on(Note, when=is_open)
    def note(self, msg: Note) -> None: ...

    @on(Note)
    def first_note(self, msg: Note) -> None:
        self.open = True


class Heavy(Message):
    data: bytes = b""
    more: tuple[str, ...] = ()


async def test_an_engine_tells_how_long_its_messages_take(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        slow = runtime.spawn(Slow(), "slow")
        for seconds in (0.1,) * 9 + (2.0,):
            await runtime.ask(slow, Take(seconds), expiry=9)
        (found,) = engine_snapshots("a", runtime)
        assert found.took_p50_ms == pytest.approx(100, rel=0.13)
        assert found.took_p99_ms == pytest.approx(2000, rel=0.13)
        await trio.sleep(500)
        (found,) = engine_snapshots("a", runtime)
        assert found.took_p50_ms is None, "of what is long ago nothing is told"


async def test_of_a_stream_a_few_are_looked_at_and_of_a_pause_the_next(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        for number in range(5):
            await runtime.send(log, Note(str(number)))
            await trio.sleep(0.02)
        assert [one.head for one in _work(runtime, "log").messages] == [f"Note(text='{n}')" for n in range(5)]
        for number in range(40 * EVERY):
            await runtime.send(log, Note(f"more {number}"))
        await trio.sleep(1)
        looked = runtime.find("log")
        assert looked is not None
        assert looked.handled == 5 + 40 * EVERY
        assert 5 <= looked.work.took._count <= 5 + 2 * 40


async def test_the_message_that_crashed_is_among_the_last(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        await runtime.tell(log, Note("all is well"))
        with pytest.raises(Crashed):
            await runtime.ask(log, Crash())
        told = _work(runtime, "log").messages
        assert [(one.head, one.took_ms is None) for one in told] == [
            ("Note(text='all is well')", False),
            ("Crash()", True),
        ]
        assert told[-1].tag.endswith("crash")


async def test_only_the_last_few_messages_are_kept(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        log = runtime.spawn(Log(), "log")
        for number in range(30):
            await runtime.send(log, Note(str(number)))
            await trio.sleep(0.02)
        assert [one.head for one in _work(runtime, "log").messages] == [f"Note(text='{n}')" for n in range(22, 30)]


async def test_guards_are_told_in_their_order_with_how_often_they_held(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as runtime:
        slow = runtime.spawn(Slow(), "slow")
        for _ in range(4):
            await runtime.send(slow, Note(""))
            await trio.sleep(1)
        guards = [(guard.action, guard.when, guard.held) for guard in _work(runtime, "slow").guards]
        assert guards == [("take", "", 0), ("note", "is_open", 3), ("first_note", "", 1)]


@virtual
async def test_a_link_tells_how_long_it_is_from_acceptance_to_arrival() -> None:
    async with bench("a", "b", wires=Wires(latency=0.05)) as nodes:
        for number in range(20):
            await nodes["a"].send(nodes.to("b"), Item(number))
        proxy = nodes.proxy("a", "b")
        assert proxy is not None
        assert proxy.p50_ms == pytest.approx(100, rel=0.2)


@virtual
async def test_what_waited_for_a_connection_took_that_long() -> None:
    async with bench("a", "b", wires=Wires(latency=0.001)) as nodes:
        nodes["a"].set_permanence(nodes.to("b").node, True)  # type: ignore[arg-type]
        await nodes["a"].send(nodes.to("b"), Item(0))
        nodes.wires.refused.add("b")
        nodes.wires.cut("a", "b")
        for number in range(1, 9):
            await nodes["a"].tell(nodes.to("b"), Item(number))
        await trio.sleep(3)
        nodes.wires.refused.clear()
        nodes["a"].dial_now(nodes.to("b").node)  # type: ignore[arg-type]
        await nodes["a"].send(nodes.to("b"), Item(9))
        proxy = nodes.proxy("a", "b")
        assert proxy is not None
        assert proxy.p99_ms is not None
        assert 3000 <= proxy.p99_ms < 5000


def test_the_head_of_a_message_is_short_and_looks_only_at_its_beginning() -> None:
    assert head(Note("hello")) == "Note(text='hello')"
    words = head(Heavy(b"x" * (64 << 20), ("y" * 1000,) * 1000))
    assert words.startswith("Heavy(data=b'xxx")
    assert len(words) <= HEAD
    assert head(Unshowable()) == "<Unshowable>"


class Unshowable:
    def __repr__(self) -> str:
        raise ValueError("no")


def _work(runtime: object, engine: str) -> WorkSnapshot:
    cell = runtime.find(engine)  # type: ignore[attr-defined]
    assert cell is not None
    return work_snapshot(cell)
