"""When a link over a worse address is dialed anew over a better one. Pure: the clock and the dice are arguments.

The pauses double with each try, whatever came of it, so that an address which answers and then breaks does not make the
link go to and fro; they are short again once the link has stood over the best address for as long as the longest one.
"""

from __future__ import annotations

from msgspec import Struct

from actors.errors import ConfigError


class UpgradeCfg(Struct, frozen=True, kw_only=True):
    """Seconds, but for the two factors."""

    first: float = 30.0
    factor: float = 2.0
    spread: float = 0.2
    """Each pause is drawn from 1 - spread to 1 + spread times its base."""
    cap: float = 600.0
    """The longest base; and how often a link over the best address looks whether it still is."""

    def __post_init__(self) -> None:
        if not (0 < self.first <= self.cap and self.factor >= 1 and 0 <= self.spread < 1):
            raise ConfigError(f"these pauses do not grow from above 0 towards their cap: {self}")


class Upgrade:
    """The pauses of one proxy. `due` is when the next try may be made; None while there is nothing better."""

    __slots__ = ("_base", "_best_since", "cfg", "due", "tries")

    def __init__(self, cfg: UpgradeCfg | None = None) -> None:
        self.cfg = cfg or UpgradeCfg()
        self.due: float | None = None
        self.tries = 0
        self._base = self.cfg.first
        self._best_since: float | None = None

    def wanted(self, now: float, random: float) -> float:
        """There is a better address: when it may be tried. `random` is uniform in [0, 1)."""
        if self._best_since is not None and now - self._best_since >= self.cfg.cap:
            self._base = self.cfg.first
        self._best_since = None
        if self.due is None:
            self.due = now + self._base * (1 + self.cfg.spread * (2 * random - 1))
            self._base = min(self._base * self.cfg.factor, self.cfg.cap)
        return self.due

    def tried(self) -> None:
        """It is being dialed."""
        self.tries += 1
        self.due = None

    def best(self, now: float) -> None:
        """The link stands over the best address there is."""
        self.due = None
        if self._best_since is None:
            self._best_since = now

    def __repr__(self) -> str:
        return f"Upgrade(tries={self.tries}, due={self.due}, base={self._base:.3g})"
