"""Credit: how much of a mailbox a peer may fill. Pure.

A limit is absolute: how many messages and bytes for a target one epoch may ever carry (PROTOCOL K1). Room is
promised before it is used, so that a reader never waits for an engine (K3, K5):

    messages of local senders + all that peers hold or were promised beyond their first allowance <= capacity
"""

from __future__ import annotations

from typing import Literal, Protocol

from actors.net.messages import Limit

FIRST = (8, 64 << 10)
"""Messages and bytes that every target takes of every known peer, beside its capacity (K3)."""
WINDOW = (2048, 4 << 20)
"""The most of one mailbox that one peer may hold and be promised together."""
_REMOTE_SHARE = 0.75
"""The part of a mailbox that peers may be promised in all: local senders keep the rest."""
_KEPT_FOR_WANTS = 0.25
"""The part of that which no window is given: a promise is never taken back, and a peer may stay quiet for ever."""


class Room(Protocol):
    """What a mailbox shows of its room. `reserved` is written here and nowhere else."""

    capacity: int
    capacity_bytes: int
    held: int
    held_bytes: int
    reserved: int
    reserved_bytes: int


class Inlet:
    """One peer's way into one mailbox. It outlives epochs, for its messages may outlive them in the mailbox (K2).

    Pairs of attributes are (messages, bytes): `x` and `x_size`.
    """

    __slots__ = (
        "_noted",
        "_noted_size",
        "carried",
        "carried_size",
        "held",
        "held_size",
        "limit",
        "limit_size",
        "room",
        "target",
        "window",
        "window_size",
    )

    def __init__(self, target: str, room: Room | None) -> None:
        self.target = target
        self.room = room
        self.window, self.window_size = FIRST
        self.held = self.held_size = 0
        self.carried = self.carried_size = 0
        self.limit, self.limit_size = FIRST
        self._noted = self._noted_size = 0
        self._note()

    @property
    def is_default(self) -> bool:
        """Whether the limit is the one of targets that are not listed (K3)."""
        return (self.limit, self.limit_size) == FIRST

    def begin(self) -> None:
        """A new epoch: nothing carried yet; what the mailbox still holds of older ones counts (K2)."""
        self.carried = self.carried_size = 0
        self.window, self.window_size = FIRST
        self.limit = max(0, FIRST[0] - self.held)
        self.limit_size = max(0, FIRST[1] - self.held_size)
        self._note()

    def bind(self, room: Room | None) -> None:
        """The target's mailbox is another one now (its engine ended, or one of that name began)."""
        if room is self.room:
            return
        self._forget()
        self.room = room
        self.held = self.held_size = 0
        self._note()

    def allows(self, count: int, size: int) -> bool:
        """Whether so much more keeps to the limit (K5)."""
        return self.carried + count <= self.limit and self.carried_size + size <= self.limit_size

    def has_space(self, count: int) -> bool:
        """Whether the mailbox takes them.

        False only where another mailbox took the place of the one whose room was promised, and more was
        promised than the new one has: then a peer may use no more than its first allowance.
        """
        room = self.room
        if room is None:
            return False
        return room.held + room.reserved <= room.capacity or self.held + count <= FIRST[0]

    def arrived(self, count: int, size: int) -> None:
        """They went into the mailbox: what was promised is held now."""
        self.carried += count
        self.carried_size += size
        self.held += count
        self.held_size += size
        self._note()

    def passed(self, count: int, size: int) -> bool:
        """They were carried but not kept: refused or skipped (K3, S8). Whether there is a new limit to announce."""
        self.carried += count
        self.carried_size += size
        return self._grant() or self._note()

    def consumed(self, count: int, size: int) -> bool:
        """They left the mailbox. Whether there is a new limit to announce."""
        self.held = max(0, self.held - count)
        self.held_size = max(0, self.held_size - size)
        return self._grant() or self._note()

    def want(self, size: int) -> bool:
        """The peer has a message larger than its credit (K4). Whether there is a limit to announce for it."""
        if self.limit > self.carried and self.limit_size - self.carried_size >= size:
            return True
        limit = max(self.limit, self.carried + 1)
        limit_size = max(self.limit_size, self.carried_size + size)
        room, room_size = self._common()
        if limit - self.limit > room or limit_size - self.limit_size > room_size:
            return False
        self.limit, self.limit_size = limit, limit_size
        self._note()
        return True

    def offer(self) -> Limit:
        """The limit as a record."""
        return Limit(self.target, self.limit, self.limit_size)

    def release(self) -> None:
        """Give the promised room back: the peer's session is over."""
        self._forget()
        self.room = None

    def _grant(self) -> bool:
        """Raise the limit towards a full window, in steps of a quarter of it at least; the window widens as it is used.

        Steps of a half leave a sender without credit for a part of each round trip: 0.67 against 0.85 over WebSocket.
        """
        use = self.limit - self.carried + self.held
        use_size = self.limit_size - self.carried_size + self.held_size
        if use * 4 > self.window * 3 and use_size * 4 > self.window_size * 3:
            return False
        self.window = min(self.window * 4, WINDOW[0])
        self.window_size = min(self.window_size * 4, WINDOW[1])
        room, room_size = self._common()
        room_size = (room_size - self._kept()) // 2  # as much as is left for others afterwards
        more = max(0, min(self.window - use, max(room, FIRST[0] - use)))
        more_size = max(0, min(self.window_size - use_size, max(room_size, FIRST[1] - use_size)))
        if not (more or more_size):
            return False
        self.limit += more
        self.limit_size += more_size
        self._note()
        return True

    def _common(self) -> tuple[int, int]:
        """What the mailbox can still promise to peers."""
        room = self.room
        if room is None:
            return FIRST
        return (
            int(room.capacity * _REMOTE_SHARE) - room.held - room.reserved,
            int(room.capacity_bytes * _REMOTE_SHARE) - room.held_bytes - room.reserved_bytes,
        )

    def _kept(self) -> int:
        """Bytes that are for messages larger than their credit (K4), whatever others were promised and do not use."""
        return int(self.room.capacity_bytes * _REMOTE_SHARE * _KEPT_FOR_WANTS) if self.room is not None else 0

    def _note(self) -> Literal[False]:
        """Keep the mailbox's account: what is promised and not yet held, beyond the first allowance."""
        held, held_size = self.held, self.held_size
        beyond = self.limit - self.carried + held - FIRST[0]
        beyond_size = self.limit_size - self.carried_size + held_size - FIRST[1]
        noted = (beyond if beyond > 0 else 0) - held
        noted_size = (beyond_size if beyond_size > 0 else 0) - held_size
        room = self.room
        if room is not None:
            room.reserved += noted - self._noted
            room.reserved_bytes += noted_size - self._noted_size
        self._noted, self._noted_size = noted, noted_size
        return False

    def _forget(self) -> None:
        if self.room is not None:
            self.room.reserved -= self._noted
            self.room.reserved_bytes -= self._noted_size
        self._noted = self._noted_size = 0
