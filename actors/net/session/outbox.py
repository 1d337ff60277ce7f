"""The outbox of a Node Proxy: where `tell`, `send` and `ask` hand over messages for one remote node.

With `link` this is the hot path between nodes; it is long because its parts must be read together.

    tell ──▶ Port: an open run ──▶ memory channel ──▶ forward() ──▶ Transmit ──▶ Link.pump ──▶ socket
              appends bytes         carries runs       one task       numbers      one send for
              to a list             (lists)            drains all     and keeps    all that waits

A port's `left` is one countdown for count, bytes, credit of the outbox and fairness: while it lasts, `tell`
is an append. A run lies in the channel while `tell` still appends to it; whoever takes it closes it first.
`ask`, `send` and replies go around the channel when nothing is in it *nor in the hand of its receiver*
(`posted == taken`): a value given to a parked receiver is in nobody's queue, and would be overtaken.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Final, Literal, Protocol

import trio
from msgspec import Raw, msgpack
from trio.lowlevel import ParkingLot, checkpoint

from actors.engine import OwnContext
from actors.errors import Expired, Refused, SendError
from actors.messages import TransportPrefs
from actors.net.messages import MAX_FRAME, MAX_LANES, MAX_TARGETS, Kind, Status
from actors.net.session.conditions import Conditions, Onlooker
from actors.net.session.demands import Carriers, carriers, reliable
from actors.net.session.expiries import expires_at
from actors.net.session.runs import FLAT, Lane, Run, Target
from actors.net.session.transmit import Transmit
from actors.runtime import Alarm, Clock, Pace, Slot

CAPACITY = 8 << 20
"""Weight of an outbox: bytes, and 2 KiB for every message, so that 4,096 small ones fill it."""
FRAME_MARGIN = 4096
"""What a frame may need beside the payload of its one message."""
_CROWD = 16
_CANCEL_EXPIRY = 30.0
_IN_SERVICE = Conditions()
_ANSWER_HEAD = 16
"""Bytes of an answer before its value."""
_encode = msgpack.Encoder().encode


class Pump(Protocol):
    """The current connection: writes what the transmit half lets it."""

    def pump(self) -> None: ...
    def send_lone(self, run: Run) -> bool: ...


class Office(Protocol):
    """To whom an outbox turns."""

    def report(self, run: Run, outcome: SendError, /) -> None:
        """These messages did not arrive, and nobody waits to learn it."""

    def reroute(self, sender: str, target: str, /) -> Port:
        """The port in the outbox that has taken this one's place (L2)."""

    def datagram(self) -> int:
        """A number for a datagram (U3)."""

    def demand(self, transports: Carriers, /) -> None:
        """A message may only go over these."""


