"""What became of numbered tells, beside what was written where they arrived: whether the promises hold. No I/O.

The tells are 0, 1, 2 … in the order in which they were told. The lives of the receiver are 0, 1, 2 … too: each ends
with a kill, but for the last. A line of the file is the life that wrote it, and the number that it was told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final

from msgspec import Struct

MAILBOX: Final = 4096
"""Messages that one mailbox holds at most."""


class Fate(IntEnum):
    """What the sender learned of a tell."""

    NOTHING = 0
    DELIVERED = 1
    LOST = 2
    """Lost(peer_restarted, maybe_sent=True): the one that a kill may cause."""
    OTHER = 3


class Verdict(Struct, frozen=True, kw_only=True):
    """Figures, and what was broken. A promise holds where its figure is 0."""

    told: int
    written: int
    """Lines of the file."""
    delivered: int
    lost: int
    """Lost(peer_restarted, maybe_sent=True)."""
    lost_written: int
    """Of those: written all the same, as `maybe_sent` says."""
    in_mailboxes: int
    """Delivered, and not written: they lay in the mailbox of a process that was killed."""
    most_in_a_mailbox: int
    duplicates: int
    reorders: int
    strangers: int
    """Written, and never told."""
    without_outcome: int
    several_outcomes: int
    other_outcomes: int
    unaccounted: int
    """Delivered and not written, where no mailbox was killed, or more than one mailbox holds."""

    @property
    def broken(self) -> dict[str, int]:
        """The promises that do not hold."""
        promises = ("duplicates", "reorders", "strangers", "without_outcome", "several_outcomes", "other_outcomes")
        figures = {name: getattr(self, name) for name in (*promises, "unaccounted")}
        return {name: count for name, count in figures.items() if count}


def judge(fates: Sequence[int], several: int, lines: Sequence[tuple[int, int]], lives: int) -> Verdict:
    """`fates` of all tells by their numbers; `several`: those that had more than one; `lives`: of the receiver."""
    numbers = [number for _, number in lines]
    written = {number for number in numbers if 0 <= number < len(fates)}
    gaps = [
        (sum(fates[number] == Fate.DELIVERED and number not in written for number in stretch), mailboxes)
        for stretch, mailboxes in _stretches(lines, len(fates), lives)
    ]
    return Verdict(
        told=len(fates),
        written=len(lines),
        delivered=sum(fate == Fate.DELIVERED for fate in fates),
        lost=sum(fate == Fate.LOST for fate in fates),
        lost_written=sum(fates[number] == Fate.LOST for number in written),
        in_mailboxes=sum(missing for missing, _ in gaps),
        most_in_a_mailbox=max((-(-missing // mailboxes) for missing, mailboxes in gaps if mailboxes), default=0),
        duplicates=len(numbers) - len(set(numbers)),
        reorders=sum(later < earlier for earlier, later in pairwise(numbers)),
        strangers=len(set(numbers) - written),
        without_outcome=sum(fate == Fate.NOTHING for fate in fates),
        several_outcomes=several,
        other_outcomes=sum(fate == Fate.OTHER for fate in fates),
        unaccounted=sum(max(0, missing - mailboxes * MAILBOX) for missing, mailboxes in gaps),
    )


def _stretches(lines: Sequence[tuple[int, int]], told: int, lives: int) -> Iterator[tuple[range, int]]:
    """The numbers from one life's last line to the next one's first, and how many mailboxes were killed between them.

    And those from a life's first line to its last: a mailbox is emptied in order, so that none may be missing there.
    """
    before, last = 0, -1
    for life, group in groupby(lines, key=itemgetter(0)):
        own = [number for _, number in group]
        yield range(last + 1, min(own[0], told)), max(0, life - before)
        yield range(max(0, own[0]), min(own[-1], told)), 0
        before, last = life, own[-1]
    yield range(last + 1, told), lives - 1 - before
