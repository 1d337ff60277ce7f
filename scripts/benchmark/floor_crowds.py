"""What many connections cost on raw Trio.

floor_crowds idle        KiB that a process occupies for each of `count` TCP connections that it waits on
floor_crowds connect     seconds for each of `count` TLS connections with four signature operations, 8 at a time
"""

from __future__ import annotations

import sys

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmark.memory import many_files, resident
from benchmark.trio_worker import serve, until_alone
from benchmark.wire import client_context, server_context
from benchmark.worker import beside, clock, greet, module

AT_ONCE = 8
TEXT = b"x" * 200
"""What is signed."""
SIGNATURE = 64
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""Of both ends."""
REPORT = b"?"


async def exactly(stream: trio.abc.ReceiveStream, count: int) -> bytes:
    """So many bytes."""
    data = b""
    while len(data) < count:
        more = await stream.receive_some(count - len(data))
        if not more:
            raise trio.BrokenResourceError("the connection ended")
        data += more
    return data


async def other_end(kind: str) -> None:
    """Wait on each connection; a question mark is answered with what this process occupies."""

    async def idle(stream: trio.SocketStream) -> None:
        while await stream.receive_some(4096) == REPORT:
            await stream.send_all(b"%d\n" % resident())

    async def prove(below: trio.SocketStream) -> None:
        stream = trio.SSLStream(below, server_context(), server_side=True, https_compatible=True)
        try:
            KEY.public_key().verify(await exactly(stream, SIGNATURE), TEXT)
            await stream.send_all(KEY.sign(TEXT))
            await stream.receive_some(1)
        except trio.BrokenResourceError:
            pass

    async with until_alone():
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=4096)
        greet(str(listeners[0].socket.getsockname()[1]))
        await trio.serve_listeners(prove if kind == "tls" else idle, listeners)


async def proven(port: int) -> trio.abc.Stream:
    """A TLS connection over which both ends have signed, and verified."""
    below = await trio.open_tcp_stream("127.0.0.1", port)
    stream = trio.SSLStream(below, client_context(), server_hostname="node.invalid", https_compatible=True)
    await stream.send_all(KEY.sign(TEXT))
    KEY.public_key().verify(await exactly(stream, SIGNATURE), TEXT)
    return stream


async def idle() -> None:
    """A fresh process for each request."""

    async def measure(count: int, _: int) -> float:
        streams: list[trio.SocketStream] = []

        async def occupied() -> int:
            await streams[0].send_all(REPORT)
            return int(await streams[0].receive_some(64))

        with beside(*module("floor_crowds", "other-end", "tcp")) as there:
            streams.append(await trio.open_tcp_stream("127.0.0.1", int(there.greeting)))
            before = await occupied()
            streams += [await trio.open_tcp_stream("127.0.0.1", int(there.greeting)) for _ in range(count)]
            await trio.sleep(0.5)
            grown = await occupied() - before
            for stream in streams:
                await stream.aclose()
        return grown / count / 1024

    await serve(measure)


async def connect() -> None:
    """One process at the other end."""
    with beside(*module("floor_crowds", "other-end", "tls")) as there:

        async def measure(count: int, _: int) -> float:
            slots, streams = trio.CapacityLimiter(AT_ONCE), []

            async def one() -> None:
                async with slots:
                    streams.append(await proven(int(there.greeting)))

            began = clock()
            async with trio.open_nursery() as nursery:
                for _ in range(count):
                    nursery.start_soon(one)
            seconds = clock() - began
            for stream in streams:
                await trio.aclose_forcefully(stream)
            await trio.sleep(0.5)
            return seconds / count

        await serve(measure)


def main(arguments: list[str]) -> None:
    """What the head of the file says."""
    many_files()
    match arguments:
        case ["other-end", kind]:
            trio.run(other_end, kind)
        case ["idle"]:
            trio.run(idle)
        case ["connect"]:
            trio.run(connect)
        case _:
            sys.exit(f"floor_crowds: no such floor: {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
