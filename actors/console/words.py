"""What people read: tables and sentences. Data goes to stdout, words go to stderr.

A terminal gets rich's tables, anything else plain columns. `NO_COLOR` and `TERM=dumb` are respected.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TextIO

from actors.console.clean import clean

__all__ = ["Column", "Row", "cell", "clean", "on_terminal", "plain", "say", "show", "write", "write_words"]

Row = Sequence[object]


class Column(NamedTuple):
    """A table's column. Figures stand on the right."""

    title: str
    right: bool = False


def cell(value: object) -> str:
    """A value in a table: nothing is a dash, a fraction has two places."""
    if value is None or value == "":
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else clean(value)


def plain(columns: Sequence[Column], rows: Iterable[Row]) -> str:
    """The table as text: upper-case titles, two spaces between columns."""
    lines = [[column.title.upper() for column in columns], *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
    return "".join(_aligned(columns, widths, line) for line in lines)


def _aligned(columns: Sequence[Column], widths: Sequence[int], texts: Sequence[str]) -> str:
    parts = zip(columns, widths, texts, strict=True)
    line = "  ".join(text.rjust(width) if column.right else text.ljust(width) for column, width, text in parts)
    return line.rstrip() + "\n"


def on_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can do more than print lines."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def show(columns: Sequence[Column], rows: Iterable[Row], *, title: str = "") -> None:
    """Print a table to stdout."""
    if not on_terminal(sys.stdout):
        sys.stdout.write(plain(columns, rows))
    else:
        _show_rich(columns, rows, title)
    sys.stdout.flush()


def _show_rich(columns: Sequence[Column], rows: Iterable[Row], title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left")
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row))
    Console(file=sys.stdout).print(table)


def say(*lines: str) -> None:
    """Words to stderr, a line each. A closed stderr is nobody's problem."""
    try:
        sys.stderr.write("".join(clean(line) + "\n" for line in lines))
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def write_words(data: bytes) -> None:
    """An envelope that takes the place of words, to stderr."""
    sys.stderr.write(data.decode())
    sys.stderr.flush()


def write(data: bytes) -> None:
    """Data to stdout, at once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
