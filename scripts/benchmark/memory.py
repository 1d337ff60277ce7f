"""What a process occupies. Standard library only."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident() -> int:
    """Bytes of memory that this process occupies, garbage collected before."""
    gc.collect()
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
    return int(shown.stdout) << 10


def many_files() -> None:
    """As many open files as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
