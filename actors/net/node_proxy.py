"""Node Proxy: responsible for communication with one specific remote node.

spec: "It performs transport selection, connection establishment and maintenance. It forwards messages between local
engine instances and Transport Connection engine instances. Connections may be ephemeral or permanent."

`life` decides; this engine feeds it what happens and does what it says. Data does not pass through its behaviour:
it goes from the outbox to the current link (`session`, `link`), drained in batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from actors.engine import Engine, LocalCfg, MailboxStatistics, on, own_context
from actors.events import Connected, Disconnected, ProxyChanged
from actors.messages import Started
from actors.net.call import Dialed
from actors.net.connecting.backoff import Backoff
from actors.net.connecting.upgrade import Upgrade
from actors.net.dialing import Dialing, DialState
from actors.net.life.table import Action, Event, Facts, Life, Phase, step
from actors.net.messages import Advert, AdvertStale, Disperse, Frame
from actors.net.network import COME_AGAIN, Entry, Network, NetworkCfg, Step
from actors.net.peers import Judgement
from actors.net.proving.adverts import next_version
from actors.net.session.delivery import Delivery
from actors.net.session.link import Link
from actors.net.session.outbox import FRAME_MARGIN
from actors.net.session.session import DEAF, Session
from actors.net.settling import Settling
from actors.net.upgrading import Demands, Upgrading
from actors.net.vocabulary import (
    ROUTER,
    AdvertCame,
    AdvertChanged,
    Attach,
    AttemptOver,
    Demanded,
    DialNow,
    Disconnect,
    DrainDue,
    Emptied,
    EstablishDue,
    GoingAway,
    HandshakeStarted,
    IdleAgreed,
    LinkEnded,
    LinkStands,
    Migrate,
    OfferAdvert,
    PermanenceChanged,
    RetryDue,
    StopProxy,
    TurnedAway,
    UpgradeDue,
)
from actors.net.wire import encode

# -- configuration ----------------------------------------------------------------------------------------


class NodeProxyLocalCfg(LocalCfg, gc=False):
    """spec: NodeProxyLocalCfg. The node's, the same for all its proxies."""

    network: NetworkCfg = NetworkCfg()


# -- state ------------------------------------------------------------------------------------------------


NodeProxyLocalState: TypeAlias = DialState
"""spec: NodeProxyLocalState. Where its dials stand; whatever is said over its connections is the session's."""
NodeProxyMailboxState: TypeAlias = MailboxStatistics
NodeProxyTimerHandle: TypeAlias = RetryDue | EstablishDue | DrainDue | UpgradeDue | Demanded
NodeProxyActionArguments: TypeAlias = Facts
"""spec: what a guard hands to its action; here, the facts that the life machine decides by."""


