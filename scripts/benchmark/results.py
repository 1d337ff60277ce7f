"""What was measured beside what was wished for: ratios, their median, lines for people, JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct

HEAD = ("row", "what", "against", "target", "moonshot", "own", "from..to", "verdict")
_WIDEST = 46


class Goal(Struct, frozen=True):
    """What a row is to reach. `at_most`: the smaller, the better; else the greater."""

    target: float
    moonshot: float
    at_most: bool = False
    unit: str = "x"

    def reached(self, figure: float) -> bool:
        """Whether the target is."""
        return self._reaches(figure, self.target)

    def verdict(self, figure: float) -> str:
        """In words, for the table."""
        if self._reaches(figure, self.moonshot):
            return "moonshot"
        if self.reached(figure):
            return "reached"
        return f"MISSED by {abs(figure / self.target - 1):.0%}"

    def bound(self, figure: float) -> str:
        """`<= 1.5x`."""
        return f"{'<=' if self.at_most else '>='} {shown(figure, self.unit)}"

    def _reaches(self, figure: float, wished: float) -> bool:
        return figure <= wished if self.at_most else figure >= wished


class Point(Struct, frozen=True):
    """What one message costs under a load, as a ratio to the least load."""

    load: int
    cost: float


class Result(Struct, frozen=True, kw_only=True):
    """One row. Without runs, `why` says why there are none."""

    row: str
    what: str
    against: str
    unit: str
    goal: Goal | None = None
    runs: tuple[float, ...] = ()
    """A ratio for each pair."""
    own: tuple[float, ...] = ()
    other: tuple[float, ...] = ()
    """What the two of each pair took: seconds a message, or the row's unit."""
    curve: tuple[Point, ...] = ()
    why: str = ""
    skipped: bool = False
    """Nothing is wrong: what it is measured against is not installed."""

    @property
    def ratio(self) -> float | None:
        """The median of the runs."""
        return median(self.runs) if self.runs else None

    @property
    def failed(self) -> bool:
        """Whether it should have been measured, and was not."""
        return not self.runs and not self.skipped

    @property
    def words(self) -> tuple[str, ...]:
        """The cells of its line."""
        target = self.goal.bound(self.goal.target) if self.goal else "-"
        moonshot = self.goal.bound(self.goal.moonshot) if self.goal else "-"
        if self.ratio is None:
            return (self.row, self.what, self.against, target, moonshot, "-", "-", self._excuse)
        spread = f"{min(self.runs):.3g}..{max(self.runs):.3g}"
        verdict = self.goal.verdict(self.ratio) if self.goal else ""
        return (self.row, self.what, self.against, target, moonshot, shown(self.ratio, self.unit), spread, verdict)

    @property
    def _excuse(self) -> str:
        return f"skipped: {self.why}" if self.skipped else f"FAILED: {self.why}"

    @property
    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        found: dict[str, Any] = {"what": self.what, "against": self.against, "unit": self.unit}
        if self.goal is not None:
            found |= {"target": self.goal.target, "moonshot": self.goal.moonshot, "at_most": self.goal.at_most}
        if self.ratio is None:
            return {**found, ("skipped" if self.skipped else "failed"): self.why}
        found |= {"ratio": self.ratio, "runs": self.runs, "own": self.own, "other": self.other}
        if self.goal is not None:
            found |= {"reached": self.goal.reached(self.ratio)}
        if self.curve:
            found |= {"curve": self.curve}
        return found


def shown(figure: float, unit: str) -> str:
    """`0.55x`, `14.2 KiB`."""
    return f"{figure:.3g}{unit}" if unit == "x" else f"{figure:.3g} {unit}"


def table(results: Sequence[Result]) -> str:
    """For people. The last column is as long as it needs to be."""
    lines = [HEAD, *(tuple(map(_cut, result.words[:-1])) + result.words[-1:] for result in results)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    )


def _cut(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"


def as_json(results: Sequence[Result], problems: Sequence[str]) -> str:
    """The envelope that every command of the project prints."""
    data = {result.row: result.data for result in results}
    whole = {"schema": "actors/v1", "ok": not problems, "data": data, "problems": list(problems)}
    return msgspec.json.format(msgspec.json.encode(whole)).decode()
