"""Is the other end still there? Judges by round trips, not by noise. Pure.

Hearing the peer is no proof that it hears us: in a one-way cut one side would stay content with the other's
pings. So only a Pong, or an Ack that moved, counts (PROTOCOL T1); and a loop that was stalled itself
judges nothing before it has read what was waiting (T2).
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from actors.errors import ConfigError


class LivenessCfg(Struct, frozen=True, kw_only=True):
    """Seconds and bytes."""

    ping_after: float = 5.0
    """Without a round trip for this long: ask."""
    dead_after: float = 15.0
    """Without a round trip or progress for this long: dead."""
    progress: int = 64 * 1024
    """So many bytes count as a sign of life that the socket took after it had been full."""
    backlog: int = 256
    """More reads than any socket holds: an answer that was not among them had not come."""

    def __post_init__(self) -> None:
        if not (0 < self.ping_after < self.dead_after and self.progress > 0 and self.backlog > 0):
            raise ConfigError(f"a peer must be asked before it is given up: {self}")


class Ask(Struct, frozen=True, gc=False):
    """Send a Ping with this token."""

    token: int


class Verdict(Enum):
    """What else there is to do."""

    LOOK = "look"
    """Let the reader read what is waiting, then ask again."""
    DEAD = "dead"
    """Close the connection."""


LOOK, DEAD = Verdict.LOOK, Verdict.DEAD
Due: TypeAlias = Ask | Verdict | None


class Liveness:
    """One end's judgement of one connection.

    Call `due` at `next_deadline()`, or whenever it is convenient. After LOOK the reader reports at least once:
    `received` for what it reads, `dry` when nothing more is there (so too if it only waits for the socket, and
    the loop has polled the socket since). Before that nobody is dead.
    """

    __slots__ = (
        "_alive",
        "_asked",
        "_looking",
        "_sent",
        "_taken",
        "_token",
        "_trip",
        "_unread",
        "cfg",
        "heard",
        "jitter",
        "rtt",
    )

    def __init__(self, now: float, cfg: LivenessCfg | None = None) -> None:
        self.cfg = cfg or LivenessCfg()
        self.rtt: float | None = None
        """Smoothed round trip in seconds; None before the first."""
        self.jitter = 0.0
        """Smoothed distance of the samples from `rtt`."""
        self.heard = now
        """When something was read last. For people: it decides nothing."""
        self._trip = now  # the last round trip
        self._alive = now  # the last round trip, or progress of a write
        self._asked: float | None = None  # since when a Ping waits for a round trip
        self._sent: float | None = None  # when the last Ping left; None once it is answered
        self._token = 0
        self._taken = 0  # bytes that the socket took since the last progress
        self._looking: float | None = None  # since when the reader looks
        self._unread = 0  # how many reads may still be waiting from that moment

    def round_trip(self, now: float) -> None:
        """An Ack moved: the peer has heard us, and we the peer."""
        self._trip = self._alive = now
        self._asked = self._looking = None

    def ping_sent(self, now: float) -> None:
        """The Ping went into the socket: its round trip is measured from here."""
        self._sent = now

    def pong(self, now: float, token: int) -> bool:
        """False: it answers no Ping of ours and counts for nothing."""
        if token != self._token or self._sent is None:
            return False
        self.sample(now - self._sent)
        self._sent = None
        self.round_trip(now)
        return True

    def sample(self, rtt: float) -> None:
        """One more measured round trip, for instance the handshake's. (Smoothed as RFC 6298 does.)"""
        if self.rtt is None:
            self.rtt, self.jitter = rtt, rtt / 2
            return
        self.jitter += (abs(self.rtt - rtt) - self.jitter) / 4
        self.rtt += (rtt - self.rtt) / 8

    def wrote(self, now: float, taken: int) -> None:
        """The socket took so many bytes after it had taken no more: a long message on a slow link moves (T1).

        While it takes everything that proves nothing: it may be filling its buffer, for a peer that is gone.
        """
        self._taken += taken
        if self._taken >= self.cfg.progress:
            self._taken %= self.cfg.progress
            self._alive, self._looking = now, None

    def reading(self, now: float, size: int) -> None:
        """So many bytes came of a frame that is not whole yet: the answer comes behind it (T1)."""
        self.wrote(now, size)

    def received(self, now: float) -> None:
        """A read found something. It proves nothing (T1), and an answer may be waiting behind it (T2)."""
        self.heard = now
        self._unread -= 1

    def dry(self, now: float) -> None:
        """A read found nothing: all that had come was handled."""
        if self._looking is not None and now >= self._looking:
            self._unread = 0

    def next_deadline(self) -> float:
        """When `due` has something to say, unless something happens before."""
        if self._asked is None:
            return self._trip + self.cfg.ping_after
        if self._looking is None:
            # A loop that was stalled asks late, and gives as much time for the answer as any other.
            return max(self._alive + self.cfg.dead_after, self._asked + self.cfg.dead_after - self.cfg.ping_after)
        return self._looking if self._unread <= 0 else self._looking + self.cfg.ping_after

    def due(self, now: float) -> Due:
        """What is to be done now. An Ask is given once; it is outstanding from then on, sent or not."""
        if now < self.next_deadline():
            return None
        if self._asked is None:
            self._asked = self._sent = now
            self._token += 1
            return Ask(self._token)
        if self._looking is not None and self._unread <= 0:  # spec S4: "performs connection maintenance"
            return DEAD
        if self._looking is None:
            self._unread = self.cfg.backlog
        self._looking = now
        return LOOK

    def __repr__(self) -> str:
        rtt = "unknown" if self.rtt is None else f"{self.rtt * 1000:.3g} ms"
        return f"Liveness(rtt={rtt}, asked={self._asked is not None}, looking={self._looking is not None})"
