"""Small files, written whole or not at all, for their owner only. Blocking I/O, flushed to the disk.

What cannot be done raises OSError; who calls says what it means.
"""

from __future__ import annotations

import os
from pathlib import Path

from actors.errors import ConfigError

MAX_FILE = 64 * 1024
"""Bytes that `read` returns at most: no file of a node's is larger."""


class FileError(ConfigError):
    """A file that cannot be used; `hint` says how to mend it."""

    code = "file"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def read(path: Path) -> bytes | None:
    """The content, or None if there is no such file."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE)
    except FileNotFoundError:
        return None


def create(path: Path, content: bytes) -> None:
    """Write a new file, mode 0600. Raises FileExistsError rather than touch one that is there."""
    _write(path, content, os.O_EXCL)
    _flush_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Write a file, mode 0600, in place of an older one.

    A crash at any moment leaves the old content or the new; once this has returned, it is the new.
    """
    new = path.with_name(path.name + ".new")
    _write(new, content, os.O_TRUNC)
    new.replace(path)
    _flush_folder(path.parent)


def _write(path: Path, content: bytes, how: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | how, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _flush_folder(path: Path) -> None:
    # The name of a file lies in its folder: without this a power cut may undo the rename.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
