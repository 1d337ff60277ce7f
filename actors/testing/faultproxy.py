"""A proxy on loopback, between who dials and who listens, that does harm on demand. For tests over real sockets.

    async with open_fault_proxy(node.addresses[0], seed=7) as proxy:
        ...                                               # let the other side dial proxy.address
        proxy.add(Latency(0.05, jitter=0.02))             # both ways, from now on
        with proxy.under(Blackhole(), way=Way.TO_DIALER): # what the listener says does not arrive
            ...
        proxy.cut()                                       # every connection there is, reset

It moves bytes and knows nothing of what they mean: any protocol over TCP passes, encrypted or not. It adds nothing to
what it is told to do, and what is left to chance comes from `seed`. `toxics` has what there is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from random import Random
from socket import AF_INET, AF_INET6, SO_LINGER, SO_REUSEADDR, SOL_SOCKET, socket
from struct import pack

import trio
from msgspec.structs import replace

from actors.errors import ConfigError
from actors.runtime.nurseries import unwrapped
from actors.testing.toxics import Course, Hang, Refuse, Toxic, Way
from transports.addresses import HostAddress, parse_address

_DROP = pack("ii", 1, 0)  # struct linger: on, for no time: close() sends a reset
_BACKLOG = 1024
_CHUNK = 16 << 10
_HELD = 64
"""Chunks that have been read and wait: latency must not cost bandwidth."""


@asynccontextmanager
async def open_fault_proxy(
    target: str, *, seed: int = 0, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[FaultProxy]:
    """Stand before the listener at `target`, a URL like tcp://127.0.0.1:4000. Listens at `host`, a number, and `port`.

    The end of the block resets what connections are left. Raises AddressError for what is no URL, ConfigError for
    one without host and port, OSError if nothing can listen there.
    """
    proxy = FaultProxy(_address(target), seed, host, port)
    with unwrapped() as body:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(proxy._serve)
                with body:
                    yield proxy
                nursery.cancel_scope.cancel()
        finally:
            proxy._unlisten()


def _address(url: str) -> HostAddress:
    address = parse_address(url)
    if not isinstance(address, HostAddress):
        raise ConfigError(f"a fault proxy stands before a host and a port, not before {url}")
    return address


class FaultProxy:
    """What `open_fault_proxy` gives."""

    def __init__(self, target: HostAddress, seed: int, host: str, port: int) -> None:
        self.target = target
        """Where new connections go; may be changed, for a listener that has moved."""
        self.accepted = 0
        """Connections so far, those that hang too."""
        self._random = Random(f"{seed} faults")  # noqa: S311 - for tests, no secrets
        self._toxics: dict[Way, list[Toxic]] = {Way.TO_TARGET: [], Way.TO_DIALER: []}
        self._links: set[_Link] = set()
        self._changed = trio.Event()
        self._place = host, port
        self._listener: trio.SocketListener | None = None
        self._listen()

    @property
    def address(self) -> str:
        """The URL to dial in place of the target's."""
        return str(replace(self.target, host=self._place[0], port=self._place[1]))

    @property
    def connections(self) -> int:
        """Those that are open now."""
        return len(self._links)

    def carried(self, way: Way) -> int:
        """Bytes that the open connections have carried this way."""
        return sum(course.carried for link in self._links for its, course in link.courses.items() if its in way)

    # -- toxics -----------------------------------------------------------------------------------------

    def add(self, *toxics: Toxic, way: Way = Way.BOTH) -> None:
        """From now on, also on connections that there are. For toxics of the door the way means nothing."""
        for its, list_ in self._toxics.items():
            if its in way:
                list_ += [toxic for toxic in toxics if toxic not in list_]
        self._mind()

    def remove(self, *toxics: Toxic, way: Way = Way.BOTH) -> None:
        """From now on not any more. Without effect for those that are not there."""
        for its, list_ in self._toxics.items():
            if its in way:
                list_[:] = [toxic for toxic in list_ if toxic not in toxics]
        self._mind()

    def clear(self) -> None:
        """No harm from now on."""
        for toxics in self._toxics.values():
            toxics.clear()
        self._mind()

    @contextmanager
    def under(self, *toxics: Toxic, way: Way = Way.BOTH) -> Iterator[None]:
        """For the length of the block."""
        self.add(*toxics, way=way)
        try:
            yield
        finally:
            self.remove(*toxics, way=way)

    def toxics(self, way: Way) -> list[Toxic]:
        """Those of this one way, in the order they were added."""
        return list(self._toxics[way])

    def cut(self) -> int:
        """Reset every open connection, at once and both ways, whatever the toxics say. How many there were."""
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    async def wait_connections(self, count: int) -> None:
        """Until so many are open."""
        await self._until(lambda: len(self._links) == count)

    def _has(self, kind: type[Toxic]) -> bool:
        return any(isinstance(toxic, kind) for toxics in self._toxics.values() for toxic in toxics)

    def _mind(self) -> None:
        """Something is not as it was: let all look again."""
        if self._has(Refuse):
            self._unlisten()
        elif self._listener is None:
            self._listen()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # -- connections ------------------------------------------------------------------------------------

    def _listen(self) -> None:
        host = self._place[0]
        sock = socket(AF_INET6 if ":" in host else AF_INET)
        try:
            sock.setblocking(False)
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            sock.bind(self._place)
            sock.listen(_BACKLOG)
        except BaseException:
            sock.close()
            raise
        self._place = host, sock.getsockname()[1]
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))

    def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.socket.close()
            self._listener = None

    async def _serve(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                await self._until(lambda: self._listener is not None)
                assert self._listener is not None
                with suppress(trio.ClosedResourceError):  # refused from now on
                    near = await self._listener.accept()
                    self.accepted += 1
                    nursery.start_soon(self._connect, near)

    async def _connect(self, near: trio.SocketStream) -> None:
        link = _Link(self, near)
        self._links.add(link)
        self._wake()
        try:
            with link.scope:
                await self._until(lambda: not self._has(Hang))
                await link.run(self.target)
        finally:
            link.reset()
            self._links.discard(link)
            self._wake()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()

    async def _passable(self, course: Course) -> None:
        await self._until(lambda: course.is_open)

    def _course(self, way: Way) -> Course:
        return Course(lambda: self._toxics[way], Random(self._random.random()).random)  # noqa: S311 - for tests

    def __repr__(self) -> str:
        harm = {way.name: toxics for way, toxics in self._toxics.items() if toxics}
        return f"<FaultProxy {self.address} before {self.target}, {self.connections} open, {harm or 'no harm'}>"


class _Link:
    """One connection through the proxy: two sockets, and what goes on between them."""

    def __init__(self, proxy: FaultProxy, near: trio.SocketStream) -> None:
        self.scope = trio.CancelScope()
        self.courses = {way: proxy._course(way) for way in (Way.TO_TARGET, Way.TO_DIALER)}
        self._passable = proxy._passable
        self._streams = [near]

    async def run(self, target: HostAddress) -> None:
        """Until both ends have said their last word, or one breaks."""
        (near,) = self._streams
        far = trio.SocketStream(trio.socket.socket(AF_INET6 if ":" in target.host else AF_INET))
        self._streams.append(far)
        try:
            await far.socket.connect((target.host, target.port))
        except OSError:
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._carry, near, far, Way.TO_TARGET)
            nursery.start_soon(self._carry, far, near, Way.TO_DIALER)
        self.close()

    async def _carry(self, source: trio.SocketStream, sink: trio.SocketStream, way: Way) -> None:
        course = self.courses[way]
        send, receive = trio.open_memory_channel[tuple[float, bytes]](_HELD)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, source, send, course)
            async with receive:
                async for due, data in receive:
                    await trio.sleep_until(due)
                    for segment in course.segments(course.corrupted(data)):
                        await self._write(sink, segment, way)
            await self._passable(course)
            with suppress(trio.BrokenResourceError):
                await sink.send_eof()

    async def _read(
        self, source: trio.SocketStream, send: trio.MemorySendChannel[tuple[float, bytes]], course: Course
    ) -> None:
        async with send:
            while data := await self._received(source, course):
                await send.send((course.due(trio.current_time()), data))

    async def _received(self, source: trio.SocketStream, course: Course) -> bytes:
        try:
            return bytes(await source.receive_some(min(_CHUNK, course.gulp)))
        except trio.BrokenResourceError:
            await self._passable(course)
            await self._end(reset=True)
            return b""

    async def _write(self, sink: trio.SocketStream, segment: bytes, way: Way) -> None:
        course = self.courses[way]
        await self._passable(course)
        count, ending = course.take(len(segment))
        try:
            await sink.send_all(segment[:count])
        except trio.BrokenResourceError:
            await self._passable(self.courses[way.back])  # that the reader is gone is news of the other way
            await self._end(reset=True)
        pause = course.pause(count)
        if ending is not None:
            await self._end(reset=ending.reset)
        if pause:
            await trio.sleep(pause)

    async def _end(self, *, reset: bool) -> None:
        """Does not return: who calls this ends with the connection."""
        (self.reset if reset else self.close)()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """As a program does that has no more to say."""
        self.scope.cancel()
        for stream in self._streams:
            stream.socket.close()

    def reset(self) -> None:
        """At once. What has been closed already stays so."""
        for stream in self._streams:
            with suppress(OSError):  # closed
                stream.socket.setsockopt(SOL_SOCKET, SO_LINGER, _DROP)
        self.close()
