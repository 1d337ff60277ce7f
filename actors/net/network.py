"""What the network engines of one node share, and the Router's table of proxies.

The table is plain data with synchronous methods: who finds a proxy in it, and hands it a message, does both in
one step (PROTOCOL L2), and a proxy leaves it before it settles anything (C10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from math import inf
from random import Random
from typing import TypeAlias

import trio
from msgspec import Struct

from actors.admission import Admission, admit_all
from actors.errors import Refused, SendError
from actors.events import DuplicateIdentity
from actors.identity import EngineID, Incarnation, NodeID, NodeKey
from actors.net.connecting.backoff import BackoffCfg
from actors.net.connecting.crowd import Crowd
from actors.net.connecting.locality import is_local
from actors.net.connecting.upgrade import UpgradeCfg
from actors.net.door import Door
from actors.net.life.table import Life, Phase
from actors.net.loans import Loans
from actors.net.messages import MAX_FRAME, Kind
from actors.net.peers import PeerRecord, Peers
from actors.net.proving.adverts import NodeAdvert
from actors.net.proving.slots import Slots
from actors.net.session.conditions import Conditions
from actors.net.session.liveness import LivenessCfg
from actors.net.session.outbox import CAPACITY, Outbox, Port
from actors.net.session.receive import Receive
from actors.net.session.runs import Ledger, Run
from actors.net.session.session import IDLE_AFTER, Session
from actors.runtime import Runtime

COME_AGAIN = 1.0
"""Seconds after which peers may dial a node again that stops."""
_MAX_CLAIMED_BOOT = 1 << 63
_PATH = 16
"""Phases of a proxy that are remembered."""

Record: TypeAlias = PeerRecord[Receive]


class NetworkCfg(Struct, frozen=True, kw_only=True):
    """Times in seconds, sizes in bytes."""

    backoff: BackoffCfg = BackoffCfg()
    liveness: LivenessCfg = LivenessCfg()
    upgrade: UpgradeCfg = UpgradeCfg()
    handshake_timeout: float = 5.0
    """From accept or dial to the peer's Resume (H9)."""
    attempt_timeout: float = 30.0
    """For one attempt over all addresses; at most the backoff cap (T4)."""
    idle_after: float = IDLE_AFTER
    """Without a message for this long an ephemeral end asks to close (D1)."""
    drain_timeout: float = 10.0
    """For acknowledgements when the node stops (D5)."""
    outbox: int = CAPACITY
    """Of one peer; every message weighs 2 KiB besides its bytes."""
    max_frame: int = MAX_FRAME
    peers: int = 10_000
    loans: int = 64
    """Engines that run here for one peer at the same time."""
    watches: int = 1024
    """Engines of this node that one peer watches at the same time, those that run for it included."""
    unproven: int = 256
    """Connections that have not proved themselves, in all and of one source (H9)."""
    unproven_per_source: int = 16
    handshakes: float = 1000.0
    """Handshakes a second that others may begin on plain transports, and on those that encrypt (H9)."""
    secure_handshakes: float = 200.0
    insecure: bool = False
    """Whether plain transports may leave this machine."""


