"""What `actors doctor` finds, and the memory that a configuration may take. Pure: figures in, sentences out."""

from __future__ import annotations

from enum import Enum
from textwrap import wrap

from msgspec import Struct

from actors.config import UNLIMITED, NodeConfig

BASE = 48 << 20
"""Bytes of a process with a node in it on which nothing happens; measured 39 MiB."""
UNPROVEN = 20 << 10
"""Bytes of a connection before its proof: buffer, engine, task; measured 19 KiB."""
RECORD = 6 << 10
"""Bytes of what is remembered of a peer: an advert, at most 4 KiB, and counters."""
MESSAGE = 2 << 10
"""What a message weighs in an outbox beside its bytes."""
LINK = 56 << 10
"""Bytes of a proven connection on which nothing happens: its two engines, their tasks, a session; measured 54 KiB."""
UNSENT = 1 << 20
"""Bytes that may wait for a peer who does not read, before the connection is given up; more only for a larger frame."""
READ = 256 << 10
"""Bytes that a loaded connection reads at once, if no frame needs more."""
FIRST = 64 << 10
"""Bytes that every engine takes of every peer beside its mailbox (PROTOCOL K3)."""


class Verdict(Enum):
    """How it stands."""

    OK = "ok"
    WARNING = "warning"
    """It works; it may not for long, or not for others."""
    PROBLEM = "problem"
    """A node with this configuration would not start here, or not do what it says."""


class Finding(Struct, frozen=True):
    """One line: what was looked at, how it stands, and what to do about it."""

    name: str
    verdict: Verdict
    what: str
    do: str = ""


def good(name: str, what: str) -> Finding:
    """As it should be."""
    return Finding(name, Verdict.OK, what)


def warning(name: str, what: str, do: str) -> Finding:
    """See Verdict."""
    return Finding(name, Verdict.WARNING, what, do)


def problem(name: str, what: str, do: str) -> Finding:
    """See Verdict."""
    return Finding(name, Verdict.PROBLEM, what, do)


def lines(finding: Finding, width: int) -> list[str]:
    """The finding as text: verdict, name, words; no line is longer than the width, but for a path that is."""
    first = f"{finding.verdict.value:<8} {finding.name:<9} "
    texts = [finding.what, *([f"-> {finding.do}"] if finding.do else [])]
    room = max(20, width - len(first))
    found = [
        line for text in texts for line in wrap(text, room, break_long_words=False, break_on_hyphens=False)
    ]  # commands and paths are to be copied
    return [(first if not number else " " * len(first)) + line for number, line in enumerate(found)]


class Memory(Struct, frozen=True, kw_only=True):
    """The most that a node may take, in bytes: base + peers x per_peer + engines x per_engine + unproven + book.

    None: a part of it is unlimited.
    """

    base: int
    per_peer: int | None
    """Outbox, what waits to be sent, what is read at once, the first allowance of each engine.

    scripts/hostile --rows 20 holds it against a real node under flood.
    """
    peers: int
    per_engine: int | None
    engines: int
    unproven: int | None
    book: int | None
    total: int | None


def memory_of(config: NodeConfig, *, own_engines: int) -> Memory:
    """The formula with the numbers of this configuration: its peers, and its engines beside the node's own."""
    limits, peers = config.limits, len(config.peers)
    engines = len(config.engines) + own_engines
    outbox = min(limits.outbox_bytes, limits.outbox_messages * MESSAGE)
    wire = LINK + max(UNSENT, limits.frame_bytes) + max(READ, 4 + limits.frame_bytes)
    per_peer = None if outbox >= UNLIMITED else outbox + wire + engines * FIRST
    per_engine = None if limits.mailbox_bytes == UNLIMITED else limits.mailbox_bytes
    unproven = None if limits.unproven == UNLIMITED else limits.unproven * UNPROVEN
    book = None if limits.peers == UNLIMITED else limits.peers * RECORD
    total = None
    if per_peer is not None and per_engine is not None and unproven is not None and book is not None:
        total = BASE + peers * per_peer + engines * per_engine + unproven + book
    return Memory(
        base=BASE,
        per_peer=per_peer,
        peers=peers,
        per_engine=per_engine,
        engines=engines,
        unproven=unproven,
        book=book,
        total=total,
    )


def judge_memory(memory: Memory, available: int | None) -> Finding:
    """The formula in words, against what this machine or its cgroup has."""
    formula = (
        f"at most {_size(memory.total)} = base {_size(memory.base)}"
        f" + {_counted(memory.peers, 'peer')} x {_size(memory.per_peer)}"
        f" + {_counted(memory.engines, 'engine')} x {_size(memory.per_engine)}"
        f" + unproven {_size(memory.unproven)} + book {_size(memory.book)}"
    )
    if memory.total is None:
        do = "give it a number: an unlimited queue ends in a process that is killed"
        return warning("memory", f"{formula}: what is unlimited is bounded by nothing", do)
    if available is not None and memory.total > available:
        do = "lower limits.outbox_bytes and limits.mailbox_bytes, or give it more"
        return warning("memory", f"{formula}; there are {_size(available)}", do)
    there = f"; there are {_size(available)}" if available is not None else ""
    return good("memory", f"{formula}{there}; each peer that dials in adds its own share")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _size(count: int | None) -> str:
    if count is None:
        return "unlimited"
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1024:.0f} KiB"


def files_needed(config: NodeConfig, *, clients: int) -> int | None:
    """Files that a node with this configuration may have open at once. None: unlimited."""
    if config.limits.unproven == UNLIMITED:
        return None
    spare = 64
    return 2 * len(config.peers) + config.limits.unproven + clients + len(config.listen) + spare
