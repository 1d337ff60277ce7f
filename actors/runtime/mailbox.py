"""What waits for one engine, and the way in for local senders. The hot path of local `tell`, with `verbs` and `cell`.

Messages travel as batches. A local sender's `tell` appends to the batch that it has open: the very list lies in
the queue already, and is closed when the engine takes it, when the sender's share is used up, or when somebody
else needs the room. So a message costs a list append, and not a task switch. The queue is a plain list with one
parked reader, not a memory channel: a channel hands a value to a parked receiver, where nobody can see it until
that task has run, and a mailbox must be looked into (an ask is cancelled, a timer is, the engine stops).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from math import inf
from typing import Any, Final, Literal, Protocol

from msgspec import Raw
from trio.lowlevel import Abort, ParkingLot, RaiseCancelT, Task, current_task, reschedule
from trio.lowlevel import wait_task_rescheduled as park

from actors.engine import MailboxStatistics
from actors.identity import EngineID
from actors.messages import Request

CAPACITY: Final = 4096
CAPACITY_BYTES: Final = 16 << 20
_RUSH: Final = 16
"""So many batches opened since anybody else has run: then the sender gives way, however short they are."""


class Kind(IntEnum):
    """What a batch's items are. The first two are as on the wire."""

    TELL = 0
    """Messages."""
    ASK = 1
    """(slot, message) from this node, (correlation, message) from another."""
    POST = 2
    """Messages of the engine to itself, or of the runtime to it; they take no room."""
    TIMER = 3
    """(timer, alarm) that elapsed; takes no room."""


class Origin(Protocol):
    """Where a batch of another node came from. Calls are plain and never raise."""

    def consumed(self, count: int, size: int) -> None:
        """So many messages and bytes have left the mailbox, handled or not."""

    def reply(self, correlation: int, status: int, value: object) -> None:
        """The answer to an ask: 0 and the value as a msgspec.Raw, 1 (crashed) and None, 2 (refused) and the reason."""

    def flush(self) -> None:
        """For now there are no more replies."""


class Batch:
    """Consecutive messages of one sender. `deadline` is that of the asks in it."""

    __slots__ = ("deadline", "early", "items", "kind", "lone", "origin", "port", "sender", "size")

    def __init__(
        self,
        sender: EngineID,
        kind: int,
        items: list[Any],
        size: int = 0,
        origin: Origin | None = None,
        deadline: float = inf,
    ) -> None:
        self.sender = sender
        self.kind = kind
        self.items = items
        self.size = size
        self.origin = origin
        self.deadline = deadline
        self.port: LocalPort | None = None
        """Whoever may still append to it."""
        self.lone = False
        """One ask of another node, with nothing behind it: worth a try to handle it at once."""
        self.early: tuple[Raw | None, Exception | None] | None = None
        """What its handler gave or raised when it was handled at once; the engine's task does the rest."""

    def __repr__(self) -> str:
        growing = ", open" if self.port else ""
        return f"<Batch {Kind(self.kind).name} of {len(self.items)} from {self.sender}{growing}>"


def message_of(batch: Batch, index: int) -> Any:
    """One of its messages, without what goes with it; None for an ask that was withdrawn."""
    item = batch.items[index]
    if batch.kind == Kind.TELL or item is None:
        return item
    return item[0] if batch.kind == Kind.TIMER else item[1]


class Pace:
    """Fairness between the senders of a node: how much one may tell before others have had their turn."""

    __slots__ = ("opens", "slice", "strict")

    def __init__(self, slice: int, strict: bool) -> None:
        self.slice = 1 if strict else slice
        """Messages that may be told, or handled, between two checkpoints."""
        self.opens = 0
        """Batches opened since an engine or a writer has run: each one's share is a slice divided by these."""
        self.strict = strict
        """Whether every local message goes through the codec."""


class Handler(Protocol):
    """What handles the messages of a mailbox."""

    def turn_away(self, batches: list[Batch], /) -> None:
        """Its engine has ended: these came too late."""

    def handle_at_once(self, batch: Batch, /) -> bool:
        """May be done with a lone ask for an engine that waits for one. False: it has to be put into the mailbox."""


class _Nobody:
    """Of a mailbox without an engine."""

    def turn_away(self, _: list[Batch]) -> None: ...

    def handle_at_once(self, _: Batch) -> bool:
        return False


_NOBODY: Final = _Nobody()


