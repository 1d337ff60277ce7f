"""How the C library keeps the memory that large messages come and go in. Not how much a node may use: see `Limits`.

glibc gives memory back to the system as soon as 128 KiB at the end of its heap are free, and asks for it anew with the
next message: each page of it is then made, and cleared, again. It learns from large blocks that are freed that there
will be others (mallopt(3), "dynamic mmap threshold"); so it is shown one before there is any traffic.
"""

from __future__ import annotations

from functools import cache
from typing import Final

_SHOWN: Final = 8 << 20
"""Bytes, as an outbox holds: from then on glibc keeps twice as much at the end of its heap. None of it is touched."""


@cache
def keep_freed_memory() -> None:
    """Let this process keep what large messages have left for those that follow. Once; elsewhere than in glibc idle."""
    bytes(_SHOWN)
