"""The two ends of `actors pipe`: a Source on the first node, a Drain on the last. In between, nothing but proxies.

Each is connected with the command by a Unix socket in the folder that `ACTORS_PIPE` names, where the command listens
as `<node>.source` and `<node>.drain`. The bytes go that way; the command's pace is the stream's, from stdout back
to stdin: the Drain's handler waits for its socket, its mailbox fills, credit runs out, the outbox fills, the Source
waits and does not read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import trio
from msgspec import Struct

from actors.console.cuts import Cuts
from actors.console.errand import Errand, Receipt, read_line, write_line
from actors.console.intake import Intake
from actors.console.knife import Knife
from actors.engine import Engine, Policy, on
from actors.errors import SendError
from actors.identity import EngineID, NodeID
from actors.messages import Local, Message, Request

if TYPE_CHECKING:
    from actors.node import Node

FOLDER = "ACTORS_PIPE"
SOURCE, DRAIN = "source", "drain"
LONG = 86_400.0
"""Seconds for which a piece is worth delivering: a stream with a hole is worth nothing."""
_RUN = 256
"""Messages that are told at once."""
_WAITING = 64
"""Pieces that wait for the drain's socket."""


# -- messages ---------------------------------------------------------------------------------------------


class Piece(Message, tag="pipe.piece"):
    """The next bytes."""

    data: bytes


class Received(Struct, frozen=True):
    """What arrived, and was written."""

    messages: int
    size: int


class Finish(Request[Received], tag="pipe.finish"):
    """That was all. Answered when everything is written."""


class Forward(Local[None]):
    """Tell the drain these pieces."""

    pieces: tuple[bytes, ...]
    taken: trio.Event


# -- the first node ---------------------------------------------------------------------------------------


class Source(Engine):
    """Reads the command's bytes, and tells them to the drain in pieces."""

    stream: trio.abc.HalfCloseableStream
    knife: Knife
    drain: EngineID = EngineID(None, DRAIN)
    messages: int = 0
    size: int = 0

    @on(Forward)
    def forward(self, msg: Forward) -> None:
        for data in msg.pieces:
            self.tell(self.drain, Piece(data), expiry=LONG)
            self.size += len(data)
        self.messages += len(msg.pieces)
        msg.taken.set()

    async def port(self) -> None:
        async with self.stream, trio.open_nursery() as nursery:
            line, already = await read_line(self.stream)
            errand = msgspec.json.decode(line, type=Errand)
            self.drain = EngineID(NodeID.parse(errand.to), DRAIN)
            cuts = errand.plan(self.now)
            intake = Intake(self.stream, cuts, lines=errand.lines, already=already)
            while pieces := await intake.take():
                await self._pass_on(pieces, intake.taken - len(pieces), cuts, nursery)
            await write_line(self.stream, await self._finish(cuts))

    async def _pass_on(self, pieces: list[bytes], before: int, cuts: Cuts, nursery: trio.Nursery) -> None:
        """Tell the pieces, `before` them so many; cut where it is due."""
        run: list[bytes] = []
        for position, data in enumerate(pieces, before + 1):
            run.append(data)
            if cuts.due(position, self.now):
                await self._hand_over_and_sever(run, position, cuts, nursery)
                run = []
            elif len(run) == _RUN:
                await self._hand_over(run).wait()
                run = []
        await self._hand_over(run).wait()

    def _hand_over(self, run: list[bytes]) -> trio.Event:
        """The event happens when the engine has the run in hand: no more than one waits while another is told."""
        taken = trio.Event()
        self.post(Forward(tuple(run), taken))
        return taken

    async def _hand_over_and_sever(self, run: list[bytes], position: int, cuts: Cuts, nursery: trio.Nursery) -> None:
        """Cut here, as often as is due and something is in flight; go on while the link comes back."""
        peer = self.drain.node
        assert peer is not None
        await self.knife.settled(peer)
        taken = self._hand_over(run)
        while await self.knife.sever(peer, taken):
            cuts.made(position, self.now)
            if not cuts.due(position, self.now):
                nursery.start_soon(self.knife.settled, peer)
                break
            await self.knife.settled(peer)
        await taken.wait()

    async def _finish(self, cuts: Cuts) -> Receipt:
        await self._hand_over([]).wait()
        told = Receipt(messages=self.messages, size=self.size, reconnects=cuts.made_so_far)
        try:
            end = await self.ask(self.drain, Finish(), expiry=LONG)
        except SendError as outcome:
            return msgspec.structs.replace(told, error=str(outcome))
        return msgspec.structs.replace(told, received=end.messages, received_size=end.size)


# -- the last node ----------------------------------------------------------------------------------------


class Drain(Engine):
    """Writes what it gets to the command, in order."""

    stream: trio.abc.HalfCloseableStream
    to_port: trio.MemorySendChannel[bytes]
    from_handler: trio.MemoryReceiveChannel[bytes]
    written: trio.Event
    messages: int = 0
    size: int = 0

    @on(Piece)
    async def piece(self, msg: Piece) -> None:
        self.messages += 1
        self.size += len(msg.data)
        try:
            self.to_port.send_nowait(msg.data)
        except trio.WouldBlock:
            await self.to_port.send(msg.data)

    @on(Finish)
    async def finish(self, _: Finish) -> Received:
        await self.to_port.send(b"")
        await self.written.wait()
        return Received(self.messages, self.size)

    async def port(self) -> None:
        async with self.stream:
            while all(pieces := await self._waiting()):
                await self.stream.send_all(b"".join(pieces))
            await self.stream.send_all(b"".join(pieces))
            await self.stream.send_eof()
            self.written.set()
            await trio.sleep_forever()  # the answer is still on its way

    async def _waiting(self) -> list[bytes]:
        """All pieces that wait. The last of all is empty."""
        pieces = [await self.from_handler.receive()]
        more = self.from_handler.statistics().current_buffer_used
        return pieces + [self.from_handler.receive_nowait() for _ in range(more)]


def open_drain(stream: trio.abc.HalfCloseableStream) -> Drain:
    """A drain for this socket."""
    to_port, from_handler = trio.open_memory_channel[bytes](_WAITING)
    return Drain(stream=stream, to_port=to_port, from_handler=from_handler, written=trio.Event())


async def setup(node: Node) -> None:
    """The app of the nodes of `actors pipe`: whoever is an end of the stream has a socket to connect to."""
    folder = Path(os.environ[FOLDER])
    if (end := folder / f"{node.name}.{SOURCE}").exists():
        stream = await trio.open_unix_socket(end)
        node.spawn(Source(stream=stream, knife=Knife(node)), SOURCE, policy=Policy.TEMPORARY)
    if (end := folder / f"{node.name}.{DRAIN}").exists():
        node.spawn(open_drain(await trio.open_unix_socket(end)), DRAIN, policy=Policy.TEMPORARY)