class Mailbox:
    """Bounded, FIFO for each sender. Room is counted in messages, whichever batch they lie in.

    held + reserved <= capacity. `held` messages lie here, are in the engine's hand, or may still come into open
    batches; `reserved` are promised to other nodes (PROTOCOL K3), less what these hold beside the capacity.
    """

    __slots__ = (
        "_begin",
        "_lot",
        "_queue",
        "_reader",
        "_reserved",
        "capacity",
        "capacity_bytes",
        "closed",
        "held",
        "held_bytes",
        "loop",
        "opened",
        "ports",
        "reserved_bytes",
        "waiting",
    )

    def __init__(self, capacity: int = CAPACITY, capacity_bytes: int = CAPACITY_BYTES) -> None:
        if capacity < 1:
            raise ValueError(f"a mailbox holds at least one message, not {capacity}")
        self.capacity = capacity
        self.capacity_bytes = capacity_bytes
        self.held = 0
        self.held_bytes = 0
        self._reserved = 0
        self.reserved_bytes = 0
        self.closed = False
        self._lot: ParkingLot | None = None
        self.waiting = 0
        """Senders that wait for room, or have just been woken for it: newcomers come after them."""
        self.opened: dict[LocalPort, None] = {}
        """Ports with an open batch."""
        self.ports: dict[LocalPort, None] = {}
        """All that are bound to this mailbox."""
        self.loop: Handler = _NOBODY
        """Whose it is."""
        self._queue: list[Batch] = []
        """A list: it is short as a rule, and an empty deque takes ten times as much for each engine."""
        self._reader: Task | None = None
        self._begin: Callable[[], None] | None = None

    # -- in ----------------------------------------------------------------------------------------------

    @property
    def reserved(self) -> int:
        """Written by the credit of other nodes, and nobody else. It may be negative: see above."""
        return self._reserved

    @reserved.setter
    def reserved(self, messages: int) -> None:
        self._reserved = messages
        if self.waiting:
            self.wake_senders()

    def deliver(self, batch: Batch) -> None:
        """A batch of another node, whose room was promised. Never waits, never raises."""
        if self.closed:
            self.loop.turn_away([batch])
            return
        self.held += len(batch.items)
        self.held_bytes += batch.size
        if not (batch.lone and self._reader is not None and self.loop.handle_at_once(batch)):
            self.put(batch)

    def put(self, batch: Batch) -> None:
        """Behind all that is there; counting is the caller's."""
        self._queue.append(batch)
        if self._reader is not None:
            reschedule(self._reader)
            self._reader = None
        elif self._begin is not None:
            begin, self._begin = self._begin, None
            begin()

    @property
    def owes(self) -> bool:
        """Whether messages wait here whose senders may think that they are handled."""
        return any(batch.kind == Kind.TELL and batch.items for batch in self._queue)

    def room(self) -> int:
        """For how many more local messages. Takes back what open batches do not use before it says: none."""
        if self.capacity - self.held - self._reserved <= 0:
            for port in tuple(self.opened):
                port.close()
        return self.capacity - self.held - self._reserved

    def spares(self, size: int) -> bool:
        """Whether a message of another node may come in that has no promise: as for a local one, nobody waits."""
        if self.closed or self.waiting or self.room() <= 0:
            return False
        return self.held_bytes + self.reserved_bytes + size <= self.capacity_bytes

    # -- out ---------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Batches, not messages."""
        return len(self._queue)

    def take_nowait(self) -> Batch:
        """The oldest batch, closed: nobody appends to it any more."""
        batch = self._queue.pop(0)
        if batch.port is not None:
            batch.port.close()
        return batch

    def begin_by(self, begin: Callable[[], None]) -> None:
        """Call this for the next batch, once, in place of waking a task that waits for it."""
        self._begin = None if self._queue else begin
        if self._queue:
            begin()

    async def take(self) -> Batch:
        """As `take_nowait`, once there is one. For one task."""
        while not self._queue:
            self._reader = current_task()
            await park(self._leave)
        return self.take_nowait()

    def _leave(self, _: RaiseCancelT) -> Abort:
        self._reader = None
        return Abort.SUCCEEDED

    def release(self, count: int, size: int = 0) -> None:
        """So many messages have left for good."""
        self.held -= count
        self.held_bytes -= size
        if self.waiting:
            self.wake_senders()

    def wake_senders(self) -> None:
        """Let those who wait try again, once half of what they may have at all is free."""
        free = self.capacity - self.held - self._reserved
        if free > 0 and free * 2 >= self.capacity - max(0, self._reserved):
            self._wake_all()

    @property
    def lot(self) -> ParkingLot:
        """Where senders wait for room. Made for the first: few mailboxes are ever full."""
        if self._lot is None:
            self._lot = ParkingLot()
        return self._lot

    def _wake_all(self) -> None:
        if self._lot is not None:
            self._lot.unpark_all()

    def withdraw(self, origin: Origin, correlation: int) -> None:
        """Another node's ask is cancelled: if it waits here it will not be handled (PROTOCOL Q1)."""
        for batch in self._queue:
            if batch.origin == origin and batch.kind == Kind.ASK:
                strike(batch, correlation)

    def close(self) -> list[Batch]:
        """The end of the engine. Nothing comes in any more; what was still there is given back."""
        self.closed = True
        self._begin = None
        for port in tuple(self.opened):
            port.close()
        for port in tuple(self.ports):
            port.unbind()
        left, self._queue = self._queue, []
        self._wake_all()
        return left

    def forget(self, port: LocalPort) -> None:
        """Not bound any more. The last one takes the tables with it, which do not shrink."""
        self.ports.pop(port, None)
        if not self.ports:
            self.ports, self.opened = {}, {}

    def statistics(self) -> MailboxStatistics:
        """How full it is; of open batches, what is in them."""
        unused = sum(port.left for port in self.opened)
        return MailboxStatistics(self.held - unused, self.held_bytes, self.capacity, self.capacity_bytes)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self.statistics().held} of {self.capacity} messages"
        return f"<Mailbox: {state}, {self._reserved} reserved, {self.waiting} senders wait>"


