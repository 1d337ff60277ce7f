"""What a node process logs, through the standard library: crashes as they happen, and the node's events.

Loggers are called `actors.…`; `actors.events` has a record for each event of the node, `actors.runtime` one for each
crash, with its traceback. Every record that the process writes, also those of other libraries and of users' engines,
has the fields `code`, `event`, `node`, `peer` and `engine`; what does not apply is null. As text:

    2026-11-23 14:16:43.120 WARNING actors.events a: dial-failed peer=sxe564uq address=tcp://… why=connection refused

With `--log-json` the same as one JSON object a line: `time` (UTC), `level`, `logger`, `message`, the five fields, and
`traceback` where there is one.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import msgspec
import trio

from actors.events import (
    AdvertRejected,
    DeadLetter,
    DialFailed,
    DuplicateIdentity,
    EngineCrashed,
    EngineFailed,
    EngineRestarted,
    Event,
    HostileConnection,
    ProxyChanged,
)
from actors.identity import EngineID, NodeID
from actors.runtime.handling import handler_here

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
FIELDS: Final = ("code", "event", "node", "peer", "engine")

_EVENTS: Final = logging.getLogger("actors.events")
_LEVELS: Final[dict[type[Event], int]] = {
    EngineFailed: logging.ERROR,
    DuplicateIdentity: logging.ERROR,
    EngineRestarted: logging.WARNING,
    DeadLetter: logging.WARNING,
    DialFailed: logging.WARNING,
    AdvertRejected: logging.WARNING,
    HostileConnection: logging.WARNING,
}
_CODES: Final[dict[type[Event], str]] = {
    EngineFailed: "crashed",
    DialFailed: "unreachable",
    AdvertRejected: "advert",
    DuplicateIdentity: "stale_incarnation",
    HostileConnection: "protocol",
}
"""What `actors explain` knows them by."""
_NOISY: Final = "engine-st"
"""How the names of events begin that are told at `debug`: engines of single connections come and go all the time."""


@contextmanager
def open_logs(node: str, level: Level | None, *, json: bool) -> Iterator[None]:
    """While the block runs, records of this level and above go to stderr, whoever writes them. None: nothing does."""
    if level is None:
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if json else Lines())
    handler.addFilter(_Fields(node))
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(level.upper())
    try:
        yield
    finally:
        root.setLevel(before)
        root.removeHandler(handler)


async def log_events(
    events: trio.MemoryReceiveChannel[Event],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """A record for each event, until the channel ends. A crash has one already, with its traceback."""
    task_status.started()
    with events:
        async for event in events:
            if not isinstance(event, EngineCrashed):
                log_event(event)


def log_event(event: Event) -> None:
    """One record."""
    name = str(event.__struct_config__.tag)
    level = _LEVELS.get(type(event), logging.DEBUG if name.startswith(_NOISY) else logging.INFO)
    code = _CODES.get(type(event))
    match event:
        case DeadLetter(outcome=outcome):
            code = outcome.partition(" ")[0]
        case ProxyChanged(new="backoff"):
            level, code = logging.WARNING, "unreachable"
        case _:
            pass
    if not _EVENTS.isEnabledFor(level):
        return
    data = {field: getattr(event, field) for field in event.__struct_fields__ if field != "at"}
    engine = data.get("engine") or (event.to if isinstance(event, DeadLetter) else None)
    peer = data.get("peer") or (engine.node if isinstance(event, DeadLetter) and engine else None)
    words = " ".join(f"{field}={_shown(value)}" for field, value in data.items() if value not in ("", b"", None))
    fields = {"code": code, "event": name, "peer": _whole(peer), "engine": engine.name if engine else None}
    _EVENTS.log(level, "%s %s", name, words, extra=fields)


def _shown(value: object) -> str:
    return value.short if isinstance(value, NodeID) else str(value)


def _whole(peer: object) -> str | None:
    return str(peer) if isinstance(peer, NodeID) else None


class _Fields(logging.Filter):
    """Adds the fields that a record does not have. Whose handler writes it is known where that is async."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def filter(self, record: logging.LogRecord) -> bool:
        """All pass."""
        known = {**dict.fromkeys(FIELDS), "node": self._node, "engine": handler_here()}
        for name, value in known.items():
            if getattr(record, name, None) is None:
                setattr(record, name, value)
            elif isinstance(found := getattr(record, name), EngineID | NodeID):
                setattr(record, name, str(found))
        return True


class Lines(logging.Formatter):
    """A line for people; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        at = datetime.fromtimestamp(record.created).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        engine = getattr(record, "engine", None) if record.name != _EVENTS.name else None
        who = f"{getattr(record, 'node', '')}{f'/{engine}' if engine else ''}"
        words = f"{at} {record.levelname} {record.name} {who}: {record.getMessage()}"
        printable = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in words)
        return f"{printable}\n{self.formatException(record.exc_info)}" if record.exc_info else printable


class JsonLines(logging.Formatter):
    """A JSON object for each record, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: getattr(record, name, None) for name in FIELDS},
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told, enc_hook=str).decode()
