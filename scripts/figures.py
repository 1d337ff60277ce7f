"""Figures beside their targets: a line for each, for people or as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct


class Figure(Struct, frozen=True):
    """One measured value of a row of the reliability table. `most` is the target: it is held if it is not exceeded.

    `speed` is a figure of how fast answers come, which says something of the product on a quiet machine only.
    """

    row: int
    what: str
    measured: float
    most: float
    unit: str = ""
    speed: bool = False

    @property
    def held(self) -> bool:
        """Whether the target is."""
        return self.measured <= self.most

    @property
    def words(self) -> tuple[str, ...]:
        """The cells of its line."""
        unit = f" {self.unit}" if self.unit else ""
        verdict = "held" if self.held else "MISSED"
        return (str(self.row), self.what, f"<= {self.most:g}{unit}", f"{self.measured:.4g}{unit}", verdict)


HEAD = ("row", "what", "target", "measured", "verdict")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def table(figures: Sequence[Figure]) -> str:
    """For people."""
    lines = [HEAD, *(figure.words for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def as_json(figures: Sequence[Figure]) -> str:
    """One object for each figure, one a line."""
    return "\n".join(
        msgspec.json.encode({**msgspec.to_builtins(figure), "held": figure.held}).decode() for figure in figures
    )


def told(figures: Sequence[Figure], *, json: bool) -> int:
    """Print them; the exit code: 1 if a target is missed."""
    print(as_json(figures) if json else table(figures))
    return 0 if all(figure.held for figure in figures) else 1
