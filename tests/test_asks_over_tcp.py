"""A cancelled ask cancels its handler on another node, and gives it its deadline, over real sockets (PROTOCOL Q)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from proxies import introduce

from actors.engine import Engine, on
from actors.errors import Expired
from actors.identity import EngineID
from actors.messages import Request
from actors.node import Node, open_node

LONG = 3600.0


class Work(Request[float]):
    """Asked on to the next in `way`; the last one works. Answered with the seconds that a handler had left."""

    way: tuple[EngineID, ...] = ()
    for_ever: bool = True


class Log:
    """What a worker's handlers came to, in order, each as it happens."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[str](100)

    def add(self, word: str) -> None:
        self._send.send_nowait(word)

    async def next(self) -> str:
        with trio.fail_after(60):
            return await self._receive.receive()


class Worker(Engine):
    log: Log

    @on(Work)
    async def work(self, msg: Work) -> float:
        left = trio.current_effective_deadline() - trio.current_time()
        self.log.add("began")
        try:
            if msg.way:
                return await self.ask(msg.way[0], Work(msg.way[1:], msg.for_ever), expiry=LONG)
            if msg.for_ever:
                await trio.sleep_forever()
        except trio.Cancelled:
            self.log.add("cancelled")
            raise
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()  # its cleanup may wait
            self.log.add("cleaned up")
        return left


@asynccontextmanager
async def three() -> AsyncIterator[tuple[tuple[Node, ...], tuple[Log, ...]]]:
    """Nodes that listen on loopback and know each other, each with a `worker`."""
    async with open_node() as a, open_node() as b, open_node() as c:
        nodes, logs = (a, b, c), (Log(), Log(), Log())
        introduce(*nodes)
        for node, log in zip(nodes, logs, strict=True):
            node.spawn(Worker(log=log), "worker")
        yield nodes, logs


@pytest.mark.parametrize("permanent", [False, True], ids=["ephemeral", "permanent"])
async def test_a_cancelled_ask_cancels_its_handler_whose_cleanup_runs(permanent: bool) -> None:
    async with three() as ((a, b, _), (_, log, _)):
        if permanent:
            await a.connect(b.id)
        worker = EngineID(b.id, "worker")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(a.ask, worker, Work())
                assert await log.next() == "began"
                scope.cancel()
        assert [await log.next(), await log.next()] == ["cancelled", "cleaned up"]
        assert await a.ask(worker, Work(for_ever=False)) > 0  # the engine goes on


async def test_a_cancelled_ask_cancels_what_its_handler_has_asked_of_a_third_node() -> None:
    async with three() as ((a, b, c), (_, middle, last)):
        way = (EngineID(c.id, "worker"),)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(a.ask, EngineID(b.id, "worker"), Work(way))
                assert [await middle.next(), await last.next()] == ["began", "began"]
                scope.cancel()
        for log in (middle, last):
            assert [await log.next(), await log.next()] == ["cancelled", "cleaned up"]


async def test_the_askers_deadline_is_the_handlers_on_every_node_on_the_way() -> None:
    async with three() as ((a, b, c), _):
        way = (EngineID(c.id, "worker"),)
        left = await a.ask(EngineID(b.id, "worker"), Work(way, for_ever=False), expiry=50)
        assert 0 < left < 50.5  # of its asker's hour there is no more than the first one's 50 s


async def test_a_handler_ends_with_its_askers_time() -> None:
    async with three() as ((a, b, c), (_, middle, last)):
        way = (EngineID(c.id, "worker"),)
        with pytest.raises(Expired) as expired:
            await a.ask(EngineID(b.id, "worker"), Work(way), expiry=0.2)
        assert expired.value.maybe_sent
        for log in (middle, last):
            assert [await log.next(), await log.next(), await log.next()] == ["began", "cancelled", "cleaned up"]
