"""P7, P8, P9: a node stands whatever its peers do, speaks to the proven only, and leaves nothing behind. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from actors.testing.history.records import Bytes, CoreCrashed, Ended, Entered, Handled, Left, LinkUp, Violation
from actors.testing.judge.book import Book, engine


def unsafe(book: Book) -> Iterator[Violation]:
    """Nodes that failed, bytes for strangers, what outlived its node."""
    yield from _fallen(book)
    yield from _unproven(book)
    yield from _left(book)


def _fallen(book: Book) -> Iterator[Violation]:
    for _, crash in book.of(CoreCrashed):
        words = f"{crash.engine} of {crash.node} (run {crash.run}) crashed at {crash.at:.3f}: {crash.error}"
        yield Violation("P7", "core-crashed", crash.at, words)
    for _, ended in book.of(Ended):
        if ended.how == "failed":
            words = f"{ended.node} (run {ended.run}) failed at {ended.at:.3f}: {ended.error}"
            yield Violation("P7", "node-failed", ended.at, words)


def _unproven(book: Book) -> Iterator[Violation]:
    for _, some in book.of(Bytes):
        if not some.proven:
            done = "gave bytes to" if some.direction == "out" else "took bytes of"
            words = f"{some.node} at {some.at:.3f} {done} {some.peer or 'a stranger'}, who had not proved to be that"
            yield Violation("P8", "unproven", some.at, words)
    who = book.lives.who
    for _, entered in book.of(Entered):
        if entered.came_from and who(entered.came_from) != who(entered.peer):
            lane = f"{engine(entered.peer, entered.sender)} -> {engine(entered.node, entered.target)}"
            words = (
                f"at {entered.at:.3f} a mailbox got {entered.content} of {lane}, but it came from {entered.came_from}"
            )
            yield Violation("P8", "in-anothers-name", entered.at, words)


def _left(book: Book) -> Iterator[Violation]:
    for _, left in book.of(Left):
        words = f"{left.what} was there when {left.node} (run {left.run}) had ended, at {left.at:.3f}"
        yield Violation("P9", "left-behind", left.at, words)
    ends = {(ended.node, ended.run): index for index, ended in book.of(Ended) if ended.how != "killed"}
    for kind in (Entered, Handled, LinkUp) if ends else ():
        for index, record in book.of(kind):
            end = ends.get((record.node, record.run), index)
            if end < index:
                words = f"{record.node} (run {record.run}) had ended at {book.time_of(end):.3f}, and then: {record}"
                yield Violation("P9", "alive-after-its-end", record.at, words)
