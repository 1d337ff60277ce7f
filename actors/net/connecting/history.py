"""What a node remembers of its dials to one peer, by address. Pure: the clock is an argument."""

from __future__ import annotations

from collections import deque

from msgspec import Struct
from msgspec.structs import replace

DIALS_PER_SECOND = 3
"""PROTOCOL A4: an advert must not make others knock at their own local services."""
WINDOW = 1.0
COOLING = 15.0
COOLING_CAP = 600.0
UNKNOWN_RTT = 0.1
"""What an address that was never measured counts for, in seconds."""
KEPT = 64
"""Addresses remembered for one peer: four adverts' worth."""


class Record(Struct, frozen=True, gc=False):
    """What is known of one address."""

    failures: int = 0
    """In a row."""
    cooling: float = 0.0
    """How many seconds the last failure cools down."""
    cool_at: float = 0.0
    """Until when it does."""
    rtt: float | None = None
    error: str = ""
    """The last failure, in words."""
    proven: int = 0
    """Connections proven over it."""
    tried: float | None = None
    """When it was dialed last."""

    def cools_for(self, now: float) -> float:
        """Seconds for which the address still stands behind the others."""
        return max(0.0, self.cool_at - now)

    def nearness(self) -> float:
        """1 for no distance at all, a half at 100 ms, and for an address never measured."""
        rtt = UNKNOWN_RTT if self.rtt is None else self.rtt
        return UNKNOWN_RTT / (UNKNOWN_RTT + rtt)


NOTHING = Record()


class DialHistory:
    """The dials to one peer. A failing address is scored down for a time, never forgotten and never dropped."""

    __slots__ = ("_records", "_starts")

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._starts: tuple[float, ...] = ()
        """When the last dials started."""

    def record(self, url: str) -> Record:
        """What is known; an empty record of a stranger."""
        return self._records.get(url, NOTHING)

    def dialed(self, url: str, now: float) -> None:
        """A dial starts."""
        self._starts = (*self._starts, now)[-DIALS_PER_SECOND:]
        self._keep(url, replace(self.record(url), tried=now))

    def free_at(self, now: float) -> float:
        """From when on one more dial keeps to three a second."""
        return max(now, self._starts[0] + WINDOW) if len(self._starts) == DIALS_PER_SECOND else now

    def schedule(self, count: int, stagger: float, *, now: float) -> list[float]:
        """When `count` dials may start: `stagger` apart, three a second."""
        starts = deque(self._starts, maxlen=DIALS_PER_SECOND)
        times: list[float] = []
        for _ in range(count):
            at = max(times[-1] + stagger if times else now, now)
            if len(starts) == DIALS_PER_SECOND:
                at = max(at, starts[0] + WINDOW)
            starts.append(at)
            times.append(at)
        return times

    def proven(self, url: str, rtt: float) -> None:
        """A connection over this address is proven; its handshake took `rtt` a round trip."""
        old = self.record(url)
        self._keep(url, Record(rtt=_smooth(old.rtt, rtt), proven=old.proven + 1, tried=old.tried))

    def measured(self, url: str, rtt: float) -> None:
        """A connection over this address has measured a round trip."""
        old = self.record(url)
        self._keep(url, replace(old, rtt=_smooth(old.rtt, rtt)))

    def failed(self, url: str, now: float, error: str) -> None:
        """The dial or its handshake failed."""
        old = self.record(url)
        cooling = min(max(COOLING, 2 * old.cooling), COOLING_CAP)
        self._keep(url, replace(old, failures=old.failures + 1, cooling=cooling, cool_at=now + cooling, error=error))

    def overtaken(self, url: str, now: float) -> None:
        """A dial that started later was proven first: this one looks like a black hole, though it never said so."""
        self.failed(url, now, "overtaken by a later dial")

    def _keep(self, url: str, record: Record) -> None:
        self._records.pop(url, None)
        self._records[url] = record
        while len(self._records) > KEPT:
            del self._records[next(iter(self._records))]

    def __repr__(self) -> str:
        return f"DialHistory({len(self._records)} addresses)"


def _smooth(old: float | None, sample: float) -> float:
    return sample if old is None else old + (sample - old) / 4
