"""What moments of a recorded log add up to: nodes, links, engines, dead letters. Pure.

Only what the log tells is known: of a cluster, states and crashes; of a simulation, every message, too.
"""

from __future__ import annotations

from base64 import b64decode
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from actors.console.ui.past import Moment
from actors.snapshots import LedgerSnapshot

_STEPS = 16
_LETTERS = 256
_UNSETTLED = frozenset({"expired", "lost", "refused"})


class Step(Struct, frozen=True):
    """A link went into a state."""

    at: float
    state: str
    why: str


class Link(Struct):
    """As far as the log tells."""

    transport: str | None = None
    failures: int = 0
    connections: int = 0
    path: deque[Step] = field(default_factory=lambda: deque([Step(0.0, "idle", "")], _STEPS))


class Engine(Struct):
    """As far as the log tells."""

    state: str = "running"
    handled: int = 0
    crashes: int = 0
    restarts: int = 0


class Letter(Struct, frozen=True):
    """Told, and did not arrive."""

    at: float
    to: str
    sender: str
    tag: str
    outcome: str
    head: bytes


class Node(Struct):
    """As far as the log tells."""

    id: str
    run: int = 1
    state: str = "running"
    since: float = 0.0
    began: float = 0.0
    why: str = ""
    links: dict[str, Link] = field(default_factory=dict)
    engines: dict[str, Engine] = field(default_factory=dict)
    letters: deque[Letter] = field(default_factory=lambda: deque(maxlen=_LETTERS))
    letters_in_all: int = 0
    received: int = 0
    permanent: set[str] = field(default_factory=set)
    """Peers that the node keeps a link to."""
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    """Messages that were accepted, and by outcome, for each peer; they outlive its link."""

    def count(self, peer: str, what: str) -> None:
        """One more."""
        self.counts.setdefault(peer, Counter())[what] += 1

    def ledger(self, *peers: str) -> LedgerSnapshot:
        """Of the messages for these. What is accepted and has no outcome is in flight."""
        counts = sum((self.counts.get(peer, Counter()) for peer in peers), Counter[str]())
        ended = {name: counts[name] for name in ("delivered", "sent", "expired", "lost", "refused")}
        return LedgerSnapshot(accepted=counts["accepted"], in_flight=counts["accepted"] - sum(ended.values()), **ended)

    def link(self, peer: str) -> Link:
        """The one to this peer."""
        return self.links.setdefault(peer, Link())

    def engine(self, name: str) -> Engine:
        """The one of this name."""
        return self.engines.setdefault(name, Engine())

    def turn(self, state: str, at: float, why: str = "") -> None:
        """Into this state."""
        self.state, self.since, self.why = state, at, why


