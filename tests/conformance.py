"""What every Transport must do, as checks to run over each of them. Not a test module itself.

A transport's tests describe how to get at it (a Subject) and call `run` for each of CHECKS:

    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_the_transport_conforms(check: Check) -> None:
        run(SUBJECT, check)
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from transports.addresses import TransportAddress, parse_address
from transports.base import Listener, Stream, Transport, receive_frame, send_all
from transports.channels import Channel
from transports.errors import AddressError, AddressInUse, ConnectFailed, ConnectionLost, ListenerClosed
from transports.frames import LENGTH, FrameBuffer

PATIENCE = 60.0
"""Seconds of the check's clock after which it hangs."""
IDLE = 0.1
"""Seconds without anything to do after which the clock of a check over real sockets jumps to the next deadline."""


class InTheLoop(trio.abc.HostnameResolver):
    """Looks up at once: a thread that takes its time looks like an idle loop, and the clock jumps over what waits."""

    async def getaddrinfo(self, *place: Any) -> Any:
        return socket.getaddrinfo(*place)

    async def getnameinfo(self, *place: Any) -> Any:
        return socket.getnameinfo(*place)


@dataclass(frozen=True)
class Rig:
    """Two transports that reach each other."""

    dialer: Transport
    acceptor: Transport
    address: TransportAddress
    """Where `acceptor` can listen; every `listen` may give another port."""
    nowhere: TransportAddress
    """Where nobody listens."""
    foreign: TransportAddress
    """An address of another protocol."""


@dataclass(frozen=True)
class Subject:
    """How to get at a transport: `open` gives a fresh Rig. `virtual`: it touches nothing outside the process."""

    name: str
    open: Callable[[], AbstractAsyncContextManager[Rig]]
    virtual: bool = False


Check: TypeAlias = Callable[[Rig], Awaitable[None]]


def run(subject: Subject, check: Check) -> None:
    """One check over one transport, in a Trio run of its own."""

    async def main() -> None:
        with trio.fail_after(PATIENCE):
            async with subject.open() as rig, serving(rig.dialer, rig.acceptor):
                await check(rig)

    clock = MockClock(autojump_threshold=0) if subject.virtual else MockClock(rate=1, autojump_threshold=IDLE)
    trio.run(main, clock=clock)


def name_of(value: Check | Subject) -> str:
    """How pytest calls it."""
    return value.name if isinstance(value, Subject) else getattr(value, "__name__", "").removeprefix("check_")


# -- tools ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(*transports: Transport) -> AsyncIterator[None]:
    """With what has to run beside their connections."""
    async with trio.open_nursery() as nursery:
        for serve in {transport.serve for transport in transports}:
            if serve is not None:
                nursery.start_soon(serve)
        yield
        nursery.cancel_scope.cancel()


async def shake(stream: Stream) -> None:
    """The handshake of an accepted connection is part of its first reads, and nobody reads it yet."""
    while True:
        await stream.wait_readable()
        with suppress(trio.WouldBlock):
            assert not stream.receive_nowait(memoryview(bytearray(1)))
            return


@asynccontextmanager
async def listening(rig: Rig) -> AsyncIterator[Listener]:
    listener = await rig.acceptor.listen(rig.address)
    try:
        yield listener
    finally:
        await listener.aclose()


@asynccontextmanager
async def connected(rig: Rig) -> AsyncIterator[tuple[Stream, Stream]]:
    """Both ends of a new connection: the dialer's, the acceptor's."""
    async with listening(rig) as listener:
        ends = await connect(rig, listener)
    try:
        yield ends
    finally:
        for end in ends:
            end.abort()


async def connect(rig: Rig, listener: Listener) -> tuple[Stream, Stream]:
    return await meet(rig.dialer, listener, listener.address)


