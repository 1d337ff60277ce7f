"""Rows to lines of a given width. Pure: cells in, lines out.

A rich table would measure every cell of every row at each frame; here only what is visible is looked at, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

from actors.console.clean import clean

GUTTER = 2
"""For the mark of the row that is chosen."""
_GAP = 2
_LEAST = 8
"""Cells that a column that gives way keeps."""


class Column(NamedTuple):
    """Figures stand on the right. Of columns that do not fit, those with the highest `rank` go first; 0 stays."""

    title: str
    right: bool = False
    rank: int = 0
    grow: bool = False
    """Takes what is left, and gives way first."""


Cell = Text | str


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, *, chosen: int | None = None
) -> list[Text]:
    """A line of titles, and a line for each row; each exactly `width` cells."""
    cells = [[as_text(cell) for cell in row] for row in rows]
    widths = _widths(columns, cells, width)
    shown = [index for index, cell_width in enumerate(widths) if cell_width]
    titles = [Text(column.title, "bold") for column in columns]
    lines = [_line(columns, titles, widths, shown, width, mark="  ")]
    for number, row in enumerate(cells):
        here = number == chosen
        line = _line(columns, row, widths, shown, width, mark="▸ " if here else "  ")
        if here:
            line.stylize("reverse")
        lines.append(line)
    return lines


def as_text(cell: Cell) -> Text:
    """A cell that cannot steer the terminal."""
    return cell if isinstance(cell, Text) else Text(clean(cell))


def fit(text: Text, width: int, *, right: bool = False) -> Text:
    """Exactly so many cells: cut with an ellipsis, or filled."""
    text = text.copy()
    text.truncate(width, overflow="ellipsis")
    missing = width - text.cell_len
    if missing > 0:
        (text.pad_left if right else text.pad_right)(missing)
    return text


def rule(title: str, width: int, *, more: str = "", style: str = "") -> Text:
    """The head of a section."""
    head = Text.assemble((f"{title} ", f"bold {style}".strip()))
    if more:
        head.append(f"{more} ", style or "bright_black")
    head.append("─" * max(0, width - head.cell_len), "bright_black")
    return fit(head, width)


def window(count: int, height: int, cursor: int) -> range:
    """Which of `count` rows to show in `height` lines, so that the cursor's is among them."""
    if count <= height or height <= 0:
        return range(min(count, max(0, height)))
    first = min(max(0, cursor - height // 2), count - height)
    return range(first, first + height)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    widths = [
        max(len(column.title), *(row[index].cell_len for row in rows), 1) if rows else max(1, len(column.title))
        for index, column in enumerate(columns)
    ]

    def spare() -> int:
        return width - GUTTER - sum(widths) - _GAP * (sum(map(bool, widths)) - 1)

    growing = next((index for index, column in enumerate(columns) if column.grow), None)
    for rank in sorted({column.rank for column in columns if column.rank}, reverse=True):
        give = max(0, widths[growing] - _LEAST * 3) if growing is not None else 0
        if spare() + give >= 0:
            break
        for index, column in enumerate(columns):
            if column.rank == rank:
                widths[index] = 0
    if growing is not None and widths[growing]:
        widths[growing] = max(_LEAST, widths[growing] + spare())
    return widths


def _line(
    columns: Sequence[Column], cells: Sequence[Text], widths: Sequence[int], shown: Sequence[int], width: int, mark: str
) -> Text:
    line = Text(mark)
    for place, index in enumerate(shown):
        if place:
            line.append(" " * _GAP)
        line.append_text(fit(cells[index], widths[index], right=columns[index].right))
    return fit(line, width)
