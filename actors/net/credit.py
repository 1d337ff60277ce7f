"""Credit: how much of a mailbox a peer may fill. Pure.

A limit is absolute: how many messages and bytes for a target one epoch may ever carry (PROTOCOL K1). Room is
promised before it is used, so that a reader never waits for an engine (K3, K5):

    messages of local senders + all that peers hold or were promised beyond their first allowance <= capacity
"""

from __future__ import annotations

from typing import Protocol

from actors.net.messages import Limit

FIRST = (8, 64 << 10)
"""Messages and bytes that every target takes of every known peer, beside its capacity (K3)."""
WINDOW = (2048, 4 << 20)
"""The most of one mailbox that one peer may hold and be promised together."""
_REMOTE_SHARE = 0.75
"""The part of a mailbox that peers may be promised in all: local senders keep the rest."""


class Room(Protocol):
    """What a mailbox shows of its room. `reserved` is written here and nowhere else."""

    capacity: int
    capacity_bytes: int
    held: int
    held_bytes: int
    reserved: int
    reserved_bytes: int


class Inlet:
    """One peer's way into one mailbox. It outlives epochs, for its messages may outlive them in the mailbox (K2)."""

    __slots__ = ("_noted", "carried", "first", "held", "limit", "room", "target", "window")

    def __init__(self, target: str, room: Room | None, first: tuple[int, int] = FIRST) -> None:
        self.target = target
        self.room = room
        self.first = first
        self.window = first
        self.held = (0, 0)
        self.carried = (0, 0)
        self.limit = first
        self._noted = (0, 0)
        self._note()

    def begin(self) -> None:
        """A new epoch: nothing carried yet; what the mailbox still holds of older ones counts (K2)."""
        self.carried = (0, 0)
        self.window = self.first
        self.limit = (max(0, self.first[0] - self.held[0]), max(0, self.first[1] - self.held[1]))
        self._note()

    def bind(self, room: Room | None) -> None:
        """The target's mailbox is another one now (its engine ended, or one of that name began)."""
        if room is self.room:
            return
        self._forget()
        self.room = room
        self.held = (0, 0)
        self._note()

    def allows(self, count: int, size: int) -> bool:
        """Whether so much more keeps to the limit (K5)."""
        return self.carried[0] + count <= self.limit[0] and self.carried[1] + size <= self.limit[1]

    def has_space(self, count: int) -> bool:
        """Whether the mailbox takes them.

        False only where another mailbox took the place of the one whose room was promised, and more was
        promised than the new one has: then a peer may use no more than its first allowance.
        """
        room = self.room
        if room is None:
            return False
        return room.held + room.reserved <= room.capacity or self.held[0] + count <= self.first[0]

    def arrived(self, count: int, size: int) -> None:
        """They went into the mailbox."""
        self.carried = (self.carried[0] + count, self.carried[1] + size)
        self.held = (self.held[0] + count, self.held[1] + size)
        self._note()

    def passed(self, count: int, size: int) -> bool:
        """They were carried but not kept: refused or skipped (K3, S8). Whether there is a new limit to announce."""
        self.carried = (self.carried[0] + count, self.carried[1] + size)
        self._note()
        return self._grant()

    def consumed(self, count: int, size: int) -> bool:
        """They left the mailbox. Whether there is a new limit to announce."""
        self.held = (max(0, self.held[0] - count), max(0, self.held[1] - size))
        self._note()
        return self._grant()

    def want(self, size: int) -> bool:
        """The peer has a message larger than its credit (K4). Whether there is a new limit to announce."""
        spare = (self.limit[0] - self.carried[0], self.limit[1] - self.carried[1])
        if spare[0] >= 1 and spare[1] >= size:
            return True
        grown = (max(self.limit[0], self.carried[0] + 1), max(self.limit[1], self.carried[1] + size))
        room = self._common()
        if grown[0] - self.limit[0] > room[0] or grown[1] - self.limit[1] > room[1]:
            return False
        self.limit = grown
        self._note()
        return True

    def offer(self) -> Limit:
        """The limit as a record."""
        return Limit(self.target, *self.limit)

    def release(self) -> None:
        """Give the promised room back: the peer's session is over."""
        self._forget()
        self.room = None

    def _grant(self) -> bool:
        """Raise the limit towards a full window, in steps of at least half of it, and widen the window as it is used."""
        spare = (self.limit[0] - self.carried[0], self.limit[1] - self.carried[1])
        use = (spare[0] + self.held[0], spare[1] + self.held[1])
        if use[0] * 2 > self.window[0] and use[1] * 2 > self.window[1]:
            return False
        self.window = (min(self.window[0] * 4, WINDOW[0]), min(self.window[1] * 4, WINDOW[1]))
        room = self._common()
        grown = tuple(max(0, min(self.window[i] - use[i], max(room[i], self.first[i] - use[i]))) for i in (0, 1))
        if not any(grown):
            return False
        self.limit = (self.limit[0] + grown[0], self.limit[1] + grown[1])
        self._note()
        return True

    def _common(self) -> tuple[int, int]:
        """What the mailbox can still promise to peers."""
        room = self.room
        if room is None:
            return self.first
        return (
            int(room.capacity * _REMOTE_SHARE) - room.held - room.reserved,
            int(room.capacity_bytes * _REMOTE_SHARE) - room.held_bytes - room.reserved_bytes,
        )

    def _note(self) -> None:
        """Keep the mailbox's account: what is promised and not yet held, beyond the first allowance."""
        noted = (
            max(0, self.limit[0] - self.carried[0] + self.held[0] - self.first[0]) - self.held[0],
            max(0, self.limit[1] - self.carried[1] + self.held[1] - self.first[1]) - self.held[1],
        )
        if self.room is not None:
            self.room.reserved += noted[0] - self._noted[0]
            self.room.reserved_bytes += noted[1] - self._noted[1]
        self._noted = noted

    def _forget(self) -> None:
        if self.room is not None:
            self.room.reserved -= self._noted[0]
            self.room.reserved_bytes -= self._noted[1]
        self._noted = (0, 0)