class Network:
    """One node's: identity, book of peers, table of proxies, and what they are made with."""

    def __init__(
        self,
        key: NodeKey,
        incarnation: Incarnation,
        runtime: Runtime,
        random: Random,
        cfg: NetworkCfg,
        conditions: Conditions | None = None,
        policy: Admission = admit_all,
    ) -> None:
        self.key = key
        self.conditions = Conditions() if conditions is None else conditions
        self.incarnation = incarnation
        self.runtime = runtime
        self.clock = runtime.clock
        self.random = random
        self.cfg = cfg
        self.peers: Peers[Receive] = Peers(cfg.peers)
        self.peers.forgotten = self._forgotten
        self.changed: Callable[[NodeID], object] = _unnoticed
        """Hears of each node whose advert or whose holders are other ones now; of this very node, too."""
        self.epochs = count(1).__next__
        """Names for transmit halves and receive records; never the same twice in an incarnation (S1)."""
        self.advert: NodeAdvert | None = None
        self.schemes: frozenset[str] = frozenset()
        """What this node can dial."""
        self.table = Table(self)
        if conditions is not None:
            conditions.begin(self.table)
            runtime.events.taps.append(conditions.event)
        self.loans = Loans(runtime, run=incarnation.random, loans=cfg.loans, watches=cfg.watches)
        self.held = 0
        """Peers whose link somebody here holds for permanent."""
        self.door = Door(
            runtime,
            policy,
            self._links,
            Slots(cfg.unproven, cfg.unproven_per_source),
            cfg.handshakes,
            cfg.secure_handshakes,
        )
        self.crowd = Crowd()
        self.past = Ledger()
        """Of all proxies that have ended."""
        self.boot_above: Callable[[int], int] = _next
        """A boot number above this one, which the next start goes above in its turn."""
        self.known_as: Incarnation | None = None
        """The last incarnation of this node that a peer has accepted."""
        self.taken: str = ""
        """Why this node has to stop: another one runs with its key (I3)."""
        self.stop_by = inf
        """When a node that stops will have stopped (D5)."""
        self.stay = trio.CancelScope()
        """Around the block of this node; cancelled when it has to stop."""
        self._tellers: set[NodeID] = set()

    @property
    def advert_version(self) -> int:
        """Of this node's own advert; 0 if it has none."""
        return self.advert.version if self.advert else 0

    def keep(self, advert: NodeAdvert, learned_from: str | None) -> bool:
        """Remember another node's advert, unless a newer one is known. Whether its addresses are news."""
        if advert.id == self.key.id:
            return False
        record = self.peers.open(advert.id)
        if record.advert is None or record.advert.version < advert.version:
            record.advert, record.learned_from = advert, learned_from
        elif learned_from is None and record.learned_from is not None and record.advert == advert:
            record.learned_from = None  # now from a friend: its local addresses count, too (A4)
        else:
            return False
        self.changed(advert.id)
        return True

    def advert_of(self, node: NodeID) -> NodeAdvert | None:
        """The newest known of a node, of this one its own."""
        if node == self.key.id:
            return self.advert
        record = self.peers.find(node)
        return record.advert if record else None

    def _forgotten(self, node: NodeID) -> None:
        self.conditions.forgot(node)
        self.changed(node)

    def trusts(self, learned_from: str | None) -> bool:
        """Whether local addresses that this host told us of may be dialed (A4)."""
        return learned_from is None or is_local(learned_from)

    def readvertise(self, version: int) -> None:
        """Sign our addresses anew: somebody has a newer advert of ours than we remember (A3)."""
        if self.advert is not None:
            addresses = [(address.url, address.weight) for address in self.advert.addresses]
            self.advert = NodeAdvert.sign(self.key, addresses, version=version, created=self.advert.created)
            self.changed(self.key.id)

    def say_goodbye(self) -> None:
        """This node stops: peers keep what is new for its next run, so that what has come can be handled (D5)."""
        self.stop_by = self.clock.now() + self.cfg.drain_timeout
        for entry in self.table:
            if entry.session is not None:
                entry.session.say_goodbye(COME_AGAIN)

    def is_outlived_by(self, newest: Incarnation) -> bool:
        """Whether a peer that knows this incarnation of this node would refuse ours (I2, I4)."""
        return newest.boot >= self.incarnation.boot and newest != self.incarnation

    def outlived(self, teller: NodeID, newest: Incarnation) -> None:
        """A peer has sworn that it knows a newer incarnation of this node (I3).

        For the first time, this node takes it for a lost state file or a clock set back, and goes on above it. Told so
        again by the same peer, it stops: a second node lives. That is for friends to say; a stranger's word counts
        as long as nobody knows this node, and then for no more than the first. A number that no clock gives is
        nobody's: one word must not use up what all later starts need.
        """
        if not self.is_outlived_by(newest):
            return  # known from before: this node has gone above it meanwhile
        self.runtime.events.emit(DuplicateIdentity(self.clock.now(), teller, self.incarnation, newest))
        record = self.peers.find(teller)
        friend = record is not None and record.befriended
        unknown = not self._tellers and self.known_as != self.incarnation
        if newest.boot >= _MAX_CLAIMED_BOOT or not (friend or unknown):
            return
        if teller not in self._tellers:
            self._tellers.add(teller)
            self.incarnation = Incarnation(self.boot_above(newest.boot), self.random.getrandbits(64))
        elif friend:
            self.taken = f"another node runs with this node's key: {teller.short} knows it as run {newest.boot}"
            self.stay.cancel()

    def _links(self, node: NodeID | None) -> tuple[bool, int, int]:
        """What a policy hears of this node's links: is this one permanent, how many others, how many of them are."""
        permanent = node is not None and self.table.is_permanent(node)
        others = len(self.table) - (node is not None and self.table.find(node) is not None)
        newcomers = self.door.newcomers(lambda peer: self.table.find(peer) is not None) - {node}
        return permanent, others + len(newcomers), self.held - permanent

    def nonce(self) -> bytes:
        """32 fresh random bytes."""
        return self.random.randbytes(32)

    def versions(self, peer: NodeID) -> tuple[int, int]:
        """The versions of our own advert, and of the peer's as we know it."""
        record = self.peers.find(peer)
        return self.advert_version, record.advert_version if record else 0


class Step(Struct, frozen=True, gc=False):
    """A proxy went into a phase."""

    at: float
    phase: Phase
    why: str


class Outlook(Struct, gc=False):
    """What a proxy says of its past and its next step, for people; nothing is decided by it."""

    since: float
    why: str = "made"
    failures: int = 0
    due: float | None = None
    """When the next attempt starts."""
    better: tuple[str, ...] = ()
    """Addresses that are worth a move of the link, best first."""
    better_due: float | None = None
    """When the next of them is tried."""
    path: tuple[Step, ...] = ()

    def went(self, step: Step) -> None:
        """One step more; the last ones are kept."""
        self.path = (*self.path, step)[-_PATH:]


