"""A digest of all that happened in a simulation: two runs with the same one did the same. Pure."""

from __future__ import annotations

from hashlib import blake2b

from msgspec import msgpack

from actors.testing.history.records import AnyRecord

_encode = msgpack.Encoder().encode


class Trace:
    """Fed record by record, and with whatever else has to be the same."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=8)

    def add(self, record: AnyRecord) -> None:
        """One more record."""
        self._hash.update(_encode(record))

    def mix(self, data: bytes) -> None:
        """Something that is no record: the digest of all bytes that crossed the network."""
        self._hash.update(data)

    @property
    def digest(self) -> str:
        """So far; 16 hexadecimal digits."""
        return self._hash.hexdigest()
