"""How long things took lately, in buckets. Pure: durations in, percentiles out.

Buckets grow with what they hold (eight for each doubling), so that a percentile is at most an eighth too great, whether
it is microseconds or minutes; memory is bounded, whatever comes. What is older than two spans is forgotten.
"""

from __future__ import annotations

from math import inf
from typing import Final

SPAN: Final = 60.0
"""Seconds: figures are of the last one to two of these."""
_STEPS: Final = 8
_MOST: Final = (1 << 36) - 1
"""Microseconds: nineteen hours. What takes longer counts as this."""
_NONE: Final[dict[int, int]] = {}
"""Nothing is ever put into it: most of these have nothing to hold."""


class Recent:
    """Durations of one kind."""

    __slots__ = ("_before", "_count", "_count_before", "_counts", "_until")

    def __init__(self) -> None:
        self._counts = self._before = _NONE
        """How many there were in each bucket, by its number."""
        self._count = self._count_before = 0
        self._until = -inf

    def add(self, seconds: float, now: float, count: int = 1) -> None:
        """So many things took so long, and ended now. What the clock says must not go back."""
        if now >= self._until:
            self._turn(now)
        micros = int(seconds * 1e6)
        if micros < _STEPS:
            place = max(0, micros)
        else:
            if micros > _MOST:
                micros = _MOST
            shift = micros.bit_length() - 4
            place = shift * _STEPS + (micros >> shift)
        counts = self._counts
        counts[place] = counts.get(place, 0) + count
        self._count += count

    def percentile(self, share: float, now: float) -> float | None:
        """Seconds that this share of all did not exceed; None if there was nothing lately."""
        if now >= self._until:
            self._turn(now)
        total = self._count + self._count_before
        if not total:
            return None
        beyond = total - share * total
        newer, older = self._counts, self._before
        for place in sorted(newer.keys() | older.keys(), reverse=True):
            beyond -= newer.get(place, 0) + older.get(place, 0)
            if beyond < 0:
                return _most_of(place) / 1e6
        return 0.0

    def _turn(self, now: float) -> None:
        if now < self._until + SPAN:
            self._before, self._count_before = self._counts, self._count
        else:
            self._before, self._count_before = _NONE, 0
        self._counts, self._count = {}, 0
        self._until = now + SPAN


def _most_of(place: int) -> int:
    """The end of a bucket, in microseconds: what is told is never less than what was."""
    if place < 2 * _STEPS:
        return place + 1
    shift = place // _STEPS - 1
    return (place - shift * _STEPS + 1) << shift
