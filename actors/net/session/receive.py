"""The receive half of a session: what has arrived from one peer, and what became of it. Pure.

The Router keeps one for each peer of its current incarnation, so that it outlives proxies and connections
(PROTOCOL S2). It is driven by `take`, run by run; it never waits.
"""

from __future__ import annotations

from typing import Annotated, Protocol

from msgspec import Meta, Raw, msgpack

from actors.errors import ProtocolError
from actors.identity import Incarnation
from actors.net.messages import MAX_LANES, MAX_TARGETS, Ack, Kind, Limit, Messages, Refusal, Resume, RunHead
from actors.net.session.credit import FIRST, Inlet, Room
from actors.net.wire import guarded

_TELL, _REPLY, _SKIP, _CANCEL = Kind.TELL, Kind.REPLY, Kind.SKIP, Kind.CANCEL
MAX_REFUSALS = 4096


class Place(Protocol):
    """A living engine, as the receive half sees it."""

    @property
    def room(self) -> Room: ...

    def tells(self, body: memoryview, count: int) -> list[object]:
        """The messages of a TELL run; None in the place of one that the engine does not speak."""

    def asks(self, body: memoryview, count: int) -> list[tuple[int, object]]:
        """The same for an ASK run, with their correlations."""

    def deliver(self, run: Arrived) -> None:
        """Into the mailbox. Room was promised."""

    def cancel(self, inlet: Inlet, correlations: list[int]) -> None:
        """These asks are withdrawn (Q1)."""

    def offer(self, sender: str, message: object, size: int) -> bool:
        """Into the mailbox, if it has room that was promised to nobody (U2)."""


class Arrived:
    """A run that goes into a mailbox: who sent it, and its decoded messages."""

    __slots__ = ("deadline", "inlet", "items", "kind", "lone", "sender", "size")

    def __init__(self, inlet: Inlet, sender: str, kind: Kind, items: list[object], size: int, deadline: float) -> None:
        self.inlet = inlet
        self.sender = sender
        self.kind = kind
        self.items = items
        self.size = size
        self.deadline = deadline
        self.lone = False
        """The only message of its frame."""


class Engines(Protocol):
    """Those of this node."""

    def find(self, name: str, /) -> Place | None:
        """The way into the engine of that name, if one lives here."""

    def answer(self, body: memoryview, count: int, /) -> list[int]:
        """Hand a REPLY run to those who asked; gives the indices of answers that came too late."""


class OutOfStep(ProtocolError):
    """The sender's half does not fit this one: a gap (S5), or more than there was credit for (K5)."""


