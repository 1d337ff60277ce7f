"""What a bad line does to each packet. Pure: the dice are an argument."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from actors.errors import ConfigError


class Weather(Struct, frozen=True, kw_only=True):
    """Of one way. With jitter packets overtake each other."""

    delay: float = 0.0
    """Seconds that each packet takes at least."""
    jitter: float = 0.0
    """Seconds that it takes more, at most; drawn for each."""
    loss: float = 0.0
    """The part of all packets that is lost."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.delay < 0 or self.jitter < 0 or not 0 <= self.loss < 1:
            raise ConfigError(f"no line is like this: {self}")

    def fate(self, draw: Callable[[], float]) -> float | None:
        """How many seconds the next packet takes; None if it is lost. `draw` gives numbers from 0 to 1."""
        if draw() < self.loss:
            return None
        return self.delay + draw() * self.jitter
