"""What connections and engines leave behind is freed at once: long pauses of the collector do not come with people."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
import trio
from loopback import Live, Question, in_time, live
from running import running

from actors.engine import Engine, on
from actors.identity import NodeKey
from actors.messages import Local, Message
from actors.testing.stranger import stranger_at

TIMES = 10


class Leave(Message): ...


class Guest(Engine):
    @on(Leave)
    def leave(self, _: Leave) -> None:
        self.stop()


@contextmanager
def collected_by_hand() -> Iterator[None]:
    """The collector does nothing by itself meanwhile."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def stranger_comes_and_goes(at: Live) -> None:
    stranger = await stranger_at(at.address)
    await stranger.prove(NodeKey.generate(), at.node.id)
    await stranger.resume()
    stranger.stream.abort()
    await at.until(lambda: not at.node.proxies())


async def nonsense_is_closed(at: Live) -> None:
    stranger = await stranger_at(at.address)
    await stranger.send(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n")
    await stranger.wait_closed()


async def guest_is_spawned_and_leaves(at: Live) -> None:
    guest = at.node.spawn(Guest(), "guest")
    await at.node.tell(guest, Leave())
    await at.until(lambda: "guest" not in {engine.name for engine in at.node.engines()})


@pytest.mark.parametrize("happens", [stranger_comes_and_goes, nonsense_is_closed, guest_is_spawned_and_leaves])
@in_time
async def test_nothing_is_left_for_the_collector(happens: Callable[[Live], Awaitable[None]]) -> None:
    async with live("a") as at:
        for _ in range(3):
            await happens(at)
        with collected_by_hand():
            for _ in range(TIMES):
                await happens(at)
            await trio.testing.wait_all_tasks_blocked()
            assert gc.collect() < TIMES


@in_time
async def test_a_link_that_is_cut_leaves_nothing_for_the_collector() -> None:
    async with live("a") as at, live("b", listen=()) as other:
        await other.connected(at)
        with collected_by_hand():
            for number in range(TIMES):
                other.node.cut(at.node.id)
                assert await other.node.ask(at.sink, Question(number)) == -number
            await trio.testing.wait_all_tasks_blocked()
            assert gc.collect() < TIMES


class Came(Local[None]):
    """Leads back to its engine."""

    by: Callable[[], object]


class Host(Engine):
    """Ends when something has come."""

    @on(Came)
    def came(self, _: Came) -> None:
        self.stop()

    async def port(self) -> None:
        self.post(Came(self.port))
        await trio.sleep_forever()


async def test_an_engine_is_freed_though_a_message_that_is_shown_of_it_leads_back_to_it() -> None:
    async with running() as runtime:
        cell = runtime.find(runtime.spawn(Host(), "host").name)
        assert cell is not None
        left = weakref.ref(cell)
        await cell.gone.wait()
        assert cell.work.last, "it is shown"
        del cell
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        assert left() is None
