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

from actors.console.cutting import Cutting
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
    """The next bytes; to be followed by a cut of the connection that they came on, if `sever`."""

    data: bytes
    sever: bool = False


class Received(Struct, frozen=True):
    """What arrived, and was written."""

    messages: int
    size: int


class Finish(Request[Received], tag="pipe.finish"):
    """That was all. Answered when everything is written."""


class Forward(Local[None]):
    """Tell the drain these pieces."""

    pieces: tuple[Piece, ...]
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
        for piece in msg.pieces:
            self.tell(self.drain, piece, expiry=LONG)
            self.size += len(piece.data)
        self.messages += len(msg.pieces)
        msg.taken.set()

    async def port(self) -> None:
        async with self.stream, trio.open_nursery() as nursery:
            line, already = await read_line(self.stream)
            errand = msgspec.json.decode(line, type=Errand)
            self.drain = EngineID(NodeID.parse(errand.to), DRAIN)
            cuts = errand.plan(self.now)
            intake = Intake(self.stream, cuts, lines=errand.lines, already=already)
            cutting = Cutting(cuts, self.knife, nursery, NodeID.parse(errand.to))
            while pieces := await intake.take():
                await self._pass_on(pieces, intake.taken - len(pieces), cutting)
            await cutting.over.wait()
            await write_line(self.stream, await self._finish(cutting.resumed))

    async def _pass_on(self, pieces: list[bytes], before: int, cutting: Cutting) -> None:
        """Tell the pieces, `before` them so many; mark those where a cut is due."""
        run: list[Piece] = []
        for position, data in enumerate(pieces, before + 1):
            due = cutting.due(position)
            if due and not cutting.over.is_set():  # do not keep back what is there while the last cut is under way
                await self._hand_over(run)
                run = []
            run.append(Piece(data, due and await cutting.begin(position)))
            if len(run) == _RUN:
                await self._hand_over(run)
                run = []
        await self._hand_over(run)

    async def _hand_over(self, run: list[Piece]) -> None:
        """Returns when the engine has the run in hand: no more than one waits while another is being told."""
        taken = trio.Event()
        self.post(Forward(tuple(run), taken))
        await taken.wait()

    async def _finish(self, resumed: int) -> Receipt:
        await self._hand_over([])
        told = Receipt(messages=self.messages, size=self.size, reconnects=resumed)
        try:
            end = await self.ask(self.drain, Finish(), expiry=LONG)
        except SendError as outcome:
            return msgspec.structs.replace(told, error=str(outcome))
        return msgspec.structs.replace(told, received=end.messages, received_size=end.size)


# -- the last node ----------------------------------------------------------------------------------------


class Drain(Engine):
    """Writes what it gets to the command, in order."""

    stream: trio.abc.HalfCloseableStream
    knife: Knife
    to_port: trio.MemorySendChannel[bytes]
    from_handler: trio.MemoryReceiveChannel[bytes]
    written: trio.Event
    messages: int = 0
    size: int = 0

    @on(Piece)
    async def piece(self, msg: Piece) -> None:
        if msg.sever:
            self.knife.sever(self.sender.node)
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


def open_drain(stream: trio.abc.HalfCloseableStream, knife: Knife) -> Drain:
    """A drain for this socket."""
    to_port, from_handler = trio.open_memory_channel[bytes](_WAITING)
    return Drain(stream=stream, knife=knife, to_port=to_port, from_handler=from_handler, written=trio.Event())


async def setup(node: Node) -> None:
    """The app of the nodes of `actors pipe`: whoever is an end of the stream has a socket to connect to."""
    folder = Path(os.environ[FOLDER])
    if (end := folder / f"{node.name}.{SOURCE}").exists():
        stream = await trio.open_unix_socket(end)
        node.spawn(Source(stream=stream, knife=Knife(node)), SOURCE, policy=Policy.TEMPORARY)
    if (end := folder / f"{node.name}.{DRAIN}").exists():
        stream = await trio.open_unix_socket(end)
        node.spawn(open_drain(stream, Knife(node)), DRAIN, policy=Policy.TEMPORARY)
