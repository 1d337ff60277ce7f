"""Between a session and this node's engines: runs go into mailboxes, replies come out of them.

One for each proxy. What has been delivered outlives it: an engine may take a message long after the
connection, the proxy and the session that brought it are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Raw, msgpack

from actors.errors import ProtocolError
from actors.identity import EngineID, NodeID
from actors.net.messages import Kind
from actors.net.session.conditions import Onlooker
from actors.net.session.credit import Inlet
from actors.net.session.outbox import Outbox
from actors.net.session.receive import Arrived, Receive
from actors.net.wire import guarded
from actors.runtime import Batch, Cell, Mailbox, Runtime

_replies = msgpack.Decoder(list[tuple[int, int, Raw]]).decode


class Half(Protocol):
    """Where the receive half of the peer is kept."""

    receive: Receive | None


class Delivery:
    """Finds engines for one peer's messages and waiting slots for its answers."""

    def __init__(
        self,
        runtime: Runtime,
        peer: NodeID,
        half: Half,
        outbox: Outbox,
        limit_changed: Callable[[NodeID], None],
        answering: Callable[[NodeID], Outbox | None],
        onlooker: Onlooker | None = None,
    ) -> None:
        self.runtime = runtime
        self.peer = peer
        self.half = half
        self.outbox = outbox
        self.limit_changed = limit_changed
        self.onlooker = onlooker
        self._answering = answering
        self._doors: dict[str, _Door] = {}

    def find(self, name: str) -> _Door | None:
        """The way into the engine of that name, if one lives here."""
        cell = self.runtime.directory.get(name) or self.runtime.demand(name)
        if cell is None:
            self._doors.pop(name, None)
            return None
        door = self._doors.get(name)
        if door is None or door.cell is not cell:
            door = self._doors[name] = _Door(cell, self)
        return door

    def leave(self) -> None:
        """The proxy has ended: no more runs come. What was delivered keeps what it needs for its answers."""
        self._doors.clear()  # they know this delivery: nothing is to be left for the collector

    def answers(self) -> Outbox | None:
        """Where answers go: to this proxy, or to the one that has taken its place; None if nobody waits for them."""
        if self.outbox.closed:
            outbox = self._answering(self.peer)
            if outbox is None:
                return None
            self.outbox = outbox
        return self.outbox

    def answer(self, body: memoryview, count: int) -> list[int]:
        """Give a run of answers to those who asked; the indices of those that came too late."""
        replies = guarded(_replies, body)
        if len(replies) != count:
            raise ProtocolError(f"a run of {count} answers that holds {len(replies)}")
        answer = self.runtime.asks.answer
        return [index for index, reply in enumerate(replies) if not answer(self.peer, *reply)]


class _Door:
    """One peer's way into one engine."""

    def __init__(self, cell: Cell, delivery: Delivery) -> None:
        self.cell = cell
        self._delivery = delivery
        self._senders: dict[str, EngineID] = {}
        self._origin: _Origin | None = None

    @property
    def room(self) -> Mailbox:
        return self.cell.mailbox

    def tells(self, body: memoryview, count: int) -> list[object]:
        return self.cell.codec.tells(body, count)  # type: ignore[return-value]  # a list of messages is read only

    def asks(self, body: memoryview, count: int) -> list[tuple[int, object]]:
        return self.cell.codec.asks(body, count)  # type: ignore[return-value]

    def deliver(self, run: Arrived) -> None:
        if self._delivery.onlooker is not None:
            self._delivery.onlooker.arrived(run)
        origin = self._origin_of(run.inlet)
        if run.kind is Kind.ASK:
            origin.asked(run)
        batch = Batch(self._sender(run.sender), int(run.kind), run.items, run.size, origin, run.deadline)
        batch.lone = run.lone and run.kind is Kind.ASK
        # spec S5: "forwards messages between local engine instances and Transport Connection engine instances"
        self.cell.mailbox.deliver(batch)

    def offer(self, sender: str, message: object, size: int) -> bool:
        mailbox, onlooker = self.cell.mailbox, self._delivery.onlooker
        if not mailbox.spares(size):
            return False
        if onlooker is not None:
            onlooker.offered(sender, self.cell.name, message)
        mailbox.deliver(Batch(self._sender(sender), int(Kind.TELL), [message], size))
        return True

    def _sender(self, name: str) -> EngineID:
        sender = self._senders.get(name)
        if sender is None:
            sender = self._senders[name] = EngineID(self._delivery.peer, name)
        return sender

    def cancel(self, inlet: Inlet, correlations: list[int]) -> None:
        origin = self._origin_of(inlet)
        for correlation in correlations:
            origin.withdrawn(correlation)
            self.cell.cancel_ask(origin, correlation)

    def _origin_of(self, inlet: Inlet) -> _Origin:
        receive = self._delivery.half.receive
        if self._origin is None or self._origin.inlet is not inlet or self._origin.receive is not receive:
            self._origin = _Origin(inlet, receive, self._delivery)
        return self._origin


class _Origin:
    """What a mailbox tells of the messages of one session: that they left it, and what they are answered with.

    Equal to another of the same session and mailbox: a proxy that came after the one which brought a question may
    withdraw it.
    """

    __slots__ = ("_deadlines", "_delivery", "inlet", "receive")

    def __init__(self, inlet: Inlet, receive: Receive | None, delivery: Delivery) -> None:
        self.inlet = inlet
        self.receive = receive
        self._delivery = delivery
        self._deadlines: dict[int, float] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Origin) and other.inlet is self.inlet and other.receive is self.receive

    def __hash__(self) -> int:
        return hash((id(self.inlet), id(self.receive)))

    def asked(self, run: Arrived) -> None:
        """Remember until when these asks are worth answering: a reply inherits what is left (Q2)."""
        for item in run.items:
            correlation: int = item[0]  # type: ignore[index]  # an ASK run's items are pairs
            self._deadlines[correlation] = run.deadline

    def withdrawn(self, correlation: int) -> None:
        """Nobody waits for this answer any more (Q1)."""
        self._deadlines.pop(correlation, None)

    def consumed(self, count: int, size: int) -> None:
        """There is room again; the peer learns it when that is worth a word."""
        if self.inlet.consumed(count, size):
            receive = self._delivery.half.receive
            if receive is not None:
                receive.changed(self.inlet)
                self._delivery.limit_changed(self._delivery.peer)

    def reply(self, correlation: int, status: int, value: object) -> None:
        """Collect the answer, if the session that asked still stands (S13)."""
        deadline = self._deadlines.pop(correlation, None)
        if deadline is not None and self._delivery.half.receive is self.receive:
            outbox = self._delivery.answers()
            if outbox is not None:
                outbox.reply(correlation, status, value, deadline)

    def flush(self) -> None:
        """Send what was collected."""
        self._delivery.outbox.flush_replies()
