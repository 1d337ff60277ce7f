"""What large messages leave is kept for those that follow, and not given back to the system each time."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

MESSAGES = """
import resource
from collections import deque
from actors.runtime.allocator import keep_freed_memory

if {keep}:
    keep_freed_memory()
kept = deque()
for number in range(2_000):
    if number == 200:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept.append(bytearray(65_000))
    if number % 16 == 15:
        kept.clear()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*, keep: bool) -> int:
    """Pages that the system had to give, for messages that come and go sixteen at a time."""
    done = subprocess.run(
        [sys.executable, "-c", MESSAGES.format(keep=keep)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc's heap that is meant")
def test_pages_are_not_asked_for_anew_with_each_message() -> None:
    assert faults(keep=True) * 20 < faults(keep=False)
