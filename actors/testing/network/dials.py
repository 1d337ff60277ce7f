"""Where dials wait that do not come through, and leave one after the other in a drawn order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

import trio


class _Dial:
    def __init__(self, clear: Callable[[], bool]) -> None:
        self.clear = clear
        self.go = trio.Event()


class Gate:
    """All dials of a network that cannot go on. Those that go at the same moment do so in an order that is drawn.

    Trio runs tasks that wake at one moment in an order of its own, so each wakes the next.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._waiting: list[_Dial] = []
        self._leaving: deque[_Dial] = deque()
        self._going: _Dial | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, clear: Callable[[], bool]) -> None:
        """Until `open` is called when `clear` says yes. What the caller does next before it waits comes in order."""
        dial = _Dial(clear)
        self._waiting.append(dial)
        try:
            await dial.go.wait()
        finally:
            if dial in self._waiting:
                self._waiting.remove(dial)
            if dial in self._leaving:
                self._leaving.remove(dial)
            if dial is self._going:
                self._next()

    def open(self) -> None:
        """Let all go whose way is clear."""
        ready = [dial for dial in self._waiting if dial.clear()]
        self._waiting = [dial for dial in self._waiting if dial not in ready]
        self._rng.shuffle(ready)
        self._leaving += ready
        if self._going is None:
            self._next()

    def _next(self) -> None:
        self._going = self._leaving.popleft() if self._leaving else None
        if self._going is not None:
            self._going.go.set()
