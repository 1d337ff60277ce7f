"""P1, P5: the ledger closes and says what happened; no queue holds more than it may. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from actors.testing.history.records import Held, Ledger, Violation
from actors.testing.judge.book import Book
from actors.testing.judge.lives import NEVER

_OUTCOMES = ("delivered", "sent", "expired", "lost", "refused")


def wrong_ledgers(book: Book) -> Iterator[Violation]:
    """Ledgers that do not add up; last ones of a run, of all its messages, that are not what happened."""
    last: dict[tuple[str, int], tuple[int, Ledger]] = {}
    for index, ledger in book.of(Ledger):
        figures = [getattr(ledger, field) for field in ("accepted", *_OUTCOMES, "in_flight")]
        whose = f"{ledger.node}{f' for {ledger.peer}' if ledger.peer else ''}"
        if min(figures) < 0:
            yield Violation("P1", "ledger-below-zero", ledger.at, f"the ledger of {whose} says {_words(ledger)}")
        elif figures[0] != sum(figures[1:]):
            yield Violation("P1", "ledger-does-not-close", ledger.at, f"the ledger of {whose} says {_words(ledger)}")
        elif not ledger.peer:
            last[ledger.node, ledger.run] = index, ledger
    yield from _untrue(book, last)


def _untrue(book: Book, last: dict[tuple[str, int], tuple[int, Ledger]]) -> Iterator[Violation]:
    """Compared where the run has ended in order or all is settled, and nothing happened after the ledger was taken."""
    counts: dict[tuple[str, int], Counter[str]] = {run: Counter() for run in last}
    latest = dict.fromkeys(last, 0)
    for message in book.messages.values() if last else ():
        run = message.accepted.node, message.accepted.run
        if run in counts:
            counts[run]["accepted"] += 1
            latest[run] = max(latest[run], message.index)
            if message.settled is not None:
                counts[run][message.settled.outcome] += 1
                latest[run] = max(latest[run], message.settled_index)
    for run, (index, ledger) in last.items():
        its = book.lives.run(*run)
        at_rest = its.how == "stopped" or (its.ended == NEVER and book.settled)
        if at_rest and latest[run] < index:
            yield from _compare(ledger, counts[run])


def _compare(ledger: Ledger, counts: Counter[str]) -> Iterator[Violation]:
    wrong = [field for field in ("accepted", *_OUTCOMES) if getattr(ledger, field) != counts[field]]
    if wrong:
        happened = ", ".join(f"{counts[field]} {field}" for field in wrong)
        words = f"the last ledger of {ledger.node} (run {ledger.run}) says {_words(ledger)}, but there were {happened}"
        yield Violation("P1", "ledger-untrue", ledger.at, words)


def _words(ledger: Ledger) -> str:
    outcomes = ", ".join(f"{getattr(ledger, field)} {field}" for field in _OUTCOMES)
    return f"at {ledger.at:.3f}: {ledger.accepted} accepted; {outcomes}, {ledger.in_flight} in flight"


def full_queues(book: Book) -> Iterator[Violation]:
    """Queues that hold more than they may, or less than nothing."""
    for _, held in book.of(Held):
        words = (
            f"{held.queue} of {held.node} at {held.at:.3f}: {held.count} messages and {held.size} bytes,"
            f" at most {held.most_count} and {held.most_size}"
        )
        if held.count > held.most_count or held.size > held.most_size:
            yield Violation("P5", "more-than-it-may-hold", held.at, words)
        elif held.count < 0 or held.size < 0:
            yield Violation("P5", "less-than-nothing", held.at, words)
