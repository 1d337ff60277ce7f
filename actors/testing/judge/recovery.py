"""P6: after the last fault has healed, permanent links are up again in time, and stay up. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import TypeAlias

from actors.testing.history.records import Fault, Healed, LinkDown, LinkUp, Permanence, RetryAfter, Violation
from actors.testing.judge.book import Book, Pair
from actors.testing.judge.lives import Places, Run
from actors.testing.judge.ties import Ties

Change: TypeAlias = LinkUp | LinkDown | Permanence | RetryAfter
_ROUNDING = 1e-6


def late_links(book: Book) -> Iterator[Violation]:
    """Links that are permanent when all is healed, between nodes that run, and are down for longer than they may."""
    ties = Ties(book)
    changes: dict[Pair, Places[Change]] = book.by_pair(LinkUp, LinkDown, Permanence, RetryAfter)
    faults = [index for index, _ in book.of(Fault)]
    for index, healed in book.of(Healed):
        following = bisect_right(faults, index)
        until = faults[following] if following < len(faults) else book.length
        for pair in changes:
            runs = _both_run(book, pair, index)
            if runs is None or ties.permanent_since(pair, index) is None:
                continue
            last = min(until, *(min(run.stopping, run.ended) for run in runs))
            yield from _wait(book, pair, changes[pair], (index, last), healed, ties.is_up(pair, index))


def _both_run(book: Book, pair: Pair, index: int) -> tuple[Run, Run] | None:
    node, number, peer = pair
    if peer in book.lives.twins:
        return None
    other = book.lives.latest_run(peer, index)
    return (book.lives.run(node, number), book.lives.run(*other)) if other else None


def _wait(
    book: Book,
    pair: Pair,
    changes: Places[Change],
    span: tuple[int, int],
    healed: Healed,
    up: bool,
) -> Iterator[Violation]:
    """From the heal to a fault, a node's end, or the end of permanence: never down for longer than `recovery`."""
    first, last = span
    since, not_before = healed.at, 0.0
    for index, change in changes:
        late = not up and change.at > max(since, not_before) + healed.recovery + _ROUNDING
        if index >= last or late:
            break
        if isinstance(change, RetryAfter):
            not_before = max(not_before, change.at + change.seconds)  # PROTOCOL L6
        elif index > first and isinstance(change, Permanence):
            return
        elif index > first:
            since, up = change.at, isinstance(change, LinkUp)
    deadline = max(since, not_before) + healed.recovery
    if not up and book.time_of(last) > deadline + _ROUNDING:
        node, run, peer = pair
        words = (
            f"the permanent link {node} -> {peer} (run {run}) was down at {since:.3f}, all faults had healed at"
            f" {healed.at:.3f}, and it was not up again by {deadline:.3f}"
        )
        yield Violation("P6", "up-too-late", deadline, words)
