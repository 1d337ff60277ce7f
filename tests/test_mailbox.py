"""Mailboxes and local ports: bounded, in order for each sender, and exact about what is in them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from running import NODE, Note

from actors.identity import EngineID
from actors.runtime import Batch, Kind, LocalPort, Mailbox, Pace

SINK = EngineID(NODE, "sink")


class FakeOrigin:
    """Another node, as far as a mailbox sees it."""

    def consumed(self, count: int, size: int) -> None: ...
    def reply(self, correlation: int, status: int, value: object) -> None: ...
    def flush(self) -> None: ...


class Gone:
    """The loop of an engine that has ended."""

    def __init__(self) -> None:
        self.away: list[Batch] = []

    def turn_away(self, batches: list[Batch]) -> None:
        self.away += batches

    def handle_at_once(self, batch: Batch) -> bool:
        raise AssertionError(f"{batch} came to an engine that has ended")


class Ports:
    """A sender's table that holds nothing."""

    def leave(self, _: EngineID) -> None: ...


def port(box: Mailbox, name: str = "a", *, slice: int = 256) -> LocalPort:
    return LocalPort(EngineID(NODE, name), SINK, box, Pace(slice, strict=False), Ports())


def told(box: Mailbox) -> list[Any]:
    """Everything in the mailbox, as the engine would see it."""
    found = []
    while len(box):
        batch = box.take_nowait()
        found += batch.items
        box.release(len(batch.items), batch.size)
    return found


def test_consecutive_tells_of_one_sender_are_one_batch() -> None:
    box = Mailbox()
    sender = port(box)
    notes = [Note(str(number)) for number in range(10)]
    assert all(sender.tell(note) for note in notes)
    assert len(box) == 1
    assert repr(sender) == f"<LocalPort {sender.sender} -> {SINK}, 246 left>"
    batch = box.take_nowait()
    assert batch.items == notes
    assert sender.left == 0
    assert repr(batch) == f"<Batch TELL of 10 from {sender.sender}>"
    with pytest.raises(RuntimeError, match="without an open batch"):
        sender.append(notes[0])


def test_a_batch_that_was_taken_does_not_grow_any_more() -> None:
    box = Mailbox()
    sender = port(box)
    sender.tell(Note("first"))
    taken = box.take_nowait()
    sender.tell(Note("second"))
    assert taken.items == [Note("first")]
    assert box.take_nowait().items == [Note("second")]


def test_an_ask_comes_behind_what_its_sender_told() -> None:
    box = Mailbox()
    sender = port(box)
    sender.tell(Note("before"))
    assert sender.ask(("slot", Note("ask")))
    sender.tell(Note("after"))
    assert told(box) == [Note("before"), ("slot", Note("ask")), Note("after")]


def test_a_full_mailbox_takes_no_more() -> None:
    box = Mailbox(3)
    sender = port(box)
    assert [sender.tell(Note("x")) for _ in range(5)] == [True] * 3 + [False] * 2
    assert not sender.ask(("slot", Note("x")))
    assert not port(box, "b").tell(Note("x"))
    assert box.statistics().held == 3
    batch = box.take_nowait()
    assert not sender.tell(Note("in hand counts too"))
    box.release(len(batch.items))
    assert sender.tell(Note("x"))


def test_what_one_sender_was_granted_and_does_not_use_goes_to_another() -> None:
    box = Mailbox(4)
    idle, busy = port(box, "idle"), port(box, "busy")
    assert idle.tell(Note("one"))
    assert idle.left == 3
    assert [busy.tell(Note("x")) for _ in range(4)] == [True] * 3 + [False]
    assert not idle.tell(Note("y"))


def test_room_that_is_promised_to_other_nodes_is_not_for_local_senders() -> None:
    box = Mailbox(4)
    box.reserved = 3
    sender = port(box)
    assert [sender.tell(Note("x")) for _ in range(2)] == [True, False]
    origin = FakeOrigin()
    box.reserved = 0
    box.deliver(Batch(SINK, Kind.TELL, [Note("far")] * 3, size=30, origin=origin))
    assert (box.held_bytes, box.statistics().held) == (30, 4)
    assert not sender.tell(Note("x"))


def test_a_mailbox_for_no_message_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Mailbox(0)


def test_after_its_end_a_mailbox_takes_nothing_and_gives_back_what_it_had() -> None:
    box, gone = Mailbox(), Gone()
    box.loop = gone
    sender = port(box)
    sender.tell(Note("left"))
    left = box.close()
    assert [batch.items for batch in left] == [[Note("left")]]
    assert not sender.tell(Note("x"))
    assert not sender.ask(("slot", Note("x")))
    late = Batch(SINK, Kind.TELL, [Note("far")], size=3, origin=FakeOrigin())
    box.deliver(late)
    assert gone.away == [late]
    assert repr(box) == "<Mailbox: closed, 0 reserved, 0 senders wait>"


def test_an_ask_of_another_node_is_struck_out_where_it_waits() -> None:
    box, origin = Mailbox(), FakeOrigin()
    box.deliver(Batch(SINK, Kind.ASK, [(1, Note("a")), (2, Note("b"))], origin=origin))
    box.deliver(Batch(SINK, Kind.ASK, [(2, Note("of another"))], origin=FakeOrigin()))
    box.withdraw(origin, 2)
    assert told(box) == [(1, Note("a")), None, (2, Note("of another"))]


def test_many_senders_in_turn_get_shorter_batches() -> None:
    box, pace = Mailbox(), Pace(256, strict=False)
    ports = [LocalPort(EngineID(NODE, str(number)), SINK, box, pace, Ports()) for number in range(16)]
    for sender in ports:
        sender.tell(Note("x"))
    assert [sender.left + 1 for sender in ports[:4]] == [256, 128, 85, 64]
    assert ports[15].left + 1 == 16
    assert not ports[0].spent()
    ports[1].close()
    ports[1].tell(Note("the seventeenth batch since anybody else has run"))
    assert ports[0].spent()


