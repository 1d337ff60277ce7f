"""Node Proxy: responsible for communication with one specific remote node.

spec: "It performs transport selection, connection establishment and maintenance. It forwards messages between local
engine instances and Transport Connection engine instances. Connections may be ephemeral or permanent."

`life` decides; this engine feeds it what happens and does what it says. Data does not pass through its behaviour:
it goes from the outbox to the current link (`session`, `link`), drained in batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import trio
from msgspec import Struct, field

from actors.engine import Engine, LocalCfg, MailboxStatistics, on
from actors.errors import Lost, SendError
from actors.events import Connected, DialFailed, Disconnected, DuplicateIdentity, ProxyChanged
from actors.identity import EngineID
from actors.messages import Started
from actors.net.connecting.backoff import Backoff
from actors.net.connecting.selection import Attempt, rank
from actors.net.life.table import Action, Event, Facts, Life, Phase, step
from actors.net.messages import Advert, AdvertStale, Disperse, Frame
from actors.net.network import Entry, Network, NetworkCfg, Step
from actors.net.offers import offers_of, prefs_of
from actors.net.peers import Judgement
from actors.net.proving.adverts import next_version
from actors.net.session.delivery import Delivery
from actors.net.session.link import Link
from actors.net.session.outbox import FRAME_MARGIN
from actors.net.session.runs import Run
from actors.net.session.session import DEAF, Session
from actors.net.vocabulary import (
    ROUTER,
    AdvertCame,
    AdvertChanged,
    Attach,
    AttemptOver,
    Connect,
    Dial,
    DialNow,
    Disconnect,
    DrainDue,
    Emptied,
    EstablishDue,
    GoingAway,
    HandshakeStarted,
    IdleAgreed,
    LinkEnded,
    Migrate,
    OfferAdvert,
    PermanenceChanged,
    RetryDue,
    StopProxy,
    TurnedAway,
    transport_engine,
)
from actors.net.vocabulary import DialFailed as Failed
from actors.net.wire import encode
from transports.addresses import TransportAddress

Schedule: TypeAlias = tuple[Attempt[TransportAddress], ...]


# -- configuration ----------------------------------------------------------------------------------------


class NodeProxyLocalCfg(LocalCfg):
    """spec: NodeProxyLocalCfg. The node's, the same for all its proxies."""

    network: NetworkCfg = NetworkCfg()


# -- state ------------------------------------------------------------------------------------------------


class NodeProxyLocalState(Struct):
    """spec: NodeProxyLocalState."""

    backoff: Backoff
    why: str = "made"
    """The last thing that ended an attempt or a connection, in words."""
    attempt: trio.CancelScope | None = None
    """The attempt under way; None if there is none."""
    moves: bool = False
    """Whether a migration is under way, or about to be."""
    move: trio.CancelScope | None = None
    way: Schedule = ()
    """Where it is to go next."""
    handshakes: set[EngineID] = field(default_factory=set)
    """Connections of ours whose ConnectRequest is out."""
    denied: bool = False
    """The peer has signed that it will not have us."""


NodeProxyMailboxState: TypeAlias = MailboxStatistics
NodeProxyTimerHandle: TypeAlias = RetryDue | EstablishDue | DrainDue
NodeProxyActionArguments: TypeAlias = Facts
"""spec: what a guard hands to its action; here, the facts that the life machine decides by."""


class Move(Struct, frozen=True):
    """Dial although a connection stands."""


class Orders:
    """From the handlers to the port: the attempts to make, one after the other."""

    def __init__(self) -> None:
        self.send, self.receive = trio.open_memory_channel[Schedule | Move](8)
        self.wider = trio.Event()
        """There are new addresses for the attempt under way."""


