"""What is wrong in a cluster, one line each: code, where, cause, how long. Pure.

One cause is one line: links to a node that is down are not told of beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from msgspec import Struct

from actors.console.ui.figures import cause, millis, share, span
from actors.console.ui.watch import NodeWatch, Watch
from actors.snapshots import EngineSnapshot, ProxySnapshot

FULL = 0.8
LAG = 100.0
"""Milliseconds of one turn of a loop that are too many."""
STUCK = 5.0
"""Seconds without a message delivered, with some under way."""
_RECENT = 60.0

Level = Literal["error", "warning"]


class Finding(NamedTuple):
    """What is wrong; `node`, `peer` and `engine` say where to look."""

    code: str
    level: Level
    where: str
    cause: str
    node: str
    peer: str = ""
    engine: str = ""
    since: float | None = None
    """Where it is known better than by when it was first seen."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same as one that was found before."""
        return self.code, self.node, self.peer, self.engine


class Problem(Struct, frozen=True):
    """A finding, and since when the console has known it."""

    finding: Finding
    since: float


class Growth(Struct):
    """A counter that should stand still."""

    base: int
    count: int
    at: float | None = None
    """When it grew last."""

    def look(self, count: int, now: float) -> int:
        """By how much it has grown, until a minute has passed without more. What it was at first is no news."""
        if count > self.count:
            self.base = self.count if self.at is None else self.base
            self.at = now
        elif count < self.count or (self.at is not None and now - self.at >= _RECENT):
            self.base, self.at = count, None  # the node began anew, or it is long ago
        self.count = count
        return 0 if self.at is None else count - self.base


class Problems:
    """Remembers since when. `look` may be called as often as one likes."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str, str, str], float] = {}
        self._growth: dict[tuple[str, str], Growth] = {}
        self._moved: dict[tuple[str, str], tuple[int, float]] = {}

    def look(self, watch: Watch, now: float) -> tuple[Problem, ...]:
        """What is wrong now: errors first, the longest first."""
        found = [*self._findings(watch, now)]
        self._since = {
            finding.key: now - finding.since if finding.since is not None else self._since.get(finding.key, now)
            for finding in found
        }
        problems = [Problem(finding, self._since[finding.key]) for finding in found]
        return tuple(sorted(problems, key=lambda one: (one.finding.level, one.since, one.finding.key)))

    def _findings(self, watch: Watch, now: float) -> Iterator[Finding]:
        for node in watch.nodes.values():
            if not node.there:
                yield from _absent(node, now)
                continue
            for proxy in node.proxies:
                yield from self._of_link(watch, node, proxy, now)
            for engine in node.engines:
                yield from self._of_engine(watch, node, engine, now)
            yield from self._of_node(node, now)

    def _of_node(self, node: NodeWatch, now: float) -> Iterator[Finding]:
        assert node.node is not None
        counted, lag = node.node.statistics, node.node.loop_lag_ms
        if not counted.ledger.balanced:
            yield Finding("unbalanced", "error", node.name, "the ledger does not add up: a bug", node.name)
        if lag is not None and lag > LAG:
            yield Finding("loop_lag", "warning", node.name, f"a turn of its loop takes {millis(lag)}", node.name)
        if grown := self._grown(node.name, "", counted.dead_letters, now):
            words = f"{grown} that nobody waits for did not arrive"
            yield Finding("dead_letters", "warning", node.name, words, node.name)

    def _of_link(self, watch: Watch, node: NodeWatch, proxy: ProxySnapshot, now: float) -> Iterator[Finding]:
        peer = watch.nodes.get(watch.names.get(proxy.peer_id, ""))
        where, at = f"{node.name} → {watch.name_of(proxy)}", (node.name, proxy.peer_id)
        still = self._unmoved(at, proxy, now)
        if peer is not None and not peer.there:
            return  # what is wrong with the peer is told once
        if proxy.state in ("backoff", "dialing", "handshaking") and proxy.failures:
            yield Finding("unreachable", "error", where, _unreachable(proxy), *at)
        if proxy.fill >= FULL:
            words = f"the outbox is {share(proxy.fill)} full, senders wait"
            yield Finding("outbox_full", "warning", where, words, *at)
        if still >= STUCK:
            words = f"{proxy.retained} sent, none acknowledged"
            yield Finding("stuck", "warning", where, words, *at, since=still)

    def _of_engine(self, watch: Watch, node: NodeWatch, engine: EngineSnapshot, now: float) -> Iterator[Finding]:
        where = f"{node.name}/{engine.name}"
        if engine.capacity and engine.held / engine.capacity >= FULL:
            words = f"{engine.held} of {engine.capacity} messages held"
            yield Finding("mailbox_full", "warning", where, words, node.name, engine=engine.name)
        if grown := self._grown(node.name, engine.name, engine.crashes, now):
            words = f"crashed {grown}x: {_last_crash(watch, node.name, engine.name)}"
            yield Finding("crashed", "error", where, words, node.name, engine=engine.name)

    def _unmoved(self, at: tuple[str, str], proxy: ProxySnapshot, now: float) -> float:
        """Seconds for which messages are under way on a ready link, and none arrives."""
        if proxy.state != "ready" or not proxy.retained:
            self._moved.pop(at, None)
            return 0.0
        delivered, since = self._moved.get(at, (-1, now))
        if delivered != proxy.ledger.delivered:
            since = now
        self._moved[at] = (proxy.ledger.delivered, since)
        return now - since

    def _grown(self, node: str, what: str, count: int, now: float) -> int:
        growth = self._growth.setdefault((node, what), Growth(count, count))
        return growth.look(count, now)


def _last_crash(watch: Watch, node: str, engine: str) -> str:
    """As far as the console has heard of it."""
    for line in reversed(watch.events):
        if line.event == "engine-crashed" and line.node == node and engine in line.words:
            return line.words
    return "why, its node's log says"


def _absent(node: NodeWatch, now: float) -> Iterator[Finding]:
    if node.state == "down":
        yield Finding("node_down", "error", node.name, node.why, node.name, since=now - node.since)
    elif node.state == "denied":
        yield Finding("configuration", "error", node.name, node.why, node.name, since=now - node.since)
    elif node.state == "silent":
        yield Finding("timeout", "warning", node.name, node.why, node.name, since=now - node.since)


def _unreachable(proxy: ProxySnapshot) -> str:
    """The reason first, then what comes next, the address last: a short line loses least."""
    why = cause(proxy.why) or "no reason given"
    url, colon, reason = why.partition(": ")
    words, at = (reason, f" ({url})") if colon and "://" in url else (why, "")
    if proxy.state != "backoff":
        return f"{words}; trying now{at}"
    return f"{words}; " + (f"again in {span(proxy.retry_in)}" if proxy.retry_in is not None else "not tried again") + at
