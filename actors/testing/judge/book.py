"""A history, sorted into what the rules ask for. Pure."""

from __future__ import annotations

from collections import defaultdict
from math import inf
from operator import itemgetter
from typing import Any, TypeAlias

from msgspec import Struct

from actors.testing.history.records import (
    Accepted,
    Began,
    Ended,
    Fault,
    Finished,
    Healed,
    History,
    Settled,
    Stopping,
    Told,
    Withdrawn,
)
from actors.testing.judge.lives import NEVER, Lives, Places, R

_UNSENT = ("expired", "lost")
Pair: TypeAlias = tuple[str, int, str]
"""A run of a node, and the peer that it has a link to: name, run, peer."""


class Message(Struct, gc=False, eq=False):
    """One accepted message, and what became of it. Indices say where in the history."""

    accepted: Accepted
    index: int
    settled: Settled | None = None
    settled_index: int = NEVER
    told: Told | None = None
    told_index: int = NEVER
    withdrawn: float = inf

    @property
    def surely_not_sent(self) -> Settled | Told | None:
        """The word by which it is in no mailbox and never will be (PROTOCOL O2); None if it may be in one."""
        settled, told = self.settled, self.told
        if settled is not None:  # what its sender was told otherwise is a matter of its own
            return settled if settled.outcome == "refused" or _kept_back(settled) else None
        return told if told is not None and _kept_back(told) else None

    def __str__(self) -> str:
        """What it is, whose, and when."""
        its = self.accepted
        lane = f"{engine(its.node, its.sender)} -> {engine(its.peer, its.target)}"
        return f"{its.kind} {its.message} of {lane}, accepted at {its.at:.3f}"


class Book:
    """The history by kinds of records, its messages, and the runs of its nodes."""

    def __init__(self, history: History) -> None:
        self._kinds: dict[type, list[tuple[int, Any]]] = defaultdict(list)
        now = 0.0
        for index, record in enumerate(history):
            if not record.at >= now:
                raise ValueError(f"time runs back: {record} after {now:.3f}")
            now = record.at
            self._kinds[type(record)].append((index, record))
        self.ends_at = now
        self.length = len(history)
        self._history = history
        self.settled = any(record.settled for _, record in self.of(Finished))
        self.lives = Lives(self.of(Began), self.of(Stopping), self.of(Ended), self.of(Fault), self.of(Healed))
        self.messages: dict[int, Message] = {}
        self.settled_again: list[Settled] = []
        """Outcomes of messages that had one, or that nobody accepted."""
        self.told_again: list[Told] = []
        """Likewise."""
        self._read_messages()

    def of(self, kind: type[R]) -> Places[R]:
        """All records of that kind, in order."""
        return self._kinds.get(kind, [])

    def time_of(self, index: int) -> float:
        """When that was; the history's end for an index behind it."""
        return self._history[index].at if index < self.length else self.ends_at

    def pair(self, record: Any) -> Pair:
        """The run and the peer that a record is about."""
        return record.node, record.run, self.lives.who(record.peer)

    def by_pair(self, *kinds: type[R]) -> dict[Pair, Places[R]]:
        """Records of these kinds for each run and peer, in order."""
        found: dict[Pair, Places[R]] = defaultdict(list)
        for index, record in sorted((place for kind in kinds for place in self.of(kind)), key=itemgetter(0)):
            found[self.pair(record)].append((index, record))
        return found

    def _read_messages(self) -> None:
        messages = self.messages
        for index, accepted in self.of(Accepted):
            if accepted.message in messages:
                raise ValueError(f"two messages of one number: {accepted}")
            messages[accepted.message] = Message(accepted, index)
        for index, settled in self.of(Settled):
            message = messages.get(settled.message)
            if message is None or message.settled is not None:
                self.settled_again.append(settled)
            else:
                message.settled, message.settled_index = settled, index
        for index, told in self.of(Told):
            message = messages.get(told.message)
            if message is None or message.told is not None:
                self.told_again.append(told)
            else:
                message.told, message.told_index = told, index
        for _, withdrawn in self.of(Withdrawn):
            message = messages.get(withdrawn.message)
            if message is not None:
                message.withdrawn = min(message.withdrawn, withdrawn.at)


def _kept_back(word: Settled | Told) -> bool:
    return word.outcome in _UNSENT and not word.maybe_sent


def engine(node: str, name: str) -> str:
    """`node/engine`; the node alone if it is what sends."""
    return f"{node}/{name}" if name else node


def outcome(word: Settled | Told) -> str:
    """An outcome in words, with when it came."""
    reason = f" ({word.reason})" if word.reason else ""
    sent = ", perhaps sent" if word.maybe_sent else ", surely not sent"
    return f"{word.outcome}{reason}{sent if word.outcome in _UNSENT else ''} at {word.at:.3f}"
