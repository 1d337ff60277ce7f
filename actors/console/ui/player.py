"""Where one is in a recorded log: a cursor that plays, steps, and is set. Pure: passing time in, the cursor out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from actors.console.ui.figures import clock

Turn: TypeAlias = Literal["play", "step", "step-back", "faster", "slower", "forward", "rewind", "at"]
LEAP = 10.0
"""Seconds of `forward` and `rewind`."""
_FASTEST, _SLOWEST = 1024.0, 1 / 64
_BAR = 10


class Player(Struct):
    """The cursor, in seconds since the log's beginning; it stops at its end."""

    end: float
    stops: Sequence[float]
    """When something happened, for steps."""
    at: float = 0.0
    speed: float = 1.0
    playing: bool = True

    def pass_time(self, seconds: float) -> None:
        """So long in front of the screen."""
        if self.playing:
            self.at = min(self.end, self.at + seconds * self.speed)
            self.playing = self.at < self.end

    def turn(self, what: Turn, seconds: float = 0.0) -> None:
        """What a key asks for; `seconds` are for `at`."""
        match what:
            case "play":
                self.at = 0.0 if not self.playing and self.at >= self.end else self.at
                self.playing = not self.playing
            case "faster":
                self.speed = min(_FASTEST, self.speed * 2)
            case "slower":
                self.speed = max(_SLOWEST, self.speed / 2)
            case "step":
                self._stand_at(self._stop(bisect_right(self.stops, self.at)))
            case "step-back":
                self._stand_at(self._stop(bisect_left(self.stops, self.at) - 1))
            case "forward":
                self._go_to(self.at + LEAP)
            case "rewind":
                self._go_to(self.at - LEAP)
            case "at":
                self._stand_at(seconds)

    def _stop(self, index: int) -> float:
        if index < 0:
            return 0.0
        return self.stops[index] if index < len(self.stops) else self.end

    def _stand_at(self, at: float) -> None:
        self.playing = False
        self._go_to(at)

    def _go_to(self, at: float) -> None:
        self.at = max(0.0, min(self.end, at))

    @property
    def words(self) -> str:
        """`▶ 2x  0:12.4 of 0:40.0  ━━━───────`"""
        share = self.at / self.end if self.end else 1.0
        full = round(share * _BAR)
        speed = f"{self.speed:g}x" if self.speed >= 1 else f"1/{1 / self.speed:g}x"
        bar = "━" * full + "─" * (_BAR - full)
        return f"{'▶' if self.playing else '‖'} {speed}  {clock(self.at)} of {clock(self.end)}  {bar}"
