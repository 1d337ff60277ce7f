"""What `--json` prints: one envelope, or JSON lines for streams. Pure: values in, bytes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

SCHEMA: Final = "actors/v1"


class Problem(Struct, frozen=True, kw_only=True):
    """An error as users see it: a code for programs, what happened, when (UTC), and what to do."""

    code: str
    what: str
    when: str
    hint: str


class Good(Struct, frozen=True, kw_only=True):
    """The envelope of a command that did what it was asked."""

    schema: Literal["actors/v1"] = SCHEMA
    ok: Literal[True] = True
    data: object


class Partial(Struct, frozen=True, kw_only=True):
    """The envelope of a command that has something to show although it failed."""

    schema: Literal["actors/v1"] = SCHEMA
    ok: Literal[False] = False
    error: Problem
    data: object


class Bad(Struct, frozen=True, kw_only=True):
    """The envelope of a command that failed."""

    schema: Literal["actors/v1"] = SCHEMA
    ok: Literal[False] = False
    error: Problem


Envelope = Good | Partial | Bad


def line(value: object, *, enc_hook: Callable[[Any], Any] = str) -> bytes:
    """One JSON line with its end: an envelope, or an item of a stream."""
    return msgspec.json.encode(value, enc_hook=enc_hook) + b"\n"


def good(data: object) -> bytes:
    """`{"schema": "actors/v1", "ok": true, "data": …}`"""
    return line(Good(data=data))


def bad(problem: Problem, data: object = None) -> bytes:
    """`{"schema": "actors/v1", "ok": false, "error": {code, what, when, hint}}`, with `data` where there is some."""
    return line(Bad(error=problem) if data is None else Partial(error=problem, data=data))