def strike(batch: Batch, correlation: int) -> None:
    """Empty the place of an ask in its batch; the loop steps over it."""
    for place, ask in enumerate(batch.items):
        if ask is not None and ask[0] == correlation:
            batch.items[place] = None


class PortTable(Protocol):
    """The ports of one sender."""

    def leave(self, target: EngineID, /) -> None:
        """The port for this target has ended."""


class LocalPort:
    """One sender's way to one engine of the same node.

    `tell` looks at three attributes only: while `left` is positive it appends. All else is the slow path.
    """

    __slots__ = ("_batch", "_pace", "_table", "append", "left", "mailbox", "sender", "target")
    local: Final[Literal[True]] = True

    def __init__(self, sender: EngineID, target: EngineID, mailbox: Mailbox, pace: Pace, table: PortTable) -> None:
        self.sender = sender
        self.target = target
        self.mailbox = mailbox
        self._table = table
        self.left = 0
        self.append: Callable[[Any], None] = _closed
        self._batch: Batch | None = None
        self._pace = pace
        mailbox.ports[self] = None

    def open(self) -> bool:
        """A new batch with a fair share of the room. False: there is none, or the engine is gone."""
        self.close()
        box, pace = self.mailbox, self._pace
        if box.closed or (room := box.room()) <= 0:
            return False
        pace.opens += 1
        share = min(room, max(1, pace.slice // pace.opens))
        self._batch = batch = Batch(self.sender, Kind.TELL, [])
        batch.port = self
        self.append = batch.items.append
        self.left = share
        box.held += share
        box.opened[self] = None
        box.put(batch)
        return True

    def close(self) -> None:
        """The batch is as long as it is; what was granted and not used is free again."""
        batch = self._batch
        if batch is not None:
            box = self.mailbox
            self._batch = batch.port = None
            self.append = _closed
            box.held -= self.left
            self.left = 0
            del box.opened[self]

    def unbind(self) -> None:
        """Engine or sender have ended: out of both tables."""
        self.close()
        self.mailbox.forget(self)
        self._table.leave(self.target)

    def spent(self) -> bool:
        """Whether this sender has had its share, and others should run before it goes on."""
        return (self._batch is not None and self.left <= 0) or self._pace.opens > _RUSH

    def tell(self, msg: Request[Any]) -> bool:
        """Into the mailbox if there is room now, and nobody waits for it already."""
        if self.left <= 0 and (self.mailbox.waiting or not self.open()):
            return False
        self.left -= 1
        self.append(msg)
        return True

    def ask(self, ask: tuple[object, Request[Any]], *, first: bool = False) -> bool:
        """As `tell`, in a batch of its own, behind all that this sender has told. `first`: it has waited for room."""
        box = self.mailbox
        self.close()
        if box.closed or (box.waiting and not first) or box.room() <= 0:
            return False
        box.held += 1
        box.put(Batch(self.sender, Kind.ASK, [ask]))
        return True

    def __repr__(self) -> str:
        return f"<LocalPort {self.sender} -> {self.target}, {self.left} left>"


def _closed(_: object) -> None:
    raise RuntimeError("a port without an open batch")
