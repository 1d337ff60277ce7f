"""Numbers for people: short, with their unit; what is not known is a dash. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNKNOWN = "-"
_BARS = "▁▂▃▄▅▆▇█"
_CANNOT = re.compile(r"cannot connect to \S+: ")


def count(value: float | None) -> str:
    """980, 12.3k, 4.1M: four places at most."""
    if value is None:
        return UNKNOWN
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            scaled = value / (size if unit != "k" else 1e3)
            return f"{scaled:.0f}{unit}" if scaled >= 100 else f"{scaled:.1f}{unit}"
    return f"{value:.0f}"


def rate(value: float | None) -> str:
    """So many a second; below ten with a place."""
    return f"{value:.1f}" if value and value < 9.95 else count(value)


def size(value: float | None) -> str:
    """Bytes: 512 B, 31 MiB."""
    if value is None:
        return UNKNOWN
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.1f} {unit}" if value < 10 and unit != "B" else f"{value:.0f} {unit}"


def share(value: float | None) -> str:
    """0.25 as 25 %; what is more than nothing is never shown as nothing."""
    if value is None:
        return UNKNOWN
    return "<1 %" if 0 < value < 0.01 else f"{value * 100:.0f} %"


def millis(value: float | None) -> str:
    """Milliseconds."""
    if value is None:
        return UNKNOWN
    if value >= 10_000:
        return f"{value / 1000:.0f} s"
    return f"{value:.2f} ms" if value < 1 else f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def coarse(value: float | None) -> str:
    """Milliseconds where there is little room: 0.1 ms is little enough."""
    if value is None or value >= 10_000:
        return millis(value)
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def mebi(value: float | None) -> str:
    """Bytes where there is little room: 51M, 1.2G."""
    if value is None:
        return UNKNOWN
    return f"{value / 2**20:.0f}M" if value < 1000 * 2**20 else f"{value / 2**30:.1f}G"


def span(seconds: float | None) -> str:
    """How long: 0.4 s, 12 s, 3 min, 2 h, 4 d."""
    if seconds is None:
        return UNKNOWN
    if seconds < 1:
        return f"{seconds:.1f} s"
    for most, unit, name in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if seconds < most:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} d"


def clock(seconds: float) -> str:
    """A time in a recording: 0:12.4, 1:02:03.0."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def cause(text: str) -> str:
    """Why a dial failed, with its address once."""
    return _CANNOT.sub("", text)


def sparkline(values: Sequence[float | None]) -> str:
    """A bar for each value, the greatest a full one; nothing at all a low line, no measurement a blank."""
    most = max((value for value in values if value is not None), default=0)
    return "".join(" " if value is None else _bar(value, most) for value in values)


def _bar(value: float, most: float) -> str:
    return _BARS[0] if value <= 0 or most <= 0 else _BARS[min(7, 1 + int(value / most * 6.999))]
