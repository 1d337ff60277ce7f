"""What every transport must do that has datagrams, as further checks of the kit. Not a test module itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
from conformance import Check, Rig, connected, parked, read_exactly
from trio.testing import assert_checkpoints

from transports.base import Datagrams, send_all
from transports.errors import ConnectionLost

MANY = 5000


@asynccontextmanager
async def both(rig: Rig) -> AsyncIterator[tuple[Datagrams, Datagrams]]:
    """The datagrams of both ends of a new connection."""
    async with connected(rig) as (dialer, acceptor):
        assert dialer.datagrams is not None
        assert acceptor.datagrams is not None
        yield dialer.datagrams, acceptor.datagrams


async def send(end: Datagrams, data: bytes) -> None:
    while not end.send_nowait(data):
        await end.wait()


async def receive(end: Datagrams) -> bytes:
    while True:
        try:
            return end.receive_nowait()
        except trio.WouldBlock:
            await end.wait()


async def check_a_datagram_comes_whole_both_ways(rig: Rig) -> None:
    async with both(rig) as (dialer, acceptor):
        for here, there in ((dialer, acceptor), (acceptor, dialer)):
            for size in (1, 100, here.largest - 1, here.largest):
                data = bytes(n % 251 for n in range(size))
                await send(here, data)
                assert await receive(there) == data


async def check_a_datagram_that_is_too_large_is_refused_and_nothing_else(rig: Rig) -> None:
    async with both(rig) as (dialer, acceptor):
        with pytest.raises(ValueError, match="at most"):
            dialer.send_nowait(bytes(dialer.largest + 1))
        await send(dialer, b"fits")
        assert await receive(acceptor) == b"fits"


async def check_no_datagram_would_block(rig: Rig) -> None:
    async with both(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        with pytest.raises(trio.WouldBlock):
            acceptor.receive_nowait()
        waiter = await parked(nursery, acceptor.wait)
        assert not waiter.done
        await send(dialer, b"now")
        await waiter.over()
        assert acceptor.receive_nowait() == b"now"


async def check_waiting_for_a_datagram_that_is_there_is_a_checkpoint_and_cancelled_loses_nothing(rig: Rig) -> None:
    async with both(rig) as (dialer, acceptor):
        with trio.move_on_after(0):
            await acceptor.wait()
        await send(dialer, b"kept")
        await acceptor.wait()
        with assert_checkpoints():
            await acceptor.wait()
        with trio.CancelScope() as scope:
            scope.cancel()
            await acceptor.wait()
        assert acceptor.receive_nowait() == b"kept"


async def check_who_finds_no_room_is_told_when_there_is_some(rig: Rig) -> None:
    """However many are sent at once; some may be lost, the transport goes on."""
    got: list[bytes] = []

    async def listen(end: Datagrams) -> None:
        while True:
            got.append(await receive(end))

    async with both(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        refused = 0
        for n in range(MANY):
            while not dialer.send_nowait(b"%06d" % n + bytes(200)):
                refused += 1
                if refused == 1:
                    nursery.start_soon(listen, acceptor)
                await dialer.wait()
        assert refused, "it takes any number of datagrams"
        last = b"last one"
        while last not in got:
            await send(dialer, last)
            await trio.sleep(0.02)
        numbers = [int(data[:6]) for data in got if data != last]
        assert len(set(numbers)) == len(numbers)
        assert len(numbers) > MANY / 10
        nursery.cancel_scope.cancel()


async def check_who_was_told_of_room_is_not_told_again(rig: Rig) -> None:
    """Nobody has to send what there was no room for; whoever waits on must not spin."""
    async with both(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        while dialer.send_nowait(bytes(500)):
            pass
        await drain(acceptor)
        await dialer.wait()
        waiter = await parked(nursery, dialer.wait)
        assert not waiter.done
        nursery.cancel_scope.cancel()


async def drain(end: Datagrams) -> None:
    """Read until no more comes."""
    with trio.move_on_after(0.3):
        while True:
            await receive(end)


async def check_the_stream_goes_on_beside_datagrams(rig: Rig) -> None:
    """Neither holds up the other."""
    size = 400_000

    async def flood(end: Datagrams) -> None:
        while True:
            await send(end, bytes(1000))

    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        assert dialer.datagrams is not None
        assert acceptor.datagrams is not None
        nursery.start_soon(flood, dialer.datagrams)
        nursery.start_soon(send_all, dialer, bytes(size))
        with trio.fail_after(30):
            for _ in range(20):
                await receive(acceptor.datagrams)
            assert await read_exactly(acceptor, size) == bytes(size)
            for _ in range(20):
                await receive(acceptor.datagrams)
        nursery.cancel_scope.cancel()


async def check_what_nobody_reads_is_bounded_and_the_stream_goes_on(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor):
        datagrams, unread = dialer.datagrams, acceptor.datagrams
        assert datagrams is not None
        assert unread is not None
        sent = 0
        with trio.move_on_after(2):
            while sent < MANY:
                await send(datagrams, bytes(1000))
                sent += 1
        await send_all(dialer, b"hello")
        assert await read_exactly(acceptor, 5) == b"hello"
        kept = 0
        with suppress(trio.WouldBlock):
            while unread.receive_nowait():
                kept += 1
        assert 0 < kept * 1000 <= 1 << 20


async def check_datagrams_end_with_their_stream(rig: Rig) -> None:
    for end in ("abort", "aclose"):
        async with connected(rig) as (dialer, _), trio.open_nursery() as nursery:
            datagrams = dialer.datagrams
            assert datagrams is not None
            waiter = await parked(nursery, datagrams.wait)
            if end == "abort":
                dialer.abort()
            else:
                nursery.start_soon(dialer.aclose)
            await waiter.over()
            assert isinstance(waiter.error, ConnectionLost)
            for use in (partial(datagrams.send_nowait, b"late"), datagrams.receive_nowait):
                with pytest.raises(ConnectionLost):
                    use()
            with pytest.raises(ConnectionLost):
                await datagrams.wait()


DATAGRAM_CHECKS: tuple[Check, ...] = tuple(
    value for name, value in list(globals().items()) if name.startswith("check_")
)