class Entry:
    """A proxy's place in the table: its outbox, which takes messages at once, and what it shows of itself."""

    def __init__(self, record: Record, outbox: Outbox, now: float = 0.0) -> None:
        self.record = record
        self.outbox = outbox
        self.outlook = Outlook(now)
        self.session: Session | None = None
        self.life = Life()
        self.begun = False
        """Whether the proxy runs."""
        self.wanted = False
        """Whether somebody asked for a connection before that."""

    @property
    def peer(self) -> NodeID:
        return self.record.id


class Table:
    """The proxies there are, by node. `announce` tells the Router of an entry that has no proxy yet."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._entries: dict[NodeID, Entry] = {}
        self.announce: Callable[[NodeID], None] = _nobody
        self.stopping = False

    def find(self, peer: NodeID) -> Entry | None:
        """The entry of the proxy for this node."""
        # spec S1: "responsible for communication with one specific remote node", which has no other
        return self._entries.get(peer)

    def is_connected(self, peer: NodeID) -> bool:
        """Whether a connection carries messages to this peer now."""
        entry = self._entries.get(peer)
        return entry is not None and entry.session is not None and entry.session.current is not None

    def is_permanent(self, peer: NodeID) -> bool:
        """Whether anybody holds the link to this peer for permanent."""
        record = self._network.peers.find(peer)
        return record is not None and bool(record.holders)

    def outlet(self, peer: NodeID) -> Outbox:
        """The outbox for a node, made if there is none. Refused if nothing is known of the node."""
        entry = self._entries.get(peer)
        if entry is not None:
            return entry.outbox
        record = self._network.peers.find(peer)
        if record is None or record.advert is None:
            raise Refused("unknown_node", f"no advert of node {peer.short} is known; learn one first")
        return self.open(peer).outbox

    def open(self, peer: NodeID) -> Entry:
        """A place for a new proxy. Refused when the node is stopping."""
        if self.stopping:
            raise Refused("stopping", "this node is stopping")
        network = self._network
        record = network.peers.open(peer)
        outbox = Outbox(
            peer.short,
            network.epochs(),
            clock=network.clock,
            pace=network.runtime.pace,
            office=_Office(network, record),
            capacity=network.cfg.outbox,
            conditions=network.conditions,
            onlooker=network.conditions.onlooker(peer),
        )
        entry = self._entries[peer] = Entry(record, outbox, network.clock.now())
        record.proxied = True
        self.announce(peer)
        return entry

    def answering(self, peer: NodeID) -> Outbox | None:
        """Where answers to a node's questions go; None if it does not wait for them any more.

        A node that holds its link for permanent waits for them over any number of connections, ours may be
        ephemeral and gone.
        """
        entry = self._entries.get(peer)
        if entry is None:
            record = self._network.peers.find(peer)
            if record is None or not record.waits or self.stopping:
                return None
            entry = self.open(peer)
        return entry.outbox

    def leave(self, entry: Entry) -> None:
        """The proxy ends: from now on this node has none, or another (C10). Idempotent."""
        if self._entries.get(entry.peer) is entry:
            del self._entries[entry.peer]
            self._network.crowd.leave(entry.peer)
            entry.record.proxied = False
            if entry.record.holders and not self.stopping:
                self.open(entry.peer)

    def close(self) -> None:
        """The node has ended: what was handed over in its last moment, and found no proxy, is settled."""
        self.stopping = True
        for entry in self:
            self.leave(entry)
            entry.outbox.close("node_stopped")
            self._network.past.add(entry.outbox.transmit.ledger)

    def limit_changed(self, peer: NodeID) -> None:
        """An engine made room for this node's messages."""
        entry = self._entries.get(peer)
        if entry is not None and entry.session is not None:
            entry.session.limit_changed()

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)


class _Office:
    """To whom the outbox for one node turns."""

    __slots__ = ("_network", "_record")

    def __init__(self, network: Network, record: Record) -> None:
        self._network = network
        self._record = record

    def report(self, run: Run, outcome: SendError) -> None:
        """Messages that were told become dead letters. Answers nobody waits for are no loss."""
        if run.kind is Kind.TELL:
            runtime = self._network.runtime
            sender, to = EngineID(runtime.id, run.lane.sender), EngineID(self._record.id, run.lane.target.name)
            for item in run.items or ():
                runtime.dead_letters.add(sender, to, item, outcome)

    def reroute(self, sender: str, target: str) -> Port:
        """See Office."""
        return self._network.table.outlet(self._record.id).lane(sender, target)

    def datagram(self) -> int:
        """See Office."""
        return self._network.random.getrandbits(64)

    def demand(self, transports: frozenset[str]) -> None:
        """See Office."""
        self._record.demand(transports)


def _unnoticed(_: NodeID) -> None: ...


def _next(boot: int) -> int:
    return boot + 1


def _nobody(peer: NodeID) -> None:
    raise Refused("no_route", "the network of this node does not run")
