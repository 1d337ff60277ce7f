"""Dialing: how a Node Proxy comes to a connection. Which address is dialed when, and what is made of a failure.

When an attempt is due, the proxy's life and its backoff say; which address comes first, `selection`; who is there, the
Transport Connection. One that is proven joins the session by itself: nothing of it comes by here.
"""

from __future__ import annotations

from itertools import zip_longest
from math import inf
from typing import TypeAlias

import trio
from msgspec import Struct, field

from actors.engine import Engine
from actors.errors import SendError
from actors.events import DialFailed
from actors.identity import EngineID
from actors.net.connecting.backoff import Backoff
from actors.net.connecting.selection import Attempt, is_plain, rank, stages
from actors.net.network import Entry, Network
from actors.net.offers import offers_of, prefs_of
from actors.net.session.session import Session
from actors.net.vocabulary import ROUTER, AttemptOver, Connect, Dial, Dialed, transport_engine
from actors.net.vocabulary import DialFailed as Failed
from transports.addresses import TransportAddress

Schedule: TypeAlias = tuple[Attempt[TransportAddress], ...]


class DialState(Struct):
    """What a proxy has to remember of its dials. Its guards read it."""

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
    """The peer has signed that it will not have us, or this node's policy will not have it."""


class Move(Struct, frozen=True):
    """Dial although a connection stands."""


class Orders:
    """From the handlers to the port: the attempts to make, one after the other."""

    def __init__(self) -> None:
        self.send, self.receive = trio.open_memory_channel[Schedule | Move](8)
        self.wider = trio.Event()
        """There are new addresses for the attempt under way."""