class Port(Lane):
    """The hand of one sender into one outbox, for one target. It is the lane, with an open run at its end."""

    __slots__ = ("_beside", "append", "expiry", "grant", "left", "open", "outbox")

    local: Final[Literal[False]] = False
    FLAT = FLAT

    def __init__(self, number: int, sender: str, target: Target, outbox: Outbox, *, unreliable: bool = False) -> None:
        super().__init__(number, sender, target, unreliable=unreliable)
        self.outbox = outbox
        self._beside: Port | None = None
        self.open: Run | None = None
        self.left = -1
        self.grant = 0
        self.expiry = 0.0
        self.append: Callable[[bytes], None] = _nowhere

    @property
    def closed(self) -> bool:
        """The proxy has left the Router's table: ask the Router for another port (L2)."""
        return self.outbox.closed

    @property
    def beside(self) -> Port:
        """The port of the same sender and target for the unreliable class (U)."""
        if self._beside is None:
            self._beside = Port(0, self.sender, self.target, self.outbox, unreliable=True)
        return self._beside

    async def tell_slow(self, data: bytes, expiry: float, prefs: TransportPrefs) -> None:
        """Accept a message that the open run cannot take, about once in a slice.

        Returns when it is accepted; Expired if there was no room in time, Refused if it is too large. Gives
        way before it accepts, so that cancelled means: not sent.
        """
        if prefs.reliability == "unreliable":
            return await self.beside.tell_slow(data, expiry, reliable(prefs))
        if (only := carriers(prefs)) is not None:
            await checkpoint()
            return await self._hand_over(Kind.TELL, data, expiry, only)
        left = self.left - len(data) - FLAT
        if left >= 0 and expiry == self.expiry:
            self.left = left
            self.append(data)
            return
        outbox = self.outbox
        outbox.check(len(data))
        pace = outbox.pace
        spent = self.open is not None and expiry == self.expiry
        if spent or pace.opens > _CROWD:
            pace.opens = 0
            if spent and not outbox.closed:
                outbox.refill(self, expiry, len(data))  # others go on with a fresh share meanwhile
            await checkpoint()
            left = self.left - len(data) - FLAT
            if left >= 0 and expiry == self.expiry:
                self.left = left
                self.append(data)
                return
        port = self
        if outbox.closed or not outbox.refill(self, expiry, len(data)):
            port = await self._wait_room(len(data), expiry, Port._refilled)  # a scope for each would cost 6 us
        port.left -= len(data) + FLAT
        port.append(data)

    def tell_nowait(self, data: bytes, expiry: float, prefs: TransportPrefs) -> None:
        """Accept a message now, or Refused("full")."""
        if prefs.reliability == "unreliable":
            return self.beside.tell_nowait(data, expiry, reliable(prefs))
        self.outbox.check(len(data))
        only = carriers(prefs)
        left = self.left - len(data) - FLAT
        if left < 0 or expiry != self.expiry or only is not None:
            if self.outbox.closed:
                return self._successor().tell_nowait(data, expiry, prefs)
            if not (self._refilled(expiry, len(data)) if only is None else self._has_room(expiry, len(data))):
                raise Refused("full", f"the outbox for {self.outbox.name} has no room")
            if only is not None:
                return self._complete(self._told(data, expiry), only)
            left = self.left - len(data) - FLAT
        self.left = left
        self.append(data)

    async def send(self, data: bytes, expiry: float, prefs: TransportPrefs, slot: Slot) -> None:
        """Accept a message whose outcome somebody waits for. Returns when it is accepted."""
        port = self.beside if prefs.reliability == "unreliable" else self
        await port._hand_over(Kind.TELL, data, expiry, carriers(prefs), slot)

    async def ask(self, data: bytes, expiry: float, prefs: TransportPrefs, slot: Slot) -> None:
        """Accept a question: the slot gets its answer, or hears why there is none. It is reliable in any case."""
        question = b"\x92" + _encode(slot.correlation) + data
        await self._hand_over(Kind.ASK, question, expiry, carriers(prefs), slot)

    async def _hand_over(
        self, kind: Kind, data: bytes, expiry: float, only: Carriers | None, slot: Slot | None = None
    ) -> None:
        size = len(data)
        self.outbox.check(size)
        port = self
        if self.outbox.closed or not self._has_room(expiry, size):
            port = await self._wait_room(size, expiry, Port._has_room)
        if slot is None:
            return port._complete(port._told(data, expiry), only)
        run = Run(port, kind, slot.deadline, [data], [slot], slot.until)
        if kind is Kind.ASK:
            slot.withdraw = partial(port.outbox.withdraw, run, slot.correlation)
        port._complete(run, only)

    def _told(self, data: bytes, expiry: float) -> Run:
        return Run(self, Kind.TELL, self.outbox.clock.now() + expiry, [data])

    def _complete(self, run: Run, only: Carriers | None) -> None:
        """A run that nothing is appended to: it comes behind the open one."""
        outbox = self.outbox
        outbox.close_run(self)
        run.since = outbox.clock.now()
        if only is not None:
            run.only = only
            outbox.office.demand(only)
        outbox.hand_over(run)

    def _refilled(self, expiry: float, size: int) -> bool:
        return self.outbox.refill(self, expiry, size)

    def _has_room(self, expiry: float, size: int) -> bool:
        return self.outbox.has_room(self.target, size) or self.outbox.wake_later()

    async def _wait_room(self, size: int, expiry: float, ready: Callable[[Port, float, int], bool]) -> Port:
        """The port that is ready for the message: this one, or its successor's. Expired if none is in time."""
        port = self
        with trio.move_on_after(expiry):
            while True:
                if port.outbox.closed:
                    port = port._successor()
                if ready(port, expiry, size):
                    return port
                await port.outbox.wait_room()
        raise Expired(maybe_sent=False)

    def _successor(self) -> Port:
        return self.of_its_class(self.outbox.office.reroute(self.sender, self.target.name))

    def of_its_class(self, port: Port) -> Port:
        """The other port, or the one beside it if this one is for the unreliable class."""
        return port.beside if self.unreliable else port