class Receive:
    """One direction of a session, at its receiver, named by the sender's incarnation and epoch (S1).

    `number` tells this record from one of the same name that was forgotten.
    """

    def __init__(
        self, incarnation: Incarnation, epoch: int, number: int, inlets: dict[str, Inlet] | None = None
    ) -> None:
        self.incarnation = incarnation
        self.number = number
        self.epoch = epoch
        self.position = 0
        """Every number up to this one has been taken, refused or skipped (S5)."""
        self.acknowledged = 0
        """The position that was last written in an Ack or Resume."""
        self.duplicates = 0
        self.received = 0
        self.missteps = 0
        """So many frames in succession did not fit (OutOfStep)."""
        self.quick = 0
        """So many lone messages may still be handled at once before others have their turn; the reader says."""
        self._lone = False
        self.absent = "no_engine"
        """Why messages are refused that are for nobody here; `stopped` when the node stops (D6)."""
        self.news = False
        """Whether there is a refusal or a limit to tell without delay."""
        self.refusals: dict[int, str] = {}
        self.inlets = inlets if inlets is not None else {}
        self._changed: dict[str, Inlet] = {}
        for inlet in self.inlets.values():
            inlet.begin()

    # -- what is said -----------------------------------------------------------------------------------

    def resume(self) -> Resume:
        """The first frame of a proven end (S6): the limits of all targets that are not at their default (K2)."""
        self._said()
        credit = [inlet.offer() for inlet in self.inlets.values() if not inlet.is_default]
        return Resume(self.number, self.position, self._unsettled(), *FIRST, credit)

    @property
    def owes(self) -> bool:
        """Whether an Ack would say anything new."""
        return self.news or self.position > self.acknowledged

    def ack(self) -> Ack:
        """What has arrived, all unsettled refusals (S7), the limits that changed (K2)."""
        credit: list[Limit] = [inlet.offer() for inlet in self._changed.values()]
        self._said()
        return Ack(self.position, self._unsettled(), credit)

    def repeat(self) -> None:
        """Perhaps nobody heard the last Acks: the next one says everything."""
        self._changed = {target: inlet for target, inlet in self.inlets.items() if not inlet.is_default}
        self.news = True

    def _said(self) -> None:
        self.acknowledged = self.position
        self._changed.clear()
        self.news = False

    def _unsettled(self) -> list[Refusal]:
        return [Refusal(number, reason) for number, reason in self.refusals.items()]

    @property
    def disposable(self) -> bool:
        """Whether it may be forgotten: none of its messages lies in a mailbox, where it would count twice (K2)."""
        return not any(inlet.held for inlet in self.inlets.values())

    def release(self) -> None:
        """It is forgotten: mailboxes get back the room that was promised."""
        for inlet in self.inlets.values():
            inlet.release()

    # -- what is heard ----------------------------------------------------------------------------------

    def settled(self, number: int) -> None:
        """The sender has heard of the refusals up to this number (S7)."""
        for known in [known for known in self.refusals if known <= number]:
            del self.refusals[known]

    def want(self, target: str, size: int, engines: Engines) -> None:
        """The sender waits for room for one large message (K4)."""
        inlet = self._inlet(target, engines.find(target))
        if inlet.want(size):
            self.changed(inlet)

    def changed(self, inlet: Inlet) -> None:
        """The inlet's limit has grown: the next Ack says so."""
        if inlet is self.inlets.get(inlet.target):
            self._changed[inlet.target] = inlet
            self.news = True

    def take(
        self,
        record: Messages,
        payload: memoryview,
        lanes: dict[int, tuple[str, str]],
        now: float,
        engines: Engines,
    ) -> None:
        """All runs of a Messages frame; `lanes` is the connection's table of declared lanes.

        Raises ProtocolError for a gap (S5), a broken limit (K5), or a payload that is not what its head says.
        """
        if record.first > self.position + 1:
            raise OutOfStep(f"message {record.first} after {self.position}: a gap")
        if record.settled:
            self.settled(record.settled)
        for lane in record.lanes:
            lanes[lane.lane] = (lane.sender, lane.target)
        if len(lanes) > MAX_LANES:
            raise ProtocolError("too many lanes")
        number, offset = record.first, 0
        self._lone = self.quick > 0 and len(record.runs) == 1 and record.runs[0].count == 1
        for head in record.runs:
            if head.count <= 0 or head.size < 0 or offset + head.size > len(payload):
                raise ProtocolError("a run that is longer than its frame")
            body = payload[offset : offset + head.size]
            offset += head.size
            self._take_run(number, head, body, lanes, now, engines)
            number += head.count
        if offset != len(payload):
            raise ProtocolError("bytes behind the last run")
        self.missteps = 0

    def _take_run(
        self,
        number: int,
        head: RunHead,
        body: memoryview,
        lanes: dict[int, tuple[str, str]],
        now: float,
        engines: Engines,
    ) -> None:
        known = min(self.position + 1 - number, head.count)
        self.duplicates += known
        if known == head.count:
            return
        names = lanes.get(head.lane)
        if names is None:
            raise ProtocolError(f"lane {head.lane} was never declared")
        number, count = number + known, head.count - known
        kind = head.kind
        if kind is _REPLY:
            for late in engines.answer(body, head.count):
                if late >= known:
                    self._refuse(number + late - known, "late")
        elif kind is _SKIP and not names[1]:
            _skipped(body, head.count)  # in the place of answers: no credit was used
        elif kind is _CANCEL:
            correlations = _checked(guarded(_numbers, body), head.count)
            if (place := engines.find(names[1])) is not None:
                place.cancel(self._inlet(names[1], place), correlations)
        else:
            place = engines.find(names[1])
            self._enter(number, known, head, body, names[0], place, self._inlet(names[1], place), now)
        self.received += count
        self.position = number + count - 1

    def _enter(
        self,
        number: int,
        known: int,
        head: RunHead,
        body: memoryview,
        sender: str,
        place: Place | None,
        inlet: Inlet,
        now: float,
    ) -> None:
        """The new part of a run for an engine: into its mailbox, or refused, or skipped."""
        count = head.count - known
        if head.kind is _SKIP:
            return self._pass(inlet, count, sum(_skipped(body, head.count)[known:]))
        size = len(body) - array_head(head.count)
        if known:
            size -= sum(_sizes(body, head.count)[:known])
        if not inlet.allows(count, size):
            raise OutOfStep(f"more messages for {inlet.target!r} than it gave credit for")
        if place is None:
            return self._refuse_all(inlet, number, count, size, self.absent)
        if not inlet.has_space(count):
            return self._refuse_all(inlet, number, count, size, "full")
        tell = head.kind is _TELL
        items: list[object] = place.tells(body, head.count) if tell else list(place.asks(body, head.count))
        if known:
            del items[:known]
        wrong = [i for i, item in enumerate(items) if (item if tell else item[1]) is None]  # type: ignore[index]
        if wrong:
            size -= self._refuse_wrong(inlet, number, items, wrong, size)
        if items:
            inlet.arrived(len(items), size)
            run = Arrived(inlet, sender, head.kind, items, size, now + head.ttl / 1000)
            if self._lone:
                run.lone = True
                self.quick -= 1
                self.position = number  # its answer may leave before this returns, and acknowledge it
            place.deliver(run)

    def _refuse_wrong(self, inlet: Inlet, number: int, items: list[object], wrong: list[int], size: int) -> int:
        """Take out what the target does not speak; how many bytes of the run that was, in proportion."""
        share = size * len(wrong) // len(items)
        for index in reversed(wrong):
            del items[index]
        for index in wrong:
            self._refuse(number + index, "bad_message")
        self._pass(inlet, len(wrong), share)
        return share

    def _inlet(self, target: str, place: Place | None) -> Inlet:
        room = None if place is None else place.room
        inlet = self.inlets.get(target)
        if inlet is None:
            if len(self.inlets) >= MAX_TARGETS:
                raise ProtocolError("too many targets")
            inlet = self.inlets[target] = Inlet(target, room)
        elif inlet.room is not room:
            inlet.bind(room)
        return inlet

    def _pass(self, inlet: Inlet, count: int, size: int) -> None:
        if inlet.passed(count, size):
            self.changed(inlet)

    def _refuse_all(self, inlet: Inlet, number: int, count: int, size: int, reason: str) -> None:
        for offset in range(count):
            self._refuse(number + offset, reason)
        self._pass(inlet, count, size)

    def _refuse(self, number: int, reason: str) -> None:
        self.refusals[number] = reason
        self.news = True
        if len(self.refusals) > MAX_REFUSALS:
            raise ProtocolError("too many refusals that were never settled")


def array_head(count: int) -> int:
    """Bytes of the head of a msgpack array."""
    return 1 if count < 16 else 3


_raws = msgpack.Decoder(list[Raw]).decode
_numbers = msgpack.Decoder(list[Annotated[int, Meta(ge=0)]]).decode


def _sizes(body: memoryview, count: int) -> list[int]:
    """What each item of a run weighs."""
    return _checked([len(bytes(raw)) for raw in guarded(_raws, body)], count)


def _skipped(body: memoryview, count: int) -> list[int]:
    return _checked(guarded(_numbers, body), count)


def _checked(numbers: list[int], count: int) -> list[int]:
    if len(numbers) != count:
        raise ProtocolError(f"a run of {count} messages that holds {len(numbers)}")
    return numbers
