"""A call: what a race waits for, and what the connection that dials is told of the race."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from running import NODE, PEER, running

from actors.engine import Engine
from actors.errors import SendError
from actors.identity import EngineID
from actors.net.call import Call, Dialed, DialFailed
from actors.net.transport_protocol import MakeConnection, TransportProtocol
from actors.net.vocabulary import Dial
from transports.addresses import TCPAddress
from transports.base import Stream


def test_it_is_wanted_until_it_comes_out_or_is_withdrawn() -> None:
    ended, withdrawn = Call(), Call()
    assert ended.is_wanted
    assert withdrawn.is_wanted
    ended.end(DialFailed("connection refused"))
    withdrawn.withdraw()
    assert not ended.is_wanted
    assert not withdrawn.is_wanted


async def test_the_first_word_counts(autojump_clock: trio.testing.MockClock) -> None:
    call, came = Call(), list[Dialed | DialFailed]()

    async def wait() -> None:
        came.append(await call.outcome())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(1)
        assert not came
        call.end(DialFailed("connection refused"))
        call.end(Dialed(0.1))
    assert came == [DialFailed("connection refused")]
    assert await call.outcome() == came[0], "also for one who comes later"


@pytest.mark.parametrize("early", [False, True])
def test_who_withdraws_it_ends_the_dial_also_one_that_has_not_begun(early: bool) -> None:
    call, ended = Call(), list[str]()
    if early:
        call.withdraw()
    call.begin(lambda: ended.append("cancelled"))
    assert ended == ["cancelled"] * early
    call.withdraw()
    call.withdraw()
    assert ended == ["cancelled"]


def test_one_that_has_come_out_cannot_be_withdrawn() -> None:
    call, ended = Call(), list[str]()
    call.begin(lambda: ended.append("cancelled"))
    call.end(Dialed(0.1))
    call.withdraw()
    assert not ended


# -- who ends it if there is no connection -------------------------------------------------------------------


class Connection(Engine):
    """Dials without end."""

    call: Call
    claim: Callable[[Call], object]

    async def port(self) -> None:
        self.claim(self.call)
        self.call.begin(lambda: None)
        try:
            await trio.sleep_forever()
        finally:
            self.call.end(DialFailed("cancelled"))


class Slow:
    """A listener that takes two steps to close."""

    async def accept(self) -> Stream:
        await trio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()


def protocol(
    make_connection: MakeConnection, serve: Callable[[], Awaitable[None]] | None = None, *listeners: Any
) -> TransportProtocol:
    network: Any = SimpleNamespace()
    transport: Any = SimpleNamespace(scheme="tcp", serve=serve)
    return TransportProtocol(network=network, transport=transport, listeners=listeners, make_connection=make_connection)


def connection(_: object, begin: Any, claim: Callable[[Call], object]) -> Engine:
    return Connection(call=begin.call, claim=claim)


def dial(call: Call) -> Dial:
    return Dial(TCPAddress("127.0.0.1", 7), EngineID(NODE, "proxy"), PEER, 1, None, (0, 0), 1, False, call)


async def test_a_transport_that_crashes_over_it_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    def crash(*_: object) -> Engine:
        raise RuntimeError("as told")

    async with running() as runtime:
        runtime.spawn(protocol(crash), "transport.tcp", reserved=True)
        call = Call()
        await runtime.send(EngineID(None, "transport.tcp"), dial(call))
        with trio.fail_after(1):
            assert await call.outcome() == DialFailed("its transport has ended")


@pytest.mark.parametrize("steps", range(10))
async def test_a_transport_that_ends_leaves_none_behind(autojump_clock: trio.testing.MockClock, steps: int) -> None:
    async with running() as runtime:
        engine = runtime.spawn(protocol(connection), "transport.tcp", reserved=True)
        await trio.testing.wait_all_tasks_blocked()
        call = Call()
        runtime.tell_nowait(engine, dial(call))
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        cell = runtime.find(engine.name)
        assert cell is not None
        if not cell.mailbox.owes:  # else it never heard of it
            cell.cancel()
            with trio.fail_after(1):
                assert isinstance(await call.outcome(), DialFailed)


@pytest.mark.parametrize("listeners", [(), (Slow(),)])
@pytest.mark.parametrize("steps", range(10))
async def test_a_transport_whose_port_breaks_leaves_none_behind(
    autojump_clock: trio.testing.MockClock, steps: int, listeners: tuple[Slow, ...]
) -> None:
    for _ in range(10):  # the order of tasks
        broken = trio.Event()

        async def serve(broken: trio.Event = broken) -> None:
            await broken.wait()
            raise RuntimeError("as told")

        async with running() as runtime:
            engine = runtime.spawn(protocol(connection, serve, *listeners), "transport.tcp", reserved=True)
            await trio.testing.wait_all_tasks_blocked()
            broken.set()
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            call = Call()
            with suppress(SendError):
                await runtime.ask(engine, dial(call))
                with trio.move_on_after(1):
                    await call.outcome()
                assert call._cancel is not None or not call.is_wanted, "nobody makes it, and nobody says so"


async def test_dials_that_wait_for_a_transport_that_fails_for_good_are_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def crash(*_: object) -> Engine:
        raise RuntimeError("as told")

    refused = list[SendError]()
    async with running() as runtime:
        engine = runtime.spawn(protocol(crash), "transport.tcp", reserved=True)

        async def ask() -> None:
            try:
                await runtime.ask(engine, dial(Call()))
            except SendError as error:
                refused.append(error)

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(ask)
    assert len(refused) == 8
