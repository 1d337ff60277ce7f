"""The part of a traceback that is the user's: without what called the handler."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType
from typing import Final

_OURS: Final = Path(__file__).parent


def users_part(error: BaseException) -> TracebackType | None:
    """From the handler on."""
    found = error.__traceback__
    while found is not None and found.tb_next is not None:
        if Path(found.tb_frame.f_code.co_filename).parent != _OURS:
            break
        found = found.tb_next
    return found


def trace_lines(error: BaseException) -> list[str]:
    """As Python prints it, from the handler on."""
    return "".join(traceback.format_exception(type(error), error, users_part(error))).splitlines()
