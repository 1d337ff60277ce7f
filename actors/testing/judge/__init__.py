"""Which promises a history breaks: P1 to P9, each sentence of them a rule with a name of its own. Pure.

    Book        the history sorted: messages with what became of them, runs of nodes, what was held for permanent
    outcomes    P1  every accepted message has exactly one outcome, in time, and its sender is told that one
    figures     P1  the ledger closes, and says what happened;  P5  no queue holds more than it may
    mailboxes   P1  what was surely not sent is in no mailbox; what was delivered is
                P2  nothing is in a mailbox twice, or that nobody sent;  P8  or in another's name
    order       P2  what enters a mailbox, and what is handled, keeps its order
    causes      P3  whatever is lost has its cause in the history
    proxies     P4  an ephemeral link ends with its connection, and takes along what was accepted for it
    recovery    P6  permanent links are up again in time
    safety      P7  the node stands;  P8  nobody unproven gets or gives a byte;  P9  nothing outlives the node

A rule that says nothing has found nothing: where records leave room for an explanation that keeps the promise, it is
believed. While a Fault `corrupts`, bytes on a plain link may be changed: what was under way then is judged by fewer
rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import TypeAlias

from actors.testing.history.records import History, Violation
from actors.testing.judge.book import Book
from actors.testing.judge.causes import lost_without_cause
from actors.testing.judge.figures import full_queues, wrong_ledgers
from actors.testing.judge.mailboxes import wrong_mailboxes
from actors.testing.judge.order import handled_wrongly
from actors.testing.judge.outcomes import wrong_outcomes
from actors.testing.judge.proxies import wrong_ends
from actors.testing.judge.recovery import late_links
from actors.testing.judge.safety import unsafe

Rule: TypeAlias = Callable[[Book], Iterator[Violation]]

_RULES: tuple[Rule, ...] = (
    wrong_outcomes,
    wrong_ledgers,
    wrong_mailboxes,
    handled_wrongly,
    lost_without_cause,
    wrong_ends,
    full_queues,
    late_links,
    unsafe,
)


def judge(history: History) -> list[Violation]:
    """Every promise that the history breaks, in the order of time; nothing if it keeps them all.

    Raises ValueError for a history that cannot be: time runs back, or a message's number is used twice.
    """
    book = Book(history)
    return sorted((found for rule in _RULES for found in rule(book)), key=attrgetter("at"))
