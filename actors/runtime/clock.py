"""All deadlines of a node in one heap, watched by one task. Calls plain functions; never a coroutine."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

import trio

_SPARE: Final = 8
"""So many cancelled alarms may lie in the heap before it is worth sweeping."""


class Alarm:
    """One deadline. It rings once, or never after `cancel()`."""

    __slots__ = ("_clock", "_number", "deadline", "ring")

    def __init__(self, clock: Clock, deadline: float, number: int, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._number = number
        self.deadline = deadline
        self.ring: Callable[[], None] | None = ring

    def __lt__(self, other: Alarm) -> bool:
        """Earlier first; alarms of one instant ring in the order in which they were set."""
        if self.deadline == other.deadline:
            return self._number < other._number
        return self.deadline < other.deadline

    def cancel(self) -> None:
        """Never ring. Idempotent, and harmless after it has rung."""
        if self.ring is not None:
            self.ring = None
            self._clock._forget()

    def __repr__(self) -> str:
        return f"<Alarm at {self.deadline:.3f}{'' if self.ring else ', over'}>"


class Clock:
    """`call_at` from anywhere; one task runs `serve`, whose cancel scope's deadline is the next alarm's.

    A cancelled alarm stays in the heap until its time, or until the cancelled ones are the majority: then they
    are swept out together, so that a million answered asks cost neither memory nor a search each.
    """

    def __init__(self) -> None:
        self._heap: list[Alarm] = []
        self._cancelled = 0
        self._count = 0
        self._scope = trio.CancelScope()
        self.now: Callable[[], float] = trio.current_time
        """Seconds of Trio's clock: monotonic, virtual under a MockClock."""

    def call_at(self, deadline: float, ring: Callable[[], None]) -> Alarm:
        """Call `ring()` at the deadline, from the clock's task. It must not raise."""
        self._count += 1
        alarm = Alarm(self, deadline, self._count, ring)
        heappush(self._heap, alarm)
        if deadline < self._scope.deadline:
            self._scope.deadline = deadline
        return alarm

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ring what is due, until cancelled. What was set before it began is not lost."""
        self.now = trio.lowlevel.current_clock().current_time  # without the two look-ups on the way to it
        task_status.started()
        while True:
            with trio.CancelScope(deadline=self._next()) as self._scope:
                await trio.sleep_forever()
            self._ring_due(self.now())

    def _next(self) -> float:
        """The next deadline that somebody still waits for: waking up for a cancelled one costs as much."""
        heap = self._heap
        while heap and heap[0].ring is None:
            heappop(heap)
            self._cancelled -= 1
        return heap[0].deadline if heap else inf

    def _ring_due(self, now: float) -> None:
        heap = self._heap
        while heap and heap[0].deadline <= now:
            alarm = heappop(heap)
            if alarm.ring is None:
                self._cancelled -= 1
            else:
                ring, alarm.ring = alarm.ring, None
                ring()

    def _forget(self) -> None:
        self._cancelled += 1
        if self._cancelled > _SPARE and self._cancelled * 2 > len(self._heap):
            # In place: a ring() that cancels others does so while _ring_due walks this very list.
            self._heap[:] = [alarm for alarm in self._heap if alarm.ring is not None]
            heapify(self._heap)
            self._cancelled = 0

    def __len__(self) -> int:
        """Alarms that are still to ring."""
        return len(self._heap) - self._cancelled

    def __repr__(self) -> str:
        return f"<Clock with {len(self)} alarms>"
