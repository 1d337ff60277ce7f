"""One input into one target, watched: what it raised, how long it took, and where the input lies afterwards."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import NoReturn

from fuzz_targets import Target
from msgspec import Struct

SLOW = 0.1
"""Seconds of the processor that one input may take."""
HANGS = 5.0
"""Seconds of the processor after which it is ended."""
CORPUS = Path(__file__).parent / "fuzz_corpus"
"""Files `TARGET.NAME`: inputs that were found once, and must never be again."""


class Hang(BaseException):
    """The time of an input is over. No `except Exception` stops it."""


def _too_long(_: int, frame: FrameType | None) -> NoReturn:
    raise Hang(f"no end after {HANGS:g} s of the processor")


@contextmanager
def no_hang() -> Iterator[None]:
    """Raises Hang in the block once it has used too much of the processor; how busy the machine is does not matter."""
    before = signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, HANGS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Finding(Struct, frozen=True, kw_only=True):
    """An input that did what no input may do."""

    target: str
    what: str
    where: str
    """The place in the code that tells one finding from another."""
    file: str = ""


def judge(target: Target, data: bytes) -> Finding | None:
    """Feed one input. None: it ended in a value or in a declared error, and in time."""
    began = time.process_time()
    try:
        target.take(data)
    except (Exception, Hang) as error:
        return Finding(target=target.name, what=f"{type(error).__name__}: {str(error)[:200]}", where=_place(error))
    if time.process_time() - began > SLOW and min(_seconds(target, data) for _ in range(3)) > SLOW:
        return Finding(target=target.name, what=f"more than {SLOW:g} s of the processor", where="slow")
    return None


def _seconds(target: Target, data: bytes) -> float:
    began = time.process_time()
    target.take(data)
    return time.process_time() - began


def _place(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {type(error).__name__}"


def saved(finding: Finding, data: bytes, folder: Path) -> Path:
    """Keep the input."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{finding.target}.{sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def corpus(targets: dict[str, Target], folder: Path = CORPUS) -> list[tuple[Target, Path]]:
    """What was found once."""
    return [(targets[path.name.partition(".")[0]], path) for path in sorted(folder.iterdir())]


def smallest(target: Target, data: bytes, where: str) -> bytes:
    """What is left of an input when ever smaller parts of it are left out, as long as the same is found."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            less = data[:at] + data[at + size :]
            found = judge(target, less)
            if found is not None and found.where == where:
                data = less
            else:
                at += size
        size //= 2
    return data
