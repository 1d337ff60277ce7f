"""What a fault proxy can do to a connection, as data, and how one way of a connection obeys it. Pure: moves no bytes.

Time and dice are arguments. In whatever order toxics are added, they act in this one: latency, corruption, slices,
limits, bandwidth; two of a kind add up, or the stricter one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from enum import Flag, auto
from math import inf, log
from typing import ClassVar, TypeAlias, TypeVar

from msgspec import Struct

from actors.errors import ConfigError


class Way(Flag):
    """Which bytes a toxic is for: those on their way to the listener, those to the dialer, or all."""

    TO_TARGET = auto()
    TO_DIALER = auto()
    BOTH = TO_TARGET | TO_DIALER

    @property
    def back(self) -> Way:
        """The other way."""
        return Way.BOTH ^ self


class Toxic(Struct, frozen=True):
    """One fault. Two that are equal are the same."""

    at_the_door: ClassVar[bool] = False
    """It is about connections that are to be made, not about bytes."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if getattr(self, name) < 0:
                raise ConfigError(f"no {name} is below 0: {self}")


class Latency(Toxic, frozen=True):
    """Every byte arrives so many seconds later, and up to `jitter` more; none overtakes another."""

    seconds: float
    jitter: float = 0.0


class Bandwidth(Toxic, frozen=True):
    """So many bytes a second, above 0; the sender feels it as a full socket."""

    bytes_per_second: float

    def __post_init__(self) -> None:
        if self.bytes_per_second <= 0:
            raise ConfigError("no bytes at all are a Blackhole, not a Bandwidth")


class Slicer(Toxic, frozen=True):
    """At most `size` bytes in one segment, and `pause` seconds between two."""

    size: int = 1
    pause: float = 0.0


class Corrupt(Toxic, frozen=True):
    """One bit of a byte is turned, of one byte in `every` on average; the first `after` bytes of a connection never."""

    every: float = 4096
    after: int = 0


class Limit(Toxic, frozen=True):
    """After so many bytes of this way the connection is closed, as a program closes it: what was sent is cut short."""

    bytes: int


class Reset(Toxic, frozen=True):
    """After so many bytes of this way the connection is reset (RST), both ways; with 0 at its first byte."""

    after: int = 0


class Blackhole(Toxic, frozen=True):
    """Nothing arrives, the end of the connection neither, and nobody is told. Without it, all goes on where it was."""


class Hang(Toxic, frozen=True):
    """New connections are accepted, and that is all. Without it, they are connected then."""

    at_the_door = True


class Refuse(Toxic, frozen=True):
    """Nobody listens: whoever dials is refused. Connections that there are stay."""

    at_the_door = True


class Ending(Struct, frozen=True):
    """How a toxic ends a connection."""

    reset: bool


Live: TypeAlias = Callable[[], Collection[Toxic]]
"""The toxics of this moment: they come and go while bytes move."""

T = TypeVar("T", bound=Toxic)


class Course:
    """One way of one connection: what becomes of its bytes. `dice` gives numbers from 0 up to, not including, 1."""

    def __init__(self, toxics: Live, dice: Callable[[], float]) -> None:
        self.carried = 0
        """Bytes that went on."""
        self._toxics = toxics
        self._dice = dice
        self._last_due = -inf
        self._seen = 0
        self._turn: tuple[Corrupt, int] | None = None  # the byte that is turned next

    def due(self, now: float) -> float:
        """When what has come now goes on."""
        late = sum(each.seconds + each.jitter * self._dice() for each in self._of(Latency))
        self._last_due = max(self._last_due, now + late)
        return self._last_due

    @property
    def is_open(self) -> bool:
        """Whether anything goes on at all."""
        return not self._of(Blackhole)

    def corrupted(self, data: bytes) -> bytes:
        """The next bytes of this way, as they go on."""
        begin, self._seen = self._seen, self._seen + len(data)
        toxic = next(iter(self._of(Corrupt)), None)
        if toxic is None:
            self._turn = None
            return data
        if self._turn is None or self._turn[0] != toxic:
            self._turn = toxic, max(begin, toxic.after) + self._gap(toxic)
        changed = bytearray(data)
        while (at := self._turn[1]) < self._seen:
            changed[at - begin] ^= 1 << int(self._dice() * 8)
            self._turn = toxic, at + 1 + self._gap(toxic)
        return bytes(changed)

    def _gap(self, toxic: Corrupt) -> int:
        return int(-log(1 - self._dice()) * max(0.0, toxic.every - 1))

    def segments(self, data: bytes) -> Iterator[bytes]:
        """In these parts."""
        rest = memoryview(data)
        while rest:
            size = min((max(1, each.size) for each in self._of(Slicer)), default=len(rest))
            yield bytes(rest[:size])
            rest = rest[size:]

    def take(self, size: int) -> tuple[int, Ending | None]:
        """How many of the next bytes go on, now, and what comes then instead of the rest."""
        count, ending = self._allowed(size)
        self.carried += count
        return count, ending

    def _allowed(self, size: int) -> tuple[int, Ending | None]:
        ends = [(each.bytes, Ending(reset=False)) for each in self._of(Limit)]
        ends += [(each.after, Ending(reset=True)) for each in self._of(Reset)]
        most, ending = min(ends, key=lambda end: end[0], default=(inf, None))
        if self.carried + size < most or ending is None:
            return size, None
        if self.carried + size == most and not ending.reset:
            return size, ending
        return max(0, min(size, int(most) - self.carried)), ending

    def pause(self, size: int) -> float:
        """So many bytes went on: seconds until the next may."""
        pause = sum(each.pause for each in self._of(Slicer))
        rate = min((each.bytes_per_second for each in self._of(Bandwidth)), default=inf)
        return pause + size / rate

    @property
    def gulp(self) -> int:
        """Bytes worth writing at once: a twentieth of a second's, where there is a bandwidth."""
        rate = min((each.bytes_per_second for each in self._of(Bandwidth)), default=inf)
        return max(1, int(min(rate / 20, 64 << 10)))

    def _of(self, kind: type[T]) -> list[T]:
        return [each for each in self._toxics() if isinstance(each, kind)]
