"""Somebody who is no node of ours: raw frames over the simulated network, honest, lying or silent.

A Line is one connection of theirs. Behind a Front stands whoever answers at an address: it may pass frames on to a
node, and change them on the way. A Liar has a key, proves it, and then says what it likes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import TypeAlias

import trio

from actors.identity import EngineID, Incarnation, NodeKey
from actors.messages import Request
from actors.net.messages import Frame, Kind, Lane, Messages, Resume, RunHead
from actors.net.proving.handshake import Dialer
from actors.net.wire import MESSAGES, decode, decode_messages, encode, encode_messages
from actors.runtime.codec import encode as encode_message
from actors.testing.cluster.hosts import key_of
from actors.testing.cluster.simulation import Simulation
from actors.testing.cluster.watch import digest
from actors.testing.history.records import Accepted, Began, Ended
from transports.addresses import MemoryAddress
from transports.base import receive_frame, send_all
from transports.channels import PLAIN
from transports.errors import ConnectionLost, ListenerClosed, TransportError
from transports.frames import FrameBuffer
from transports.memory.connection import MemoryStream

_MOST = 1 << 22


def chance_bytes(sim: Simulation, purpose: str, count: int = 32) -> bytes:
    """Bytes that nobody has seen before, for nonces; drawn without touching the scenario's own chance."""
    return sim.stream(f"{purpose} {sim.now()}").randbytes(count)


class Line:
    """A connection of a stranger. `frames` are whole: with their length."""

    def __init__(self, stream: MemoryStream) -> None:
        self.stream = stream
        self._frames = FrameBuffer(_MOST)

    @classmethod
    async def to(cls, sim: Simulation, host: str, address: str) -> Line:
        """Dial from this host. TransportError if nobody answers there."""
        return cls(await sim.network.transport(host).dial(MemoryAddress(address)))

    async def send(self, frame: bytes) -> None:
        """Some bytes, usually a frame. ConnectionLost if the node has closed."""
        await send_all(self.stream, frame)

    async def hear(self) -> bytes:
        """The next frame. ConnectionLost if there comes none any more."""
        body = bytes(await receive_frame(self.stream, self._frames))
        return len(body).to_bytes(4, "big") + body

    async def record(self) -> Frame | Messages | None:
        """The next frame, decoded; None for one of an unknown kind."""
        body = (await self.hear())[4:]
        return decode_messages(memoryview(body))[0] if body[0] == MESSAGES else decode(body)

    async def until_closed(self, within: float) -> bool:
        """Throw away what comes until the node closes. Whether it did in that time."""
        with trio.move_on_after(within):
            try:
                while True:
                    await self.hear()
            except (TransportError, ConnectionLost):
                return True
        return False

    def abort(self) -> None:
        """As a process that is killed."""
        self.stream.abort()

    async def close(self) -> None:
        """What was sent before arrives."""
        with trio.CancelScope(shield=True):
            await self.stream.aclose()


# -- at an address ----------------------------------------------------------------------------------------

Answer: TypeAlias = Callable[[Line], Awaitable[object]]


