"""P1: every accepted message has one outcome, in time, and whoever waits for it is told that one. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from actors.testing.history.records import Settled, Told, Violation
from actors.testing.judge.book import Book, Message, outcome
from actors.testing.judge.lives import NEVER

EARLY = 0.2
"""Seconds that an expiry may come too early: less than anybody would notice."""
LATE = 1.0
"""Seconds after its expiry by which a message has its outcome: deadlines are looked after in steps of 1/16."""


def wrong_outcomes(book: Book) -> Iterator[Violation]:
    """Outcomes that are missing, too many, too early, too late, or told otherwise."""
    yield from _too_many(book)
    for message in book.messages.values():
        if message.settled is None:
            yield from _missing(book, message)
        else:
            yield from _untimely(book, message, message.settled)
            yield from _of_another_class(message, message.settled)
        if message.told is not None:
            yield from _told(message, message.told)


# -- how many ---------------------------------------------------------------------------------------------


def _too_many(book: Book) -> Iterator[Violation]:
    for settled in book.settled_again:
        message = book.messages.get(settled.message)
        if message is None or message.settled is None:
            words = f"message {settled.message} of {settled.node}, which nobody accepted, was {outcome(settled)}"
            yield Violation("P1", "settled-but-never-accepted", settled.at, words)
        else:
            words = f"{message}, was {outcome(message.settled)}, and then {outcome(settled)}"
            yield Violation("P1", "settled-twice", settled.at, words)
    for told in book.told_again:
        message = book.messages.get(told.message)
        if message is not None and message.told is not None:
            words = f"of {message}, its sender was told {outcome(message.told)}, and then {outcome(told)}"
            yield Violation("P1", "told-twice", told.at, words)
        elif told.maybe_sent or told.outcome in ("delivered", "answered", "crashed"):
            words = f"of message {told.message}, which nobody accepted, {told.node} was told: {outcome(told)}"
            yield Violation("P1", "told-but-never-accepted", told.at, words)


def _missing(book: Book, message: Message) -> Iterator[Violation]:
    """Its run ended in order, or all was to be settled, or its time is long over. A killed run owes nothing (O3)."""
    run = book.lives.run(message.accepted.node, message.accepted.run)
    until = min(run.ended_at, book.ends_at)
    owed = run.how == "stopped" or (run.ended == NEVER and book.settled)
    if owed or until > _due(book, message) + LATE:
        end = f"its node had {run.how}" if run.ended < NEVER else "the history ended"
        yield Violation("P1", "no-outcome", until, f"{message}, had no outcome when {end} at {until:.3f}")


# -- when -------------------------------------------------------------------------------------------------


def _due(book: Book, message: Message) -> float:
    """When it expires; an answer that comes after its asker's time is over has its outcome at once."""
    its = message.accepted
    return book.lives.awake(its.node, max(its.expires, its.at))


def _untimely(book: Book, message: Message, settled: Settled) -> Iterator[Violation]:
    expires = message.accepted.expires
    if settled.outcome == "expired" and settled.at < min(expires - EARLY, message.withdrawn):
        yield Violation("P1", "expired-early", settled.at, f"{message}, {outcome(settled)}, not at {expires:.3f}")
    elif settled.at > _due(book, message) + LATE:
        words = f"{message}, had its outcome long after its time was over at {expires:.3f}: {outcome(settled)}"
        yield Violation("P1", "outcome-late", settled.at, words)


def _of_another_class(message: Message, settled: Settled) -> Iterator[Violation]:
    """Sent is all that is ever known of a message of the unreliable class, and of no other (PROTOCOL O1, U1)."""
    unreliable = message.accepted.kind == "datagram"
    if settled.outcome == ("delivered" if unreliable else "sent"):
        yield Violation("P1", "outcome-of-another-class", settled.at, f"{message}, was {outcome(settled)}")
    elif unreliable and settled.maybe_sent:
        words = f"{message}, is sent or not, but was {outcome(settled)}"
        yield Violation("P1", "unreliable-and-perhaps-sent", settled.at, words)


# -- what was told ----------------------------------------------------------------------------------------


def _told(message: Message, told: Told) -> Iterator[Violation]:
    settled, expires = message.settled, message.accepted.expires
    if told.outcome == "cancelled" or _same(message, told):
        return
    fits = _answer_fits if message.accepted.kind == "ask" else _outcome_fits
    if not fits(message, told):
        was = f"was {outcome(settled)}" if settled is not None else "had no outcome"
        yield Violation("P1", "told-otherwise", told.at, f"{message}, {was}, but its sender was told: {outcome(told)}")
    elif told.outcome == "expired" and told.at < expires - EARLY:
        words = f"{message}, expires at {expires:.3f}, but its sender was told: {outcome(told)}"
        yield Violation("P1", "told-expired-early", told.at, words)


def _same(message: Message, told: Told) -> bool:
    settled = message.settled
    if settled is None or settled.outcome != told.outcome:
        return False
    if told.outcome == "delivered":
        return message.accepted.kind != "ask"  # which is told the answer, or why there is none
    return settled.reason == told.reason and settled.maybe_sent == told.maybe_sent


def _outcome_fits(message: Message, told: Told) -> bool:
    """Of a `send`: it is told the outcome, unless its own time was over first, on the same tick or before."""
    settled = message.settled
    if told.outcome != "expired" or (settled is not None and settled.at < told.at):
        return False
    return told.maybe_sent or settled is None or _kept_back(settled)


def _answer_fits(message: Message, told: Told) -> bool:
    """Of an `ask`: the message may have been delivered, and what it waits for is still to come (Q3, S13)."""
    settled = message.settled
    before = settled is not None and settled.at < told.at and settled.outcome not in ("delivered", "sent")
    if told.outcome == "delivered" or before:
        return False  # what failed has failed at once
    if settled is None:
        return True
    if told.outcome in ("expired", "lost") and not told.maybe_sent:
        return _kept_back(settled)
    return told.maybe_sent or not _kept_back(settled)


def _kept_back(settled: Settled) -> bool:
    """Whether by this outcome the message is in no mailbox."""
    return settled.outcome == "refused" or (settled.outcome in ("expired", "lost") and not settled.maybe_sent)
