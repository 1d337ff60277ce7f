"""From the nodes of a simulation into its history: who looks on at one run of a node.

A message is known by its encoded bytes object while its node holds it, whatever runs it travels in, and by the
digest of those bytes at the node that it arrives at.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from hashlib import blake2b
from random import Random
from typing import Literal, Protocol

from actors.errors import Delivered, Expired, Lost, Outcome, Refused, Sent
from actors.events import Connected, Disconnected, EngineCrashed, Event, ProxyChanged
from actors.identity import NodeID
from actors.net.messages import Kind
from actors.net.session.conditions import Conditions, Links
from actors.net.session.receive import Arrived
from actors.net.session.runs import Run
from actors.runtime.codec import encode
from actors.runtime.names import is_reserved
from actors.testing.history.records import (
    Accepted,
    AnyRecord,
    CoreCrashed,
    Entered,
    Forgot,
    LinkDown,
    LinkUp,
    Permanence,
    Phase,
    RetryAfter,
    Settled,
    Withdrawn,
)
from actors.testing.history.records import Kind as KindName

_KINDS: dict[Kind, KindName] = {Kind.TELL: "tell", Kind.ASK: "ask", Kind.REPLY: "reply", Kind.CANCEL: "cancel"}
PAUSE = 0.05
"""Seconds that a pause at a fault point takes at most."""


def digest(data: bytes) -> str:
    """A message's content, as records name it."""
    return blake2b(data, digest_size=6).hexdigest()


def content(kind: Kind, item: bytes) -> str:
    """What an outbox holds, as records name it: of an ask, the question without its correlation."""
    return digest(item[1 + _INT[item[1]] :] if kind is Kind.ASK else item)


_INT = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9} | dict.fromkeys(range(0x80), 1)
"""Bytes of a msgpack integer, by its first one."""


class Call:
    """A `send` or `ask` of the simulation's own: the number of its message, once an outbox has taken it."""

    __slots__ = ("message",)

    def __init__(self) -> None:
        self.message: int | None = None


CALL: ContextVar[Call | None] = ContextVar("call", default=None)
"""The call that this task makes."""


class Log(Protocol):
    """The simulation, as whoever looks on needs it."""

    def now(self) -> float: ...
    def record(self, record: AnyRecord) -> None: ...
    def next_message(self) -> int: ...
    def name_of(self, node: NodeID) -> str: ...


class Watch(Conditions):
    """Of one run of a node. `chances` gives the probability of each fault point."""

    def __init__(self, log: Log, node: str, run: int, rng: Random, chances: dict[str, float]) -> None:
        self.log = log
        self.node = node
        self.run = run
        self.over = False
        """The run has ended: what its cleanup still does is no part of the history."""
        self.held: dict[int, tuple[int, bytes]] = {}
        """Messages without outcome, by the identity of their bytes; the bytes are kept so that it stays theirs."""
        self._rng = rng
        self._chances = chances
        self._permanent: dict[NodeID, bool] = {}
        self._up: set[NodeID] = set()
        self._links: Links | None = None

    # -- what the network asks (`actors.net.session.conditions`) ------------------------------------------------

    def begin(self, links: Links) -> None:
        """See Conditions."""
        self._links = links

    def onlooker(self, peer: NodeID) -> PeerWatch:
        """See Conditions."""
        return PeerWatch(self, peer)

    def forgot(self, peer: NodeID) -> None:
        """See Conditions."""
        self.note(lambda at: Forgot(at, self.node, self.run, self.log.name_of(peer)))

    def retry_after(self, peer: NodeID, seconds: float) -> None:
        """See Conditions."""
        name = self.log.name_of(peer)
        self.note(lambda at: RetryAfter(at, self.node, self.run, name, seconds))

    def point(self, name: str) -> bool:
        """See Conditions."""
        chance = self._chances.get(name, 0.0)
        return chance > 0 and self._rng.random() < chance

    def pause(self, name: str) -> float:
        """See Conditions."""
        return self._rng.uniform(0, PAUSE)

    # -- what it notes ----------------------------------------------------------------------------------

    def note(self, make: Callable[[float], AnyRecord]) -> None:
        """Add what `make` says of this moment, if the run is not over."""
        if not self.over:
            self.log.record(make(self.log.now()))

    def event(self, event: Event) -> None:
        """What the node says of itself."""
        match event:
            case ProxyChanged(peer=peer, old=old, new=new, why=why):
                name = self.log.name_of(peer)
                self.look(peer)
                self.note(lambda at: Phase(at, self.node, self.run, name, old, new, why))
            case Connected(peer=peer):
                self.look(peer)
                if peer not in self._up:
                    self._up.add(peer)
                    name = self.log.name_of(peer)
                    self.note(lambda at: LinkUp(at, self.node, self.run, name))
            case EngineCrashed(engine=engine, error=error) if is_reserved(engine.name):
                self.note(lambda at: CoreCrashed(at, self.node, self.run, engine.name, error))
            case Disconnected(peer=peer, why=why):
                if peer in self._up and not (self._links and self._links.is_connected(peer)):
                    self._up.discard(peer)
                    name = self.log.name_of(peer)
                    self.note(lambda at: LinkDown(at, self.node, self.run, name, why))

    def look(self, peer: NodeID) -> None:
        """Whether the link to the peer is held for permanent."""
        if self._links is None:
            return
        permanent = self._links.is_permanent(peer)
        if permanent != self._permanent.get(peer, False):
            self._permanent[peer] = permanent
            name = self.log.name_of(peer)
            self.note(lambda at: Permanence(at, self.node, self.run, name, permanent))


