"""When to sever the connection under a stream. Pure: positions, times and randomness are arguments.

A cut that is due stays due until it was `made`: whoever makes it waits for the moment when data is in flight.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Protocol

AHEAD = 1024
"""Messages that a source holds back while cuts are left: so it sees the end of a stream of unknown length coming."""
AHEAD_BYTES = 4 << 20


class Cuts(Protocol):
    """A plan of cuts."""

    made_so_far: int

    @property
    def ahead(self) -> int:
        """How many messages the source shall hold back at the moment."""

    @property
    def wanted(self) -> int:
        """How many messages should be left, so that the cuts that are left find each its own."""

    def due(self, position: int, now: float) -> bool:
        """Whether to cut, `position` messages having been handed over."""

    def made(self, position: int, now: float) -> None:
        """A cut took effect."""

    def end_in_sight(self, position: int, left: int) -> None:
        """There are `left` messages more, and that is all."""


class NoCuts:
    """An undisturbed stream."""

    made_so_far = 0
    ahead = 0
    wanted = 0

    def due(self, position: int, now: float) -> bool:
        return False

    def made(self, position: int, now: float) -> None:
        raise AssertionError("no cut was due")

    def end_in_sight(self, position: int, left: int) -> None:
        pass


class TimedCuts:
    """A cut every so many seconds, from the stream's start."""

    ahead = 0
    wanted = 0

    def __init__(self, every: float, start: float) -> None:
        self.made_so_far = 0
        self._every = every
        self._next = start + every

    def due(self, position: int, now: float) -> bool:
        return now >= self._next

    def made(self, position: int, now: float) -> None:
        self.made_so_far += 1
        self._next = now + self._every

    def end_in_sight(self, position: int, left: int) -> None:
        pass


class RandomCuts:
    """`count` cuts at random positions: as if the stream had `typical` messages, until its end is in sight.

    Then the cuts that are left are spread over the messages that are left. Fewer messages than cuts: several at one.
    """

    def __init__(self, count: int, random: Random, typical: int) -> None:
        self.made_so_far = 0
        self._count = count
        self._random = random
        self._widest = max(1, 2 * typical // (count + 1))
        self._next = self._gap()
        self._last: Iterator[int] | None = None

    @property
    def ahead(self) -> int:
        return AHEAD if self.made_so_far < self._count else 0

    @property
    def wanted(self) -> int:
        return 4 * (self._count - self.made_so_far)

    def due(self, position: int, now: float) -> bool:
        return self.made_so_far < self._count and position >= self._next

    def made(self, position: int, now: float) -> None:
        self.made_so_far += 1
        self._next = position + self._gap() if self._last is None else next(self._last, position)

    def end_in_sight(self, position: int, left: int) -> None:
        rest = self._count - self.made_so_far
        # Not the very last ones: a cut that finds nothing in flight moves on to the message after.
        places = range(position + 1, position + 1 + max(1, left * 9 // 10)) if left else range(0)
        self._last = iter(sorted(self._some(places, rest)))
        self._next = next(self._last, self._next)

    def _some(self, places: range, count: int) -> list[int]:
        if count > len(places) > 0:
            return self._random.choices(places, k=count)
        return self._random.sample(places, min(count, len(places)))

    def _gap(self) -> int:
        return self._random.randint(1, self._widest)