class Front:
    """Somebody who listens at an address. `answer` is called for each connection, which ends with it."""

    def __init__(self, sim: Simulation, host: str, address: str, answer: Answer) -> None:
        self.sim = sim
        self.host = host
        self.address = address
        self.answer = answer
        self.count = 0
        """Connections so far."""
        self._scope = trio.CancelScope()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until `stop`."""
        listener = await self.sim.network.transport(self.host).listen(MemoryAddress(self.address))
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    task_status.started()
                    while True:
                        nursery.start_soon(self._answer, Line(await listener.accept()))
        except* ListenerClosed:
            pass
        finally:
            with trio.CancelScope(shield=True):
                await listener.aclose()

    async def _answer(self, line: Line) -> None:
        self.count += 1
        try:
            await self.answer(line)
        except (TransportError, ConnectionLost):
            pass
        finally:
            await line.close()

    def stop(self) -> None:
        """Nobody listens any more, and all connections break."""
        self._scope.cancel()


Change: TypeAlias = Callable[[str, bytes], Sequence[bytes]]
"""What becomes of a frame that was said by the "dialer" or the "acceptor"."""


async def relay(sim: Simulation, host: str, dialed: Line, address: str, change: Change) -> None:
    """Pass on what two ends say to each other, frame by frame, until one of them is done."""
    served = await Line.to(sim, host, address)
    try:
        async with trio.open_nursery() as nursery:
            for side, source, sink in (("dialer", dialed, served), ("acceptor", served, dialed)):
                nursery.start_soon(_pass_on, side, source, sink, change, nursery.cancel_scope)
    finally:
        await served.close()


async def _pass_on(side: str, source: Line, sink: Line, change: Change, both: trio.CancelScope) -> None:
    try:
        while True:
            for frame in change(side, await source.hear()):
                await sink.send(frame)
    except (TransportError, ConnectionLost):
        both.cancel()


# -- with a key -------------------------------------------------------------------------------------------


class Liar:
    """A peer with a key of its own, that has proved itself. What it says in earnest goes into the history.

    `number` is that of its next message, which it counts as a node does.
    """

    def __init__(self, sim: Simulation, name: str, host: str = "") -> None:
        self.sim = sim
        self.key = key_of(name)
        self.name = sim.name_of(self.key.id)
        self.number = 1
        self.line: Line
        self._host = host or name
        self._dials = 0
        self._lanes: dict[str, int] = {}
        sim.record(Began(sim.now(), self.name, 1, str(self.key.id), 1))

    def over(self) -> None:
        """It is gone, and knows nothing of the outcome of what it sent."""
        if self._dials:
            self.line.abort()
        self.sim.record(Ended(self.sim.now(), self.name, 1, "killed"))

    def dialer(self, to: NodeKey) -> Dialer:
        """An honest one, of a connection of its own."""
        self._dials += 1
        return Dialer(
            self.key,
            to.id,
            incarnation=Incarnation(1, 1),
            dial=self._dials,
            accepted=None,
            nonce=chance_bytes(self.sim, self._host),
            adverts=(0, 0),
            max_frame=1 << 20,
            channel=PLAIN,
        )

    async def connect(self, to: str) -> Resume:
        """Prove itself to this node, and say where it stands."""
        self.line = line = await Line.to(self.sim, self._host, to)
        dialer = self.dialer(key_of(to))
        await line.send(dialer.request())
        dialer.reply((await line.hear())[4:])
        await line.send(dialer.prove(epoch=1, permanent=False))
        dialer.verdict((await line.hear())[4:])
        resume = await line.record()
        assert isinstance(resume, Resume), f"{resume} where a Resume is due"
        self._lanes.clear()
        await line.send(encode(Resume(1, 0, [], 8, 1 << 16, [])))
        return resume

    async def tell(self, to: EngineID, items: Sequence[Request[object]], *, ttl: int = 60_000) -> bytes:
        """Send messages as an honest node would; gives the frame, with which one may lie later."""
        sim, data = self.sim, [encode_message(item) for item in items]
        for each in data:
            message, at = sim.next_message(), sim.now()
            peer = sim.name_of(to.node or self.key.id)
            sim.record(Accepted(at, self.name, 1, message, "tell", "", peer, to.name, digest(each), at + ttl / 1000))
        frame = self.frame(to.name, data, self.number, ttl=ttl)
        self.number += len(items)
        await self.line.send(frame)
        return frame

    def frame(
        self,
        target: str,
        data: Sequence[bytes],
        first: int,
        *,
        count: int | None = None,
        size: int | None = None,
        payload: bytes | None = None,
        ttl: int = 60_000,
    ) -> bytes:
        """A Messages frame of one run, true as far as nothing else is said."""
        lane = self._lanes.setdefault(target, len(self._lanes) + 1)
        count = len(data) if count is None else count
        payload = _array(data) if payload is None else payload
        head = RunHead(lane, Kind.TELL, count, ttl, len(payload) if size is None else size)
        return encode_messages(Messages(first, 0, 0, [Lane(lane, "", target)], [head]), len(payload)) + payload


def _array(data: Sequence[bytes]) -> bytes:
    count = len(data)
    head = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return head + b"".join(data)


def stranger_key(name: str) -> NodeKey:
    """Of somebody whom no node knows."""
    return NodeKey.from_seed(sha256(f"stranger {name}".encode()).digest())
