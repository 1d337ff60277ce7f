"""What an engine did lately, for people: how long its messages took, the last of them, and which guards held.

One message in a few is looked at: where an engine was idle at most one in 10 ms, of a stream every sixteenth batch's
first. To look at each would make a local ask a sixth dearer. What crashed is remembered in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final, NamedTuple

from actors.identity import EngineID
from actors.recent import Recent
from actors.runtime.dead_letters import tag_of
from actors.runtime.heads import head

PAUSE: Final = 0.01
"""Seconds after which an engine that was idle is looked at again."""
YOUNG: Final = 1.0
"""Seconds before which an engine for one connection or one peer is not looked at."""
EVERY: Final = 16
"""Batches without a pause, of which one is looked at."""
_KEPT: Final = 8
_LIGHT: Final = 4096
"""Bytes up to which a message is kept to be shown; of a heavier one its type has to do."""


class Handled(NamedTuple):
    """A message that was handled, and how long that took; None: it crashed."""

    at: float
    sender: EngineID
    tag: str
    message: object | None
    took: float | None

    @property
    def head(self) -> str:
        """In words; empty for one that was too heavy to keep."""
        return "" if self.message is None else head(self.message)


class Seen:
    """What was seen of one engine."""

    __slots__ = ("hits", "last", "took")

    def __init__(self) -> None:
        self.took = Recent()
        self.last: list[Handled] = []
        self.hits: dict[object, int] = {}
        """How often a guard held, by its action, of the messages that were looked at."""


_NOTHING: Final = Seen()
"""One for all that were never looked at, as most of the network's own engines: nothing is added to it."""


class Work:
    """Of one engine, over all its lives."""

    __slots__ = ("due", "seen")

    def __init__(self) -> None:
        self.seen = _NOTHING
        self.due = -inf
        """When an engine that was idle should be looked at again."""

    def handled(self, sender: EngineID, message: object, size: int, now: float, took: float, count: int = 1) -> None:
        """A message, of so many that took so long each."""
        self.due = now - took * count + PAUSE  # from its beginning: what is slow is always seen
        self._look().took.add(took, now, count)
        self._keep(sender, message, size, now, took)

    def held(self, action: object) -> None:
        """The guard of this action held for the message."""
        action = getattr(action, "__wrapped__", action)  # of an engine that is recorded
        hits = self._look().hits
        hits[action] = hits.get(action, 0) + 1

    def crashed(self, sender: EngineID, message: object, now: float) -> None:
        """Its handler raised."""
        self._keep(sender, message, 0, now, None)

    @property
    def took(self) -> Recent:
        """How long messages took."""
        return self.seen.took

    @property
    def last(self) -> Sequence[Handled]:
        """The last messages, oldest first."""
        return self.seen.last

    @property
    def hits(self) -> Mapping[object, int]:
        """How often a guard held, by its action, of the messages that were looked at."""
        return self.seen.hits

    def _look(self) -> Seen:
        if self.seen is _NOTHING:
            self.seen = Seen()
        return self.seen

    def _keep(self, sender: EngineID, message: object, size: int, at: float, took: float | None) -> None:
        last = self._look().last
        if len(last) == _KEPT:
            del last[0]
        last.append(Handled(at, sender, tag_of(message), message if size <= _LIGHT else None, took))
