"""A recorded event log as moments: what `actors events --json` printed, or what `actors sim replay` wrote. Pure.

Clocks of nodes begin anywhere: moments are in the order of the log, and their times are seconds since its first line.
A log of a simulation tells of every message, too; one of a cluster tells of dead letters only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from actors.errors import ActorError

_SIM: Final = "actors-sim/"
_MOST: Final = 1_000_000
"""Lines of a log that are read."""


class LogError(ActorError):
    """A file that is no event log."""

    code = "event_log"
    hint = "actors events -f --json > FILE writes one; so does actors sim replay"


class Moment(NamedTuple):
    """One line of a log. `kind` is the event's name, or the type of a simulation's record."""

    at: float
    node: str
    kind: str
    data: dict[str, Any]


class Past(Struct, frozen=True):
    """A whole log."""

    name: str
    """Of what it is."""
    kind: Literal["cluster", "simulation"]
    moments: tuple[Moment, ...]
    note: str = ""
    """What is missing, in words."""

    @property
    def end(self) -> float:
        """When the last thing happened."""
        return self.moments[-1].at if self.moments else 0.0


class _Line(Struct):
    """What each line has; what else is in it depends on its kind."""

    at: float
    node: str
    event: str = ""
    type: str = ""
    time: float | None = None
    """Of a real cluster: seconds since 1970, when it was heard."""


def read_past(data: bytes, file: str) -> Past:
    """The log in these bytes; `file` is its name, for messages. LogError if it is none.

    A last line that is cut off is left out, and said so: a run that failed may have ended in the middle of one.
    """
    if not data.strip():
        raise LogError(f"{file} is empty")
    *lines, last = data.split(b"\n")
    note = ""
    if last.strip():
        note = "its last line is cut off, and left out"
        if _is_object(last):
            lines, note = [*lines, last], ""
    if len(lines) > _MOST:
        lines, note = lines[:_MOST], f"only its first {_MOST:,} lines are read"
    if not lines:
        raise LogError(f"{file} is no event log: no line of it is whole")
    header = _simulated(lines[0])
    if header is not None:
        name = f"{header.get('scenario', 'simulation')} {header.get('seed', '')}".strip()
        return Past(name, "simulation", tuple(_simulation(lines[1:], file)), note)
    return Past("log", "cluster", tuple(_cluster(lines, file)), note)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except msgspec.MsgspecError:
        return False


def _simulated(line: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(line)
    except msgspec.MsgspecError:
        return None
    known = isinstance(found, dict) and str(found.get("schema", "")).startswith(_SIM)
    return found if known else None


def _decoded(lines: Iterable[bytes], file: str, first: int) -> Iterable[tuple[int, _Line, dict[str, Any]]]:
    common, whole = msgspec.json.Decoder(_Line).decode, msgspec.json.Decoder(dict[str, Any]).decode
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        try:
            yield number, common(line), whole(line)
        except msgspec.MsgspecError:
            if number == 1:
                raise LogError(f"{file} is no event log: its first line is no event") from None
            raise LogError(f"{file}: line {number} is no event") from None


def _simulation(lines: Iterable[bytes], file: str) -> Iterable[Moment]:
    for number, line, data in _decoded(lines, file, 2):
        if not line.type:
            raise LogError(f"{file}: line {number} is no record of a simulation")
        yield Moment(line.at, line.node, line.type, data)


def _cluster(lines: Iterable[bytes], file: str) -> Iterable[Moment]:
    """By the time of hearing, where it is told; else each node's clock begins where its first event stands."""
    offsets: dict[str, float] = {}
    began: float | None = None
    now = 0.0
    for number, line, data in _decoded(lines, file, 1):
        if not line.event:
            words = "its first line is no event" if number == 1 else f"line {number} is no event"
            raise LogError(f"{file} is no event log: {words}")
        if line.time is not None:
            began = line.time if began is None else began
            at = line.time - began
        else:
            at = line.at + offsets.setdefault(line.node, now - line.at)
        now = max(now, at)
        yield Moment(now, line.node, line.event, data)
