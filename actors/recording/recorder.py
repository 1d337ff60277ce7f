"""Records one run of a node: what its engines get, what its connections bring, what it is told, what happens on it.

Everything is appended to the writer's deques in the step in which it happens, in that order. When the disk is too
slow, nothing is recorded until it has caught up; then a new part begins, with a gap before it, and every engine is
introduced again.
"""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from actors.control import messages as m
from actors.control.answers import happened
from actors.engine import Context
from actors.events import EngineFailed, EngineStopped, Event
from actors.identity import EngineID, NodeID
from actors.messages import Request
from actors.net.messages import Kind
from actors.net.session import conditions
from actors.net.session.receive import Arrived
from actors.recording.books import Book, Recorded
from actors.recording.chance import own_chance
from actors.recording.folders import new_run
from actors.recording.plain import encode
from actors.recording.records import Header
from actors.recording.writer import PARTS, Turn, Writer
from actors.runtime import Behaviour, Cell

if TYPE_CHECKING:
    from actors.runtime.life import Life

MOST_BEHIND: Final = 32 << 20
"""Bytes that may wait for the disk."""
LOOKING: Final = (
    m.GetNode, m.GetProxies, m.GetLink, m.ExplainProxy, m.GetEngines, m.GetDeadLetters, m.GetEvents, m.GetAdvert,
    m.GetFaults, m.Describe, m.Compose, m.ReadReply, m.Follow, m.Cancel,
)  # fmt: skip
"""Requests that change nothing."""
_EVENTS_SHARE: Final = 16


def own_version() -> str:
    """Of this trio-actors; `unknown` where it is imported from a folder and not installed."""
    try:
        return version("trio-actors")
    except PackageNotFoundError:
        return "unknown"


