"""One direction of a connection inside one process: bounded, in order, delayed. No tasks: readers look at the clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from math import inf

import trio

CAPACITY = 64 << 10


class End:
    """What follows the last bytes of a pipe. After a reset, bytes that were not read yet are lost."""

    __slots__ = ("reset",)

    def __init__(self, *, reset: bool) -> None:
        self.reset = reset


class Pipe:
    """Bytes one way; written and not read yet are at most `capacity`.

    `delay` gives the seconds that a parcel of so many bytes travels; none overtakes another, and with 0 it
    arrives at once, inside `write`. A simulator of bandwidth or corruption overrides `delay` and `carry`.
    """

    def __init__(self, latency: Callable[[], float], *, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.on_arrival: Callable[[], object] = _nothing
        """Called when something has arrived, or set out: the reader has to look again."""
        self.on_room: Callable[[], object] = _nothing
        """Called when there is room again."""
        self._latency = latency
        self._here = bytearray()
        self._flying: deque[tuple[float, bytes | End]] = deque()
        self._held: list[bytes | End] | None = None
        self._severed = False
        self._room = capacity
        self._end: End | None = None

    def delay(self, size: int) -> float:
        """Seconds that these bytes travel; 0 bytes are the end."""
        return self._latency()

    def journeys(self, data: bytes) -> Iterable[float]:
        """Seconds after which each copy of a datagram arrives that takes this way; none if it is lost."""
        return (self._latency(),) if self.passable else ()

    @property
    def passable(self) -> bool:
        """Whether anything arrives."""
        return self._held is None

    def carry(self, data: bytes) -> bytes:
        """What becomes of bytes on their way; as many as they were."""
        return data

    # -- the writer's side

    @property
    def room(self) -> int:
        """How many bytes `write` takes now."""
        return max(0, self._room)

    def write(self, data: bytes | memoryview) -> int:
        """Take what there is room for; how many bytes that was."""
        if self._room <= 0:
            return 0
        parcel = bytes(data[: self._room])
        if parcel:
            self._room -= len(parcel)
            self._send(self.carry(parcel))
        return len(parcel)

    def end(self, *, reset: bool) -> None:
        """Nothing more will be written."""
        self._send(End(reset=reset))

    def _send(self, parcel: bytes | End) -> None:
        if self._held is not None:
            self._held.append(parcel)
            return
        delay = self.delay(0 if isinstance(parcel, End) else len(parcel))
        if delay or self._flying:
            arrival = trio.current_time() + delay
            self._flying.append((max(arrival, self._flying[-1][0]) if self._flying else arrival, parcel))
        else:
            self._arrive(parcel)
        self.on_arrival()

    def resize(self, capacity: int) -> None:
        """From now on it holds no more than so many bytes. What is in it beyond that stays until it is read."""
        self._room += capacity - self.capacity
        self.capacity = capacity
        if self._room > 0:
            self.on_room()

    # -- the way

    def hold(self) -> None:
        """From now on nothing arrives, what is on its way included. Nothing is forgotten either."""
        if self._held is None:
            self._land()
            self._held = [parcel for _, parcel in self._flying]
            self._flying.clear()

    def release(self) -> None:
        """What was held back sets out again, in order (as TCP sends again what got no answer)."""
        if self._severed:
            return
        held, self._held = self._held or [], None
        for parcel in held:
            self._send(parcel)

    def sever(self) -> None:
        """Nothing arrives any more, for good: as `hold`, and no `release` ends it."""
        self.hold()
        self._severed = True

    def _land(self) -> None:
        now = trio.current_time()
        while self._flying and self._flying[0][0] <= now:
            self._arrive(self._flying.popleft()[1])

    def _arrive(self, parcel: bytes | End) -> None:
        if isinstance(parcel, End):
            self._end = parcel
        else:
            self._here += parcel

    # -- the reader's side

    @property
    def ended(self) -> End | None:
        """The end, once it has arrived; bytes before it may be left to read, unless it is a reset."""
        if self._flying:
            self._land()
        return self._end

    @property
    def readable(self) -> bool:
        """Whether there are bytes to read."""
        if self._flying:
            self._land()
        return bool(self._here)

    def read(self, buffer: memoryview) -> int:
        """Fill the front of `buffer`; how many bytes that was, 0 if none are here."""
        if not self.readable:
            return 0
        count = min(len(buffer), len(self._here))
        buffer[:count] = self._here[:count]
        del self._here[:count]
        self._room += count
        self.on_room()
        return count

    @property
    def next_arrival(self) -> float:
        """When something will arrive; infinity if nothing is on its way."""
        return self._flying[0][0] if self._flying else inf

    @property
    def end_arrival(self) -> float:
        """When the end will arrive; infinity if it is not on its way."""
        return self._flying[-1][0] if self._flying and isinstance(self._flying[-1][1], End) else inf


def _nothing() -> None: ...
