"""Bytes between this process's standard streams and the sockets of a stream's two ends. One direction each.

The standard streams may be files, pipes or terminals, and their flags are shared with other processes: they are
read and written in threads, and are never made non-blocking.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import trio

_READ = 1 << 17

Count = Callable[[int], None]


async def pump_in(fd: int, stream: trio.abc.HalfCloseableStream, count: Count) -> None:
    """From a file descriptor to a stream, until the end of file, which is passed on.

    Cancelled while nothing comes, a thread stays behind that waits for a byte, until the process ends.
    """
    while data := await trio.to_thread.run_sync(os.read, fd, _READ, abandon_on_cancel=True):
        await stream.send_all(data)
        count(len(data))
    await stream.send_eof()


async def pump_out(stream: trio.abc.ReceiveStream, fd: int, count: Count) -> None:
    """From a stream to a file descriptor, until the stream's end. BrokenPipeError if nobody reads."""
    while data := await stream.receive_some(_READ):
        await trio.to_thread.run_sync(_write_all, fd, data, abandon_on_cancel=True)
        count(len(data))


def _write_all(fd: int, data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