class Dialing(Struct):
    """The dials to one peer. Handlers of the proxy order them, its port makes them, its guards read their state."""

    network: Network
    entry: Entry
    session: Session
    state: DialState
    orders: Orders = field(default_factory=Orders)

    # -- orders -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """An attempt over all addresses of the peer."""
        now, cfg = self.network.clock.now(), self.network.cfg
        self.state.backoff.attempt(now)
        self.state.way = ()
        if self.state.move is not None:
            self.state.move.cancel()  # the connection is lost that it was to take the place of
        most = min(cfg.attempt_timeout, cfg.backoff.cap)  # T4
        self.state.attempt = trio.CancelScope(deadline=now + most)
        # spec S3: "performs connection establishment"
        self.orders.send.send_nowait(() if self._is_kept_off() else self.schedule())

    def _is_kept_off(self) -> bool:
        """Whether the peer itself has said that it is not to be dialed now, perhaps to an earlier proxy (H7)."""
        record, state, now = self.entry.record, self.state, self.network.clock.now()
        if record.denied:
            state.denied, state.why = True, "it has denied this node, and has signed no advert since"
            return True
        if record.quiet_until > now:
            state.why = f"it is not to be called again for {record.quiet_until - now:.3g} s"
            return True
        return False

    def set_out(self, schedule: Schedule) -> None:
        """For the addresses of this schedule, in place of those of a migration that is under way."""
        self.state.way = schedule
        if self.state.move is not None:
            self.state.move.cancel()
        elif not self.state.moves:
            self.state.moves = True
            self.orders.send.send_nowait(Move())

    def widen(self) -> None:
        """New addresses join the attempt under way (C6)."""
        if self.state.attempt is not None:
            least = self.network.clock.now() + self.network.cfg.handshake_timeout
            self.state.attempt.deadline = max(self.state.attempt.deadline, least)
            self.orders.wider.set()

    def cancel(self) -> None:
        """The attempt under way is not wanted any more."""
        if self.state.attempt is not None:
            self.state.attempt.cancel()

    def schedule(self, only: frozenset[str] | None = None) -> Schedule:
        """spec: "It performs transport selection". `selection` decides, over the addresses of the peer's advert."""
        network, record = self.network, self.entry.record
        prefs = prefs_of(network, record, only=only)
        schedule = rank(offers_of(network, record), prefs, record.history, now=network.clock.now())
        if not schedule:
            self.state.why = "no address of it can be dialed from here"
        return schedule

    def told(self, retry_after: float, *, signed: bool) -> None:
        """The peer, or somebody in its name, does not want to be called too soon (H7)."""
        now, record = self.network.clock.now(), self.entry.record
        seconds = self.state.backoff.told(now, retry_after, signed=signed)
        if seconds and signed:
            record.quiet_until = max(record.quiet_until, now + seconds)
            self.network.conditions.retry_after(self.entry.peer, seconds)

    def request(self, proxy: Engine, address: TransportAddress) -> Connect:
        """What a Transport Connection is asked to do."""
        record, outbox = self.entry.record, self.entry.outbox
        return Connect(
            address,
            proxy.id,
            self.entry.peer,
            record.next_dial(),
            record.accepted,
            self.network.versions(self.entry.peer),
            outbox.transmit.epoch,
            self.entry.life.permanent,
        )

    # -- attempts ---------------------------------------------------------------------------------------

    async def serve(self, proxy: Engine) -> None:
        """Make what attempts are ordered, one after the other, for this proxy. Until cancelled."""
        async for order in self.orders.receive:
            await (self._move(proxy) if isinstance(order, Move) else self._attempt(proxy, order))

    async def _attempt(self, proxy: Engine, schedule: Schedule) -> None:
        """One attempt: a race in a nursery of its own. The first that is proven cancels the others (C7)."""
        scope = self.state.attempt
        assert scope is not None
        race = Race(self, proxy)
        with scope:
            async with trio.open_nursery() as widening:
                widening.start_soon(self._widen, race)
                await race.run(schedule)
                widening.cancel_scope.cancel()
        if scope.cancelled_caught and trio.current_time() >= scope.deadline:
            self.state.why = "no address answered in time"
            race.give_up()
        self.state.attempt = None
        self.state.denied |= race.is_barred
        self.state.handshakes.clear()
        proxy.post(AttemptOver())

    async def _move(self, proxy: Engine) -> None:
        """Dial beside the connection that stands. One that is proven wins over it, being newer (C3, C7)."""
        while schedule := self.state.way:
            self.state.way = ()
            race = Race(self, proxy, moving=True)
            with trio.move_on_after(self.network.cfg.attempt_timeout) as scope:
                self.state.move = scope
                await race.run(schedule)
            if scope.cancelled_caught and trio.current_time() >= scope.deadline:
                race.give_up()
        self.state.move, self.state.moves = None, False
        proxy.post(AttemptOver())  # the connection that stood may be gone, and nothing but this handshake was left

    async def _widen(self, race: Race) -> None:
        """Whatever was dialed goes on (C6); what is new is dialed beside it."""
        while True:
            await self.orders.wider.wait()
            self.orders.wider = trio.Event()
            race.join(self.schedule())

    def failed(self, url: str, failed: Failed, *, moving: bool) -> None:
        """What is made of the failure of a dial."""
        network, entry, state = self.network, self.entry, self.state
        now, events = network.clock.now(), network.runtime.events
        if not moving:  # else the link that stands is none the worse for it
            state.why = entry.outlook.why = f"{url}: {failed.reason}"
        entry.record.history.failed(url, now, failed.reason)
        self.told(failed.retry_after, signed=failed.signed)
        events.emit(DialFailed(now, entry.peer, url, failed.reason))
        if failed.reason == "stale_incarnation" and failed.signed and failed.newest is not None:
            network.outlived(entry.peer, failed.newest)
        elif failed.signed and failed.reason == "denied":
            state.denied, entry.record.denied_at = True, entry.record.advert_version


