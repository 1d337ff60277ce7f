"""What the command `actors pipe` and the two ends of its stream say to each other, a JSON line each, beside the bytes.

    command -> source   the errand, then the bytes, then end of file
    source -> command   the receipt, once everything is written, or was not
    drain -> command    the bytes, then end of file

Pure but for the two functions at the end.
"""

from __future__ import annotations

from random import Random

import msgspec
import trio
from msgspec import Struct

from actors.console.cuts import Cuts, NoCuts, RandomCuts, TimedCuts

_TYPICAL = 2_000
_TYPICAL_LINES = 200_000
"""Messages of a stream whose length is not known yet, for the first cuts."""


class Errand(Struct, frozen=True, kw_only=True):
    """What a source shall do. `to` is the last node's NodeID."""

    to: str
    lines: bool = False
    cuts: int = 0
    cut_every: float | None = None
    seed: int = 0

    def plan(self, now: float) -> Cuts:
        """When to cut; `now` is the stream's start."""
        if self.cut_every is not None:
            return TimedCuts(self.cut_every, now)
        if self.cuts:
            random = Random(self.seed)  # noqa: S311 - a plan that can be repeated, no secret
            return RandomCuts(self.cuts, random, _TYPICAL_LINES if self.lines else _TYPICAL)
        return NoCuts()


class Receipt(Struct, frozen=True, kw_only=True):
    """What became of the stream: what was told, what the drain had written at the end."""

    messages: int
    size: int
    reconnects: int = 0
    """Cuts with data in flight after which the session was resumed."""
    received: int = 0
    received_size: int = 0
    error: str = ""
    """Why the drain did not confirm."""


async def write_line(stream: trio.abc.SendStream, record: Errand | Receipt) -> None:
    """Send one record."""
    await stream.send_all(msgspec.json.encode(record) + b"\n")


async def read_line(stream: trio.abc.ReceiveStream, most: int = 4096) -> tuple[bytes, bytes]:
    """The next line, and what came after it. Without an end, at the stream's end: b"" and all that came."""
    data = bytearray()
    while (end := data.find(b"\n")) < 0:
        part = await stream.receive_some(most)
        if not part or len(data) > most:
            return b"", bytes(data)
        data += part
    return bytes(data[:end]), bytes(data[end + 1 :])
