"""The event log of a run, as JSON lines: first a header that says which run it is, then every record of its history.

{"schema":"actors-sim/v1","version":"0.1.0","scenario":"chaos","seed":17,"without":[],"trace_hash":"…","python":"…"}
{"type":"Began","at":0.0,"node":"a","run":1,…}
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from actors.errors import ActorError
from actors.testing.history.records import AnyRecord, History

SCHEMA: Final = "actors-sim/v1"
SUFFIX: Final = ".events.jsonl"
_DISTRIBUTION: Final = "trio-actors"
_NEVER: Final = b'"expires":null'
"""JSON has no infinity. Within a string these quotes would be escaped."""


class LogError(ActorError):
    """A file that is no event log, or one of a run that cannot be repeated here."""

    code = "event_log"
    hint = "actors sim replay SCENARIO SEED writes one"


class Header(Struct, frozen=True, kw_only=True):
    """Which run a log is of. `version` is that of trio-actors; another version's seeds are other runs."""

    schema: Literal["actors-sim/v1"] = SCHEMA
    version: str
    scenario: str
    seed: int
    without: tuple[int, ...] = ()
    trace_hash: str
    python: str


def header_of(scenario: str, seed: int, without: Collection[int], trace_hash: str) -> Header:
    """Of a run that was made here and now."""
    return Header(
        version=own_version(),
        scenario=scenario,
        seed=seed,
        without=tuple(sorted(without)),
        trace_hash=trace_hash,
        python=platform.python_version(),
    )


@lru_cache
def own_version() -> str:
    """Of this trio-actors; `unknown` where it is imported from a folder and not installed."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def encode_log(header: Header, history: Iterable[AnyRecord]) -> bytes:
    """The whole log."""
    return b"".join(msgspec.json.encode(item) + b"\n" for item in (header, *history))


def read_header(path: Path) -> Header:
    """The first line of a log. LogError if it is none, OSError if it cannot be read."""
    with path.open("rb") as file:
        return _header(path, file.readline(1 << 16))


def read_log(path: Path) -> tuple[Header, History]:
    """A whole log. LogError if it is none, names the line; OSError if it cannot be read."""
    first, *lines = path.read_bytes().split(b"\n")
    header = _header(path, first)
    if not lines or lines.pop():
        raise LogError(f"{path}: the last line is cut off")
    decode = msgspec.json.Decoder(AnyRecord, strict=False).decode
    history: History = []
    for number, line in enumerate(lines, 2):
        try:
            history.append(decode(line.replace(_NEVER, b'"expires":"inf"')))
        except msgspec.MsgspecError as error:
            raise LogError(f"{path}: line {number} is no record: {error}") from None
    return header, history


def _header(path: Path, line: bytes) -> Header:
    try:
        return msgspec.json.decode(line, type=Header)
    except msgspec.MsgspecError:
        raise LogError(f"{path} is no event log: it does not begin with a header of {SCHEMA}") from None


def check_version(header: Header, path: Path) -> None:
    """LogError if it was written by another version than this one: its seed is another run there."""
    if header.version != own_version():
        error = LogError(f"{path} was written by trio-actors {header.version}; this is {own_version()}")
        error.hint = (
            f"install trio-actors=={header.version} to repeat it, or run this version's seed:"
            f" actors sim replay {header.scenario} {header.seed}"
        )
        raise error
