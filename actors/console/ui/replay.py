"""What a console would have known at a moment of a recorded log. Pure: a time in, a watch and its problems out."""

from __future__ import annotations

from bisect import bisect_right

from actors.console.ui.fold import Fold, Letter, Link, Node
from actors.console.ui.past import Moment, Past
from actors.console.ui.places import Place
from actors.console.ui.problems import Problem, Problems
from actors.console.ui.watch import MINUTE, Watch
from actors.control.messages import Happened
from actors.snapshots import (
    DeadLetterSnapshot,
    EngineSnapshot,
    LinkSnapshot,
    NodeSnapshot,
    NodeStatistics,
    ProxySnapshot,
    StepSnapshot,
)

_TICK = 1.0
"""Seconds of the log between two looks, for rates and for how long something has been wrong."""
_BACK = MINUTE + 10
"""Seconds before the cursor from which on looks are taken: what a minute's chart needs."""
_LINES = 1000
_COUNTED = frozenset({"Accepted", "Settled", "Withdrawn", "Told", "Entered", "Handled", "Bytes", "Ledger", "Held"})
"""Records of a simulation that are told as figures."""
_NAMES = {
    "Began": "node-began",
    "Stopping": "node-stopping",
    "Ended": "node-ended",
    "Phase": "proxy-changed",
    "LinkUp": "connected",
    "LinkDown": "disconnected",
    "CoreCrashed": "engine-crashed",
}
_UNTOLD = frozenset(
    {"type", "event", "at", "node", "run", "time", "boot", "id", "lost_state", "corrupts", "stalls", "peer_name"}
)


class Replay:
    """`seek`, then look at `watch` and `problems`."""

    def __init__(self, past: Past) -> None:
        self.past = past
        self._times = [moment.at for moment in past.moments]
        self.stops = [moment.at for moment in past.moments if moment.kind not in _COUNTED]
        """When something happened that is shown."""
        self._begin()

    def _begin(self) -> None:
        self.watch = Watch(self.past.name)
        self.watch.recorded = self.past.kind
        self.problems: tuple[Problem, ...] = ()
        self._found = Problems()
        self._fold = Fold()
        self._done = 0
        self.at = -1.0

    def seek(self, at: float, place: Place) -> None:
        """To this moment; `place` is where the person looks. Backwards it begins anew: a log is read in no time."""
        if at < self.at:
            self._begin()
        tick = max(self.at + _TICK, at - _BACK)
        while tick < at:
            self._go_on(tick)
            self._present(tick, place)
            tick += _TICK
        self._go_on(at)
        self._present(at, place)
        self.at = at

    def _go_on(self, at: float) -> None:
        """Everything up to this time, and what of it is news."""
        moments, first = self.past.moments, self._done
        self._done = bisect_right(self._times, at, first)
        told = 0
        for index in range(first, self._done):
            moment = moments[index]
            self._fold.apply(moment)
            told += moment.kind not in _COUNTED
        self.watch.names = {node_id: name for name, node_id in self._fold.ids.items()}
        skip = max(0, told - _LINES)
        for index in range(first, self._done):
            moment = moments[index]
            if moment.kind in _COUNTED:
                continue
            if skip:
                skip -= 1
                self.watch.heard_events += 1
            else:
                self.watch.happened(moment.at, moment.node or "all", _event(moment))

    # -- figures ------------------------------------------------------------------------------------------

    def _present(self, at: float, place: Place) -> None:
        for name, node in self._fold.nodes.items():
            proxies = [_proxy(name, self._short(peer), peer, node, at) for peer in node.links]
            self.watch.heard(at, name, self._node(name, node, proxies, at), proxies)
            found = self.watch.nodes[name]
            if self.past.kind == "cluster":
                found.samples.clear()  # nothing is known of what arrives
            if node.state == "down":
                self.watch.failed(at, name, "down", node.why)
            found.since = node.since
            self.watch.listed(name, [_engine(name, engine, node) for engine in node.engines])
            self.watch.told(name, [_letter(letter, at) for letter in node.letters] if place.page == "letters" else ())
        there = self._fold.nodes.get(place.node)
        if place.page == "link" and there is not None and (link := there.links.get(place.peer)):
            self.watch.looked(place.node, _closely(place.peer, link, at))
        self.problems = self._found.look(self.watch, at)

    def _short(self, peer: str) -> str:
        return self.watch.names.get(peer, peer[:8])

    def _node(self, name: str, node: Node, proxies: list[ProxySnapshot], at: float) -> NodeSnapshot:
        return NodeSnapshot(
            name=name,
            id=node.id,
            state="stopping" if node.state == "stopping" else "running",
            addresses=(),
            pid=-node.run,  # none that is known; another for each run
            statistics=NodeStatistics(
                engines=len(node.engines),
                proxies=len(proxies),
                connected=sum(proxy.state == "ready" for proxy in proxies),
                ledger=node.ledger(*node.counts),
                received=node.received,
                dead_letters=node.letters_in_all,
                uptime=at - node.began,
            ),
        )


def _event(moment: Moment) -> Happened:
    data = {key: value for key, value in moment.data.items() if key not in _UNTOLD}
    if moment.kind == "LinkUp":
        data.setdefault("why", "")
    return Happened(event=_NAMES.get(moment.kind, moment.kind.lower()), at=moment.at, data=data)


def _proxy(node: str, name: str, peer: str, known: Node, at: float) -> ProxySnapshot:
    link = known.links[peer]
    last = link.path[-1]
    return ProxySnapshot(
        node=node,
        peer=name,
        peer_id=peer,
        permanence="permanent" if peer in known.permanent else "ephemeral",
        state=last.state,
        transport=link.transport or None,
        address=link.transport or None,
        rtt_ms=None,
        ledger=known.ledger(peer),
        connections=link.connections,
        reconnects=0,
        resent=0,
        duplicates_dropped=0,
        dropped=0,
        queued=0,
        retained=0,
        since=at - last.at,
        why=last.why,
        failures=link.failures,
    )


def _engine(node: str, name: str, known: Node) -> EngineSnapshot:
    engine = known.engines[name]
    return EngineSnapshot(
        node=node,
        name=name,
        type="",
        state=engine.state,
        held=0,
        capacity=0,
        handled=engine.handled,
        crashes=engine.crashes,
        restarts=engine.restarts,
    )


def _letter(letter: Letter, at: float) -> DeadLetterSnapshot:
    return DeadLetterSnapshot(
        ago=at - letter.at,
        to=letter.to,
        sender=letter.sender,
        tag=letter.tag,
        outcome=letter.outcome,
        head=letter.head,
    )


def _closely(peer: str, link: Link, at: float) -> LinkSnapshot:
    return LinkSnapshot(
        peer_id=peer,
        path=tuple(StepSnapshot(ago=at - step.at, state=step.state, why=step.why) for step in link.path),
        addresses=(),
        holders=(),
        jitter_ms=None,
        heard_ago=None,
        dead_in=None,
        dropped={},
        expires_in=None,
        outbox_bytes=0,
        outbox_capacity=0,
        received=0,
        incarnation="",
    )
