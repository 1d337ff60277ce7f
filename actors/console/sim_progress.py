"""A bar on stderr that shows how many runs are done, if stderr is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from actors.console.words import on_terminal

Advance: TypeAlias = Callable[[int, int], None]
"""Told how many runs are done and how many of them failed."""


@contextmanager
def open_bar(total: int | None) -> Iterator[Advance]:
    """A bar for as long as the block; gone afterwards. total: None if nobody knows."""
    if not on_terminal(sys.stderr):
        yield lambda done, failed: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        bar = progress.add_task("seeds", total=total)

        def advance(done: int, failed: int) -> None:
            words = f"seeds, {failed} failed" if failed else "seeds"
            progress.update(bar, completed=done, description=words)

        yield advance
