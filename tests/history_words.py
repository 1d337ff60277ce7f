"""Words for histories of two nodes, for the judge: each makes one record.

In all of them `a` and `b` run from 0 on. Messages are tells from engine `x` of `a` to engine `y` of `b`, sent at 1 and
to expire 30 seconds later, with a content of their own, unless something else is said.
"""

from __future__ import annotations

from typing import Any

from actors.testing.history.records import (
    Accepted,
    AnyRecord,
    Began,
    Ended,
    Entered,
    Fault,
    Finished,
    Handled,
    Healed,
    History,
    Ledger,
    LinkDown,
    LinkUp,
    Permanence,
    Phase,
    Settled,
    Stopping,
    Told,
)


def began(node: str, at: float = 0.0, run: int = 1, *, key: str = "") -> AnyRecord:
    return Began(at, node, run, key or f"key of {node}", run)


def ended(node: str, at: float, run: int = 1, *, how: Any = "stopped") -> AnyRecord:
    return Ended(at, node, run, how)


def sent(
    number: int,
    at: float = 1.0,
    *,
    kind: Any = "tell",
    node: str = "a",
    run: int = 1,
    sender: str = "x",
    peer: str = "b",
    target: str = "y",
    content: str = "",
    expires: float = 0.0,
) -> AnyRecord:
    return Accepted(at, node, run, number, kind, sender, peer, target, content or f"m{number}", expires or at + 30)


def asked(number: int, at: float = 1.0, **options: Any) -> AnyRecord:
    return sent(number, at, kind="ask", **options)


def thrown(number: int, at: float = 1.0, **options: Any) -> AnyRecord:
    """A tell of the unreliable class."""
    return sent(number, at, kind="datagram", **options)


def settled(number: int, at: float, outcome: Any = "delivered", *, node: str = "a", run: int = 1) -> AnyRecord:
    """The outcome as one word: `lost?connection_lost` is perhaps sent, `lost:connection_lost` surely not."""
    return Settled(at, node, run, number, *_parts(outcome))


def told(number: int, at: float, outcome: Any, *, node: str = "a", run: int = 1) -> AnyRecord:
    """As `settled`."""
    return Told(at, node, run, number, *_parts(outcome))


def _parts(outcome: str) -> tuple[Any, str, bool]:
    perhaps = "?" in outcome
    what, _, reason = outcome.replace("?", ":", 1).partition(":")
    return what, reason, perhaps


def got(
    content: int | str,
    at: float,
    *,
    node: str = "b",
    run: int = 1,
    peer: str = "a",
    sender: str = "x",
    target: str = "y",
    came_from: str = "",
    kind: Any = "tell",
) -> AnyRecord:
    return Entered(at, node, run, peer, sender, target, kind, _content(content), came_from)


def handled(content: int | str, at: float, *, run: int = 1) -> AnyRecord:
    return Handled(at, "b", run, "a", "x", "y", _content(content))


def _content(content: int | str) -> str:
    return f"m{content}" if isinstance(content, int) else content


def permanent(at: float = 0.0, *, yes: bool = True, node: str = "a", peer: str = "b") -> AnyRecord:
    return Permanence(at, node, 1, peer, yes)


def up(at: float, *, node: str = "a", run: int = 1, peer: str = "b") -> AnyRecord:
    return LinkUp(at, node, run, peer)


def down(at: float, *, node: str = "a", run: int = 1, peer: str = "b") -> AnyRecord:
    return LinkDown(at, node, run, peer, "no heartbeat")


def phase(at: float, old: str, new: str, why: str = "for some reason") -> AnyRecord:
    return Phase(at, "a", 1, "b", old, new, why)


def ledger(at: float, *figures: int, peer: str = "") -> AnyRecord:
    """Accepted, delivered, sent, expired, lost, refused, in flight."""
    return Ledger(at, "a", 1, peer, *figures)


def stopping(at: float, node: str = "a") -> AnyRecord:
    return Stopping(at, node, 1)


def fault(at: float, *, corrupts: bool = False, stalls: float = 0.0, node: str = "") -> AnyRecord:
    return Fault(at, node, 0, "something", corrupts, stalls)


def healed(at: float, recovery: float = 40.0) -> AnyRecord:
    return Healed(at, "", 0, recovery)


def finished(at: float, *, settled: bool = True) -> AnyRecord:
    return Finished(at, "", 0, settled)


def story(*records: AnyRecord, until: float = 100.0, settled: bool = True) -> History:
    """What happened between `a` and `b`, to its end."""
    return [began("a"), began("b"), *records, finished(until, settled=settled)]


DELIVERED = sent(1), got(1, 1.1), settled(1, 1.2)
RESTARTED = ended("b", 2.0, how="killed"), began("b", 3.0, 2)
ENDED = phase(5, "ready", "closed")
