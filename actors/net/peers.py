"""What a node keeps of its peers across proxies and connections: the Router's book. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from enum import Enum
from math import inf
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from actors.errors import ActorError, ConfigError
from actors.identity import Incarnation, NodeID
from actors.net.connecting.contest import greatest
from actors.net.connecting.history import DialHistory
from actors.net.life.table import Holders
from actors.net.messages import ConnectionID
from actors.net.proving.adverts import NodeAdvert

MOST_PEERS = 10_000
PROBES = 64
"""How many records are looked at, at most, to find one that may go."""


PROVEN_AGAIN = 1.0
"""Seconds after which a peer may prove itself again as one that is known: nobody may do so all the time."""


class Judgement(Enum):
    """What a peer's incarnation is to us (PROTOCOL I2, I4)."""

    FIRST = "first"
    """None was ever proven: nothing is lost, nobody restarted."""
    SAME = "same"
    NEWER = "newer"
    """It has restarted: switch, reset the receive half."""
    STALE = "stale"
    """Refused with the newest; nothing changes."""
    TWIN = "twin"
    """The same boot number, other random half: refused as a stale one, and always reported."""


class ReceiveHalf(Protocol):
    """What the book must know of a receive half to forget it (PROTOCOL S2, K3)."""

    @property
    def disposable(self) -> bool:
        """Whether none of its messages lies in a mailbox."""

    def release(self) -> None:
        """Give back the room that was promised to the peer."""


R = TypeVar("R", bound=ReceiveHalf)


class Counters(Struct, gc=False):
    """Of one peer, since its record was made."""

    dials: int = 0
    proven: int = 0
    refused: int = 0
    """Proven ends and handshakes that this node turned down."""
    restarts: int = 0
    """New incarnations."""
    twins: int = 0
    """Proofs of a second node with the same key."""


class PeersFull(ActorError):
    """Each record of the book is in use, and it may hold no more."""

    code = "peers_full"
    hint = "raise the number of peers, or make fewer of them permanent"


class PeerRecord(Generic[R]):
    """One peer. The Router writes it; the engines of the link read it."""

    __slots__ = (
        "_dials",
        "accepted",
        "advert",
        "counters",
        "demanded",
        "denied_at",
        "ends",
        "history",
        "holders",
        "id",
        "incarnation",
        "learned_from",
        "own_advert_version",
        "proven_at",
        "proxied",
        "quiet_until",
        "receive",
        "schemes",
        "waits",
    )

    def __init__(self, node: NodeID, *, dials: int = 0) -> None:
        self.id = node
        self.incarnation: Incarnation | None = None
        """The newest that was proven."""
        self.accepted: ConnectionID | None = None
        """The greatest of the peer's dials that this node has accepted, of its newest run (C2)."""
        self.receive: R | None = None
        """Outlives proxies (S2). The session replaces it when the peer's incarnation or epoch changes (S1)."""
        self.advert: NodeAdvert | None = None
        """The newest seen (A2, A3)."""
        self.learned_from: str | None = None
        """The host that told us the advert; None for this node's own configuration (A4)."""
        self.own_advert_version = 0
        """The version of this node's own advert that the peer has."""
        self.holders = Holders()
        self.history = DialHistory()
        self.schemes: tuple[str, ...] = ()
        """The transports that this node's user prefers for it, best first."""
        self.demanded: frozenset[str] | None = None
        """The transports that messages for it demanded, the last that did."""
        self.counters = Counters()
        self.ends = 0
        """Our dials that are under way, and proven ends; no claim of a stranger (H8)."""
        self.proven_at = -inf
        """When its last connection was."""
        self.proxied = False
        """Whether a proxy for it is in the Router's table."""
        self.denied_at: int | None = None
        """The version of the advert under which it has denied this node: not dialed again before a newer one (H7)."""
        self.quiet_until = 0.0
        """It has asked, in signed words, not to be dialed before (H7). That outlives proxies."""
        self.waits = False
        """Whether its end of the link is permanent, as far as it has said: then it waits for answers (Q3)."""
        self._dials = dials

    def next_dial(self) -> int:
        """A number for one more dial. Never the same, never smaller, for a whole run of this node (C1)."""
        self._dials += 1
        self.counters.dials += 1
        return self._dials

    def demand(self, transports: frozenset[str]) -> None:
        """A message for it may only go over these: they are dialed before others from now on."""
        self.demanded = transports

    @property
    def advert_version(self) -> int:
        """0: none."""
        return 0 if self.advert is None else self.advert.version

    @property
    def dials(self) -> int:
        """The number of the last dial."""
        return self._dials

    @property
    def denied(self) -> bool:
        """Whether it has denied this node and has signed no advert since."""
        return self.denied_at is not None and self.advert_version <= self.denied_at

    def judge(self, incarnation: Incarnation) -> Judgement:
        """What this proven incarnation is to us. Changes nothing."""
        newest = self.incarnation
        if newest is None:
            return Judgement.FIRST
        if incarnation.boot != newest.boot:
            return Judgement.NEWER if incarnation.boot > newest.boot else Judgement.STALE
        return Judgement.SAME if incarnation == newest else Judgement.TWIN

    def prove(self, incarnation: Incarnation) -> Judgement:
        """Judge it, and switch to it if it is the first or newer (I2). The session does the rest (S9)."""
        judgement = self.judge(incarnation)
        match judgement:
            case Judgement.FIRST | Judgement.NEWER:
                # Number 0 is no dial: with it a request says which run of the peer is known here (PROTOCOL C2, I3).
                self.incarnation, self.accepted = incarnation, ConnectionID(incarnation, 0)
                self.counters.restarts += judgement is Judgement.NEWER
            case Judgement.STALE | Judgement.TWIN:
                self.counters.refused += 1
                self.counters.twins += judgement is Judgement.TWIN
            case Judgement.SAME:
                pass
        return judgement

    @property
    def befriended(self) -> bool:
        """Whether this node's own user named it: somebody holds a link to it, or told its advert."""
        return bool(self.holders) or (self.advert is not None and self.learned_from is None)

    def accept(self, connection: ConnectionID) -> None:
        """A dial of the peer's is proven here (C2). Call `prove` first."""
        if connection.incarnation == self.incarnation:
            self.accepted = greatest(self.accepted, connection)

    @property
    def in_use(self) -> bool:
        """Whether forgetting it would hurt somebody. What a friend told of a node nobody would tell again."""
        heard = self.receive is not None and not self.receive.disposable
        return bool(self.ends or self.proxied or heard or self.befriended)

    def __repr__(self) -> str:
        return f"PeerRecord({self.id.short}…, ends={self.ends}, dials={self._dials}, {self.holders})"


