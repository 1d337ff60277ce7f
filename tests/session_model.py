"""Two halves of a session joined by connections that can be cut anywhere: the bench for test_session_halves.

The sender is a real `Transmit`, the receiver a real `Receive`; frames cross as bytes. Every message is a unique
number, so that mailboxes and outcomes can be held against each other.
"""

from __future__ import annotations

from collections import deque

from msgspec import msgpack

from actors.errors import DELIVERED, Delivered, Expired, Failure, Lost, Outcome, SendError
from actors.identity import Incarnation
from actors.net.messages import Ack, Kind, Messages, Resume, Settled, Want
from actors.net.session.credit import FIRST, Inlet
from actors.net.session.receive import Arrived, Receive
from actors.net.session.runs import Lane, Run
from actors.net.session.transmit import Transmit
from actors.net.wire import decode, decode_messages, encode, guarded

TARGETS = ("s", "t", "u")
SENDERS = ("", "e")

_tells = msgpack.Decoder(list[tuple[int, bytes]]).decode


class Mailbox:
    """A bounded mailbox that nobody empties unless told to."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.capacity_bytes = capacity, 1 << 20
        self.held = self.held_bytes = self.reserved = self.reserved_bytes = 0
        self.batches: deque[Arrived] = deque()
        self.log: list[tuple[str, int]] = []

    @property
    def room(self) -> Mailbox:
        return self

    def tells(self, body: memoryview, count: int) -> list[object]:
        items = guarded(_tells, body)
        assert len(items) == count
        return [None if number % 17 == 16 else number for number, _ in items]

    def asks(self, body: memoryview, count: int) -> list[tuple[int, object]]:
        raise NotImplementedError

    def cancel(self, inlet: Inlet, correlations: list[int]) -> None:
        raise NotImplementedError

    def offer(self, sender: str, message: object, size: int) -> bool:
        raise NotImplementedError

    def deliver(self, run: Arrived) -> None:
        self.held += len(run.items)
        self.held_bytes += run.size
        assert self.held <= self.capacity + FIRST[0], "more than was promised"
        self.batches.append(run)
        self.log += [(run.sender, item) for item in run.items]  # type: ignore[misc]

    def consume(self) -> tuple[Inlet, int, int] | None:
        """The engine handles the oldest batch."""
        if not self.batches:
            return None
        run = self.batches.popleft()
        self.held -= len(run.items)
        self.held_bytes -= run.size
        return run.inlet, len(run.items), run.size


class Note:
    """Who waits for one message: notes its outcomes."""

    def __init__(self, number: int, bench: Bench) -> None:
        self.number, self.bench, self.written = number, bench, False

    def give(self, value: object) -> None:
        self.bench.note(self.number, DELIVERED)

    def fail(self, outcome: SendError) -> None:
        assert isinstance(outcome, Failure)
        self.bench.note(self.number, outcome)


class Engines:
    """Mailboxes by name; nobody asks."""

    def __init__(self, boxes: dict[str, Mailbox | None]) -> None:
        self.boxes = boxes

    def find(self, name: str) -> Mailbox | None:
        return self.boxes.get(name)

    def answer(self, body: memoryview, count: int) -> list[int]:
        return []


class Bench:
    """Sender, receiver, and at most one connection between them (the rules for two stand in test_contest)."""

    def __init__(self, capacity: int = 12) -> None:
        self.now = 0.0
        self.outcomes: dict[int, Outcome] = {}
        self.sent: dict[int, tuple[str, str]] = {}
        self.permanent_loss = False
        self.transmit = Transmit(1, self.report)
        self.lanes: dict[tuple[str, str], Lane] = {}
        self.boxes: dict[str, Mailbox | None] = {name: Mailbox(capacity) for name in TARGETS[:2]}
        self.all_boxes: list[tuple[str, Mailbox]] = [(n, b) for n, b in self.boxes.items() if b]
        self.engines = Engines(self.boxes)
        self.boot = 1
        self.records = 0
        self.receive: Receive | None = None
        self.to_b: deque[bytes] | None = None
        self.to_a: deque[bytes] | None = None
        self.b_lanes: dict[int, tuple[str, str]] = {}
        self.a_resumed = False
        self.next = 1

    # -- what can happen --------------------------------------------------------------------------------

    def tell(self, sender: str, target: str, count: int, size: int, ttl: float) -> None:
        """Accept a run of messages."""
        key = sender, target
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane(len(self.lanes), sender, self.transmit.target(target))
        numbers = range(self.next, self.next + count)
        self.next += count
        self.sent.update(dict.fromkeys(numbers, key))
        items = [msgpack.encode((number, b"x" * size)) for number in numbers]
        run = Run(lane, Kind.TELL, self.now + ttl, items, [Note(number, self) for number in numbers])
        self.transmit.admit(run)
        self.transmit.queue(run)

    def connect(self) -> None:
        """A new connection; both Resumes are on their way."""
        if self.to_a is not None:
            return
        if self.receive is None or self.receive.epoch != self.transmit.epoch:
            inlets = self.receive.inlets if self.receive else None
            self.records += 1
            self.receive = Receive(Incarnation(self.boot, 0), self.transmit.epoch, self.records, inlets)
        self.to_b, self.to_a, self.b_lanes, self.a_resumed = deque(), deque(), {}, False
        self.to_a.append(encode(self.receive.resume()))

    def cut(self) -> None:
        """The connection is gone with everything on it."""
        self.to_a = self.to_b = None
        self.a_resumed = False

    def write(self) -> None:
        """The sender writes one frame."""
        if self.to_b is None or not self.a_resumed:
            return
        parts = self.transmit.write(self.now, 0)
        if parts:
            self.to_b.append(b"".join(parts))
        while self.transmit.wants:
            self.to_b.append(encode(self.transmit.wants.popleft()))

    def hear_b(self) -> None:
        """The receiver takes one frame."""
        if not self.to_b or self.receive is None:
            return
        frame = memoryview(self.to_b.popleft())[4:]
        if frame[0] == 0x91:
            record, payload = decode_messages(frame)
            assert isinstance(record, Messages)
            self.receive.take(record, payload, self.b_lanes, self.now, self.engines)
            return
        match decode(frame):
            case Settled(number):
                self.receive.settled(number)
            case Want(target, size):
                self.receive.want(target, size, self.engines)

    def ack(self) -> None:
        """The receiver writes an Ack if it owes one."""
        if self.to_a is not None and self.receive is not None and self.receive.owes:
            self.to_a.append(encode(self.receive.ack()))

    def hear_a(self) -> None:
        """The sender takes one frame."""
        if not self.to_a:
            return
        match decode(memoryview(self.to_a.popleft())[4:]):
            case Resume() as resume:
                if not self.transmit.known(resume.record, resume.position):
                    self.permanent_loss = True
                    self.transmit.renew(self.transmit.epoch + 1, "session_lost")
                    return self.cut()
                self.transmit.acknowledge(resume.position, resume.refusals, resume.credit)
                self.transmit.resume((resume.first_count, resume.first_size), resume.credit)
                self.transmit.rewind()
                self.a_resumed = True
            case Ack(upto, refusals, credit):
                self.transmit.acknowledge(upto, refusals, credit)
                if refusals and self.to_b is not None:
                    self.to_b.append(encode(Settled(self.transmit.settled)))

    def consume(self, target: str) -> None:
        """An engine handles a batch."""
        box = self.boxes.get(target)
        if box and (taken := box.consume()) and self.receive:
            inlet, count, size = taken
            if inlet.consumed(count, size):
                self.receive.changed(inlet)

    def stop_engine(self, target: str) -> None:
        """An engine ends; what lies in its mailbox ends with it."""
        while self.boxes.get(target) and self.boxes[target].batches:  # type: ignore[union-attr]
            self.consume(target)
        self.boxes[target] = None

    def start_engine(self, target: str, capacity: int) -> None:
        """An engine of that name begins, if there is none."""
        if self.boxes.get(target) is None:
            box = self.boxes[target] = Mailbox(capacity)
            self.all_boxes.append((target, box))

    def pass_time(self, seconds: float) -> None:
        """Deadlines are looked after as the outbox does."""
        self.now += seconds
        if self.transmit.expiries.next() <= self.now:
            self.transmit.expire(self.now)

    def restart_receiver(self) -> None:
        """The receiving node begins a new incarnation."""
        self.cut()
        self.boot += 1
        self.permanent_loss = True
        self.receive = None
        self.boxes = self.engines.boxes = {name: box and Mailbox(box.capacity) for name, box in self.boxes.items()}
        self.all_boxes += [(name, box) for name, box in self.boxes.items() if box]
        self.transmit.renew(self.transmit.epoch, "peer_restarted")

    def forget_record(self) -> None:
        """The receiving Router evicts the record of this peer."""
        if self.to_a is None and self.receive is not None and self.receive.disposable:
            self.receive.release()
            self.receive = None

    # -- what must hold ---------------------------------------------------------------------------------

    def report(self, run: Run, outcome: SendError) -> None:
        raise AssertionError("every message here has somebody who waits")

    def note(self, number: int, outcome: Outcome) -> None:
        assert number not in self.outcomes, f"P1: {number} ends as {outcome} after {self.outcomes[number]}"
        self.outcomes[number] = outcome

    def check(self) -> None:
        """P1 and P2, and the ledger, at any moment."""
        ledger, transmit = self.transmit.ledger, self.transmit
        ended = ledger.delivered + ledger.expired + ledger.lost + ledger.refused
        assert ledger.accepted == self.next - 1
        assert ledger.accepted == ended + transmit.queued + transmit.unacknowledged
        assert len(self.outcomes) == ended
        delivered = [number for _, box in self.all_boxes for _, number in box.log]
        assert len(set(delivered)) == len(delivered), "P2: a message entered a mailbox twice"
        for name, box in self.all_boxes:
            for sender in SENDERS:
                mine = [number for who, number in box.log if who == sender]
                assert mine == sorted(mine), "P2: reordered"
                assert all(self.sent[number] == (sender, name) for number in mine)
        for number, outcome in self.outcomes.items():
            if outcome is DELIVERED or isinstance(outcome, Delivered):
                assert number in delivered, f"P1: {number} Delivered, but in no mailbox"
            elif not getattr(outcome, "maybe_sent", False):
                assert number not in delivered, f"P1: {number} ended as {outcome!r}, but is in a mailbox"

    def settle(self) -> None:
        """No more faults: connect, let everything flow, engines work."""
        for target in TARGETS:
            self.start_engine(target, 12)
        for _ in range(3000):
            if self.transmit.empty:
                break
            self.connect()
            for step in (self.write, self.hear_b, self.ack, self.hear_a):
                step()
            for target in TARGETS:
                self.consume(target)
        self.check()
        assert self.transmit.empty, f"P3: {self.transmit.queued} wait, {self.transmit.unacknowledged} unacknowledged"
        assert self.transmit.weight == 0
        for number, outcome in self.outcomes.items():
            if isinstance(outcome, Lost):
                assert self.permanent_loss, f"P3: {number} {outcome!r} though nobody restarted"
            assert not isinstance(outcome, Expired) or self.now > 0
