"""Router: spawns one Node Proxy for each remote node, keeps what outlives them: adverts, permanence, receive halves.

spec: "the first message to a node goes engine -> Router -> Node Proxy, later ones engine -> Node Proxy directly".
"""

from __future__ import annotations

from collections.abc import Callable

from actors.engine import Engine, Policy, on
from actors.errors import Refused
from actors.events import AdvertRejected
from actors.identity import EngineID, NodeID
from actors.messages import Local, Started
from actors.net.life.table import Event
from actors.net.messages import AdvertInvalid, AdvertReply
from actors.net.network import Entry, Network
from actors.net.peers import PeersFull
from actors.net.proving.adverts import Decision, NodeAdvert, consider
from actors.net.vocabulary import (
    Admit,
    AdvertChanged,
    AdvertLearned,
    ConnectedNodes,
    DialNow,
    GetNodeAdvert,
    NodeConnectRequest,
    NodeSend,
    OfferAdvert,
    PermanenceChanged,
    SetPermanence,
    StopNetwork,
    StopProxy,
    TurnedAway,
)


class Router(Engine):
    """Its table and its book of peers are the network's (`actors.net.network`); it alone spawns proxies."""

    network: Network
    make_proxy: Callable[[Entry], Engine]

    @on(Started)
    def started(self, _: Started) -> None:
        """From now on the table tells of entries that need a proxy; those that need one already are told now."""
        table = self.network.table
        # spec S7: "established when the first message is sent": from the Router to a proxy that is made for it
        table.announce = lambda peer: self.post(NodeSend(peer))
        for entry in table:
            if entry.session is None:
                table.announce(entry.peer)

    # -- proxies ----------------------------------------------------------------------------------------

    @on(NodeSend)
    async def spawn_proxy(self, msg: NodeSend) -> None:
        """There is an entry without a proxy. One that has just left the table may still hold the name."""
        before = self.network.runtime.find(str(msg.peer))
        if before is not None:
            await before.gone.wait()
        entry = self.network.table.find(msg.peer)
        if entry is not None and entry.session is None:
            # spec S12: "the engine instance name corresponds to the remote NodeID"
            self.spawn(self.make_proxy(entry), str(msg.peer), policy=Policy.TEMPORARY)

    # spec S8: "or when the remote node initiates a connection"
    @on(Admit)
    def admit(self, msg: Admit) -> EngineID | TurnedAway:
        """A proven inbound connection goes to the live proxy of its node, or makes one (C10)."""
        peer = msg.proven.peer
        if self.network.conditions.point("peers.forget"):
            self.network.peers.evict()
        try:
            entry = self.network.table.find(peer) or self.network.table.open(peer)
        except PeersFull:
            return TurnedAway("over_capacity", retry_after=30.0)
        except Refused as refused:
            return TurnedAway(refused.reason)
        return _engine(entry)

    @on(NodeConnectRequest)
    def connect(self, msg: NodeConnectRequest) -> str | TurnedAway:
        """Have a proxy for the node, and have it dial."""
        try:
            self.network.table.outlet(msg.node)
        except (Refused, PeersFull) as refused:
            return TurnedAway(getattr(refused, "reason", refused.code))
        entry = self.network.table.find(msg.node)
        assert entry is not None
        entry.record.denied_at = None  # somebody here knows better than to wait for a newer advert
        entry.wanted = True
        if entry.begun:  # else it looks whether it is wanted when it begins
            self._tell_proxy(msg.node, DialNow())
        return entry.life.phase.value

    @on(SetPermanence)
    def set_permanence(self, msg: SetPermanence) -> None:
        """Permanent while anybody holds it so (L5). A node that has no proxy gets one (L2)."""
        try:
            holders = self.network.peers.open(msg.node).holders
            event = holders.hold(msg.holder) if msg.permanent else holders.release(msg.holder)
            self.network.changed(msg.node)
            if event is not None:
                self.network.held += 1 if msg.permanent else -1
            if event is Event.TO_PERMANENT and self.network.table.find(msg.node) is None:
                self.network.table.open(msg.node)
        except (PeersFull, Refused):
            return  # the book is full, or the node is stopping (L3): who asked was told before it came here
        if event is not None:
            self._tell_proxy(msg.node, PermanenceChanged(event))

    @on(ConnectedNodes)
    def connected(self, _: ConnectedNodes) -> tuple[NodeID, ...]:
        """The nodes with a current connection."""
        return tuple(entry.peer for entry in self.network.table if entry.session and entry.session.current)

    def _tell_proxy(self, peer: NodeID, msg: Local[None]) -> None:
        entry = self.network.table.find(peer)
        if entry is not None and entry.session is not None:
            self.tell(_engine(entry), msg)

    # -- adverts ----------------------------------------------------------------------------------------

    @on(OfferAdvert)
    def offer_advert(self, msg: OfferAdvert) -> AdvertReply:
        """Keep it if it is newer and its signature holds (A2)."""
        judgement = consider(msg.data, self.network.advert_of)
        advert = judgement.advert
        if judgement.decision is Decision.ACCEPTED and advert is not None and advert.id != self.network.key.id:
            try:
                self.network.keep(advert, msg.learned_from)
            except PeersFull as full:
                return AdvertInvalid(full.code)
            self._tell_proxy(advert.id, AdvertChanged())
        elif judgement.decision in (Decision.EQUIVOCATION, Decision.INVALID) and advert is not None:
            self.network.runtime.events.emit(AdvertRejected(self.now, advert.id, judgement.decision.value))
        return judgement.reply

    @on(AdvertLearned)
    def advert_learned(self, msg: AdvertLearned) -> None:
        """The node itself has been told of new addresses."""
        self._tell_proxy(msg.node, AdvertChanged())

    @on(GetNodeAdvert)
    def get_advert(self, msg: GetNodeAdvert) -> NodeAdvert | None:
        """The newest known."""
        return self.network.advert_of(msg.node)

    # -- the end ----------------------------------------------------------------------------------------

    @on(StopNetwork)
    def stop_network(self, _: StopNetwork) -> tuple[EngineID, ...]:
        """Let every proxy drain (D5). Nobody waits for that here: a proxy that drains may have to ask the Router."""
        self.network.table.stopping = True
        proxies = tuple(_engine(entry) for entry in self.network.table)
        for proxy in proxies:
            self.tell(proxy, StopProxy())
        return proxies


def _engine(entry: Entry) -> EngineID:
    return EngineID(None, str(entry.peer))