class Race:
    """Dials to the addresses of one schedule, staggered; the first that is proven ends the others.

    Secure addresses are dialed first, and plain ones, where they are allowed, when those are given up: never beside
    them, or whoever drops the packets of the one would choose the other (H12).
    """

    def __init__(self, dialing: Dialing, proxy: Engine, *, moving: bool = False) -> None:
        self._dialing = dialing
        self._proxy = proxy
        self._moving = moving
        self._nursery: trio.Nursery | None = None
        self._plain = False
        self._dialed: set[str] = set()
        self._pending: dict[str, float] = {}
        """When each dial began that has not come to anything yet."""
        self._barred: set[str] = set()
        self._won = self._hushed = False

    @property
    def is_barred(self) -> bool:
        """Whether this node's own policy denied every address."""
        return bool(self._dialed) and self._dialed == self._barred

    async def run(self, schedule: Schedule) -> None:
        """Until one is proven, or none is left."""
        start = self._dialing.network.clock.now()
        races = [*stages(schedule)]
        for race, following in zip_longest(races, races[1:]):
            with trio.move_on_at(start + following[0].delay if following else inf):
                await self._run(race)
            if self._won or self._hushed:
                break
            self.give_up()

    async def _run(self, schedule: Schedule) -> None:
        self._plain = is_plain(schedule[0].address)
        async with trio.open_nursery() as self._nursery:
            self._start(schedule, schedule[0].delay)

    def join(self, schedule: Schedule) -> None:
        """Dial those addresses as well that are new, if a race is on that they may take part in."""
        fitting = tuple(attempt for attempt in schedule if is_plain(attempt.address) is self._plain)
        if self._nursery is not None and self._nursery.child_tasks and fitting:
            self._start(fitting, fitting[0].delay)

    def _start(self, schedule: Schedule, first: float) -> None:
        """Let those addresses in that were not dialed yet."""
        assert self._nursery is not None
        before, start = trio.Event(), self._dialing.network.clock.now()
        for attempt in schedule:
            if str(attempt.address) not in self._dialed:
                self._dialed.add(str(attempt.address))
                failed = trio.Event()
                self._nursery.start_soon(self._dial, attempt.address, start + attempt.delay - first, before, failed)
                before = failed

    async def _dial(self, address: TransportAddress, at: float, before: trio.Event, failed: trio.Event) -> None:
        """Dial one address at its time, or when the one before it has failed."""
        dialing, now = self._dialing, self._dialing.network.clock.now
        record, url = dialing.entry.record, str(address)
        with trio.move_on_at(at):
            await before.wait()
        while (free_at := record.history.free_at(now())) > now():  # noqa: ASYNC110 - another dial may take it
            await trio.sleep_until(free_at)
        if dialing.session.links and not self._moving:
            return  # the peer came first: nobody with a proven end begins another dial (C7)
        if all(offer.address != address for offer in offers_of(dialing.network, record)):
            return failed.set()  # a newer advert has come meanwhile, and leaves it out
        record.history.dialed(url, now())
        self._pending[url] = now()
        outcome = await self._connect(address)
        if isinstance(outcome, Failed):
            del self._pending[url]
            dialing.failed(url, outcome, moving=self._moving)
            failed.set()
            self._note(url, outcome)
        else:
            self._proven(url, outcome.rtt)

    def _note(self, url: str, failed: Failed) -> None:
        """Some failures say something of other addresses, too."""
        assert self._nursery is not None
        if failed.barred:
            self._barred.add(url)
        if failed.hushes:
            self._hushed = True
            self._nursery.cancel_scope.cancel()

    async def _connect(self, address: TransportAddress) -> Dialed | Failed:
        dialing, record, proxy = self._dialing, self._dialing.entry.record, self._proxy
        connection: EngineID | None = None
        record.ends += 1
        try:
            connection = await proxy.ask(transport_engine(address.scheme), Dial())
            return await proxy.ask(connection, dialing.request(proxy, address), expiry=3600)
        except SendError as error:
            return Failed(str(error))
        finally:
            record.ends -= 1
            dialing.state.handshakes.discard(connection or ROUTER)

    def _proven(self, url: str, rtt: float) -> None:
        """It has won. One that began before it looks like a black hole, though it never said so."""
        assert self._nursery is not None
        history, now = self._dialing.entry.record.history, self._dialing.network.clock.now()
        history.proven(url, rtt)
        began, self._won = self._pending.pop(url, -inf), True  # two may be proven in one moment
        for other, since in self._pending.items():
            if since < began:
                history.overtaken(other, now)
        self._pending.clear()
        self._nursery.cancel_scope.cancel()

    def give_up(self) -> None:
        """Whatever hangs has had its time: that is remembered."""
        history, now = self._dialing.entry.record.history, self._dialing.network.clock.now()
        for url in self._pending:
            history.failed(url, now, "no answer in time")
        self._pending.clear()
