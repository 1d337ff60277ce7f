"""Room to read into for what is handed on in the same step: one for each thread, not one for each connection."""

from __future__ import annotations

import threading
from typing import Final

SIZE: Final = 64 << 10


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.room = memoryview(bytearray(SIZE))


_scratch = _Scratch()


def scratch() -> memoryview:
    """SIZE bytes. Whoever reads next, into another connection perhaps, overwrites them."""
    return _scratch.room
