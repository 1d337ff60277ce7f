"""A bound on the memory of processes (a cgroup), as small machines and containers have it: who exceeds it is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from actors.testing.hosts.host import HostError

ROOT: Final = Path("/sys/fs/cgroup")
PREFIX: Final = "actors-bound-"
"""Then the process that made it, so that what it left behind is known as such."""
_next = count(1).__next__


class Bound:
    """The processes in it share so many bytes."""

    def __init__(self, folder: Path, unified: bool) -> None:
        self._folder = folder
        self._peak = "memory.peak" if unified else "memory.max_usage_in_bytes"

    @property
    def through(self) -> tuple[str, ...]:
        """The words before a command that make it, and all that it starts, share them."""
        return ("sh", "-c", f'echo 0 > {self._folder}/cgroup.procs && exec "$@"', "sh")

    @property
    def peak(self) -> int:
        """The most bytes that they had at a time."""
        return int((self._folder / self._peak).read_text())


@contextmanager
def open_bound(size: int) -> Iterator[Bound]:
    """A bound of so many bytes; it is gone when the block is left. HostError if this machine has none to give."""
    above, unified = _place()
    _sweep(above)
    folder = above / f"{PREFIX}{os.getpid()}-{_next()}"
    try:
        folder.mkdir()
        (folder / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(size))
    except OSError as error:
        _remove(folder)
        raise HostError(f"memory cannot be bounded here: {error}") from None
    try:
        yield Bound(folder, unified)
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            with suppress(OSError):
                (above / "cgroup.procs").write_text(pid)
        _remove(folder)


def _place() -> tuple[Path, bool]:
    """The folder that bounds are made in, and whether it is of the unified hierarchy (version 2)."""
    if "memory" in _words(ROOT / "cgroup.subtree_control"):
        return ROOT, True
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            return ROOT / "memory" / own.strip("/"), False  # beside this process: bounds of its own go on to hold
    raise HostError("memory cannot be bounded here: there is no cgroup for it")


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _sweep(above: Path) -> None:
    """Remove what processes that are gone have left."""
    for folder in above.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    with suppress(OSError):  # somebody is in it still, or it was never made
        folder.rmdir()
