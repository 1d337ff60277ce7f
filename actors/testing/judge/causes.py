"""P3: nothing is lost over a permanent link but for a cause that the history knows. Pure.

Causes are the reasons that a node gives: `actors.net.node_proxy`, `session` and `transmit` say them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from msgspec import Struct

from actors.testing.history.records import Fault, Forgot, LinkUp, Settled, Told, Violation
from actors.testing.judge.book import Book, Message, Pair, outcome
from actors.testing.judge.ties import NO_CONNECTION, Ties

UNWINDING = 1.0
"""Seconds that a node which was cancelled or has failed may take to settle what it had, before its end is recorded."""


class Loss(Struct, frozen=True):
    """A message that was lost, by a word of its node or to its sender."""

    message: Message
    word: Settled | Told
    index: int
    pair: Pair


def lost_without_cause(book: Book) -> Iterator[Violation]:
    """Losses whose reason is not so, as far as the history tells."""
    causes = _Causes(book)
    for loss in _losses(book):
        rule = causes.wrong(loss)
        if rule:
            yield Violation("P3", rule, loss.word.at, f"{loss.message}, was {outcome(loss.word)}{causes.detail(loss)}")


def _losses(book: Book) -> Iterator[Loss]:
    """What messages were lost by; what askers were told where their message itself was not lost (Q3)."""
    for message in book.messages.values():
        settled, told = message.settled, message.told
        if settled is not None and settled.outcome == "lost":
            yield Loss(message, settled, message.settled_index, book.pair(message.accepted))
        elif told is not None and told.outcome == "lost":
            yield Loss(message, told, message.told_index, book.pair(message.accepted))


class _Causes:
    def __init__(self, book: Book) -> None:
        self._lives = book.lives
        self._ties = Ties(book)
        self._poisoned = min((index for index, fault in book.of(Fault) if fault.corrupts), default=None)
        self._forgot: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, forgot in book.of(Forgot):
            self._forgot[book.lives.who(forgot.node), book.lives.who(forgot.peer)].append(index)
        self._met: dict[tuple[Pair, int], list[int]] = defaultdict(list)
        self._meet(book)

    def _meet(self, book: Book) -> None:
        """A link that is up at one end is proven at the other: that one knows from there on which run it is with."""
        lives = self._lives
        for index, up in book.of(LinkUp):
            other = lives.latest_run(lives.who(up.peer), index)
            if other is not None:
                pair = (*other, lives.who(up.node))
                self._met[pair, lives.run(up.node, up.run).place].append(index)

    def wrong(self, loss: Loss) -> str:
        """The rule that the loss breaks; empty if its reason holds."""
        reason = loss.word.reason
        if reason.startswith(NO_CONNECTION):
            return "lost-over-a-permanent-link" if self._permanent(loss) else ""
        if reason == "node_stopped":
            return "" if self._stopped(loss) else "node-not-stopped"
        if reason not in ("peer_restarted", "session_lost", "poison"):
            return "unknown-cause"
        if not loss.word.maybe_sent:
            return "unwritten-but-lost"  # it goes on to the peer's next run, or into the next session (S2, S9)
        if reason == "peer_restarted":
            return "" if self._restarted(loss) else "peer-not-restarted"
        if reason == "session_lost":
            return "" if self._forgotten(loss) else "session-not-forgotten"
        return "" if self._corrupted(loss) else "poison-without-corruption"

    def detail(self, loss: Loss) -> str:
        """What else there is to know."""
        since = self._ties.permanent_since(loss.pair, loss.index)
        return f"; the link is permanent since {since:.3f}" if since is not None else ""

    def _permanent(self, loss: Loss) -> bool:
        """All the time. What comes at one moment may be in any order: permanence takes a few steps to take hold."""
        since = self._ties.permanent_since(loss.pair, loss.index)
        return since is not None and since < loss.message.accepted.at

    def _stopped(self, loss: Loss) -> bool:
        run = self._lives.run(*loss.pair[:2])
        cancelled = run.how in ("killed", "failed") and run.ended_at <= loss.word.at + UNWINDING
        return run.stopping < loss.index or cancelled

    def _restarted(self, loss: Loss) -> bool:
        """Another run of the peer began, and the node did not know of it when it took the message."""
        begun = self._lives.begun(loss.pair[2])[: self._lives.latest(loss.pair[2], loss.index) + 1]
        if len(begun) < 2:
            return False
        met = self._met.get((loss.pair, len(begun) - 1), [loss.index])
        return met[0] > loss.message.index or loss.pair[2] in self._lives.twins

    def _forgotten(self, loss: Loss) -> bool:
        """The peer forgot this node, or began anew; or its word came changed."""
        node, number, peer = loss.pair
        began = self._lives.run(node, number).began
        who = self._lives.who(node)
        forgot = any(began < index < loss.index for index in self._forgot[peer, who])
        anew = any(began < index < loss.index for index in self._lives.begun(peer)[1:])
        return forgot or anew or who in self._lives.twins or self._corrupted(loss)

    def _corrupted(self, loss: Loss) -> bool:
        return self._poisoned is not None and self._poisoned < loss.index
