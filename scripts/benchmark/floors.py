"""The floors: what raw Trio does with the same message. Measured like everything else, by requests on stdin.

floors tell tcp|tls|ws FRAMES      frames of 100 bytes, so many in one send, counted at the other end
floors large tcp|tls               bodies of 64 KiB
floors ping tcp                    the round trip of one frame: its middle
floors channel                     a memory channel of 64, awaited at both ends
floors channel-ping                its round trip
"""

from __future__ import annotations

import math
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio

from benchmark.trio_worker import serve, until_alone
from benchmark.wire import DONE, GO, RECEIVE, Wire, client_context, envelope, frame, pings, server_context, split, tells
from benchmark.worker import BODY, LARGE, MAILBOX, SENDER, TARGET, beside, clock, greet, middle, module

RECEIVE_LARGE = 256 << 10
WS_BUFFER = 256 << 10
"""trio-websocket's own is 4 KiB, which halves it."""


class WebSocketWire:
    """Whole messages of one WebSocket."""

    def __init__(self, connection: Any) -> None:
        self.send_all = connection.send_message
        self._get = connection.get_message

    async def receive_some(self, _: int) -> bytes:
        """The next message."""
        data: bytes = await self._get()
        return data


# -- the other end ----------------------------------------------------------------------------------------


async def count_frames(wire: Wire, most: int) -> None:
    """Read a count, then so many frames, and say that it is done; again."""
    tail = b""
    while head := await wire.receive_some(most):
        left, tail = int(head), b""
        await wire.send_all(GO)
        while left:
            data = await wire.receive_some(most)
            got, _, tail = split(tail + data if tail else data)
            left -= got
        await wire.send_all(DONE)


async def echo(wire: Wire, most: int) -> None:
    """Each frame, decoded and encoded again."""
    tail = b""
    while data := await wire.receive_some(most):
        _, message, tail = split(tail + data if tail else data)
        if message is not None:
            await wire.send_all(frame(message))


async def other_end(what: str, kind: str) -> None:
    """Serve one connection after the other until the one who measures is gone."""
    talk = echo if what == "ping" else count_frames
    most = RECEIVE_LARGE if what == "large" else RECEIVE

    async def stream(below: trio.SocketStream) -> None:
        wire: Wire = below
        if kind == "tls":
            wire = trio.SSLStream(below, server_context(), server_side=True, https_compatible=True)
        await talk(wire, most)

    async with until_alone() as nursery:
        if kind == "ws":
            await _serve_websocket(nursery, lambda wire: talk(wire, most))
        else:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            greet(str(listener.socket.getsockname()[1]))
            await trio.serve_listeners(stream, [listener])


async def _serve_websocket(nursery: trio.Nursery, talk: Callable[[Wire], Awaitable[None]]) -> None:
    from trio_websocket import ConnectionClosed, serve_websocket

    async def handler(request: Any) -> None:
        with suppress(ConnectionClosed):
            await talk(WebSocketWire(await request.accept()))

    async def listen(task_status: trio.TaskStatus[Any]) -> None:
        await serve_websocket(
            handler,
            "127.0.0.1",
            0,
            None,
            task_status=task_status,
            receive_buffer_size=WS_BUFFER,
            max_message_size=1 << 26,
        )

    server = await nursery.start(listen)
    greet(str(server.port))
    await trio.sleep_forever()


# -- the end that measures --------------------------------------------------------------------------------


async def wires(what: str, kind: str, per_send: int) -> None:
    """Connect, and answer requests."""
    with beside(*module("floors", "other-end", what, kind)) as there:
        port = int(there.greeting)
        if kind == "ws":
            from trio_websocket import open_websocket

            async with open_websocket(
                "127.0.0.1", port, "/", use_ssl=False, receive_buffer_size=WS_BUFFER, max_message_size=1 << 26
            ) as connection:
                await _measure(WebSocketWire(connection), what, per_send)
            return
        wire: Any = await trio.open_tcp_stream("127.0.0.1", port)
        if kind == "tls":
            wire = trio.SSLStream(wire, client_context(), server_hostname="node.invalid", https_compatible=True)
        await _measure(wire, what, per_send)
        await trio.aclose_forcefully(wire)


async def _measure(wire: Wire, what: str, per_send: int) -> None:
    message = envelope(LARGE if what == "large" else BODY)

    async def measure(count: int, _: int) -> float:
        return await (pings(wire, message, count) if what == "ping" else tells(wire, message, count, per_send))

    await serve(measure)


# -- in one process ---------------------------------------------------------------------------------------


class Local:
    """A message that no wire sees."""

    __slots__ = ("mailbox", "msg", "reply", "sender", "target")

    def __init__(self, msg: bytes, reply: Slot | None = None) -> None:
        self.sender, self.target, self.mailbox, self.msg, self.reply = SENDER, TARGET, MAILBOX, msg, reply


class Slot:
    """Where one answer goes: parks who asked, and wakes it."""

    __slots__ = ("_task", "_value")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._value: bytes | None = None

    def give(self, value: bytes) -> None:
        """The answer is there."""
        self._value = value
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)

    async def wait(self) -> bytes:
        """The answer."""
        if self._value is None:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.SUCCEEDED)
        assert self._value is not None
        return self._value


async def channel_tell(count: int, _: int) -> float:
    """A channel of 64: one sends, one receives."""
    send, receive = trio.open_memory_channel[Local](64)

    async def reader() -> None:
        left = count
        async for _message in receive:
            left -= 1
            if not left:
                return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.lowlevel.checkpoint()
        began = clock()
        for _ in range(count):
            await send.send(Local(BODY))
    return (clock() - began) / count


async def channel_ping(count: int, _: int) -> float:
    """The middle of its round trips."""
    send, receive = trio.open_memory_channel[Local](64)
    latencies = []

    async def reader() -> None:
        async for message in receive:
            assert message.reply is not None
            message.reply.give(message.msg)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.lowlevel.checkpoint()
        for _ in range(count):
            began, slot = clock(), Slot()
            await send.send(Local(BODY, slot))
            await slot.wait()
            latencies.append(clock() - began)
        nursery.cancel_scope.cancel()
    return middle(latencies) if latencies else math.nan


def main(arguments: list[str]) -> None:
    """What the head of the file says."""
    match arguments:
        case ["other-end", what, kind]:
            trio.run(other_end, what, kind)
        case ["tell", kind, per_send]:
            trio.run(wires, "tell", kind, int(per_send))
        case ["large" | "ping" as what, kind]:
            trio.run(wires, what, kind, 1)
        case ["channel"]:
            trio.run(serve, channel_tell)
        case ["channel-ping"]:
            trio.run(serve, channel_ping)
        case _:
            sys.exit(f"floors: no such floor: {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
