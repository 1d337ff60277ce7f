"""P4: a proxy ends with its ephemeral link, settles what it had at once, and nobody dials again unasked. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator

from actors.testing.history.records import Phase, Violation
from actors.testing.judge.book import Book, Message, Pair, outcome
from actors.testing.judge.lives import Places
from actors.testing.judge.ties import NO_CONNECTION, Ties

SOON = 0.2
"""Seconds in which a message that a proxy was made for is taken from the sender's hand, and so in the history."""
_UNDER_WAY = ("dialing", "handshaking")


def wrong_ends(book: Book) -> Iterator[Violation]:
    """Losses with a link up, messages that outlive their proxy, dials that nobody asked for."""
    ties, phases = Ties(book), book.by_pair(Phase)
    messages: dict[Pair, list[Message]] = defaultdict(list)
    for message in book.messages.values():
        messages[book.pair(message.accepted)].append(message)
    for pair, accepted in messages.items():
        yield from _left_behind(phases.get(pair, []), accepted)
        yield from _lost_in_peace(ties, pair, accepted)
    for pair, changes in phases.items():
        ended_at = book.lives.run(*pair[:2]).ended_at
        yield from _dialed_again(ties, pair, changes, messages.get(pair, []), ended_at)


# -- what a proxy had -------------------------------------------------------------------------------------


def _left_behind(phases: Places[Phase], messages: list[Message]) -> Iterator[Violation]:
    """When a proxy has ended, what it had has its outcome at that moment, or waits for the next proxy (D4)."""
    ends = [index for index, phase in phases if phase.new == "closed"]
    if not ends:
        return
    indices, ended = [index for index, _ in phases], dict(phases)
    for message in messages:
        place = bisect_left(ends, message.settled_index) - 1
        if message.settled is None or place < 0 or ends[place] < message.index:
            continue
        end, settled = ended[ends[place]], message.settled
        followed = bisect_left(indices, message.settled_index) - bisect_left(indices, ends[place]) > 1
        by_itself = settled.outcome == "expired" or settled.reason == "node_stopped"
        if settled.at > end.at and not followed and not by_itself:
            words = f"{message}, had no outcome when its proxy ended at {end.at:.3f} ({end.why}): {outcome(settled)}"
            yield Violation("P4", "outlived-its-proxy", settled.at, words)


def _lost_in_peace(ties: Ties, pair: Pair, messages: list[Message]) -> Iterator[Violation]:
    """Only who has no connection left loses messages for want of one (C8)."""
    for message in messages:
        settled = message.settled
        if settled is None or not settled.reason.startswith(NO_CONNECTION):
            continue
        since = ties.permanent_since(pair, message.settled_index)
        permanent = since is not None and since < message.accepted.at  # P3 says so
        if ties.is_up(pair, message.settled_index) and not permanent:
            words = f"{message}, was {outcome(settled)}, while the link was up"
            yield Violation("P4", "lost-with-the-link-up", settled.at, words)


# -- dialing ----------------------------------------------------------------------------------------------


def _dialed_again(
    ties: Ties, pair: Pair, phases: Places[Phase], messages: list[Message], ended_at: float
) -> Iterator[Violation]:
    """spec: ephemeral connections are not re-established automatically when the connection is lost.

    What a sender had in its hand when the run ended is in no history.
    """
    waiting = _Waiting(messages)
    ended = {phase.at for _, phase in phases if phase.new == "closed"}
    for index, phase in phases:
        held = ties.permanent_since(pair, index) is not None or ties.released(pair, phase.at)
        link = f"{phase.node} -> {phase.peer}, ephemeral: at {phase.at:.3f}"
        if phase.old == "ready" and phase.new == "backoff" and not held and phase.at not in ended:
            words = f"{link} its connection was lost ({phase.why}), and the proxy waits to dial again"
            yield Violation("P4", "lost-and-not-ended", phase.at, words)
        asked = held or phase.why == "dial now" or ended_at <= phase.at + SOON
        if phase.old == "idle" and phase.new in _UNDER_WAY and not asked and not waiting.at(index, phase.at):
            words = f"{link} a proxy dials ({phase.why}), and nothing waits to be sent"
            yield Violation("P4", "dialed-for-nothing", phase.at, words)


class _Waiting:
    """Which messages wait at a moment; asked in order."""

    def __init__(self, messages: list[Message]) -> None:
        self._coming = messages[::-1]
        self._open: dict[int, Message] = {}

    def at(self, index: int, at: float) -> bool:
        """Whether any is there, or comes so soon that it must have been on its way."""
        while self._coming and self._coming[-1].accepted.at <= at + SOON:
            message = self._coming.pop()
            self._open[message.index] = message
        self._open = {place: one for place, one in self._open.items() if one.settled_index > index}
        return bool(self._open)