@contextmanager
def open_recorder(
    folder: Path,
    *,
    node: str,
    id: NodeID,
    app: str | None,
    engines: tuple[str, ...],
    clock: float,
    largest: int,
) -> Iterator[Recorder]:
    """Record a node that is started within the block. RecordError if nothing can be written there.

    `largest`: bytes that the run may take, in all. The app is to be imported within the block, too.
    """
    run, number = new_run(folder, node)
    header = Header(
        version=own_version(),
        python=platform.python_version(),
        node=node,
        id=str(id),
        app=app or "",
        engines=engines,
        began=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        clock=clock,
        hash_seed=os.environ.get("PYTHONHASHSEED", ""),
        run=number,
        part=1,
    )
    recorder = Recorder(Writer(run, header, largest // _EVENTS_SHARE), node, largest)
    with own_chance():
        try:
            yield recorder
        finally:
            recorder.close()


class Recorder(conditions.Conditions):
    """A Witness of engines, and an onlooker of connections."""

    def __init__(self, writer: Writer, node: str, largest: int) -> None:
        self.part = 1
        self._writer = writer
        self._node = node
        self._largest_part = largest * (_EVENTS_SHARE - 2) // _EVENTS_SHARE // PARTS
        self._append = writer.records.append
        self._given = self._of_part = 0
        self._muted = False
        self._next = count().__next__
        self._books: dict[str, Book] = {}
        self._senders: dict[EngineID, int] = {}
        self._arrived: dict[tuple[NodeID, str, str], int] = {}
        self._now = trio.current_time

    # -- records --------------------------------------------------------------------------------------------

    def put(self, record: tuple[Any, ...]) -> None:
        """Append one record. Raises one of plain.UNFIT, with nothing appended, if it cannot be encoded."""
        data = encode(record)
        if not self._muted:
            size = len(data)
            self._append(data)
            self._given += size
            self._of_part += size

    def note(self, record: tuple[Any, ...]) -> None:
        """The same, where a new part may begin after it."""
        self.put(record)
        self.look()

    def look(self) -> None:
        """Begin a new part, stop recording, or begin again, if it is time."""
        behind = self._given - self._writer.written
        if self._muted:
            if behind < MOST_BEHIND // 4 and not self._writer.failed:
                self._muted = False
                self._turn(gap=True)
        elif behind > MOST_BEHIND or self._writer.failed:
            self._muted = True
        elif self._of_part > self._largest_part:
            self._turn(gap=False)

    def seed(self) -> int:
        """For an engine's `random`."""
        return secrets.randbits(63)

    def number_of(self, sender: EngineID) -> int:
        """Of an address, in this part."""
        number = self._senders.get(sender)
        if number is None:
            number = self._senders[sender] = len(self._senders)
            self.put((3, number, sender))
        return number

    def _turn(self, *, gap: bool) -> None:
        self.part += 1
        self._of_part = 0
        self._senders.clear()
        self._append(Turn(gap))

    def close(self) -> None:
        """The node has ended. Blocks until all is written."""
        if self._muted:
            self._muted = False
            self._turn(gap=True)
        self.put((13, self._now()))
        self._writer.close()

    # -- engines --------------------------------------------------------------------------------------------

    def behaviour(self, cell: Cell, behaviour: Behaviour) -> Behaviour:
        """See Witness."""
        book = self._books[cell.name] = Book(self, cell, self._next(), behaviour)
        return book.behaviour(behaviour)

    def context(self, life: Life) -> Context:
        """See Witness."""
        return Recorded(self._books[life.cell.name], life)

    def crashed(self, life: Life, error: Exception, message: Request[Any] | None) -> None:
        """See Witness. It is written at once."""
        book = self._books[life.cell.name]
        self.note((9, book.number, self._now(), f"{type(error).__name__}: {error}", message is not None))
        self._writer.hurry()

    # -- beside them ----------------------------------------------------------------------------------------

    def event(self, event: Event) -> None:
        """See Conditions. As a line that `actors events --json` would print."""
        match event:
            case EngineStopped(engine=engine) | EngineFailed(engine=engine):
                if (book := self._books.pop(engine.name, None)) is not None:
                    self.note((10, book.number, event.at, "stopped" if isinstance(event, EngineStopped) else "failed"))
        line = happened(event)
        told = {"node": self._node, "event": line.event, "at": line.at, **line.data}
        self._writer.events.append(msgspec.json.encode(told, enc_hook=str) + b"\n")

    def onlooker(self, peer: NodeID) -> _Onlooker:
        """See Conditions."""
        return _Onlooker(self, peer)

    def arrived(self, peer: NodeID, run: Arrived) -> None:
        """A connection brought these."""
        lane = (peer, run.sender, run.inlet.target)
        first = self._arrived.get(lane, 0) + 1
        self._arrived[lane] = first + len(run.items) - 1
        self.note((11, self._now(), bytes(peer), *lane[1:], int(run.kind), first, len(run.items), run.size))

    def offered(self, peer: NodeID, sender: str, target: str) -> None:
        """A connection, or a datagram, brought one of the unreliable class. Its bytes are not known any more."""
        self.note((11, self._now(), bytes(peer), sender, target, int(Kind.TELL), 0, 1, 0))

    def commanded(self, request: m.Request) -> None:
        """Somebody wants something of the node, over its control socket. Those who only look are passed over."""
        if isinstance(request, LOOKING):
            return
        self.note((12, self._now(), msgspec.json.encode(request).decode()))


class _Onlooker:
    """Of one peer's messages; only what arrives is of interest."""

    def __init__(self, recorder: Recorder, peer: NodeID) -> None:
        self._recorder = recorder
        self._peer = peer

    def arrived(self, run: Arrived) -> None:
        """See conditions.Onlooker."""
        self._recorder.arrived(self._peer, run)

    def offered(self, sender: str, target: str, message: object) -> None:
        """See conditions.Onlooker."""
        self._recorder.offered(self._peer, sender, target)

    def accepted(self, run: object) -> None:
        """See conditions.Onlooker."""

    def settled(self, run: object, outcome: object) -> None:
        """See conditions.Onlooker."""

    def withdrawn(self, run: object) -> None:
        """See conditions.Onlooker."""
