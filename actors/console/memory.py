"""How much memory another process has had. Linux only."""

from __future__ import annotations

import re
from pathlib import Path


def peak_mib(pid: int) -> float | None:
    """The most memory that the process has occupied so far, in MiB; None where it is not told."""
    try:
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return None
    return round(int(found[1]) / 1024, 1) if found else None
