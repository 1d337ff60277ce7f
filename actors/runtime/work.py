"""What an engine did lately, for people: how long its messages took, the last of them, and which guards held.

One message in a few is looked at: where an engine was idle at most one in 10 ms, of a stream every sixteenth batch's
first. To look at each would make a local ask a sixth dearer. What crashed is remembered in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Final, NamedTuple

from actors.identity import EngineID
from actors.recent import NEVER, Recent
from actors.runtime.dead_letters import tag_of
from actors.runtime.heads import head

PAUSE: Final = 0.01
"""Seconds after which an engine that was idle is looked at again."""
YOUNG: Final = 1.0
"""Seconds before which an engine for one connection or one peer is not looked at."""
EVERY: Final = 16
"""Batches without a pause, of which one is looked at."""
_KEPT: Final = 8
_NO_HITS: Final[Mapping[object, int]] = MappingProxyType({})
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


class Work:
    """Of one engine, over all its lives."""

    __slots__ = ("due", "hits", "last", "took")

    def __init__(self) -> None:
        # Most of the network's own engines are never looked at: these are made for the first message that is.
        self.took = NEVER
        self.last: Sequence[Handled] = ()
        self.hits: Mapping[object, int] = _NO_HITS
        """How often a guard held, by its action, of the messages that were looked at."""
        self.due = -inf
        """When an engine that was idle should be looked at again."""

    def handled(self, sender: EngineID, message: object, size: int, now: float, took: float, count: int = 1) -> None:
        """A message, of so many that took so long each."""
        self.due = now - took * count + PAUSE  # from its beginning: what is slow is always seen
        if self.took is NEVER:
            self.took = Recent()
        self.took.add(took, now, count)
        self._keep(sender, message, size, now, took)

    def held(self, action: object) -> None:
        """The guard of this action held for the message."""
        action = getattr(action, "__wrapped__", action)  # of an engine that is recorded
        hits = self.hits
        if not isinstance(hits, dict):
            hits = self.hits = {}
        hits[action] = hits.get(action, 0) + 1

    def crashed(self, sender: EngineID, message: object, now: float) -> None:
        """Its handler raised."""
        self._keep(sender, message, 0, now, None)

    def _keep(self, sender: EngineID, message: object, size: int, at: float, took: float | None) -> None:
        last = self.last
        if not isinstance(last, list):
            last = self.last = []
        if len(last) == _KEPT:
            del last[0]
        last.append(Handled(at, sender, tag_of(message), message if size <= _LIGHT else None, took))