class NodeProxy(Engine):
    """spec: NodeProxyEngine, a triple of cfg, env and behaviour."""

    settings: NodeProxyLocalCfg  # spec S14: "an Engine of LocalCfg, LocalState, …"
    network: Network
    entry: Entry  # spec S1: "one specific remote node"
    state: NodeProxyLocalState  # spec S13: "Environment"
    session: Session
    dialing: Dialing
    upgrading: Upgrading
    demands: Demands
    delivery: Delivery

    @classmethod
    def of(cls, network: Network, entry: Entry) -> NodeProxy:
        """The proxy for an entry of the Router's table."""
        table, record, outbox = network.table, entry.record, entry.outbox
        delivery = Delivery(
            network.runtime,
            entry.peer,
            record,
            outbox,
            table.limit_changed,
            table.answering,
            network.conditions.onlooker(entry.peer),
        )
        session = Session(
            entry.peer,
            outbox,
            record,
            clock=network.clock,
            engines=delivery,
            epochs=network.epochs,
            idle_after=network.cfg.idle_after,
            conditions=network.conditions,
        )
        entry.session = session
        state = NodeProxyLocalState(Backoff(network.cfg.backoff))
        dialing = Dialing(network, entry, session, state)
        state.backoff.quiet(record.quiet_until)
        return cls(
            settings=NodeProxyLocalCfg(network=network.cfg),
            network=network,
            entry=entry,
            state=state,
            session=session,
            dialing=dialing,
            upgrading=Upgrading(dialing, Upgrade(network.cfg.upgrade)),
            demands=Demands(dialing),
            delivery=delivery,
        )

    # -- guards and actions: what happens ---------------------------------------------------------------

    @on(Started)
    def started(self, _: Started) -> None:
        """Made for a message, for permanence, or for a connection that is about to attach."""
        self.session.changes = self
        self.entry.begun = True
        self.entry.outbox.transmit.held = self._held
        self.dialing.proxy = self
        self.entry.outbox.forward_by(own_context(self))
        if self.entry.record.holders:  # spec S10: "established when the Node Proxy is started"
            self._step(Event.TO_PERMANENT, "permanent")
        elif not self.entry.outbox.idle:
            self._step(Event.SEND, "first message")
        elif self.entry.wanted:
            self._step(Event.DIAL_NOW, "dial now")
        else:
            self.set_timer(EstablishDue(), after=self.network.cfg.handshake_timeout)

    @on(EstablishDue)
    def establish_due(self, _: EstablishDue) -> None:
        """Nobody attached: a message may have come meanwhile; otherwise there is nothing to be here for."""
        self._step(Event.QUEUE_EMPTY if self.entry.outbox.idle else Event.SEND, "nobody came")

    @on(PermanenceChanged)
    def permanence_changed(self, msg: PermanenceChanged) -> None:
        """SetPermanence, by way of the Router (L2)."""
        self._step(msg.event, "permanence was set")

    @on(DialNow)
    def dial_now(self, _: DialNow) -> None:
        """A connection is wanted at once."""
        self._step(Event.DIAL_NOW, "dial now")

    @on(Migrate)
    def migrate(self, msg: Migrate) -> tuple[str, ...]:
        """The session moves; with no connection to move from, it begins there."""
        self.entry.record.schemes = msg.schemes
        schedule = self.dialing.schedule(frozenset(msg.schemes))
        if not self.session.links:
            self._step(Event.DIAL_NOW, "dial now")
        elif schedule:
            self.dialing.set_out(schedule)
        return tuple(str(attempt.address) for attempt in schedule)

    @on(AdvertChanged)
    def advert_changed(self, _: AdvertChanged) -> None:
        """New addresses wake a proxy that waits."""
        self._step(Event.ADVERT_CHANGED, "a newer advert")
        self._look_for_better()

    @on(LinkStands)
    def link_stands(self, _: LinkStands) -> None:
        """There may be a better way than the one by which it came about."""
        self._look_for_better()

    @on(Demanded)
    def demanded(self, _: Demanded) -> None:
        """What the connection may not carry waits for another: the session moves there, all of it (C4, C7)."""
        self.entry.outbox.transmit.held = self._held
        due = self.demands.look() if self.state_of_life.phase is Phase.READY else None
        if due is not None:
            self.set_timer(Demanded(), after=due - self.now)

    @on(UpgradeDue)
    def upgrade_due(self, _: UpgradeDue) -> None:
        """A better address may work by now; one that does takes the session over (C7)."""
        self._look_for_better()

    @on(RetryDue)
    def retry_due(self, _: RetryDue) -> None:
        """The backoff is over."""
        self._step(Event.RETRY_DUE, "retry")

    @on(HandshakeStarted)
    def handshake_started(self, msg: HandshakeStarted) -> None:
        """An address answers; now it has to prove itself. Unless that is over already, since this was written."""
        if msg.call.is_wanted:
            self.state.handshakes |= {msg.call}
            self._step(Event.HANDSHAKE_STARTED, "handshake")

    @on(AttemptOver)
    def attempt_over(self, _: AttemptOver) -> None:
        """All addresses of the attempt have been tried, or one of them is proven."""
        denied, self.state.denied = self.state.denied, False
        own_context(self).rest()  # what was to be asked of transports has been asked
        self._step(Event.DENIED if denied else Event.DIAL_FAILED, self.state.why)

    @on(Attach)
    def attach(self, msg: Attach) -> Link | TurnedAway:
        """A proven connection, ours or the peer's."""
        if self.state_of_life.phase in (Phase.DRAINING, Phase.CLOSED):
            return TurnedAway("stopping", retry_after=1.0)
        if msg.call is not None and not msg.call.is_wanted:
            return TurnedAway("cancelled")
        turned_away = self._judge(msg)
        if turned_away is not None:
            return turned_away
        record, before = self.entry.record, self.entry.record.receive
        receive = self.session.receive_half(msg.incarnation, msg.epoch)
        if receive is None or msg.proved_epoch not in (None, self.entry.outbox.transmit.epoch):
            return TurnedAway("another_session")
        if before not in (None, receive) and not self.state_of_life.permanent:
            # The peer has lost the connection that carried our questions, and its answers with it (Q3).
            self.settling.fail_asks("connection_lost")
        if msg.greet is not None:
            record.accept(msg.contender.id)
        self.entry.outbox.bound(msg.max_frame - FRAME_MARGIN)
        link = Link(
            msg.stream,
            msg.frames,
            msg.contender,
            self.session,
            receive,
            self.network.clock,
            deadline=msg.deadline,
            rtt=msg.rtt,
            liveness=self.network.cfg.liveness,
        )
        record.ends += 1
        record.waits = msg.permanent
        record.denied_at = None
        record.counters.proven += 1
        record.proven_at = self.now
        epoch = self.entry.outbox.transmit.epoch
        self.session.attach(link, msg.greet(epoch, self.state_of_life.permanent) if msg.greet else b"")
        self.state.backoff.proven(self.now)
        self.cancel_timer(EstablishDue())
        link.dialed = msg.dialed
        msg.taken(link)
        if msg.call is not None:
            msg.call.end(Dialed(msg.rtt))
        self._step(Event.PROVEN, "accepted" if msg.greet else "dialed")
        self._offer_advert(link, msg.advert_yours)
        return link

    @on(LinkEnded)
    def link_ended(self, msg: LinkEnded) -> None:
        """A proven end is gone; whether that is the end of more is for the life machine to say (C8)."""
        self.state.why = msg.reason
        self._step(Event.CLEAN_END if msg.clean else Event.END_LOST, msg.reason)

    @on(IdleAgreed)
    def idle_agreed(self, msg: IdleAgreed) -> None:
        """Both were idle; if nothing was written since, close (D3)."""
        if msg.link is self.session.current and msg.link.closing.on_idle_ok():
            self._step(Event.IDLE_AGREED, "idle")

    @on(GoingAway)
    def going_away(self, msg: GoingAway) -> None:
        """The peer is stopping; do not call again too soon (D5)."""
        self.dialing.told(msg.retry_after, signed=True)

    @on(Emptied)
    def emptied(self, _: Emptied) -> None:
        """Nothing is queued any more: reason to end for one that only establishes, or drains."""
        if self.entry.outbox.idle:
            draining = self.state_of_life.phase is Phase.DRAINING
            self._step(Event.DRAINED if draining else Event.QUEUE_EMPTY, "nothing left to send")
        else:
            self._watch_outbox()  # something came since: it will run empty again

    @on(Disconnect)
    def disconnect(self, _: Disconnect) -> None:
        """Somebody wants the connections closed."""
        for link in list(self.session.links):
            link.close("closed on request")

    @on(StopProxy)
    def stop_proxy(self, _: StopProxy) -> None:
        """The node is stopping (D5)."""
        self._step(Event.STOP, "node_stopped")

    @on(DrainDue)
    def drain_due(self, _: DrainDue) -> None:
        """The time for acknowledgements is up."""
        self._step(Event.DRAINED, "node_stopped")

    @on(AdvertCame)
    async def advert_came(self, msg: AdvertCame) -> None:
        """An advert goes to the Router, its verdict to the peer; a verdict on ours may tell of a lost state (A3)."""
        match msg.record:
            case Advert(data):
                host = msg.link.stream.source
                msg.link.write(encode(await self.ask(ROUTER, OfferAdvert(data, host))))
                own_context(self).rest()
            case AdvertStale(data) if self.network.advert is not None:
                version = next_version(self.network.advert, data)
                if version is not None:
                    self.network.readvertise(version)
                    for link in self.session.links:  # this one may be superseded already
                        self._offer_advert(link, 0)
            case _:
                pass

    # -- deciding, and doing ----------------------------------------------------------------------------

    @property
    def settling(self) -> Settling:
        """What becomes of all that is owed to this peer."""
        return Settling(self.network, self.entry)

    @property
    def state_of_life(self) -> Life:
        """Where this proxy stands (`actors.net.life.table`)."""
        return self.entry.life

    def _facts(self) -> Facts:
        outbox = self.entry.outbox
        busy = not outbox.idle  # most often it is not, and there is nothing to count
        return Facts(
            queued=busy and outbox.queued > 0,
            retained=busy and outbox.transmit.unacknowledged > 0,
            awaiting=self._awaiting(),
            proven=len(self.session.links),
            dialing=self.state.attempt is not None,
            handshaking=bool(self.state.handshakes),
        )

    def _awaiting(self) -> bool:
        return any(slot.peer == self.entry.peer and not slot.done for slot in self.network.runtime.asks)

    def _step(self, event: Event, why: str) -> None:
        """Feed an event to the life machine, and do what it says."""
        before = self.entry.life
        self.entry.life, actions = step(before, event, self._facts())
        if self.entry.life.phase is not before.phase:
            self._announce(before.phase, self.entry.life.phase, why)
        for action in actions:
            _ACTIONS[action](self)
        self._watch_outbox()
        self._look_ahead()

    def _announce(self, old: Phase, new: Phase, why: str) -> None:
        events = self.network.runtime.events
        events.emit(ProxyChanged(self.now, self.entry.peer, old.value, new.value, why))
        outlook = self.entry.outlook
        outlook.since, outlook.why = self.now, why
        outlook.went(Step(self.now, new, why))

    def _look_ahead(self) -> None:
        """For people who watch."""
        outlook, backoff = self.entry.outlook, self.state.backoff
        outlook.due, outlook.failures = backoff.due, backoff.failures

    def _look_for_better(self) -> None:
        due = self.upgrading.look() if self.state_of_life.phase is Phase.READY else None
        if due is None:
            self.cancel_timer(UpgradeDue())
        else:
            self.set_timer(UpgradeDue(), after=due - self.now)

    def _held(self) -> None:
        self.entry.outbox.transmit.held = _unheard
        self.post(Demanded())

    def _watch_outbox(self) -> None:
        """Ready proxies need not know when their outbox runs empty; it happens all the time."""
        waits = self.entry.life.phase in (Phase.DIALING, Phase.HANDSHAKING, Phase.BACKOFF, Phase.DRAINING)
        self.entry.outbox.emptied = self._outbox_emptied if waits else None

    def _outbox_emptied(self) -> None:
        self.entry.outbox.emptied = None
        self.post(Emptied())

    def _dial(self) -> None:
        self.cancel_timer(RetryDue())
        self.dialing.begin()

    def _wait(self) -> None:
        due = self.state.backoff.ended(self.now, self.network.random.random())
        self.set_timer(RetryDue(), after=max(0.0, due - self.now))

    def _park(self) -> None:
        self.state.backoff.park()
        self.cancel_timer(RetryDue())

    def _wake(self) -> None:
        self.set_timer(RetryDue(), after=max(0.0, self.state.backoff.wake(self.now) - self.now))

    def _cancel_wait(self) -> None:
        self.cancel_timer(RetryDue())

    def _drain(self) -> None:
        self.dialing.cancel()
        self.session.say_goodbye(COME_AGAIN)
        self.entry.outbox.pump()
        left = min(self.network.cfg.drain_timeout, self.network.stop_by - self.now)
        self.set_timer(DrainDue(), after=max(0.0, left))
        if self.entry.outbox.idle:
            self.post(Emptied())

    def _leave(self) -> None:
        self.network.table.leave(self.entry)

    def _bye(self) -> None:
        self.session.close("closing")

    def _settle_lost(self) -> None:
        self.settling.lost("connection_lost" if self.entry.life.spent else f"unreachable: {self.state.why}")

    def _end(self) -> None:
        self.stop()

    def _nothing(self) -> None:
        """REFUSE, REFUSE_END, HAND_ON: whoever asks is answered where it asks (`attach`, the Router's table)."""

    # -- what the session tells (`session.Changes`) -----------------------------------------------------

    def resumed(self, link: Link) -> None:
        """A connection carries messages now."""
        now, peer, url = self.now, self.entry.peer, link.stream.remote
        self.network.known_as = self.network.incarnation
        self.network.runtime.events.emit(Connected(now, peer, url.partition(":")[0], url))
        advert = self.entry.record.advert
        if link.dialed and advert is not None and len(advert.addresses) > 1:
            self.post(LinkStands())
        if self.entry.record.waits:
            self._tell_crowd(link)

    def _tell_crowd(self, newest: Link) -> None:
        """Over which time to come back: to the one that has come, and to all when that has changed much (L7)."""
        crowd, links = self.network.crowd, [newest]
        if crowd.join(self.entry.peer):
            others = [entry.session for entry in self.network.table if entry.record.waits and entry is not self.entry]
            links += [session.current for session in others if session is not None and session.current is not None]
        elif not crowd.within:
            return
        for link in links:
            link.write(encode(Disperse(crowd.within)))

    def ended(self, link: Link, reason: str, clean: bool) -> None:
        """A proven end is gone."""
        self.entry.record.ends -= 1
        self.upgrading.measure(link)
        url = link.stream.remote
        self.network.runtime.events.emit(Disconnected(self.now, self.entry.peer, url.partition(":")[0], reason))
        self.post(LinkEnded(reason, clean))

    def agreed_to_close(self, link: Link) -> None:
        """See D3."""
        self.post(IdleAgreed(link))

    def peer_goes_away(self, retry_after: float) -> None:
        """See D5."""
        self.post(GoingAway(retry_after))

    def disperse(self, within: float) -> None:
        """See L7."""
        self.state.backoff.disperse(within)

    def advert(self, link: Link, record: Frame) -> None:
        """See A."""
        self.post(AdvertCame(link, record))

    def is_idle(self) -> bool:
        """D1, D2: ephemeral, nobody waits for an answer, no handshake of our own."""
        return not self.entry.life.permanent and not self._awaiting() and self.state.attempt is None

    # -- identity ---------------------------------------------------------------------------------------

    def _judge(self, msg: Attach) -> TurnedAway | None:
        """Is it the peer's newest life (I2)? A newer one than we knew resets the session (S9)."""
        record = self.entry.record
        match record.prove(msg.incarnation):
            case Judgement.STALE | Judgement.TWIN:
                return TurnedAway("stale_incarnation", newest=record.incarnation)
            case Judgement.NEWER:
                self.session.peer_restarted()
                self.settling.fail_asks("peer_restarted")
                self.network.loans.restarted(self.entry.peer)
            case _:
                pass
        return None

    def _offer_advert(self, link: Link, known: int) -> None:
        """spec: "after connecting, each side sends its advert where the other's copy is older".

        Also where it is newer: the answer brings our own word back, which we have lost (A3).
        """
        advert = self.network.advert
        if advert is not None and known != advert.version:
            link.write(encode(Advert(advert.data)))

    # -- the end ----------------------------------------------------------------------------------------

    def _ended(self) -> None:
        """A proxy that ends takes its connections with it. Its attempts and its forwarding have ended before."""
        outbox = self.entry.outbox
        self._leave()
        self.session.close("the proxy has ended")
        self.session.changes = DEAF
        outbox.transmit.held = _unheard
        outbox.forward_by(None)
        self.dialing.proxy = None
        self.delivery.leave()
        if not outbox.closed:
            self.settling.stopped()
        self.network.past.add(outbox.transmit.ledger)


def _unheard() -> None: ...


_ACTIONS: dict[Action, Callable[[NodeProxy], None]] = {
    Action.DIAL: NodeProxy._dial,
    Action.WIDEN: lambda proxy: proxy.dialing.widen(),
    Action.WAIT: NodeProxy._wait,
    Action.PARK: NodeProxy._park,
    Action.WAKE: NodeProxy._wake,
    Action.CANCEL_WAIT: NodeProxy._cancel_wait,
    Action.DRAIN: NodeProxy._drain,
    Action.REFUSE: NodeProxy._nothing,
    Action.REFUSE_END: NodeProxy._nothing,
    Action.HAND_ON: NodeProxy._nothing,
    Action.LEAVE: NodeProxy._leave,
    Action.BYE: NodeProxy._bye,
    Action.HAND_OVER: lambda proxy: proxy.settling.hand_over(),
    Action.SETTLE_WRITTEN: lambda proxy: proxy.settling.written(),
    Action.SETTLE_LOST: NodeProxy._settle_lost,
    Action.SETTLE_STOPPED: lambda proxy: proxy.settling.stopped(),
    Action.END: NodeProxy._end,
}