async def meet(transport: Transport, listener: Listener, address: TransportAddress) -> tuple[Stream, Stream]:
    """Dial the listener at this address of its own: the dialer's end, the acceptor's."""
    ends: dict[str, Stream] = {}

    accepted = trio.Event()

    async def accept() -> None:
        ends["acceptor"] = stream = await listener.accept()
        accepted.set()
        await shake(stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        ends["dialer"] = await transport.dial(address)
        await accepted.wait()
        nursery.cancel_scope.cancel()
    return ends["dialer"], ends["acceptor"]


async def read(stream: Stream, size: int = 65536) -> bytes:
    """What comes next, at most `size` bytes; nothing when the peer has ended."""
    buffer = bytearray(size)
    while True:
        try:
            return bytes(buffer[: stream.receive_nowait(memoryview(buffer))])
        except trio.WouldBlock:
            await stream.wait_readable()


async def read_exactly(stream: Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await read(stream, size - len(data))
        assert more, f"the peer ended after {len(data)} of {size} bytes"
        data += more
    return data


async def read_to_end(stream: Stream) -> bytes:
    data = b""
    while more := await read(stream):
        data += more
    return data


async def fill(stream: Stream) -> bytes:
    """Send until nothing more is taken for good; what was taken."""
    data = b""
    while True:
        while taken := stream.send_nowait(chunk := pattern(len(data), 65536)):
            data += chunk[:taken]
        async with trio.open_nursery() as nursery:
            waiter = await parked(nursery, stream.wait_writable)
            nursery.cancel_scope.cancel()
        if not waiter.done:
            return data


def pattern(start: int, size: int) -> bytes:
    """Bytes of a sequence in which a lost, doubled or swapped piece shows."""
    first, last = start // 8, (start + size) // 8 + 1
    numbers = b"".join(number.to_bytes(8, "big") for number in range(first, last))
    return numbers[start % 8 : start % 8 + size]


class Waiter:
    """A task that waits, and how that ended."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._over = trio.Event()

    @property
    def done(self) -> bool:
        return self._over.is_set()

    async def run(self, wait: Callable[[], Awaitable[object]]) -> None:
        try:
            await wait()
        except (ConnectionLost, ListenerClosed) as error:
            self.error = error
        self._over.set()

    async def over(self) -> Exception | None:
        """How it ended, at last."""
        await self._over.wait()
        return self.error


async def parked(nursery: trio.Nursery, wait: Callable[[], Awaitable[object]]) -> Waiter:
    """A task that waits for this, started, and given every chance to be done."""
    waiter = Waiter()
    nursery.start_soon(waiter.run, wait)
    await wait_all_tasks_blocked(0.01)
    return waiter


async def lost(stream: Stream) -> None:
    """Until sending raises ConnectionLost."""
    with pytest.raises(ConnectionLost) as caught:
        await flood(stream)
    assert caught.value.why


async def flood(stream: Stream) -> None:
    while True:
        await send_all(stream, bytes(65536))
        await trio.lowlevel.checkpoint()


# -- addresses and listeners ------------------------------------------------------------------------------


async def check_a_listener_has_an_address_that_can_be_written_down_and_dialed(rig: Rig) -> None:
    async with listening(rig) as listener:
        assert listener.address.scheme == rig.acceptor.scheme == rig.dialer.scheme
        assert listener.address.secure == rig.acceptor.secure
        assert parse_address(str(listener.address)) == listener.address
        for end in await connect(rig, listener):
            end.abort()


async def check_nobody_listening_is_a_failed_connect_in_words(rig: Rig) -> None:
    with pytest.raises(ConnectFailed) as caught:
        await rig.dialer.dial(rig.nowhere)
    assert caught.value.address == str(rig.nowhere)
    assert caught.value.why
    assert str(rig.nowhere) in str(caught.value)


async def check_an_address_can_be_listened_at_once_and_again_after_closing(rig: Rig) -> None:
    async with listening(rig) as listener:
        with pytest.raises(AddressInUse) as caught:
            await rig.acceptor.listen(listener.address)
        assert str(listener.address) in str(caught.value)
        ends = await connect(rig, listener)
        await listener.aclose()
        again = await rig.acceptor.listen(listener.address)
        await again.aclose()
        for end in ends:
            end.abort()


async def check_an_address_of_another_protocol_is_refused(rig: Rig) -> None:
    with pytest.raises(AddressError):
        await rig.dialer.dial(rig.foreign)
    with pytest.raises(AddressError):
        await rig.acceptor.listen(rig.foreign)


async def check_closing_a_listener_wakes_accept_and_keeps_the_connections(rig: Rig) -> None:
    async with listening(rig) as listener, trio.open_nursery() as nursery:
        dialer, acceptor = await connect(rig, listener)
        waiter = await parked(nursery, listener.accept)
        assert not waiter.done
        await listener.aclose()
        assert isinstance(await waiter.over(), ListenerClosed)
        with pytest.raises(ListenerClosed):
            await listener.accept()
        await listener.aclose()
        with pytest.raises(ConnectFailed):
            await rig.dialer.dial(listener.address)
        await send_all(dialer, b"still here")
        assert await read_exactly(acceptor, 10) == b"still here"
        dialer.abort()
        acceptor.abort()


async def check_a_cancelled_accept_loses_no_connection(rig: Rig) -> None:
    async with listening(rig) as listener:
        async with trio.open_nursery() as nursery:
            waiter = await parked(nursery, listener.accept)
            nursery.cancel_scope.cancel()
        assert not waiter.done
        streams: list[Stream] = []

        dialed = trio.Event()

        async def dial() -> None:
            streams.append(await rig.dialer.dial(listener.address))
            dialed.set()

        async with trio.open_nursery() as nursery, trio.open_nursery() as handshakes:
            await parked(nursery, dial)
            with trio.CancelScope() as scope:
                scope.cancel()
                await listener.accept()
            assert scope.cancelled_caught
            streams.append(await listener.accept())
            handshakes.start_soon(shake, streams[-1])
            await dialed.wait()
            handshakes.cancel_scope.cancel()
        for stream in streams:
            stream.abort()


async def check_a_cancelled_dial_leaves_the_listener_in_order(rig: Rig) -> None:
    async with listening(rig) as listener:
        with trio.CancelScope() as scope:
            scope.cancel()
            await rig.dialer.dial(listener.address)
        assert scope.cancelled_caught
        dialer, acceptor = await connect(rig, listener)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all, dialer, b"hello")
            while True:  # what the cancelled dial left behind may come first
                try:
                    greeting = await read(acceptor)
                except ConnectionLost:
                    greeting = b""
                if greeting:
                    break
                acceptor.abort()
                acceptor = await listener.accept()
        assert greeting + await read_exactly(acceptor, 5 - len(greeting)) == b"hello"
        dialer.abort()
        acceptor.abort()


async def check_many_dials_at_once_get_a_connection_each(rig: Rig) -> None:
    streams: list[Stream] = []
    seen: list[bytes] = []

    async def dial(number: int) -> None:
        streams.append(stream := await rig.dialer.dial(listener.address))
        await send_all(stream, bytes([number]))

    async with listening(rig) as listener:
        try:
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(dial, number)
                for _ in range(50):
                    streams.append(stream := await listener.accept())
                    seen.append(await read_exactly(stream, 1))
        finally:
            for stream in streams:
                stream.abort()
    assert sorted(seen) == [bytes([number]) for number in range(50)]


# -- a stream ---------------------------------------------------------------------------------------------


async def check_a_stream_knows_its_ends(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor):
        for end in dialer, acceptor:
            assert parse_address(end.local).scheme == parse_address(end.remote).scheme == rig.dialer.scheme
            assert end.source
            assert isinstance(end.channel, Channel)
            assert bool(end.channel.kind) == bool(end.channel.digest) == rig.dialer.secure
            assert end.local in repr(end)
            assert end.remote in repr(end)
        assert dialer.remote == acceptor.local
        assert dialer.local == acceptor.remote
        assert dialer.channel.kind == acceptor.channel.kind
        assert dialer.channel.digest == acceptor.channel.digest
        assert (dialer.datagrams is None) == (acceptor.datagrams is None)


async def check_bytes_arrive_whole_and_in_order_both_ways_at_once(rig: Rig) -> None:
    size = 300_000

    async def send(stream: Stream) -> None:
        at, step = 0, 1
        while at < size:
            step = step * 3 % 70_001
            await send_all(stream, pattern(at, min(step, size - at)))
            at += step

    async def receive(stream: Stream) -> None:
        assert await read_exactly(stream, size) == pattern(0, size)

    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        for end in dialer, acceptor:
            nursery.start_soon(send, end)
            nursery.start_soon(receive, end)


async def check_bytes_and_memoryviews_can_be_sent_and_nothing_is_nothing(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor):
        assert dialer.send_nowait(b"") == 0
        some = dialer.send_nowait(memoryview(b"abcdef")[1:3])
        more = dialer.send_nowait(memoryview(bytearray(b"ghi")))
        assert 0 < some <= 2
        assert 0 < more <= 3
        assert await read_exactly(acceptor, some + more) == b"bc"[:some] + b"ghi"[:more]


async def check_what_was_sent_may_be_changed_afterwards(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor):
        data = bytearray(b"before")
        taken = dialer.send_nowait(memoryview(data))
        data[:] = b"after!"
        assert 0 < taken <= 6
        assert await read_exactly(acceptor, taken) == b"before"[:taken]


async def check_nothing_there_would_block(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        with pytest.raises(trio.WouldBlock):
            acceptor.receive_nowait(memoryview(bytearray(10)))
        waiter = await parked(nursery, acceptor.wait_readable)
        assert not waiter.done
        await send_all(dialer, b"wake")
        assert await waiter.over() is None
        assert await read_exactly(acceptor, 4) == b"wake"
        with pytest.raises(trio.WouldBlock):
            acceptor.receive_nowait(memoryview(bytearray(10)))


async def check_a_receive_takes_no_more_than_there_is_room_for(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor):
        await send_all(dialer, b"abcdef")
        buffer = bytearray(b"........")
        await acceptor.wait_readable()
        count = acceptor.receive_nowait(memoryview(buffer)[2:4])
        assert 0 < count <= 2
        assert buffer == b".." + b"ab"[:count] + b"......"[count:]
        assert await read_exactly(acceptor, 6 - count) == b"abcdef"[count:]


async def check_a_full_stream_takes_nothing_until_the_peer_reads(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        data = await fill(dialer)
        more = pattern(len(data), 65536)
        assert dialer.send_nowait(more) == 0
        waiter = await parked(nursery, dialer.wait_writable)
        assert not waiter.done
        assert await read_exactly(acceptor, len(data)) == data
        assert await waiter.over() is None
        taken = dialer.send_nowait(more)
        assert 0 < taken <= len(more)
        assert await read_exactly(acceptor, taken) == more[:taken]


async def check_waiting_is_a_checkpoint_even_when_there_is_no_need(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor):
        await send_all(dialer, b"x")
        await acceptor.wait_readable()
        with assert_checkpoints():
            await acceptor.wait_readable()
        with assert_checkpoints():
            await dialer.wait_writable()
        with trio.CancelScope() as scope:
            scope.cancel()
            await acceptor.wait_readable()
        assert scope.cancelled_caught
        assert await read_exactly(acceptor, 1) == b"x"


async def check_a_cancelled_wait_leaves_the_stream_in_order(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor):
        data = await fill(dialer)
        async with trio.open_nursery() as nursery:
            await parked(nursery, dialer.wait_writable)
            await parked(nursery, dialer.wait_readable)
            nursery.cancel_scope.cancel()
        await send_all(acceptor, b"y")
        assert await read_exactly(dialer, 1) == b"y"
        assert await read_exactly(acceptor, len(data)) == data
        more = pattern(len(data), 65536)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all, dialer, more)
            assert await read_exactly(acceptor, len(more)) == more


# -- the end of a stream ----------------------------------------------------------------------------------


async def check_a_close_delivers_what_was_sent_and_then_the_end(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        data = await fill(dialer)
        nursery.start_soon(dialer.aclose)
        came = await read_to_end(acceptor)
        assert came[: len(data)] == data
        assert came == pattern(0, len(came))  # what was being taken when it was full may come, too
        assert await read(acceptor) == b""
        await acceptor.aclose()


async def check_a_close_delivers_although_the_peers_bytes_were_not_read(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        await send_all(acceptor, b"unread")
        await dialer.wait_readable()
        await send_all(dialer, b"bye")
        nursery.start_soon(dialer.aclose)
        assert await read_to_end(acceptor) == b"bye"
        await acceptor.aclose()


async def check_a_close_ends_this_side_at_once(rig: Rig) -> None:
    async with connected(rig) as (dialer, _), trio.open_nursery() as nursery:
        await fill(dialer)
        waiters = [await parked(nursery, wait) for wait in (dialer.wait_readable, dialer.wait_writable)]
        assert not any(waiter.done for waiter in waiters)
        await dialer.aclose()
        assert [type(await waiter.over()) for waiter in waiters] == [ConnectionLost, ConnectionLost]
        await assert_closed(dialer)
        with assert_checkpoints():
            await dialer.aclose()
        dialer.abort()


async def check_a_cancelled_close_closes(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor):
        await send_all(dialer, b"bye")
        with trio.CancelScope() as scope:
            scope.cancel()
            await dialer.aclose()
        assert scope.cancelled_caught
        await assert_closed(dialer)
        assert await read_to_end(acceptor) == b"bye"


async def check_a_close_is_bounded_although_the_peer_sends_for_ever(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        waiter = await parked(nursery, partial(flood, acceptor))
        await dialer.aclose()
        assert isinstance(await waiter.over(), ConnectionLost)


async def check_an_abort_ends_this_side_at_once(rig: Rig) -> None:
    async with connected(rig) as (dialer, _), trio.open_nursery() as nursery:
        await fill(dialer)
        waiters = [await parked(nursery, wait) for wait in (dialer.wait_readable, dialer.wait_writable)]
        assert not any(waiter.done for waiter in waiters)
        dialer.abort()
        assert [type(await waiter.over()) for waiter in waiters] == [ConnectionLost, ConnectionLost]
        await assert_closed(dialer)
        dialer.abort()
        await dialer.aclose()


async def assert_closed(stream: Stream) -> None:
    with pytest.raises(ConnectionLost):
        stream.send_nowait(b"x")
    with pytest.raises(ConnectionLost):
        stream.receive_nowait(memoryview(bytearray(1)))
    with pytest.raises(ConnectionLost):
        await stream.wait_writable()
    with pytest.raises(ConnectionLost):
        await stream.wait_readable()


async def check_the_peer_learns_of_an_abort(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        await fill(acceptor)
        waiters = [await parked(nursery, wait) for wait in (acceptor.wait_readable, acceptor.wait_writable)]
        dialer.abort()
        for waiter in waiters:
            await waiter.over()
        with pytest.raises(ConnectionLost):
            await read_to_end(acceptor)
        await lost(acceptor)


async def check_the_peer_learns_of_a_close_when_it_sends(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dialer.aclose)
            assert await read_to_end(acceptor) == b""
            await acceptor.wait_readable()
        await lost(acceptor)


async def check_both_can_close_at_once(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        await send_all(dialer, b"unread")
        await send_all(acceptor, b"unread")
        nursery.start_soon(dialer.aclose)
        nursery.start_soon(acceptor.aclose)


async def check_frames_of_all_sizes_come_through(rig: Rig) -> None:
    sizes = [1, 100, 65_536, 3, 1 << 20, 4096, 4097, *[200] * 300, 262_144, 262_140]

    async def send(stream: Stream) -> None:
        for size in sizes:
            await send_all(stream, LENGTH.pack(size) + pattern(size, size))

    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        nursery.start_soon(send, dialer)
        frames = FrameBuffer(1 << 20)
        for size in sizes:
            assert await receive_frame(acceptor, frames) == pattern(size, size)


async def check_a_torn_frame_is_a_lost_connection(rig: Rig) -> None:
    async with connected(rig) as (dialer, acceptor), trio.open_nursery() as nursery:
        await send_all(dialer, LENGTH.pack(100) + b"torn")
        nursery.start_soon(dialer.aclose)
        with pytest.raises(ConnectionLost, match="closed by the peer"):
            await receive_frame(acceptor, FrameBuffer(100))
        acceptor.abort()


CHECKS: tuple[Check, ...] = tuple(value for name, value in list(globals().items()) if name.startswith("check_"))
