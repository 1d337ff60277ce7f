"""What ties nodes that are started again to the life of their cluster's starter, who is not their parent.

A named pipe: the starter holds it open for writing. A node that reads from it reads its end when the starter has
ended, however that came about.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from actors.control.directories import LIFELINE


@contextmanager
def open_lifeline(directory: Path) -> Iterator[None]:
    """Hold the lifeline of the cluster in this directory."""
    path = directory / LIFELINE
    os.mkfifo(path, 0o600)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # without one nobody can open it for writing
    try:
        writer = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            yield
        finally:
            os.close(writer)
    finally:
        os.close(reader)
        path.unlink(missing_ok=True)


@contextmanager
def lifeline_of(directory: Path) -> Iterator[int | None]:
    """A file descriptor that ends with who started the cluster; None where that process is not needed any more."""
    descriptor = None
    with suppress(FileNotFoundError):
        descriptor = os.open(directory / LIFELINE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(descriptor, True)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)
