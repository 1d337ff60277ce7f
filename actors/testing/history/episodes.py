"""What happened in a run, one episode for each record that a diagram shows, in words. Pure.

Messages are known by their numbers, also where only their content crossed; some records say nothing new and are no
episode. `actors.testing.history.diagram` draws them.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct

from actors.testing.history.records import (
    Accepted,
    AnyRecord,
    Began,
    Bytes,
    CoreCrashed,
    Ended,
    Entered,
    Fault,
    Finished,
    Forgot,
    Healed,
    Left,
    LinkDown,
    LinkUp,
    Permanence,
    Phase,
    RetryAfter,
    Settled,
    Stopping,
    Told,
    Violation,
    Withdrawn,
)

Lane: TypeAlias = tuple[str, str, str, str, str, str]
"""Sender's node and engine, receiver's node and engine, kind, content: what a message is known by at both ends."""


class Episode(Struct, eq=False):
    """One line of the diagram, or several records that make one."""

    key: tuple[object, ...]
    at: float
    words: str
    of: str = ""
    """What stands behind the words: `tell`, with its count, and the messages' numbers; or `#`, the numbers alone."""
    tail: str = ""
    where: tuple[str, ...] = ()
    """The nodes that a note stands over, none for all; or the two ends of an arrow."""
    arrow: str = ""
    matters: bool = False
    """It ends a stretch in which messages are counted."""
    kept: bool = False
    """It is shown whatever else is left out."""
    numbers: list[int] = []
    count: int = 1
    until: float = 0.0


def episodes(history: Iterable[AnyRecord], violations: Sequence[Violation]) -> Iterator[Episode]:
    """In the order of time; each violation after all that happened up to it."""
    waiting = deque(sorted(violations, key=lambda found: found.at))
    for episode in _Reader().read(history):
        while waiting and waiting[0].at < episode.at:
            yield _violation(waiting.popleft())
        yield episode
    yield from map(_violation, waiting)


class _Reader:
    """Knows messages by their numbers, also where only their content crossed."""

    def __init__(self) -> None:
        self._peers: dict[int, str] = {}
        self._coming: defaultdict[Lane, deque[int]] = defaultdict(deque)
        self._came: dict[Lane, int] = {}

    def read(self, history: Iterable[AnyRecord]) -> Iterator[Episode]:
        for record in history:
            episode = self._message(record) or _life(record) or _link(record)
            if episode is not None:
                episode.until = episode.at
                yield episode

    def _message(self, record: AnyRecord) -> Episode | None:
        match record:
            case Accepted():
                return self._accepted(record)
            case Entered():
                return self._entered(record)
            case Settled():
                return self._settled(record)
            case Told(outcome="delivered" | "answered"):
                return None  # as Settled says
            case Told(at=at, node=node, message=number, outcome=outcome, reason=reason):
                tail = f"learns: {outcome}{_because(reason)}"
                key = ("told", node, tail)
                return Episode(key, at, "the caller of", "#", tail, where=(node,), numbers=[number])
            case Withdrawn(at=at, node=node, message=number):
                return Episode(
                    ("withdrawn", node), at, "nobody waits any more for", "#", where=(node,), numbers=[number]
                )
        return None

    def _accepted(self, record: Accepted) -> Episode:
        node, peer, number = record.node, record.peer, record.message
        self._peers[number] = peer
        self._coming[node, record.sender, peer, record.target, record.kind, record.content].append(number)
        tail = f"for {peer}/{record.target}"
        key = ("accepted", node, record.kind, tail)
        return Episode(key, record.at, "accepts", record.kind, tail, where=(node,), numbers=[number])

    def _entered(self, record: Entered) -> Episode:
        lane = (record.peer, record.sender, record.node, record.target, record.kind, record.content)
        number, tail = 0, f"into {record.target}"
        if self._coming[lane]:
            number = self._came[lane] = self._coming[lane].popleft()
        elif lane in self._came:
            number, tail = self._came[lane], f"{tail} AGAIN"
        else:
            tail += ", which nobody sent"
        episode = Episode(("entered", record.peer, record.node, record.kind, tail), record.at, "", record.kind, tail)
        episode.where, episode.arrow = (record.peer, record.node), "->>"
        episode.numbers = [number] if number else []
        episode.kept = "AGAIN" in tail or not number
        return episode

    def _settled(self, record: Settled) -> Episode:
        node, peer = record.node, self._peers.get(record.message, "")
        tail = record.outcome + _because(record.reason) + (", perhaps sent" if record.maybe_sent else "")
        episode = Episode(("settled", node, peer, tail), record.at, "", "#", tail, numbers=[record.message])
        if record.outcome in ("delivered", "sent") and peer:
            episode.where, episode.arrow = (peer, node), "-->>"
        else:
            episode.where = (node,)
        return episode


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _life(record: AnyRecord) -> Episode | None:
    """What becomes of nodes, and what the simulation does to them."""
    at, node = record.at, record.node
    match record:
        case Began(run=run, lost_state=lost):
            words = f"run {run} begins" + (", its state is lost" if lost else "")
            return Episode(("began", node, run > 1, lost), at, words, where=(node,), matters=run > 1)
        case Stopping():
            return Episode(("stopping", node), at, "is told to stop", where=(node,), matters=True)
        case Ended(how=how, error=error):
            words = {"stopped": "has stopped", "killed": "is killed", "failed": f"FAILED: {error}"}[how]
            return Episode(("ended", node, how), at, words, where=(node,), matters=True)
        case Left(what=what):
            return Episode(("left", node, what), at, f"left behind: {what}", where=(node,))
        case CoreCrashed(engine=engine, error=error):
            return Episode(
                ("core", node, engine), at, f"its engine {engine} CRASHED: {error}", where=(node,), matters=True
            )
        case Fault(what=what):
            return Episode(("fault", at, what), at, f"FAULT {what}", matters=True, kept=True)
        case Healed():
            return Episode(("healed",), at, "all faults are over", matters=True, kept=True)
        case Finished():
            return Episode(("finished",), at, "the end", matters=True)
    return None


def _link(record: AnyRecord) -> Episode | None:
    at, node = record.at, record.node
    match record:
        case LinkUp(peer=peer):
            return Episode(("up", *sorted((node, peer))), at, "the link is up", where=(node, peer), matters=True)
        case LinkDown(peer=peer, why=why):
            words = "the link is down" + (f": {why}" if why else "")
            return Episode(("down", *sorted((node, peer))), at, words, where=(node, peer), matters=True)
        case Permanence(peer=peer, permanent=permanent):
            words = f"holds its link to {peer} for {'permanent' if permanent else 'ephemeral'}"
            return Episode(("permanence", node, words), at, words, where=(node,))
        case Phase(peer=peer, new="closed", why=why):
            words = f"its proxy for {peer} has ended" + (f": {why}" if why else "")
            return Episode(("closed", node, words), at, words, where=(node,), matters=True)
        case Forgot(peer=peer):
            return Episode(("forgot", node, peer), at, f"forgets {peer}", where=(node,), matters=True)
        case RetryAfter(peer=peer, seconds=seconds):
            words = f"is asked by {peer} to wait {seconds:g} s"
            return Episode(("retry", node, words), at, words, where=(node,))
        case Bytes(peer=peer, direction=way, proven=False):
            words = f"bytes {way} before {peer or 'somebody'} is proven"
            return Episode(("bytes", node, words), at, words, where=(node,), matters=True)
    return None


def _violation(found: Violation) -> Episode:
    words = f"VIOLATION of {found.promise}, {found.rule}: {found.words}"
    return Episode(("violation", found), found.at, words, matters=True, kept=True, until=found.at)
