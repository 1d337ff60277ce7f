"""When to dial again after a failure. Pure: the clock and the dice are arguments."""

from __future__ import annotations

from msgspec import Struct

from actors.errors import ConfigError


class BackoffCfg(Struct, frozen=True, kw_only=True):
    """Seconds, but for the two factors."""

    first: float = 0.2
    factor: float = 1.6
    spread: float = 0.2
    """Each delay is drawn from 1 - spread to 1 + spread times its base."""
    cap: float = 30.0
    """The greatest base, and the most that an unsigned `retry_after` may ask for (PROTOCOL H7)."""
    steady: float = 10.0
    """A connection that stood this long starts the delays anew."""
    signed_cap: float = 600.0
    """The most that a signed `retry_after` may ask for (PROTOCOL H7)."""

    def __post_init__(self) -> None:
        if not (0 < self.first <= self.cap and self.factor >= 1 and 0 <= self.spread < 1):
            raise ConfigError(f"these delays do not grow from above 0 towards their cap: {self}")
        if self.steady < 0 or self.signed_cap < 0:
            raise ConfigError(f"a negative time: {self}")


class Backoff:
    """The delays between one proxy's attempts.

    Tell it when an attempt starts (`attempt`), when a connection is up (`proven`), when there is neither (`ended`),
    and what the peer asked for (`told`, `disperse`). `due` is when the next attempt may start, None while nothing waits
    for it.
    """

    __slots__ = ("_base", "_floor", "_since", "_up", "_within", "cfg", "due", "failures")

    def __init__(self, cfg: BackoffCfg | None = None) -> None:
        self.cfg = cfg or BackoffCfg()
        self.due: float | None = None
        self.failures = 0
        """Attempts and short connections in a row."""
        self._base = self.cfg.first
        self._floor = 0.0
        self._within = 0.0
        self._since: float | None = None
        self._up: float | None = None

    def attempt(self, now: float) -> None:
        """An attempt starts: the next delay is counted from here, so that a slow failure is not punished twice."""
        self._since = now
        self.due = None

    def proven(self, now: float) -> None:
        """A connection is up, our own or the peer's. With one up already: nothing."""
        if self._up is None:
            self._up, self._within = now, 0.0
        if self._since is None:
            self._since = now
        self.due = None

    def down(self, now: float) -> None:
        """The last connection is lost. A steady one starts the delays anew, from now on."""
        if self._up is not None and now - self._up >= self.cfg.steady:
            self._base, self.failures, self._since = self.cfg.first, 0, now
        self._up = None

    def told(self, now: float, retry_after: float, *, signed: bool) -> float:
        """The peer asked for so many seconds of peace: a floor for the next attempt, not an appointment (H7).

        Whatever stands in an unsigned refusal counts for the cap at most, since anyone can write one. Gives what is
        believed of it.
        """
        most = self.cfg.signed_cap if signed else self.cfg.cap
        seconds = min(retry_after, most) if retry_after > 0 else 0.0  # also for NaN, which compares to nothing
        self._floor = max(self._floor, now + seconds)
        return seconds

    def quiet(self, until: float) -> None:
        """What the peer asked for when another backoff counted its attempts."""
        self._floor = max(self._floor, until)

    def disperse(self, within: float) -> None:
        """The peer has a crowd, which is to come back within so many seconds (L7). Holds until the next connection.

        Half the cap counts at most, and no delay is longer for it than 1 + spread times the cap.
        """
        self._within = min(within, self.cfg.cap / 2)

    def ended(self, now: float, random: float) -> float:
        """The attempt failed, or the last connection is lost: when to dial again. `random` is uniform in [0, 1).

        Counted from the start of the attempt, or of the connection if the peer dialed; after a steady connection
        from its end. One of a crowd draws from the whole of what it was told, from now on.
        """
        self.down(now)
        self.failures += 1
        since = now if self._since is None else self._since
        least, most = self._drawn_from()
        delay = least + (most - least) * random
        self._base = min(self._base * self.cfg.factor, self.cfg.cap)
        self._since = None
        # spec S11: "automatically re-established when lost"; this is when
        self.due = max(since + delay, max(now, self._floor) + self._within * random)
        return self.due

    def _drawn_from(self) -> tuple[float, float]:
        """The least delay and the most. A crowd's second dials come after its first ones, and not between them."""
        spread, waits = self.cfg.spread, 0.0 if self.failures == 1 else self._within
        least = max(self._base * (1 - spread), waits)
        most = max(self._base * (1 + spread), least + self._within)
        return least, min(most, self.cfg.cap * (1 + spread))

    def wake(self, now: float) -> float:
        """Something changed for the better (a newer advert): dial as soon as the peer's `retry_after` allows."""
        self.due = max(now, self._floor)
        return self.due

    def park(self) -> None:
        """Wait for no time at all (a signed denial): only `wake` or a connection ends this."""
        self._since = self._up = None
        self.failures += 1
        self.due = None

    def __repr__(self) -> str:
        return f"Backoff(failures={self.failures}, due={self.due}, base={self._base:.3g})"
