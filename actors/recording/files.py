"""The files of a run: a line of JSON, then chunks of records, each with its length and checksum. Blocking I/O."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct as Layout
from typing import BinaryIO, Final

import msgspec

from actors.errors import IdentityError
from actors.recording.folders import RecordError, parts
from actors.recording.records import SCHEMA, Header, Record, decode_chunk

MAX_HEADER: Final = 1 << 16
LARGEST_CHUNK: Final = 1 << 31
_HEAD = Layout("<II")
"""Length and CRC-32 of the payload."""


def header_line(header: Header) -> bytes:
    """What a file begins with."""
    return msgspec.json.encode(header) + b"\n"


def chunk(records: Sequence[bytes]) -> bytes:
    """Encoded records as they stand in a file."""
    payload = b"\xdd" + len(records).to_bytes(4, "big") + b"".join(records)
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def read_header(path: Path) -> Header:
    """The first line of a file. RecordError if it is none, or of another version."""
    try:
        with path.open("rb") as file:
            return _header(path, file)
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}", f"look at: ls -l {path}") from None


class Reading:
    """The records of a run, in order. Afterwards `cut` says where and why they end early; empty if they do not."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.parts = parts(run)
        self.header = read_header(self.parts[0])
        self.cut = ""
        self.bytes = 0

    def __iter__(self) -> Iterator[Header | Record]:
        """Each part's header, and its records. RecordError for a part that is none."""
        number = self.header.part
        for path in self.parts:
            with path.open("rb") as file:
                header = _header(path, file)
                if header.part != number:
                    raise RecordError(f"{path} is part {header.part}, and part {number} is missing", "copy all parts")
                yield header
                yield from self._chunks(path, file, last=path == self.parts[-1])
            number += 1

    def _chunks(self, path: Path, file: BinaryIO, *, last: bool) -> Iterator[Record]:
        while head := file.read(_HEAD.size):
            place = file.tell() - len(head)
            size, checksum = _HEAD.unpack(head) if len(head) == _HEAD.size else (LARGEST_CHUNK, 0)
            payload = file.read(size) if size < LARGEST_CHUNK else b""
            if len(payload) < size or size == 0:
                if not last:
                    raise RecordError(f"{path} is cut off at byte {place}", "copy it again, whole")
                self.cut = f"{path.name} is cut off at byte {place}"
                return
            try:
                if zlib.crc32(payload) != checksum:
                    raise ValueError("its checksum is another")
                records: list[Record] = decode_chunk(payload)
            except (msgspec.MsgspecError, IdentityError, ValueError) as error:
                raise RecordError(f"{path} is damaged at byte {place}: {error}", "copy it again, whole") from None
            self.bytes += size
            yield from records


def _header(path: Path, file: BinaryIO) -> Header:
    line = file.readline(MAX_HEADER)
    try:
        schema = msgspec.json.decode(line, type=_Schema).schema
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise RecordError(f"{path} is no record: it does not begin with a header of {SCHEMA}") from None
    if schema != SCHEMA:
        what = f"{path} is of the format {schema[:40]!r}; this version reads {SCHEMA}"
        raise RecordError(what, "replay it with the version of trio-actors that wrote it")
    try:
        return msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: its header cannot be read: {error}") from None


class _Schema(msgspec.Struct):
    schema: str
