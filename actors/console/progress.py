"""A progress bar on stderr, if that is a terminal."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from actors.console.words import on_terminal

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Progress(Protocol):
    """Who wants to know how far the stream is."""

    def read(self, size: int) -> None:
        """So many bytes more have been read from stdin."""

    def wrote(self, size: int) -> None:
        """So many bytes more have been written to stdout."""


class Silent:
    """Nobody does."""

    def read(self, size: int) -> None:
        pass

    def wrote(self, size: int) -> None:
        pass


@contextmanager
def open_progress() -> Iterator[Progress]:
    """A bar for as long as the block; gone afterwards."""
    if not on_terminal(sys.stderr):
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bars:
        into, out = (bars.add_task(name, total=input_size()) for name in ("in ", "out"))
        yield _Bar(bars, into, out)


class _Bar:
    def __init__(self, bars: Bars, into: TaskID, out: TaskID) -> None:
        self._advance, self._into, self._out = bars.advance, into, out

    def read(self, size: int) -> None:
        self._advance(self._into, size)

    def wrote(self, size: int) -> None:
        self._advance(self._out, size)


def input_size() -> int | None:
    """How much stdin has, if it is a file."""
    found = os.fstat(0)
    return found.st_size if stat.S_ISREG(found.st_mode) else None