class Fold:
    """Nodes by name; `ids` has their NodeIDs, of a peer that is only spoken of as much as is known."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.ids: dict[str, str] = {}
        """By name."""
        self._sent: dict[int, tuple[str, str, dict[str, Any]]] = {}

    def apply(self, moment: Moment) -> None:
        """One line further. What it does not know, or what lacks a field, changes nothing."""
        if not moment.node:
            return
        node = self.nodes.get(moment.node)
        if node is None:
            node = self.nodes[moment.node] = Node(moment.node, since=moment.at, began=moment.at)
        if (name := moment.data.get("peer_name")) and (peer := moment.data.get("peer")):
            self.ids.setdefault(str(name), str(peer))
        change = _CHANGES.get(moment.kind)
        if change is not None:
            try:
                change(self, node, moment)
            except (KeyError, TypeError, ValueError, AttributeError):
                return

    def peer(self, said: str) -> str:
        """The NodeID of a peer, which a simulation calls by its name."""
        return self.ids.get(said, said)

    # -- what a cluster tells -----------------------------------------------------------------------------

    def engine_changed(self, node: Node, moment: Moment) -> None:
        """Started, crashed, restarted, failed, stopped."""
        own, _, name = str(moment.data["engine"]).partition("/")
        if own:
            self.ids[moment.node] = node.id = own
        engine = node.engine(name)
        match moment.kind:
            case "engine-crashed":
                engine.crashes += 1
            case "engine-restarted":
                engine.restarts += 1
            case "engine-failed" | "engine-stopped":
                node.engines.pop(name, None)
            case _:
                node.engines[name] = Engine()

    def phase(self, node: Node, moment: Moment) -> None:
        """A proxy went from one state to another."""
        peer, new = self.peer(moment.data["peer"]), moment.data["new"]
        link = node.link(peer)
        link.path.append(Step(moment.at, new, moment.data.get("why", "")))
        if new == "ready":
            link.failures = 0
        elif new == "backoff":
            link.failures += 1
        elif new == "closed":
            node.links.pop(peer, None)

    def dial_failed(self, node: Node, moment: Moment) -> None:
        """An address did not lead to the peer."""
        if link := node.links.get(self.peer(moment.data["peer"])):
            link.failures += 1

    def connected(self, node: Node, moment: Moment) -> None:
        """A connection is proven."""
        link = node.link(self.peer(moment.data["peer"]))
        link.connections += 1
        link.transport = moment.data.get("transport")

    def disconnected(self, node: Node, moment: Moment) -> None:
        """It is gone."""
        if link := node.links.get(self.peer(moment.data["peer"])):
            link.transport = None

    def dead_letter(self, node: Node, moment: Moment) -> None:
        """A message was told and did not arrive."""
        data = moment.data
        head = b64decode(data.get("head", ""))
        self._add_letter(node, Letter(moment.at, data["to"], data["sender"], data["tag"], data["outcome"], head))

    def _add_letter(self, node: Node, letter: Letter) -> None:
        node.letters.append(letter)
        node.letters_in_all += 1

    # -- what a simulation tells --------------------------------------------------------------------------

    def began(self, node: Node, moment: Moment) -> None:
        """A run of the node."""
        self.ids[moment.node] = moment.data["id"]
        self.nodes[moment.node] = Node(moment.data["id"], moment.data["run"], since=moment.at, began=moment.at)

    def stopping(self, node: Node, moment: Moment) -> None:
        """It drains."""
        node.turn("stopping", moment.at)

    def ended(self, node: Node, moment: Moment) -> None:
        """The run is over."""
        node.turn("down", moment.at, f"it was {moment.data['how']} {moment.data.get('error', '')}".strip())

    def accepted(self, node: Node, moment: Moment) -> None:
        """An outbox has taken a message."""
        peer = self.peer(moment.data["peer"])
        node.count(peer, "accepted")
        self._sent[moment.data["message"]] = (moment.node, peer, moment.data)

    def settled(self, node: Node, moment: Moment) -> None:
        """It has its outcome."""
        outcome, found = moment.data["outcome"], self._sent.pop(moment.data["message"], None)
        if found is None:
            return
        name, peer, sent = found
        self.nodes[name].count(peer, outcome)
        if outcome in _UNSETTLED and sent["kind"] == "tell":
            why = f"{outcome} ({moment.data['reason']})" if moment.data.get("reason") else outcome
            sender = f"{node.id}/{sent['sender']}"
            self._add_letter(node, Letter(moment.at, f"{peer}/{sent['target']}", sender, sent["content"], why, b""))

    def entered(self, node: Node, moment: Moment) -> None:
        """A message of another node came into a mailbox."""
        node.received += 1

    def handled(self, node: Node, moment: Moment) -> None:
        """An engine was given a message."""
        node.engine(moment.data["target"]).handled += 1

    def permanence(self, node: Node, moment: Moment) -> None:
        """Whether the link is kept up."""
        change = node.permanent.add if moment.data["permanent"] else node.permanent.discard
        change(self.peer(moment.data["peer"]))

    def core_crashed(self, node: Node, moment: Moment) -> None:
        """An engine of the network's own raised."""
        node.engine(moment.data["engine"]).crashes += 1


_CHANGES: dict[str, Callable[[Fold, Node, Moment], None]] = {
    "engine-started": Fold.engine_changed,
    "engine-crashed": Fold.engine_changed,
    "engine-restarted": Fold.engine_changed,
    "engine-failed": Fold.engine_changed,
    "engine-stopped": Fold.engine_changed,
    "proxy-changed": Fold.phase,
    "dial-failed": Fold.dial_failed,
    "connected": Fold.connected,
    "disconnected": Fold.disconnected,
    "dead-letter": Fold.dead_letter,
    "Began": Fold.began,
    "Stopping": Fold.stopping,
    "Ended": Fold.ended,
    "Accepted": Fold.accepted,
    "Settled": Fold.settled,
    "Entered": Fold.entered,
    "Handled": Fold.handled,
    "Permanence": Fold.permanence,
    "Phase": Fold.phase,
    "LinkUp": Fold.connected,
    "LinkDown": Fold.disconnected,
    "CoreCrashed": Fold.core_crashed,
}
