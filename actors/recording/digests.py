"""What a handler did, in four bytes: its reply, and what it asked for. Equal where it did the same. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from actors.engine import Effect

UNKNOWN: Final = 1
"""For what cannot be encoded at all."""


def _named(value: object) -> str:
    return type(value).__qualname__


_encode = msgspec.msgpack.Encoder(enc_hook=_named).encode


def digest(value: object, effects: Sequence[Effect]) -> int:
    """0 for a handler that gave None and asked for nothing. Of what is no plain data, the type counts."""
    if value is None and not effects:
        return 0
    try:
        return zlib.crc32(_encode([value, [(type(effect).__name__, effect) for effect in effects]])) | 2
    except (TypeError, OverflowError, ValueError, RecursionError):
        return UNKNOWN


def reply_and_effects(value: Any, effects: Sequence[Effect]) -> str:
    """The same in words."""
    parts = [] if value is None else [f"replied {value!r}"]
    return ", ".join([*parts, *(repr(effect) for effect in effects)]) or "nothing"
