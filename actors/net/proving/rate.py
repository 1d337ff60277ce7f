"""How many handshakes a second (PROTOCOL H9). Pure: the clock is an argument.

Who comes too fast waits for its turn, and is not turned away: the slots and the deadline end those who may not wait.
"""

from __future__ import annotations

BURST = 0.1
"""Seconds' worth of turns that may be taken at once."""


class Rate:
    """At most so many turns a second, and a tenth of that at once."""

    __slots__ = ("_allowance", "_at", "_most", "per_second")

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._most = max(1.0, per_second * BURST)
        self._allowance = self._most
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Take a turn and give 0, or take none and give the seconds until there is one."""
        if self._at is not None:
            self._allowance = min(self._most, self._allowance + max(0.0, now - self._at) * self.per_second)
        self._at = now
        if self._allowance >= 1 - 1e-9:
            self._allowance -= 1
            return 0.0
        return (1 - self._allowance) / self.per_second

    def give_back(self) -> None:
        """A turn that was taken is to count for nothing."""
        self._allowance = min(self._most, self._allowance + 1)
