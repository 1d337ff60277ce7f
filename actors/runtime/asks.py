"""Waiting for one answer: a slot that is filled once, and the table that finds a slot by its correlation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

from msgspec import Raw
from trio.lowlevel import Abort, RaiseCancelT, Task, cancel_shielded_checkpoint, current_task, reschedule
from trio.lowlevel import wait_task_rescheduled as park

from actors.errors import Crashed, Expired, Lost, ProtocolError, Refused, SendError
from actors.identity import NodeID
from actors.runtime.codec import reason, reply_decoder


class Slot:
    """Where one `ask` or `send` waits. The first outcome stands; what comes after it is late.

    `withdraw` is set by whoever holds the message and can still take it back: it is called, once, when the asker
    gives up (cancelled, or its time is over) before there is an outcome.
    """

    __slots__ = (
        "_outcome",
        "_task",
        "_value",
        "correlation",
        "deadline",
        "done",
        "peer",
        "request",
        "until",
        "withdraw",
        "written",
    )

    def __init__(self, deadline: float, request: type, correlation: int = 0, peer: NodeID | None = None) -> None:
        self.deadline = deadline
        self.request = request
        self.correlation = correlation
        """0 for a local ask, which needs none."""
        self.peer = peer
        self.until = inf
        """When the asker's own cancel scopes end its wait, if that is earlier: they do it, only the handler is told."""
        self.written = False
        """Whether the message may have left (the transmit half says so), or its handler has begun (local)."""
        self.withdraw: Callable[[], None] | None = None
        self.done = False
        self._task: Task | None = None
        self._value: object = None
        self._outcome: SendError | None = None

    def give(self, value: object) -> bool:
        """The answer. False: too late, and nothing changed."""
        if self.done:
            return False
        self._value = value
        self._finish()
        return True

    def fail(self, outcome: SendError) -> bool:
        """No answer, and why. False: too late, and nothing changed."""
        if self.done:
            return False
        self._outcome = outcome
        self._finish()
        return True

    def expire(self) -> None:
        """The time is over."""
        if not self.done:
            self._take_back()
            self.fail(Expired(self.written))

    async def wait(self) -> object:
        """The answer, or raise why there is none. For one task. Cancelled, it withdraws the message."""
        if self.done:
            await cancel_shielded_checkpoint()
        else:
            self._task = current_task()
            await park(self._abandon)
        if self._outcome is not None:
            raise self._outcome.again()
        return self._value

    def _finish(self) -> None:
        self.done = True
        self.withdraw = None
        if self._task is not None:
            reschedule(self._task)
            self._task = None

    def _abandon(self, _: RaiseCancelT) -> Abort:
        self._task = None
        self.abandon()
        return Abort.SUCCEEDED

    def abandon(self) -> None:
        """Nobody waits any more: take the message back if that can still be done. Idempotent."""
        if not self.done:
            self.done = True
            self._outcome = Expired(self.written)
            self._take_back()

    def _take_back(self) -> None:
        withdraw, self.withdraw = self.withdraw, None
        if withdraw is not None:
            withdraw()

    def __repr__(self) -> str:
        state = f"{self._outcome!r}" if self._outcome else "answered" if self.done else "waiting"
        return f"<Slot {self.correlation} for {self.request.__name__}, {state}>"


class Asks:
    """The slots that wait for another node, by correlation.

    `first` is the first correlation: the node starts it at random, so that the answer to a question of its
    earlier life finds nobody (PROTOCOL S13).
    """

    def __init__(self, first: int = 1) -> None:
        self._slots: dict[int, Slot] = {}
        self._next = first
        self.late = 0
        """Answers that nobody waited for any more."""

    def open(self, deadline: float, request: type, peer: NodeID) -> Slot:
        """A slot of its own correlation. Whoever opens it forgets it."""
        correlation = self._next
        self._next = correlation + 1
        slot = self._slots[correlation] = Slot(deadline, request, correlation, peer)
        return slot

    def forget(self, slot: Slot) -> None:
        """Answers to it are late from now on. Idempotent."""
        self._slots.pop(slot.correlation, None)

    def answer(self, peer: NodeID, correlation: int, status: int, value: Raw) -> bool:
        """A reply of `peer` as it came: 0 and the value, 1 crashed, 2 refused and the reason. False: late.

        An answer from another node than the one asked is nobody's answer, nor is one to a question that has not left.
        """
        slot = self._slots.get(correlation)
        if slot is None or slot.peer != peer or slot.done or not slot.written:
            self.late += 1
            return False
        del self._slots[correlation]
        try:
            if status == 0:
                slot.give(reply_decoder(slot.request)(value))
            elif status == 1:
                slot.fail(Crashed())
            else:
                slot.fail(Refused(reason(value)))
        except ProtocolError:
            slot.fail(Refused("bad_reply", f"the answer is not what {slot.request.__name__} is answered with"))
        return True

    def fail_written(self, peer: NodeID, outcome: SendError) -> None:
        """End all that wait for `peer` and were written: nobody will answer them (PROTOCOL Q3)."""
        for slot in [slot for slot in self._slots.values() if slot.peer == peer and slot.written]:
            slot.fail(outcome)
            self.forget(slot)

    def close(self) -> None:
        """The node has ended, and its clock with it: nobody may wait any more."""
        for slot in self._slots.values():
            slot.fail(Lost("node_stopped", maybe_sent=slot.written))
        self._slots.clear()

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots.values())

    def __len__(self) -> int:
        return len(self._slots)

    def __repr__(self) -> str:
        return f"<Asks: {len(self)} wait, {self.late} came late>"