class Outbox:
    """All that waits for one remote node, and the transmit half of the session with it."""

    def __init__(
        self,
        name: str,
        epoch: int,
        *,
        clock: Clock,
        pace: Pace,
        office: Office,
        capacity: int = CAPACITY,
        conditions: Conditions = _IN_SERVICE,
        onlooker: Onlooker | None = None,
    ) -> None:
        self.name = name
        self.clock = clock
        self.pace = pace
        self.office = office
        self.capacity = capacity
        self.closed = False
        self.current: Pump | None = None
        self.emptied: Callable[[], None] | None = None
        """Called whenever nothing is left here, if the proxy wants to know."""
        self.transmit = Transmit(epoch, office.report, onlooker)
        self._conditions = conditions
        self._onlooker = onlooker
        self.transmit.max_message = MAX_FRAME - FRAME_MARGIN
        self.reserved = 0
        self._ports: dict[tuple[str, str], Port] = {}
        self._open: dict[Run, None] = {}
        self._sealed: dict[Run, None] = {}
        self._replies: list[bytes] = []
        self._replies_due = inf
        self._posted = self._taken = 0
        self._channel: trio.MemorySendChannel[Run] | None = None
        """Made for the first message that is told, as is the task that empties it: most peers are never told any."""
        self._host: OwnContext | None = None
        self._lot: ParkingLot | None = None
        """Where those wait who find no room; made for the first of them."""
        self._wake_at = -1
        self._alarm: Alarm | None = None
        self._earliest = inf
        """When the alarm rings. It is not moved back when what it was set for has its outcome."""

    # -- ports ------------------------------------------------------------------------------------------

    def lane(self, sender: str, target: str) -> Port:
        """The port of this sender for this target, made at its first use."""
        port = self._ports.get((sender, target))
        if port is None:
            if sender or target:
                if not self._ports:
                    self.lane("", "")  # answers: number 0, which knows no credit
                self._check_room(target)
            port = self._ports[sender, target] = Port(len(self._ports), sender, self.transmit.target(target), self)
        return port

    def _check_room(self, target: str) -> None:
        known = self.transmit.targets
        if len(self._ports) >= MAX_LANES or (target not in known and len(known) >= MAX_TARGETS):
            raise Refused("too_many_targets", f"{len(known)} engines of node {self.name} were named already")

    def check(self, size: int) -> None:
        """Refused("too_large") for a message that no frame of this connection could carry (S14)."""
        if size > self.transmit.max_message:
            raise Refused("too_large", f"{size} bytes, at most {self.transmit.max_message} fit in a frame")

    def bound(self, max_message: int) -> None:
        """The peer takes no larger messages than this (S14). It only ever shrinks while messages may wait."""
        if max_message < self.transmit.max_message:
            self.collect()
            self.transmit.bound(max_message)

    def has_room(self, target: Target, size: int) -> bool:
        """Whether one more message may be accepted.

        A target may hold as much as the outbox still has free: one that never reads leaves half of it to
        the others, two leave a third, and so on (S4).
        """
        used = self.transmit.weight + self.reserved
        return not used or self.capacity - used - target.weight >= FLAT + size

    def refill(self, port: Port, expiry: float, need: int) -> bool:
        """Open a run at the port with a fresh share; False if the outbox has no room for `need` bytes."""
        self.close_run(port)
        if not self.has_room(port.target, need):
            return self.wake_later()
        pace = self.pace
        pace.opens += 1
        free = self.capacity - self.transmit.weight - self.reserved - port.target.weight
        # A hundred ports with a run each hold no more than a few ports would: else the outbox is full of promises.
        share = max(1, pace.slice // max(pace.opens, len(self._open) + 1)) * (FLAT + 128)
        grant = max(min(share, free), FLAT + need)
        self.reserved += grant
        items: list[bytes] = []
        now = self.clock.now()
        run = Run(port, Kind.TELL, now + expiry, items)
        run.since = now
        port.open, port.grant, port.left = run, grant, grant
        port.expiry, port.append = expiry, items.append
        self._open[run] = None
        self._post(run)
        return True

    def close_run(self, port: Port) -> None:
        """Nobody appends to the port's open run any more. It is counted as accepted now."""
        run = port.open
        if run is None:
            return
        port.open = None
        port.left, port.append = -1, _nowhere
        self.reserved -= port.grant
        del self._open[run]
        self.transmit.admit(run)
        self._sealed[run] = None

    # -- forwarding -------------------------------------------------------------------------------------

    def _post(self, run: Run) -> None:
        self._posted += 1
        if self._channel is None:
            # Weight bounds what is in it; a bound of its own would only be a second way to be full.
            self._channel, self._runs = trio.open_memory_channel[Run](inf)
            self._forward()
        self._channel.send_nowait(run)

    def forward_by(self, host: OwnContext | None) -> None:
        """Where the task runs that forwards: beside the proxy, as long as that lives."""
        self._host = host
        self._forward()

    def _forward(self) -> None:
        if self._host is not None and self._channel is not None:
            self._host.beside(self.forward)

    def hand_over(self, run: Run) -> None:
        """A run that is complete: at once when nothing is on its way before it, else behind that."""
        self.transmit.admit(run)
        if self._posted == self._taken:
            if self.current is None or run.lane.unreliable or not self.current.send_lone(run):
                self._queue(run)
                self.pump()
            else:
                self._watch(run.deadline)
        else:
            self._sealed[run] = None
            self._post(run)

    async def forward(self) -> None:
        """Move runs from the channel to the transmit half, and on to the connection there is. Until cancelled."""
        rx = self._runs
        while True:
            run = await rx.receive()
            self.pace.opens = 0
            while True:
                self._take(run)
                if self._taken == self._posted:
                    break
                run = rx.receive_nowait()
            self._wake_waiters()  # what the open runs had reserved and did not use is free again
            if self._conditions.point("outbox.forward_pause"):
                await trio.sleep(self._conditions.pause("outbox.forward_pause"))
            self.pump()

    def _take(self, run: Run) -> None:
        self._taken += 1
        if run in self._open:
            port = run.lane
            assert isinstance(port, Port)
            self.close_run(port)
        if run in self._sealed:
            del self._sealed[run]
            self._queue(run)  # spec S5: "forwards messages between local engine instances …"

    def _queue(self, run: Run) -> None:
        self.transmit.queue(run)
        self._watch(run.deadline)

    def pump(self) -> None:
        """Write what may be written, if there is a connection."""
        if self.current is not None and self.transmit.can_write:
            self.current.pump()

    def withdraw(self, run: Run, correlation: int) -> None:
        """The asker gave up: forget the question if it was never written, else cancel its handler (Q1)."""
        port = run.lane
        assert isinstance(port, Port)
        if port.outbox is not self:  # another one has taken it over since (D4)
            return port.outbox.withdraw(run, correlation)
        if self._onlooker is not None:
            self._onlooker.withdrawn(run)
        if run.number:
            until = max(run.deadline, self.clock.now() + _CANCEL_EXPIRY)  # the handler ends with its ask's time at last
            self.hand_over(Run(run.lane, Kind.CANCEL, until, [_encode(correlation)]))
        else:
            self.transmit.withdraw(run)
            self.settled()
            self.pump()

    # -- replies ----------------------------------------------------------------------------------------

    def reply(self, correlation: int, status: int, value: object, deadline: float) -> None:
        """Collect an answer. It takes no room: the one who asked made it. `value` may be a Raw: encoded already."""
        data = bytes(value) if isinstance(value, Raw) else _encode(value)
        if len(data) > self.transmit.max_message - _ANSWER_HEAD:
            status, data = Status.REFUSED, _encode("too_large")  # no frame of this connection could carry it (S14)
        self._replies.append(b"\x93" + _encode(correlation) + _encode(status) + data)
        self._replies_due = deadline if self._replies_due == inf else max(self._replies_due, deadline)

    def flush_replies(self) -> None:
        """Hand over the answers collected since the last time, as one run."""
        if self._replies and not self.closed:
            items, self._replies = self._replies, []
            deadline, self._replies_due = self._replies_due, inf
            self.hand_over(Run(self.lane("", ""), Kind.REPLY, deadline, items))
        self._replies.clear()

    # -- room and time ----------------------------------------------------------------------------------

    def wake_later(self) -> Literal[False]:
        """There is no room now: those who wait are woken when an eighth of the outbox is free again."""
        self._wake_at = max(self._wake_at, self.transmit.weight + self.reserved - self.capacity // 8, 0)
        return False

    async def wait_room(self) -> None:
        """Until something was settled, or the outbox closed."""
        if self._lot is None:
            self._lot = ParkingLot()
        await self._lot.park()

    def settled(self) -> None:
        """To be called after anything got its outcome: those who wait for room may look again."""
        self._wake_waiters()
        if self.emptied is not None and self.idle:
            self.emptied()

    def _wake_waiters(self) -> None:
        if self._wake_at >= 0 and self.transmit.weight + self.reserved <= self._wake_at:
            self._wake_at = -1
            self._wake_all()

    def _watch(self, deadline: float) -> None:
        due = expires_at(deadline)
        if due < self._earliest:
            self._set_alarm(due)

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._earliest = deadline
        self._alarm = self.clock.call_at(deadline, self._expire) if deadline < inf else None

    def _expire(self) -> None:
        self._alarm = None
        self.transmit.expire(self.clock.now())
        self._set_alarm(self.transmit.expiries.next())
        self.settled()
        self.pump()

    # -- the whole --------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing is queued, retained or open (D1)."""
        return self.transmit.empty and not self._open and not self._sealed and not self._replies

    @property
    def accepted(self) -> int:
        """Messages taken so far, those of open runs included."""
        return self.transmit.ledger.accepted + sum(len(run.items or ()) for run in self._open)

    @property
    def queued(self) -> int:
        """Messages that were not written yet: still open, in the channel, or waiting in their lane."""
        waiting = sum(run.count for run in self._sealed) + sum(len(run.items or ()) for run in self._open)
        return waiting + self.transmit.queued

    def collect(self) -> None:
        """Bring everything that is on its way into the transmit half; the channel's receiver will find it done."""
        for run in list(self._open):
            port = run.lane
            assert isinstance(port, Port)
            self.close_run(port)
        sealed, self._sealed = self._sealed, {}
        for run in sealed:
            self._queue(run)

    def close(self, reason: str) -> None:
        """The proxy has left the Router's table: settle all that is here (P4)."""
        self._leave()
        self.transmit.close(reason)

    def hand_on(self, successor: Callable[[str, str], Port]) -> None:
        """The proxy ends clean: what was never written goes to its successor, in order (D4)."""
        self._leave()
        for run in self.transmit.take_queue():
            port = successor(run.lane.sender, run.lane.target.name)
            assert isinstance(run.lane, Port)
            port.outbox.adopt(run, run.lane.of_its_class(port))
        self.transmit.close("connection_lost")

    def take_answers(self) -> list[Run]:
        """The answers that nobody has acknowledged, for a proxy that comes after this one."""
        self.collect()
        return self.transmit.take_answers()

    def adopt(self, run: Run, port: Port) -> None:
        """Take over a run that another proxy had accepted."""
        run.lane = port
        self.hand_over(run)

    def _leave(self) -> None:
        self.collect()
        self.closed = True
        self.current = None
        self._ports.clear()  # they know this outbox: nothing is to be left for the collector
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._wake_all()

    def _wake_all(self) -> None:
        if self._lot is not None:
            self._lot.unpark_all()


def _nowhere(data: bytes) -> None:
    raise RuntimeError("a port without an open run")
