"""What was heard of a cluster. Pure: snapshots, silences and events with their times in; states, rates, names out.

Nothing is reckoned that no node has said: a figure that is not known is None.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from operator import attrgetter
from typing import Literal, NamedTuple

from msgspec import Struct, field

from actors.console.ui.figures import cause
from actors.control.messages import Happened
from actors.snapshots import (
    DeadLetterSnapshot,
    EngineSnapshot,
    LedgerSnapshot,
    LinkSnapshot,
    NodeSnapshot,
    ProxySnapshot,
    WorkSnapshot,
)

MINUTE = 60.0
_RATE_OVER = 3.0
"""Seconds over which a rate is taken."""
_EVENTS = 1000
_RTTS = 120


class _Form(NamedTuple):
    """How an event that comes often is told; `keys` are what it has."""

    keys: frozenset[str]
    text: str


_FORMS = {
    "proxy-changed": _Form(frozenset({"peer", "old", "new", "why"}), "{peer} {old} → {new}: {why}"),
    "dial-failed": _Form(frozenset({"peer", "address", "why"}), "{peer} {address}: {why}"),
    "connected": _Form(frozenset({"peer", "why"}), "{peer} {why}"),
    "disconnected": _Form(frozenset({"peer", "why"}), "{peer}: {why}"),
    "dead-letter": _Form(frozenset({"to", "tag", "outcome"}), "{tag} to {to}: {outcome}"),
}
_WHOLE = re.compile(r"\b[a-z2-7]{52}\b")
"""A NodeID, of which its beginning is enough for people."""
_PLAIN = frozenset({"engine", "peer", "why", "error", "outcome", "tag", "remote"})
"""Fields that need no name beside them."""


class Sample(NamedTuple):
    """A node's counters at one time."""

    at: float
    out: int
    into: int


class EventLine(Struct, frozen=True):
    """An event, as the console heard it."""

    at: float
    node: str
    event: str
    words: str


def total(ledgers: Iterable[LedgerSnapshot]) -> LedgerSnapshot:
    """All of them together."""
    every, fields = tuple(ledgers), LedgerSnapshot.__struct_fields__
    return LedgerSnapshot(**{field: sum(getattr(ledger, field) for ledger in every) for field in fields})


class NodeWatch(Struct):
    """One node."""

    name: str
    state: str = "asked"
    """running, stopping; silent, down, denied as the console finds it."""
    since: float = 0.0
    why: str = ""
    heard_at: float | None = None
    node: NodeSnapshot | None = None
    proxies: tuple[ProxySnapshot, ...] = ()
    engines: tuple[EngineSnapshot, ...] = ()
    letters: tuple[DeadLetterSnapshot, ...] = ()
    samples: deque[Sample] = field(default_factory=deque)

    @property
    def there(self) -> bool:
        """Whether it answers."""
        return self.state in ("running", "stopping")

    @property
    def recorded(self) -> bool:
        """Known from a log only, which tells of no process."""
        return self.node is not None and self.node.pid <= 0

    @property
    def p99_ms(self) -> float | None:
        """Of its slowest link: what one of a hundred messages takes from acceptance to arrival."""
        return max((proxy.p99_ms for proxy in self.proxies if proxy.p99_ms is not None), default=None)

    def rates(self) -> tuple[float | None, float | None]:
        """Messages a second, sent and received."""
        if len(self.samples) < 2 or not self.there:
            return None, None
        newest = self.samples[-1]
        before = next((old for old in reversed(self.samples) if newest.at - old.at >= _RATE_OVER), self.samples[0])
        seconds = newest.at - before.at
        return (newest.out - before.out) / seconds, (newest.into - before.into) / seconds

    def minute(self, now: float, cells: int) -> list[float | None]:
        """Messages a second, both ways together, over the last minute in so many equal parts, newest last."""
        width, sums, known = MINUTE / cells, [0.0] * cells, [False] * cells
        for before, after in zip(self.samples, list(self.samples)[1:], strict=False):
            place = cells - 1 - int((now - after.at) / width)
            if 0 <= place < cells:
                known[place] = True
                sums[place] += after.out + after.into - before.out - before.into
        return [total / width if seen else None for total, seen in zip(sums, known, strict=True)]


