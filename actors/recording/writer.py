"""The thread that writes a record. Whoever records appends to a deque, and never waits for the disk.

What is appended reaches the file within a tenth of a second, so that little is missing of a process that is killed.
The runs of a disk that is too slow are not kept in memory without bound: `behind` says how much is, and the recorder
leaves a gap.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import BinaryIO, Final

from msgspec.structs import replace

from actors.recording.files import chunk, header_line
from actors.recording.folders import EVENTS, part_path
from actors.recording.records import Header

PARTS: Final = 4
"""Files of a run that are kept; each has a quarter of what the run may have."""
PAUSE: Final = 0.1
"""Seconds between two looks."""
CHUNK: Final = 256 << 10
"""Bytes after which a chunk ends."""

_log = logging.getLogger("actors.recording")


class Turn:
    """In the deque: from here on, records go into another file."""

    __slots__ = ("gap",)

    def __init__(self, gap: bool) -> None:
        self.gap = gap


class Writer:
    """Owns the files of a run. `records` and `events` take bytes from one thread."""

    def __init__(self, run: Path, header: Header, largest_events: int) -> None:
        self.records: deque[bytes | Turn] = deque()
        self.events: deque[bytes] = deque()
        self.written = 0
        """Bytes of records that are in files, or lost to a failure."""
        self.failed: OSError | None = None
        self._run, self._header = run, header
        self._file = self._begin(header)
        self._events = _create(run / EVENTS)
        self._largest_events = largest_events
        self._wake = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._work, name="record", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Something happened that must not be lost."""
        self._wake.set()

    def close(self) -> None:
        """Write what is there, and end. Blocks for as long as that takes, some seconds at most."""
        self._over = True
        self._wake.set()
        self._thread.join(5)

    # -- in the thread ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        over = False
        while not over:
            self._wake.wait(PAUSE)
            self._wake.clear()
            over = self._over  # what was appended before is still written
            try:
                self._write_all()
            except OSError as error:
                self._fail(error)
        self._file.close()
        self._events.close()

    def _write_all(self) -> None:
        found: list[bytes] = []
        size = 0
        while self.records:
            record = self.records.popleft()
            if isinstance(record, Turn):
                self._write(found, size)
                found, size = [], 0
                self._turn(record)
                continue
            found.append(record)
            size += len(record)
            if size >= CHUNK:
                self._write(found, size)
                found, size = [], 0
        self._write(found, size)
        if self.events:
            self._write_events()

    def _write(self, records: list[bytes], size: int) -> None:
        if records and self.failed is None:
            self._file.write(chunk(records))
            self._file.flush()
        self.written += size

    def _write_events(self) -> None:
        lines = [self.events.popleft() for _ in range(len(self.events))]
        if self.failed is not None:
            return
        if self._events.tell() > self._largest_events:
            self._events.close()
            os.replace(self._run / EVENTS, self._run / f"events.1{Path(EVENTS).suffix}")
            self._events = _create(self._run / EVENTS)
        self._events.write(b"".join(lines))
        self._events.flush()

    def _turn(self, turn: Turn) -> None:
        if self.failed is not None:
            return
        self._file.close()
        self._header = replace(self._header, part=self._header.part + 1, gap=turn.gap)
        self._file = self._begin(self._header)
        oldest = self._header.part - PARTS
        if oldest > 0:
            part_path(self._run, oldest).unlink(missing_ok=True)

    def _begin(self, header: Header) -> BinaryIO:
        file = _create(part_path(self._run, header.part))
        file.write(header_line(header))
        file.flush()
        return file

    def _fail(self, error: OSError) -> None:
        self.failed = error
        _log.error("the record in %s ends here: %s; the node goes on without", self._run, error.strerror)


def _create(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return open(descriptor, "wb")