class Peers(Generic[R]):
    """The book. When it is full, the record used least recently goes, of those that nobody uses (S2).

    What goes with it: the receive half (a sender that comes back finds its session lost), the newest incarnation,
    the history. Dial numbers never start again: a new record goes on above those that were forgotten.
    """

    __slots__ = ("_dials", "_most", "_records", "evicted", "forgotten")

    def __init__(self, most: int = MOST_PEERS) -> None:
        if most < 1:
            raise ConfigError(f"a book for {most} peers")
        self._most = most
        self._records: OrderedDict[NodeID, PeerRecord[R]] = OrderedDict()
        self._dials = 0
        self.evicted = 0
        self.forgotten: Callable[[NodeID], object] = _unnoticed
        """Hears of each that goes."""

    def find(self, node: NodeID) -> PeerRecord[R] | None:
        """The record, if there is one; it does not count as use."""
        return self._records.get(node)

    def open(self, node: NodeID) -> PeerRecord[R]:
        """The record, made if there is none: for a peer that this node dials, or that has proven who it is (H8).

        Raises PeersFull if that would be one too many.
        """
        record = self._records.get(node)
        if record is None:
            if len(self._records) >= self._most and not self.evict():
                raise PeersFull(f"{len(self._records)} peers, of which none may be forgotten")
            record = self._records[node] = PeerRecord(node, dials=self._dials)
        self._records.move_to_end(node)
        return record

    def knows(self, node: NodeID, now: float) -> bool:
        """Whether it is no stranger, and did not prove itself just now: then its handshake is none of theirs (H9)."""
        record = self._records.get(node)
        if record is None or record.proven_at > now - PROVEN_AGAIN:
            return False
        return record.proven_at > -inf or record.befriended

    def evict(self) -> bool:
        """Forget the record used least recently, of those that nobody uses. Whether there was one."""
        for _ in range(min(PROBES, len(self._records))):
            node, record = next(iter(self._records.items()))
            if not record.in_use:
                del self._records[node]
                if record.receive is not None:
                    record.receive.release()
                self._dials = max(self._dials, record.dials)
                self.evicted += 1
                self.forgotten(node)
                return True
            self._records.move_to_end(node)  # in use is used just now
        return False

    def __iter__(self) -> Iterator[PeerRecord[R]]:
        return iter(tuple(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, node: NodeID) -> bool:
        return node in self._records


def _unnoticed(_: NodeID) -> None: ...
