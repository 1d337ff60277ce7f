"""Deadlines of many connections, in one task. A deadline that moves away costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Final

import trio

FLOOR: Final = 1e-4
"""Seconds that a deadline lies ahead at least: one in the past, as pacing gives, must not spin."""


class Timer:
    """Rings at the earliest time that it was set to since it rang; what was meant then, its owner knows."""

    __slots__ = ("_ring", "_timers", "at")

    def __init__(self, timers: Timers, ring: Callable[[], object]) -> None:
        self._timers = timers
        self._ring = ring
        self.at = inf

    def set(self, at: float, now: float) -> None:
        """Ring at this time, if that is earlier than before."""
        if at < self.at:
            self.at = max(at, now + FLOOR)
            self._timers.add(self)

    def stop(self) -> None:
        """Never ring again, and keep nothing alive."""
        self.at = inf
        self._ring = _nothing

    def ring(self) -> None:
        """Once."""
        self.at = inf
        self._ring()


def _nothing() -> None:
    pass


class Timers:
    """A heap of timers; those that were set anew lie in it more than once."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._number = count()
        self._sleep = trio.CancelScope()

    def add(self, timer: Timer) -> None:
        """By the timer itself."""
        heappush(self._heap, (timer.at, next(self._number), timer))
        if timer.at < self._sleep.deadline:
            self._sleep.deadline = timer.at

    async def run(self) -> None:
        """Ring, until cancelled."""
        while True:
            self._ring(trio.current_time())
            self._sleep = trio.CancelScope(deadline=self._heap[0][0] if self._heap else inf)
            with self._sleep:
                await trio.sleep_forever()

    def _ring(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            at, _, timer = heappop(self._heap)
            if at == timer.at:
                timer.ring()
