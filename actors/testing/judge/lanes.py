"""What was sent on each lane, and what entered mailboxes from it. Pure.

A lane is all that one engine sends to one other, over all runs of both nodes. Contents may repeat, so a message that
entered is matched with one that was sent only as far as order and outcomes force it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TypeAlias

from msgspec import Struct

from actors.testing.history.records import Entered
from actors.testing.judge.book import Book, Message, engine
from actors.testing.judge.lives import NEVER

ANY = NEVER
"""It may enter a mailbox in any run of the peer."""


class Entry(Struct, frozen=True, gc=False):
    """A message that entered a mailbox. `place` is that of the peer's run (`lives.Run`)."""

    index: int
    place: int
    record: Entered

    def __str__(self) -> str:
        its = self.record
        lane = f"{engine(its.peer, its.sender)} -> {engine(its.node, its.target)}"
        return f"at {its.at:.3f} a mailbox got {its.kind} {its.content} of {lane} (run {its.run})"


class Lane:
    """What was sent, and what entered mailboxes, by content; and all entries. In order."""

    __slots__ = ("entered", "entries", "name", "sent")

    @property
    def unordered(self) -> bool:
        """Whether its messages may overtake each other."""
        return self.name[4]

    def __init__(self, name: LaneName) -> None:
        self.name = name
        self.sent: dict[str, list[Message]] = {}
        self.entered: dict[str, list[Entry]] = {}
        self.entries: list[Entry] = []


LaneName: TypeAlias = tuple[str, str, str, str, bool]
"""Node, sender, peer, target, and whether it is of the unreliable class, which has no order (PROTOCOL U1)."""


class Lanes:
    """All lanes, and which messages may enter a mailbox when."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.lanes: dict[LaneName, Lane] = {}
        self.surplus: set[int] = set()
        """Indices of entries that no sent message accounts for."""
        self.elsewhere: set[int] = set()
        """Numbers of messages that entered a mailbox as somebody else's."""
        for message in book.messages.values():
            if message.accepted.kind in ("tell", "ask", "datagram"):
                self._send(message)
        for index, record in book.of(Entered):
            self._enter(index, record)

    def _send(self, message: Message) -> None:
        its, who = message.accepted, self.book.lives.who
        sent = self._lane((who(its.node), its.sender, who(its.peer), its.target, its.kind == "datagram")).sent
        same = sent.get(its.content)
        if same is None:
            sent[its.content] = [message]
        else:
            same.append(message)

    def _enter(self, index: int, record: Entered) -> None:
        lives = self.book.lives
        unreliable = record.kind == "datagram"
        name = (lives.who(record.peer), record.sender, lives.who(record.node), record.target, unreliable)
        if record.came_from and lives.who(record.came_from) != name[0]:
            return self._note_elsewhere((lives.who(record.came_from), *name[1:]), record.content)
        lane, entry = self._lane(name), Entry(index, lives.run(record.node, record.run).place, record)
        lane.entries.append(entry)
        same = lane.entered.get(record.content)
        if same is None:
            lane.entered[record.content] = [entry]
        else:
            same.append(entry)

    def _note_elsewhere(self, name: LaneName, content: str) -> None:
        for message in self._lane(name).sent.get(content, []):
            if message.accepted.message not in self.elsewhere:
                self.elsewhere.add(message.accepted.message)
                break

    def _lane(self, name: LaneName) -> Lane:
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Lane(name)
        return lane

    def spoiled(self, message: Message) -> bool:
        """Whether bytes may have been changed while it was under way."""
        return self.book.lives.corrupted(message.index, message.settled_index)

    def limit(self, message: Message) -> int:
        """The place of the peer's last run in which it may enter a mailbox: -1 for none, ANY for no limit."""
        settled, lives = message.settled, self.book.lives
        if settled is not None and settled.outcome == "delivered":
            return ANY
        if message.surely_not_sent is not None:
            return -1
        if settled is not None and settled.reason == "peer_restarted":
            peer = lives.who(message.accepted.peer)
            latest = lives.latest(peer, message.settled_index)
            return latest - 1 if latest > 0 and peer not in lives.twins else ANY
        return ANY


class Track:
    """What was sent on a lane, which what enters a mailbox follows: each place once, and never one behind the last.

    Several runs of a sender are as many sequences; which of them a content follows is not known.
    """

    def __init__(self) -> None:
        self._spots: dict[str, dict[tuple[int, int], list[int]]] = {}
        self._last: dict[int, int] = {}

    def add(self, content: str, index: int, run: int, limit: int) -> None:
        """The next one of the sequence of that run; `limit` is the greatest `place` that may ask for it."""
        kinds = self._spots.get(content)
        if kinds is None:
            self._spots[content] = {(run, limit): [index]}
        else:
            kinds.setdefault((run, limit), []).append(index)

    def follow(self, content: str, before: int, place: int) -> bool:
        """Use the first place of this content that is left, and stands before that index. False: there is none."""
        best, sender = before, 0
        for (run, limit), spots in self._spots[content].items():
            spot = following(spots, self._last.get(run, -1))
            if spot < best and limit >= place:
                best, sender = spot, run
        if best == before:
            return False
        self._last[sender] = best
        return True


def following(spots: list[int], last: int) -> int:
    """The first of these indices, which are in order, behind the last one; NEVER if there is none."""
    if spots[0] > last:
        return spots[0]
    place = bisect_right(spots, last)
    return spots[place] if place < len(spots) else NEVER
