"""Where records lie: DIR/<node>/<run>/000001.rec … and events.jsonl. Paths, owners and modes; nothing of their content.

A node that is started again records another run; the last few are kept. Only their owner may read them, and only he
may have them run again: a record names what is imported.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path
from typing import Final

from actors.errors import ActorError, ConfigError

RUNS: Final = 4
"""Runs of a node that are kept."""
SUFFIX: Final = ".rec"
EVENTS: Final = "events.jsonl"

_PART = re.compile(r"\d{6}\.rec\Z")


class RecordError(ActorError):
    """A folder or file that is no record, or none that can be used here."""

    code = "record"

    def __init__(self, what: str, hint: str = "actors up --record DIR writes one") -> None:
        super().__init__(what)
        self.hint = hint


class RecordFolderError(ConfigError):
    """Nothing can be recorded there."""

    code = "record"
    hint = "choose a folder of your own that can be written"


def new_run(folder: Path, node: str) -> tuple[Path, int]:
    """The folder of a new run, made, and its number; the oldest runs are removed. RecordFolderError if it cannot be."""
    place = folder / node
    try:
        for each in (folder, place):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_owner(each)
        runs = run_numbers(place)
        for old in runs[: max(0, len(runs) - RUNS + 1)]:
            _remove(place / str(old))
        number = runs[-1] + 1 if runs else 1
        path = place / str(number)
        path.mkdir(mode=0o700)
    except OSError as error:
        raise RecordFolderError(f"cannot record in {folder}: {error.strerror}") from None
    except RecordError as error:
        raise RecordFolderError(f"cannot record there: {error}") from None
    return path, number


def run_numbers(place: Path) -> list[int]:
    """The runs of a node, in order."""
    return sorted(int(path.name) for path in place.iterdir() if path.name.isdecimal() and path.is_dir())


def parts(run: Path) -> list[Path]:
    """The files of a run, in order."""
    return sorted(path for path in run.iterdir() if _PART.fullmatch(path.name))


def part_path(run: Path, number: int) -> Path:
    """The file of this number."""
    return run / f"{number:06}{SUFFIX}"


def nodes_in(folder: Path) -> list[str]:
    """The nodes of which there is a record. RecordError if the folder is none of records, or another user's."""
    try:
        _check_owner(folder)
        names = sorted(path.name for path in folder.iterdir() if path.is_dir() and any(run_numbers(path)))
    except NotADirectoryError:
        raise RecordError(f"{folder} is no folder", "name the folder that was given to --record") from None
    except OSError as error:
        raise RecordError(f"{folder} cannot be read: {error.strerror}", f"look at: ls -ld {folder}") from None
    if not names:
        raise RecordError(f"{folder} holds no record of a node")
    return names


def run_of(folder: Path, node: str, number: int | None) -> Path:
    """The folder of one run, the last without a number. RecordError if there is none."""
    names = nodes_in(folder)
    if node not in names:
        raise RecordError(f"{folder} holds no record of a node {node!r}", f"there is {', '.join(names)}")
    try:
        runs = run_numbers(folder / node)
        path = folder / node / str(runs[-1] if number is None else number)
        if number is not None and number not in runs:
            raise RecordError(f"node {node} has no run {number}", f"there is {', '.join(map(str, runs))}")
        for each in (path.parent, path, *parts(path)):
            _check_owner(each)
        if not parts(path):
            raise RecordError(f"{path} holds no record: it has no file 000001.rec")
    except OSError as error:
        raise RecordError(f"the record of node {node} cannot be read: {error.strerror}", "look at its owner") from None
    return path


def _check_owner(path: Path) -> None:
    owner = path.stat().st_uid
    if owner != os.geteuid():
        what = f"{path} belongs to another user (uid {owner}): a record names what is imported, so only yours is used"
        raise RecordError(what, "copy it, if you trust it, and become the owner of the copy")


def _remove(run: Path) -> None:
    """Only what a recorder writes; a folder that holds anything else stays."""
    for path in run.iterdir():
        if stat.S_ISREG(path.lstat().st_mode) and (_PART.fullmatch(path.name) or path.name.startswith("events")):
            path.unlink()
    if not any(run.iterdir()):
        shutil.rmtree(run, ignore_errors=True)
