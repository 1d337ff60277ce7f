"""A digest of everything that crosses a simulated network. Hashed in large pieces, which is cheap."""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct

import trio

_HEAD = Struct("<dqI")
_TAPE = 64 << 10


class Tape:
    """What happened, when, and where."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self._tape = bytearray()

    def add(self, key: int, data: bytes) -> None:
        """Something happened now."""
        self._tape += _HEAD.pack(trio.current_time(), key, len(data))
        self._tape += data
        if len(self._tape) > _TAPE:
            self._flush()

    def _flush(self) -> None:
        self._hash.update(self._tape)
        self._tape.clear()

    def digest(self) -> bytes:
        """16 bytes, of all so far."""
        self._flush()
        return self._hash.digest()