async def test_those_who_wait_for_room_learn_of_the_end_however_much_is_reserved(
    autojump_clock: trio.testing.MockClock,
) -> None:
    box = Mailbox(4)
    box.reserved = 4
    async with trio.open_nursery() as nursery:
        box.waiting = 1
        nursery.start_soon(box.lot.park)
        await trio.testing.wait_all_tasks_blocked()
        box.close()


async def test_those_who_wait_are_woken_when_half_of_what_they_may_have_is_free(
    autojump_clock: trio.testing.MockClock,
) -> None:
    box = Mailbox(8)
    sender = port(box)
    woken = list[float]()

    async def wait() -> None:
        box.waiting += 1
        await box.lot.park()
        woken.append(trio.current_time())

    for _ in range(8):
        sender.tell(Note("x"))
    box.take_nowait()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        for _ in range(8):
            await trio.sleep(1)
            box.release(1)
    assert woken == [4]
    box.held, box.reserved = 0, 8
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(2)
        box.reserved = 4
    assert woken == [4, 10]


async def test_the_reader_sleeps_until_there_is_something(autojump_clock: trio.testing.MockClock) -> None:
    box = Mailbox()
    sender = port(box)
    taken = list[Any]()

    async def read() -> None:
        batch = await box.take()
        taken.append((trio.current_time(), batch.items))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(3)
        sender.tell(Note("a"))
        sender.tell(Note("b"))
    assert taken == [(3, [Note("a"), Note("b")])]


async def test_a_cancelled_reader_takes_nothing_with_it(autojump_clock: trio.testing.MockClock) -> None:
    box = Mailbox()
    with trio.move_on_after(1):
        await box.take()
    port(box).tell(Note("a"))
    assert (await box.take()).items == [Note("a")]


SENDERS = st.integers(0, 3)


class MailboxMachine(RuleBasedStateMachine):
    """Any order of tells, asks, deliveries and takes: counted exactly, bounded, and in order for each sender."""

    @initialize(capacity=st.integers(1, 12), slice=st.integers(1, 6))
    def start(self, capacity: int, slice: int) -> None:
        self.box, pace = Mailbox(capacity), Pace(slice, strict=False)
        self.origin = FakeOrigin()
        self.ports = [LocalPort(EngineID(NODE, str(n)), SINK, self.box, pace, Ports()) for n in range(4)]
        self.sent: dict[int, list[int]] = defaultdict(list)
        self.seen: dict[int, list[int]] = defaultdict(list)
        self.number = 0
        self.hand: Batch | None = None

    def next(self, sender: int) -> Any:
        self.number += 1
        self.sent[sender].append(self.number)
        return self.number

    @property
    def inside(self) -> int:
        return sum(map(len, self.sent.values())) - sum(map(len, self.seen.values()))

    @rule(sender=SENDERS)
    def tell(self, sender: int) -> None:
        full = self.inside + self.box.reserved >= self.box.capacity
        accepted = self.ports[sender].tell(self.number + 1)  # type: ignore[arg-type]
        assert accepted != full
        if accepted:
            self.next(sender)

    @rule(sender=SENDERS)
    def ask(self, sender: int) -> None:
        full = self.inside + self.box.reserved >= self.box.capacity
        accepted = self.ports[sender].ask((None, self.number + 1))  # type: ignore[arg-type]
        assert accepted != full
        if accepted:
            self.next(sender)

    @rule(count=st.integers(0, 3))
    def promise(self, count: int) -> None:
        if self.box.held + self.box.reserved + count <= self.box.capacity:
            self.box.reserved += count

    @precondition(lambda self: self.box.reserved)
    @rule()
    def deliver(self) -> None:
        self.box.reserved -= 1
        self.box.deliver(Batch(SINK, Kind.TELL, [self.next(9)], size=7, origin=self.origin))

    @rule()
    def take(self) -> None:
        if self.hand is not None:
            batch, self.hand = self.hand, None
            self.box.release(len(batch.items), batch.size)
            for item in batch.items:
                sender = 9 if batch.origin else int(batch.sender.name)
                self.seen[sender].append(item[1] if batch.kind == Kind.ASK else item)
        elif len(self.box):
            self.hand = self.box.take_nowait()

    @rule(sender=SENDERS)
    def close(self, sender: int) -> None:
        self.ports[sender].close()

    @invariant()
    def exact(self) -> None:
        if hasattr(self, "box"):
            box = self.box
            assert box.statistics().held == self.inside
            assert box.held + box.reserved <= box.capacity

    @invariant()
    def in_order(self) -> None:
        if hasattr(self, "box"):
            for sender, seen in self.seen.items():
                assert seen == self.sent[sender][: len(seen)]

    def teardown(self) -> None:
        if hasattr(self, "box"):
            while self.hand is not None or len(self.box):
                self.take()
            assert self.seen == {sender: sent for sender, sent in self.sent.items() if sent}
            assert (self.box.held, self.box.held_bytes) == (0, 0)


TestMailboxMachine = MailboxMachine.TestCase
TestMailboxMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.lists(st.integers(1, 300), max_size=20), st.integers(1, 64))
def test_batches_are_never_longer_than_a_slice(bursts: list[int], slice: int) -> None:
    box = Mailbox(100_000)
    sender = port(box, slice=slice)
    for burst in bursts:
        for _ in range(burst):
            sender.tell(Note("x"))
    count = 0
    while len(box):
        batch = box.take_nowait()
        count += len(batch.items)
        assert len(batch.items) <= slice
    assert count == sum(bursts)
