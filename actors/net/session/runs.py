"""What waits for a remote engine: runs of messages in lanes, credit of targets, and the ledger of outcomes. Pure."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Protocol

from msgspec import Struct

from actors.errors import Delivered, Expired, Lost, Outcome, SendError, Sent
from actors.net.messages import Kind
from actors.net.messages import Lane as LaneRecord

FLAT = 2048
"""What a message weighs beside its bytes: one counter bounds both count and bytes."""


_LONGEST_SIZE = 5
"""Bytes of a size in a frame, at most."""


class Waiter(Protocol):
    """Somebody who waits for the outcome of one message (`send`) or for its answer (`ask`)."""

    written: bool

    def give(self, value: object) -> object: ...
    def fail(self, outcome: SendError) -> object: ...


class Ledger(Struct, gc=False):
    """P1 as numbers: accepted = delivered + sent + expired + lost + refused + what is still in flight."""

    accepted: int = 0
    delivered: int = 0
    sent: int = 0
    expired: int = 0
    lost: int = 0
    refused: int = 0

    def note(self, outcome: Outcome, count: int) -> None:
        """So many messages ended so."""
        match outcome:
            case Delivered():
                self.delivered += count
            case Sent():
                self.sent += count
            case Expired():
                self.expired += count
            case Lost():
                self.lost += count
            case _:
                self.refused += count

    def add(self, other: Ledger) -> None:
        """Take over the figures of a proxy that has ended."""
        for field in self.__struct_fields__:
            setattr(self, field, getattr(self, field) + getattr(other, field))


class Target:
    """An engine at the other node: the credit it gave (K1), what of it was used, what of it waits."""

    __slots__ = (
        "blocked",
        "limit_count",
        "limit_size",
        "name",
        "unacknowledged",
        "used_count",
        "used_size",
        "wanted",
        "weight",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.limit_count = self.limit_size = 0
        self.used_count = self.used_size = 0
        self.unacknowledged = 0
        self.weight = 0
        self.wanted = False
        self.blocked: list[Lane] = []


class Lane:
    """From one engine here to one there: a queue of its own, so that a slow engine holds up nobody else (S4).

    One of the unreliable class has no number on the wire, and its target's credit does not bind it (U2).
    """

    __slots__ = ("number", "queue", "ready", "record", "sender", "target", "unreliable")

    def __init__(self, number: int, sender: str, target: Target, *, unreliable: bool = False) -> None:
        self.number = number
        self.unreliable = unreliable
        self.record = LaneRecord(number, sender, target.name)
        self.sender = sender
        self.target = target
        self.queue: deque[Run] = deque()
        self.ready = False


class Run:
    """Consecutive messages of one lane, kind and deadline.

    `items` are encoded. Once the messages have their outcome but their numbers must still be filled (S8),
    `items` is None and `sizes` remembers what they weighed. `number` is the first one's, 0 before the first write.
    """

    __slots__ = (
        "count",
        "deadline",
        "items",
        "kind",
        "lane",
        "number",
        "only",
        "since",
        "size",
        "sizes",
        "until",
        "waiters",
    )

    def __init__(
        self,
        lane: Lane,
        kind: Kind,
        deadline: float,
        items: list[bytes],
        waiters: list[Waiter] | None = None,
        until: float = inf,
    ) -> None:
        self.lane = lane
        self.kind = kind
        self.deadline = deadline
        self.items: list[bytes] | None = items
        self.sizes: list[int] = []
        self.waiters = waiters
        self.until = until
        """What its receiver is told of, if it is before the deadline (Q2)."""
        self.since = 0.0
        """When its first message was accepted; 0 where nobody wants to know."""
        self.only: frozenset[str] | None = None
        """The transports that may carry it; None: any."""
        self.number = 0
        self.count = len(items)
        self.size = 0

    def seal(self) -> None:
        """No item comes any more: count and weigh what there is."""
        assert self.items is not None
        self.count = len(self.items)
        self.size = sum(map(len, self.items))

    def take(self, count: int) -> Run:
        """Cut off the first `count` messages as a run of their own."""
        head = Run(self.lane, self.kind, self.deadline, [], until=self.until)
        head.count, head.number, head.since, head.only = count, self.number, self.since, self.only
        if self.items is None:
            head.items = None
            head.sizes, self.sizes = self.sizes[:count], self.sizes[count:]
        else:
            head.items, self.items = self.items[:count], self.items[count:]
            head.size = sum(map(len, head.items))
        if self.waiters is not None:
            head.waiters, self.waiters = self.waiters[:count], self.waiters[count:]
        self.count -= count
        self.size -= head.size
        self.number += count if self.number else 0
        return head

    @property
    def length(self) -> int:
        """Bytes that it takes in a frame, at most, without its head."""
        return _LONGEST_SIZE * self.count if self.items is None else self.size

    @property
    def weight(self) -> int:
        """What it takes of the outbox; nothing once its messages have their outcome."""
        return 0 if self.items is None else self.size + self.count * FLAT