class PeerWatch:
    """The Onlooker for one peer of one run of a node."""

    __slots__ = ("_peer", "_watch")

    def __init__(self, watch: Watch, peer: NodeID) -> None:
        self._watch = watch
        self._peer = peer

    def accepted(self, run: Run) -> None:
        """See Onlooker."""
        watch = self._watch
        if watch.over:
            return
        watch.look(self._peer)
        log, held, peer = watch.log, watch.held, watch.log.name_of(self._peer)
        call = CALL.get() if run.waiters is not None else None
        sender, target = run.lane.sender, run.lane.target.name
        kind = "datagram" if run.lane.unreliable else _KINDS[run.kind]
        for item in run.items or ():
            if id(item) in held:
                continue  # handed on by another proxy
            number = log.next_message()
            held[id(item)] = number, item
            if call is not None:
                call.message = number
            log.record(
                Accepted(
                    log.now(),
                    watch.node,
                    watch.run,
                    number,
                    kind,
                    sender,
                    peer,
                    target,
                    content(run.kind, item),
                    run.deadline,
                )
            )

    def settled(self, run: Run, outcome: Outcome) -> None:
        """See Onlooker."""
        watch = self._watch
        if watch.over:
            return
        watch.look(self._peer)
        what, reason, maybe_sent = told(outcome)
        for item in run.items or ():
            number, _ = watch.held.pop(id(item), (0, b""))
            watch.log.record(Settled(watch.log.now(), watch.node, watch.run, number, what, reason, maybe_sent))

    def withdrawn(self, run: Run) -> None:
        """See Onlooker."""
        watch = self._watch
        for item in run.items or ():
            known = watch.held.get(id(item))
            if known is not None:
                number = known[0]
                watch.note(lambda at, number=number: Withdrawn(at, watch.node, watch.run, number))  # type: ignore[misc]

    def arrived(self, run: Arrived) -> None:
        """See Onlooker."""
        watch = self._watch
        if watch.over:
            return
        log, peer, target = watch.log, watch.log.name_of(self._peer), run.inlet.target
        ask = run.kind is Kind.ASK
        kind: Literal["tell", "ask"] = "ask" if ask else "tell"
        for item in run.items:
            data = encode(item[1] if ask else item)  # type: ignore[index]  # an ask is correlation and message
            log.record(Entered(log.now(), watch.node, watch.run, peer, run.sender, target, kind, digest(data)))

    def offered(self, sender: str, target: str, message: object) -> None:
        """See Onlooker."""
        watch = self._watch
        if not watch.over:
            log, what = watch.log, digest(encode(message))
            peer = log.name_of(self._peer)
            log.record(Entered(log.now(), watch.node, watch.run, peer, sender, target, "datagram", what))


def told(
    outcome: Outcome,
) -> tuple[Literal["delivered", "sent", "expired", "lost", "refused"], str, bool]:
    """An outcome in the words of records: what, why, whether perhaps sent."""
    match outcome:
        case Delivered():
            return "delivered", "", False
        case Sent():
            return "sent", "", False
        case Expired(maybe_sent=maybe_sent):
            return "expired", "", maybe_sent
        case Lost(reason=reason, maybe_sent=maybe_sent):
            return "lost", reason, maybe_sent
        case Refused(reason=reason):
            return "refused", reason, False
        case _:
            return "refused", "crashed", False
