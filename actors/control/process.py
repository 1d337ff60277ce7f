"""What only the node's own process can say of itself. Measured when somebody asks, never in between."""

from __future__ import annotations

import os
from pathlib import Path

import trio

_STATM = Path("/proc/self/statm")


async def loop_lag() -> float:
    """Seconds that one turn of the event loop takes now: until a task that is ready runs."""
    begin = trio.current_time()
    await trio.lowlevel.checkpoint()
    return trio.current_time() - begin


def memory_bytes() -> int | None:
    """What this process occupies at the moment; None where the system does not tell (macOS)."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None
