"""P1, P2, P8: a mailbox holds what was sent to it, once, and what was delivered is in one. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from actors.testing.history.records import Violation
from actors.testing.judge.book import Book, Message, engine, outcome
from actors.testing.judge.lanes import Entry, Lane, Lanes
from actors.testing.judge.lives import NEVER
from actors.testing.judge.order import out_of_order


def wrong_mailboxes(book: Book) -> Iterator[Violation]:
    """What entered a mailbox and should not have; what did not and should."""
    lanes = Lanes(book)
    phantoms: list[tuple[Lane, Entry]] = []
    for lane in lanes.lanes.values():
        yield from _surplus(lanes, lane, phantoms)
    yield from out_of_order(lanes)
    for lane, entry in phantoms:
        yield _phantom(lanes, lane, entry)
    for lane in lanes.lanes.values():
        yield from _missing(lanes, lane)


# -- too much ---------------------------------------------------------------------------------------------


def _surplus(lanes: Lanes, lane: Lane, phantoms: list[tuple[Lane, Entry]]) -> Iterator[Violation]:
    for content, entries in lane.entered.items():
        sent = lane.sent.get(content, [])
        if len(sent) == len(entries) == 1 and _accounts_for(lanes, sent[0], entries[0]):
            continue
        for entry, message in unaccounted(lanes, sent, entries):
            lanes.surplus.add(entry.index)
            if _excused(lanes, entry, sent):
                continue
            if message is not None:
                yield _never(message, entry)
            elif sent and sent[0].index < entry.index:
                yield _twice(entry, entries, len(sent))
            else:
                phantoms.append((lane, entry))


def _accounts_for(lanes: Lanes, message: Message, entry: Entry) -> bool:
    return message.index < entry.index and lanes.limit(message) >= entry.place


def unaccounted(lanes: Lanes, sent: list[Message], entries: list[Entry]) -> Iterator[tuple[Entry, Message | None]]:
    """Entries of one content that are more than were sent, each with the message that it is against its outcome.

    Each entry uses up the message that fewest later ones could use; so no other way to match them leaves fewer.
    """
    free: dict[int, list[Message]] = defaultdict(list)
    waiting = iter(sent)
    following = next(waiting, None)
    for entry in entries:
        while following is not None and following.index < entry.index:
            free[lanes.limit(following)].append(following)
            following = next(waiting, None)
        limits = [limit for limit, messages in free.items() if messages]
        fitting = min((limit for limit in limits if limit >= entry.place), default=None)
        if fitting is not None:
            free[fitting].pop()
        else:
            yield entry, free[max(limits)].pop() if limits else None


def _excused(lanes: Lanes, entry: Entry, sent: list[Message]) -> bool:
    """Whether bytes that were changed may have made it what it is."""
    if not lanes.book.lives.corrupted(0, entry.index):
        return False
    return not sent or any(lanes.spoiled(message) for message in sent)


def _never(message: Message, entry: Entry) -> Violation:
    word = message.surely_not_sent
    if word is None:
        settled = message.settled
        assert settled is not None
        words = f"{message}, was {outcome(settled)}, but {entry}"
        return Violation("P2", "written-for-one-run-and-in-another", entry.record.at, words)
    told = "its sender was told: " if word is message.told else ""
    rule = "refused-but-in-a-mailbox" if word.outcome == "refused" else "surely-not-sent-but-in-a-mailbox"
    return Violation("P1", rule, entry.record.at, f"{message}, {told}{outcome(word)}, but {entry}")


def _twice(entry: Entry, entries: list[Entry], sent: int) -> Violation:
    times = ", ".join(f"{one.record.at:.3f}" for one in entries if one.index < entry.index)
    words = f"{entry}, as at {times} before, though it was sent {'once' if sent == 1 else f'{sent} times'}"
    return Violation("P2", "twice-in-a-mailbox", entry.record.at, words)


def _phantom(lanes: Lanes, lane: Lane, entry: Entry) -> Violation:
    """Nobody sent it on this lane; perhaps it was sent by another node, or to another."""
    at, content = entry.record.at, entry.record.content
    for other in lanes.lanes.values():
        same_engines = other.name[1::2] == lane.name[1::2]
        if not same_engines or (other.name[0] != lane.name[0] and other.name[2] != lane.name[2]):
            continue
        if other.name[:4] == lane.name[:4]:
            continue  # the same engines, in the other class: nobody is taken for somebody else
        message = _on_its_way(lanes, other, entry)
        if message is not None:
            lanes.elsewhere.add(message.accepted.message)
            rule = "in-anothers-name" if other.name[2] == lane.name[2] else "in-anothers-mailbox"
            return Violation("P8", rule, at, f"{entry}, but it is {message}")
    later = lane.sent.get(content)
    when = f" before {later[0]}" if later else ", which nobody sent"
    return Violation("P2", "never-sent-but-in-a-mailbox", at, f"{entry}{when}")


def _on_its_way(lanes: Lanes, lane: Lane, entry: Entry) -> Message | None:
    """The message of that content on another lane that has entered no mailbox there."""
    content = entry.record.content
    entered = len(lane.entered.get(content, []))
    sent = [one for one in lane.sent.get(content, []) if one.accepted.message not in lanes.elsewhere]
    return sent[entered] if entered < len(sent) and sent[entered].index < entry.index else None


# -- too little -------------------------------------------------------------------------------------------


def _missing(lanes: Lanes, lane: Lane) -> Iterator[Violation]:
    if not lanes.book.lives.begun(lane.name[2]):
        return  # no node of the history: nobody watches its mailboxes
    for content, sent in lane.sent.items():
        entries, met = lane.entered.get(content, []), 0
        for message in sent if len(sent) == 1 else sorted(sent, key=_due):
            due = _due(message)
            if due == NEVER:
                break
            if met < len(entries) and entries[met].index < due:
                met += 1
            elif not lanes.spoiled(message) and message.accepted.message not in lanes.elsewhere:
                yield _absent(message)


def _due(message: Message) -> int:
    """Where it must have entered a mailbox by."""
    settled, told = message.settled, message.told
    delivered = settled is not None and settled.outcome == "delivered"
    answered = told is not None and told.outcome in ("answered", "crashed") and message.surely_not_sent is None
    return min(message.settled_index if delivered else NEVER, message.told_index if answered else NEVER)


def _absent(message: Message) -> Violation:
    delivered = _due(message) == message.settled_index
    word = message.settled if delivered else message.told
    assert word is not None
    rule = "delivered-but-in-no-mailbox" if delivered else "answered-but-in-no-mailbox"
    target = engine(message.accepted.peer, message.accepted.target)
    return Violation("P1", rule, word.at, f"{message}, was {outcome(word)}, but {target} had not got it by then")