class NodeProxy(Engine):
    """spec: NodeProxyEngine, a triple of cfg, env and behaviour."""

    settings: NodeProxyLocalCfg  # spec S14: "an Engine of LocalCfg, LocalState, …"
    network: Network
    entry: Entry  # spec S1: "one specific remote node"
    state: NodeProxyLocalState  # spec S13: "Environment"
    orders: Orders
    session: Session
    delivery: Delivery

    @classmethod
    def of(cls, network: Network, entry: Entry) -> NodeProxy:
        """The proxy for an entry of the Router's table."""
        backoff = Backoff(network.cfg.backoff)
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
            find=delivery.find,
            answer=delivery.answer,
            epochs=network.epochs,
            idle_after=network.cfg.idle_after,
            conditions=network.conditions,
        )
        entry.session = session
        return cls(
            settings=NodeProxyLocalCfg(network=network.cfg),
            network=network,
            entry=entry,
            state=NodeProxyLocalState(backoff),
            orders=Orders(),
            session=session,
            delivery=delivery,
        )

    # -- guards and actions: what happens ---------------------------------------------------------------

    @on(Started)
    def started(self, _: Started) -> None:
        """Made for a message, for permanence, or for a connection that is about to attach."""
        self.session.changes = self
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
        schedule = self._schedule(frozenset(msg.schemes))
        if not self.session.links:
            self._step(Event.DIAL_NOW, "dial now")
        elif schedule:
            self._set_out(schedule)
        return tuple(str(attempt.address) for attempt in schedule)

    @on(AdvertChanged)
    def advert_changed(self, _: AdvertChanged) -> None:
        """New addresses wake a proxy that waits."""
        self._step(Event.ADVERT_CHANGED, "a newer advert")

    @on(RetryDue)
    def retry_due(self, _: RetryDue) -> None:
        """The backoff is over."""
        self._step(Event.RETRY_DUE, "retry")

    @on(HandshakeStarted)
    def handshake_started(self, msg: HandshakeStarted) -> None:
        """An address answers; now it has to prove itself."""
        self.state.handshakes.add(msg.connection)
        self._step(Event.HANDSHAKE_STARTED, "handshake")

    @on(AttemptOver)
    def attempt_over(self, _: AttemptOver) -> None:
        """All addresses of the attempt have been tried, or one of them is proven."""
        denied, self.state.denied = self.state.denied, False
        self._step(Event.DENIED if denied else Event.DIAL_FAILED, self.state.why)

    @on(Attach)
    def attach(self, msg: Attach) -> Link | TurnedAway:
        """A proven connection, ours or the peer's."""
        if self.state_of_life.phase in (Phase.DRAINING, Phase.CLOSED):
            return TurnedAway("stopping", retry_after=1.0)
        turned_away = self._judge(msg)
        if turned_away is not None:
            return turned_away
        record, before = self.entry.record, self.entry.record.receive
        receive = self.session.receive_half(msg.incarnation, msg.epoch)
        if receive is None or msg.proved_epoch not in (None, self.entry.outbox.transmit.epoch):
            return TurnedAway("another_session")
        if before not in (None, receive) and not self.state_of_life.permanent:
            # The peer has lost the connection that carried our questions, and its answers with it (Q3).
            self._fail_asks("connection_lost")
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
        record.counters.proven += 1
        epoch = self.entry.outbox.transmit.epoch
        self.session.attach(link, msg.greet(epoch, self.state_of_life.permanent) if msg.greet else b"")
        self.state.backoff.proven(self.now)
        self.cancel_timer(EstablishDue())
        msg.taken(link)
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
        self._told(msg.retry_after, signed=True)

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
    def state_of_life(self) -> Life:
        """Where this proxy stands (`actors.net.life.table`)."""
        return self.entry.life

    def _facts(self) -> Facts:
        outbox = self.entry.outbox
        return Facts(
            queued=outbox.queued > 0,
            retained=outbox.transmit.unacknowledged > 0,
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
        outlook.path.append(Step(self.now, new, why))

    def _look_ahead(self) -> None:
        """For people who watch."""
        outlook, backoff = self.entry.outlook, self.state.backoff
        outlook.due, outlook.failures = backoff.due, backoff.failures

    def _watch_outbox(self) -> None:
        """Ready proxies need not know when their outbox runs empty; it happens all the time."""
        waits = self.entry.life.phase in (Phase.DIALING, Phase.HANDSHAKING, Phase.BACKOFF, Phase.DRAINING)
        self.entry.outbox.emptied = self._outbox_emptied if waits else None

    def _outbox_emptied(self) -> None:
        self.entry.outbox.emptied = None
        self.post(Emptied())

    def _dial(self) -> None:
        self.state.backoff.attempt(self.now)
        self.cancel_timer(RetryDue())
        self.state.way = ()
        if self.state.move is not None:
            self.state.move.cancel()  # the connection is lost that it was to take the place of
        most = min(self.network.cfg.attempt_timeout, self.network.cfg.backoff.cap)  # T4
        self.state.attempt = trio.CancelScope(deadline=self.now + most)
        # spec S3: "performs connection establishment"
        self.orders.send.send_nowait(self._schedule())

    def _schedule(self, only: frozenset[str] | None = None) -> Schedule:
        """spec: "It performs transport selection". `selection` decides, over the addresses of the peer's advert."""
        network, record = self.network, self.entry.record
        prefs = prefs_of(network, record.schemes, only=only)
        schedule = rank(offers_of(network, record), prefs, record.history, now=self.now)
        if not schedule:
            self.state.why = "no address of it can be dialed from here"
        return schedule

    def _set_out(self, schedule: Schedule) -> None:
        """For the addresses of this schedule, in place of those of a migration that is under way."""
        self.state.way = schedule
        if self.state.move is not None:
            self.state.move.cancel()
        elif not self.state.moves:
            self.state.moves = True
            self.orders.send.send_nowait(Move())

    def _widen(self) -> None:
        if self.state.attempt is not None:
            least = self.now + self.network.cfg.handshake_timeout
            self.state.attempt.deadline = max(self.state.attempt.deadline, least)
            self.orders.wider.set()

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

    def _cancel_dials(self) -> None:
        if self.state.attempt is not None:
            self.state.attempt.cancel()

    def _drain(self) -> None:
        self._cancel_dials()
        self.session.say_goodbye(retry_after=1.0)
        self.entry.outbox.pump()
        self.set_timer(DrainDue(), after=self.network.cfg.drain_timeout)
        if self.entry.outbox.idle:
            self.post(Emptied())

    def _leave(self) -> None:
        self.network.table.leave(self.entry)

    def _bye(self) -> None:
        self.session.close("closing")

    def _hand_over(self) -> None:
        outbox, table, peer = self.entry.outbox, self.network.table, self.entry.peer
        if table.stopping:
            return self._settle_stopped()
        outbox.hand_on(lambda sender, target: (table.find(peer) or table.open(peer)).outbox.lane(sender, target))
        self._fail_asks("connection_lost")

    def _settle_written(self) -> None:
        outbox, owed = self.entry.outbox, self._answers_owed()
        outbox.collect()
        outbox.transmit.give_up_written("connection_lost")
        outbox.settled()
        for run in owed:
            outbox.adopt(run, outbox.lane("", ""))
        self._fail_asks("connection_lost")

    def _settle_lost(self) -> None:
        self._hand_on_answers()
        self.entry.outbox.close("connection_lost" if self.entry.life.spent else f"unreachable: {self.state.why}")
        self._fail_asks("connection_lost")

    def _answers_owed(self) -> list[Run]:
        """Who holds its end for permanent waits for answers over any number of connections, also of ours (Q3)."""
        waits = self.entry.record.waits and not self.network.table.stopping
        return self.entry.outbox.take_answers() if waits else []

    def _hand_on_answers(self) -> None:
        table, peer = self.network.table, self.entry.peer
        for run in self._answers_owed():
            successor = (table.find(peer) or table.open(peer)).outbox
            successor.adopt(run, successor.lane("", ""))

    def _settle_stopped(self) -> None:
        self.entry.outbox.close("node_stopped")
        self._fail_asks("node_stopped")

    def _fail_asks(self, reason: str) -> None:
        """Nobody will answer any more (Q3). What was never written has its outcome, or waits in another outbox."""
        self.network.runtime.asks.fail_written(self.entry.peer, Lost(reason, maybe_sent=True))

    def _end(self) -> None:
        self.stop()

    def _nothing(self) -> None:
        """REFUSE, REFUSE_END, HAND_ON: whoever asks is answered where it asks (`attach`, the Router's table)."""

    # -- what the session tells (`session.Changes`) -----------------------------------------------------

    def resumed(self, link: Link) -> None:
        """A connection carries messages now."""
        now, peer, url = self.now, self.entry.peer, link.stream.remote
        self.network.runtime.events.emit(Connected(now, peer, url.partition(":")[0], url))
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
                self._fail_asks("peer_restarted")
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

    # -- port -------------------------------------------------------------------------------------------

    async def port(self) -> None:
        """Forward messages, and make attempts; a proxy that ends takes its connections with it."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.entry.outbox.forward)
                async for order in self.orders.receive:
                    await (self._move() if isinstance(order, Move) else self._attempt(order))
        finally:
            self._leave()
            self.session.close("the proxy has ended")
            self.session.changes = DEAF
            self.delivery.leave()
            if not self.entry.outbox.closed:
                self._settle_stopped()
            self.network.past.add(self.entry.outbox.transmit.ledger)

    async def _attempt(self, schedule: Schedule) -> None:
        """One attempt: a race in a nursery of its own. The first that is proven cancels the others (C7)."""
        scope = self.state.attempt
        assert scope is not None
        dialed: set[str] = set()
        with scope:
            async with trio.open_nursery() as widening:
                async with trio.open_nursery() as race:
                    self._race(race, schedule, dialed)
                    widening.start_soon(self._widen_race, race, dialed)
                widening.cancel_scope.cancel()
        if scope.cancelled_caught and trio.current_time() >= scope.deadline:
            self.state.why = "no address answered in time"
        self.state.attempt = None
        self.state.handshakes.clear()
        self.post(AttemptOver())

    async def _move(self) -> None:
        """Dial beside the connection that stands. One that is proven wins over it, being newer (C3, C7)."""
        while schedule := self.state.way:
            self.state.way = ()
            with trio.move_on_after(self.network.cfg.attempt_timeout) as self.state.move:
                async with trio.open_nursery() as race:
                    self._race(race, schedule, set(), moving=True)
        self.state.move, self.state.moves = None, False

    def _race(self, race: trio.Nursery, schedule: Schedule, dialed: set[str], *, moving: bool = False) -> None:
        """Let those addresses in that are not `dialed` yet."""
        before, start = trio.Event(), self.now
        for attempt in schedule:
            if str(attempt.address) not in dialed:
                dialed.add(str(attempt.address))
                failed = trio.Event()
                race.start_soon(self._dial_one, attempt, start, before, failed, race.cancel_scope, moving)
                before = failed

    async def _widen_race(self, race: trio.Nursery, dialed: set[str]) -> None:
        """Whatever was dialed goes on (C6); what is new is dialed beside it."""
        while True:
            await self.orders.wider.wait()
            self.orders.wider = trio.Event()
            if race.child_tasks:
                self._race(race, self._schedule(), dialed)

    async def _dial_one(
        self,
        attempt: Attempt[TransportAddress],
        start: float,
        before: trio.Event,
        failed: trio.Event,
        race: trio.CancelScope,
        moving: bool,
    ) -> None:
        """Dial one address at its time, or when the one before it has failed."""
        record, url = self.entry.record, str(attempt.address)
        with trio.move_on_at(start + attempt.delay):
            await before.wait()
        while (free_at := record.history.free_at(self.now)) > self.now:  # noqa: ASYNC110 - another dial may take it
            await trio.sleep_until(free_at)
        if self.session.links and not moving:
            return  # the peer came first: nobody with a proven end begins another dial (C7)
        if all(offer.address != attempt.address for offer in offers_of(self.network, record)):
            return failed.set()  # a newer advert has come meanwhile, and leaves it out
        record.history.dialed(self.now)
        record.ends += 1
        connection: EngineID | None = None
        try:
            connection = await self.ask(transport_engine(attempt.address.scheme), Dial())
            outcome = await self.ask(connection, self._connect(attempt.address), expiry=3600)
        except SendError as error:
            outcome = Failed(str(error))
        finally:
            record.ends -= 1
            self.state.handshakes.discard(connection or ROUTER)
        if isinstance(outcome, Failed):
            self._dial_failed(url, outcome)
            failed.set()
        else:
            record.history.proven(url, outcome.rtt)
            race.cancel()

    def _connect(self, address: TransportAddress) -> Connect:
        record, outbox = self.entry.record, self.entry.outbox
        return Connect(
            address,
            self.id,
            self.entry.peer,
            record.next_dial(),
            record.accepted,
            self.network.versions(self.entry.peer),
            outbox.transmit.epoch,
            self.entry.life.permanent,
        )

    def _dial_failed(self, url: str, failed: Failed) -> None:
        now, state = self.now, self.state
        state.why = self.entry.outlook.why = f"{url}: {failed.reason}"
        self.entry.record.history.failed(url, now, failed.reason)
        self._told(failed.retry_after, signed=failed.signed)
        self.network.runtime.events.emit(DialFailed(now, self.entry.peer, url, failed.reason))
        if failed.reason == "stale_incarnation" and failed.signed and failed.newest is not None:
            own = self.network.incarnation
            self.network.runtime.events.emit(DuplicateIdentity(now, self.entry.peer, own, failed.newest))
            self.network.outlived(failed.newest)
        elif failed.signed and failed.reason == "denied":
            state.denied = True

    def _told(self, retry_after: float, *, signed: bool) -> None:
        """The peer, or somebody in its name, does not want to be called too soon (H7)."""
        seconds = self.state.backoff.told(self.now, retry_after, signed=signed)
        if seconds and signed:
            self.network.conditions.retry_after(self.entry.peer, seconds)


_ACTIONS: dict[Action, Callable[[NodeProxy], None]] = {
    Action.DIAL: NodeProxy._dial,
    Action.WIDEN: NodeProxy._widen,
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
    Action.HAND_OVER: NodeProxy._hand_over,
    Action.SETTLE_WRITTEN: NodeProxy._settle_written,
    Action.SETTLE_LOST: NodeProxy._settle_lost,
    Action.SETTLE_STOPPED: NodeProxy._settle_stopped,
    Action.END: NodeProxy._end,
}
