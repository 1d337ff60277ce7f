"""P2: from one engine to another, messages enter the mailbox and are handled in the order they were sent. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TypeAlias

from actors.testing.history.records import Entered, Handled, Violation
from actors.testing.judge.book import Book, engine
from actors.testing.judge.lanes import Entry, Lane, Lanes, Track, following

Inbox: TypeAlias = tuple[str, int, str, str, str]
"""Node, run, peer, sender, target."""


# -- entering ---------------------------------------------------------------------------------------------


def out_of_order(lanes: Lanes) -> Iterator[Violation]:
    """Messages that entered a mailbox behind one that was sent after them; the first of each lane."""
    for lane in lanes.lanes.values():
        if lane.unordered:
            continue
        track, before, late, more = _track(lanes, lane), None, None, 0
        for entry in lane.entries:
            if entry.index in lanes.surplus:
                continue
            if track.follow(entry.record.content, entry.index, entry.place):
                before = entry
            elif not _spoiled(lanes, lane, entry):
                late, more = late or (entry, before), more + 1
        if late is not None:
            yield _overtaken(*late, more - 1)


def _track(lanes: Lanes, lane: Lane) -> Track:
    track, run = Track(), lanes.book.lives.run
    for content, sent in lane.sent.items():
        for message in sent:
            its = message.accepted
            track.add(content, message.index, run(its.node, its.run).place, lanes.limit(message))
    return track


def _spoiled(lanes: Lanes, lane: Lane, entry: Entry) -> bool:
    if not lanes.book.lives.any_corruption:
        return False
    return any(lanes.spoiled(message) for message in lane.sent[entry.record.content])


def _overtaken(entry: Entry, before: Entry | None, more: int) -> Violation:
    behind = f", behind {before.record.content} of {before.record.at:.3f}, which was sent after it" if before else ""
    words = f"{entry}{behind}{f'; {more} more on this lane are too late' if more else ''}"
    return Violation("P2", "out-of-order", entry.record.at, words)


# -- handling ---------------------------------------------------------------------------------------------


class _Inbox:
    """What one run of an engine has got of one lane, and what it has handled of that."""

    __slots__ = ("handled", "last", "spots")

    def __init__(self) -> None:
        self.spots: dict[str, list[int]] = {}
        """Where each content entered the mailbox."""
        self.handled: dict[str, int] = {}
        self.last = -1

    def add(self, content: str, index: int) -> None:
        """The next one."""
        spots = self.spots.get(content)
        if spots is None:
            self.spots[content] = [index]
        else:
            spots.append(index)

    def handle(self, content: str, index: int) -> str:
        """The rule that this breaks; empty if there is none."""
        spots = self.spots.get(content)
        if spots is None or spots[0] > index:
            return "handled-but-never-in-a-mailbox"
        times = self.handled.get(content, 0)
        if times == len(spots) or spots[times] > index:
            return "handled-twice"
        self.handled[content] = times + 1
        spot = following(spots, self.last)
        if spot > index:
            return "handled-out-of-order"
        self.last = spot
        return ""


def handled_wrongly(book: Book) -> Iterator[Violation]:
    """Messages that an engine was given and had not got, or once too often, or behind one that it got later."""
    inboxes: dict[Inbox, _Inbox] = defaultdict(_Inbox)
    for index, record in book.of(Entered) if book.of(Handled) else ():
        inbox = inboxes[record.node, record.run, record.peer, record.sender, record.target]
        inbox.add(record.content, index)
    for index, handled in book.of(Handled):
        inbox = inboxes[handled.node, handled.run, handled.peer, handled.sender, handled.target]
        rule = inbox.handle(handled.content, index)
        if rule:
            yield _handled(rule, handled, len(inbox.spots.get(handled.content, ())))


def _handled(rule: str, handled: Handled, times: int) -> Violation:
    lane = f"{engine(handled.peer, handled.sender)} -> {engine(handled.node, handled.target)}"
    words = f"at {handled.at:.3f} {handled.content} of {lane} was handled (run {handled.run})"
    why = {
        "handled-but-never-in-a-mailbox": ", and had entered no mailbox of that run",
        "handled-twice": f" once more than it had entered the mailbox, which in all was {times} times",
        "handled-out-of-order": ", behind one that entered the mailbox later",
    }[rule]
    return Violation("P2", rule, handled.at, words + why)