class Watch:
    """The cluster, as far as its control sockets tell."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self.recorded: Literal["", "cluster", "simulation"] = ""
        """Whether this is a log, and of what: less is known than a node that is asked would say."""
        self.nodes: dict[str, NodeWatch] = {}
        self.names: dict[str, str] = {}
        """NodeID to name, remembered also when the node has gone."""
        self.events: deque[EventLine] = deque(maxlen=_EVENTS)
        self.heard_events = 0
        self.links: dict[tuple[str, str], LinkSnapshot] = {}
        """Those that were looked at closely, by node and peer's NodeID."""
        self.works: dict[tuple[str, str], WorkSnapshot] = {}
        """Engines that were looked at closely, by node and name."""
        self.rtts: dict[tuple[str, str], deque[float]] = {}

    @property
    def counts(self) -> bool:
        """Whether it is known what becomes of messages: the log of a cluster does not tell."""
        return self.recorded != "cluster"

    # -- hearing ----------------------------------------------------------------------------------------

    def node(self, name: str, now: float = 0.0) -> NodeWatch:
        """The node of this name, which may be new."""
        if name not in self.nodes:
            self.nodes[name] = NodeWatch(name, since=now)
            self.nodes = dict(sorted(self.nodes.items()))
        return self.nodes[name]

    def heard(self, now: float, name: str, node: NodeSnapshot, proxies: Iterable[ProxySnapshot]) -> None:
        """A node answered."""
        found = self.node(name, now)
        if found.node is not None and found.node.pid != node.pid:
            found.samples.clear()
        self._turn(found, node.state, now, "")
        self.names[node.id] = name
        found.node, found.heard_at = node, now
        found.proxies = tuple(sorted(proxies, key=self.name_of))
        self._measure(found, now)

    def listed(self, name: str, engines: Iterable[EngineSnapshot]) -> None:
        """It told of its engines."""
        self.node(name).engines = tuple(sorted(engines, key=attrgetter("name")))

    def failed(self, now: float, name: str, state: str, why: str) -> None:
        """It did not answer: `silent`, `down` or `denied`, and why."""
        self._turn(self.node(name, now), state, now, why)

    def happened(self, now: float, name: str, event: Happened) -> None:
        """Something happened on it."""
        self.heard_events += 1
        self.events.append(EventLine(now, name, event.event, self.words(event)))

    def told(self, name: str, letters: Iterable[DeadLetterSnapshot]) -> None:
        """It told of its dead letters."""
        self.node(name).letters = tuple(letters)

    def looked(self, name: str, link: LinkSnapshot) -> None:
        """A link was looked at closely."""
        self.links[name, link.peer_id] = link

    def worked(self, name: str, work: WorkSnapshot) -> None:
        """An engine was looked at closely."""
        self.works[name, work.engine] = work

    def _turn(self, node: NodeWatch, state: str, now: float, why: str) -> None:
        if node.state != state:
            node.since = now
        node.state, node.why = state, why

    def _measure(self, found: NodeWatch, now: float) -> None:
        assert found.node is not None
        counted, samples = found.node.statistics, found.samples
        sample = Sample(now, counted.ledger.delivered + counted.ledger.sent, counted.received)
        if samples and (sample.out < samples[-1].out or sample.into < samples[-1].into):
            samples.clear()  # a node that began anew under the same process number
        if samples and samples[-1].at >= now:
            samples.pop()
        samples.append(sample)
        while samples[0].at < now - MINUTE - _RATE_OVER:
            samples.popleft()
        for proxy in found.proxies:
            if proxy.rtt_ms is not None:
                self.rtts.setdefault((found.name, proxy.peer_id), deque(maxlen=_RTTS)).append(proxy.rtt_ms)

    # -- telling ----------------------------------------------------------------------------------------

    def name_of(self, proxy: ProxySnapshot) -> str:
        """The peer's name, as far as anybody has told it; else the beginning of its NodeID."""
        return self.names.get(proxy.peer_id, proxy.peer)

    def proxy(self, name: str, peer_id: str) -> ProxySnapshot | None:
        """One link, as its node sees it."""
        node = self.nodes.get(name)
        return next((proxy for proxy in node.proxies if proxy.peer_id == peer_id), None) if node else None

    def engine(self, name: str, engine: str) -> EngineSnapshot | None:
        """One engine."""
        node = self.nodes.get(name)
        return next((one for one in node.engines if one.name == engine), None) if node else None

    def ledger(self) -> LedgerSnapshot:
        """All nodes together, as last heard."""
        return total(node.node.statistics.ledger for node in self.nodes.values() if node.node)

    def words(self, event: Happened) -> str:
        """An event in a line: its figures in order, NodeIDs as names."""
        if (form := _FORMS.get(event.event)) and form.keys <= event.data.keys():
            data = {key: cause(self._word(value)) for key, value in event.data.items()}
            return form.text.format_map(data)
        return " ".join(
            f"{'' if key in _PLAIN else f'{key} '}{self._word(value)}"
            for key, value in event.data.items()
            if value not in ("", None)
        )

    def _word(self, value: object) -> str:
        text = str(value)
        for node_id, name in self.names.items():
            if node_id in text:
                text = text.replace(node_id, name)
        return _WHOLE.sub(lambda found: found[0][:8], text)
