"""Dialing: how a Node Proxy comes to a connection. Which address is dialed when, and what is made of a failure.

When an attempt is due, the proxy's life and its backoff say; which address comes first, `selection`; who is there, the
Transport Connection. One that is proven joins the session by itself: nothing of it comes by here.
"""

from __future__ import annotations

from typing import TypeAlias

import trio
from msgspec import Struct, field

from actors.engine import Engine
from actors.errors import SendError
from actors.events import DialFailed, DuplicateIdentity
from actors.identity import EngineID
from actors.net.connecting.backoff import Backoff
from actors.net.connecting.selection import Attempt, rank
from actors.net.network import Entry, Network
from actors.net.offers import offers_of, prefs_of
from actors.net.session.session import Session
from actors.net.vocabulary import ROUTER, AttemptOver, Connect, Dial, transport_engine
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
    """The peer has signed that it will not have us."""


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
        self.orders.send.send_nowait(self.schedule())

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
        prefs = prefs_of(network, record.schemes, only=only)
        schedule = rank(offers_of(network, record), prefs, record.history, now=network.clock.now())
        if not schedule:
            self.state.why = "no address of it can be dialed from here"
        return schedule

    def told(self, retry_after: float, *, signed: bool) -> None:
        """The peer, or somebody in its name, does not want to be called too soon (H7)."""
        seconds = self.state.backoff.told(self.network.clock.now(), retry_after, signed=signed)
        if seconds and signed:
            self.network.conditions.retry_after(self.entry.peer, seconds)

    # -- attempts ---------------------------------------------------------------------------------------

    async def serve(self, proxy: Engine) -> None:
        """Make what attempts are ordered, one after the other, for this proxy. Until cancelled."""
        async for order in self.orders.receive:
            await (self._move(proxy) if isinstance(order, Move) else self._attempt(proxy, order))

    async def _attempt(self, proxy: Engine, schedule: Schedule) -> None:
        """One attempt: a race in a nursery of its own. The first that is proven cancels the others (C7)."""
        scope = self.state.attempt
        assert scope is not None
        dialed: set[str] = set()
        with scope:
            async with trio.open_nursery() as widening:
                async with trio.open_nursery() as race:
                    self._race(proxy, race, schedule, dialed)
                    widening.start_soon(self._widen_race, proxy, race, dialed)
                widening.cancel_scope.cancel()
        if scope.cancelled_caught and trio.current_time() >= scope.deadline:
            self.state.why = "no address answered in time"
        self.state.attempt = None
        self.state.handshakes.clear()
        proxy.post(AttemptOver())

    async def _move(self, proxy: Engine) -> None:
        """Dial beside the connection that stands. One that is proven wins over it, being newer (C3, C7)."""
        while schedule := self.state.way:
            self.state.way = ()
            with trio.move_on_after(self.network.cfg.attempt_timeout) as self.state.move:
                async with trio.open_nursery() as race:
                    self._race(proxy, race, schedule, set(), moving=True)
        self.state.move, self.state.moves = None, False

    def _race(
        self, proxy: Engine, race: trio.Nursery, schedule: Schedule, dialed: set[str], *, moving: bool = False
    ) -> None:
        """Let those addresses in that are not `dialed` yet."""
        before, start = trio.Event(), self.network.clock.now()
        for attempt in schedule:
            if str(attempt.address) not in dialed:
                dialed.add(str(attempt.address))
                failed = trio.Event()
                race.start_soon(self._dial_one, proxy, attempt, start, before, failed, race.cancel_scope, moving)
                before = failed

    async def _widen_race(self, proxy: Engine, race: trio.Nursery, dialed: set[str]) -> None:
        """Whatever was dialed goes on (C6); what is new is dialed beside it."""
        while True:
            await self.orders.wider.wait()
            self.orders.wider = trio.Event()
            if race.child_tasks:
                self._race(proxy, race, self.schedule(), dialed)

    async def _dial_one(
        self,
        proxy: Engine,
        attempt: Attempt[TransportAddress],
        start: float,
        before: trio.Event,
        failed: trio.Event,
        race: trio.CancelScope,
        moving: bool,
    ) -> None:
        """Dial one address at its time, or when the one before it has failed."""
        network, record, url = self.network, self.entry.record, str(attempt.address)
        with trio.move_on_at(start + attempt.delay):
            await before.wait()
        now = network.clock.now
        while (free_at := record.history.free_at(now())) > now():  # noqa: ASYNC110 - another dial may take it
            await trio.sleep_until(free_at)
        if self.session.links and not moving:
            return  # the peer came first: nobody with a proven end begins another dial (C7)
        if all(offer.address != attempt.address for offer in offers_of(network, record)):
            return failed.set()  # a newer advert has come meanwhile, and leaves it out
        record.history.dialed(now())
        record.ends += 1
        connection: EngineID | None = None
        try:
            connection = await proxy.ask(transport_engine(attempt.address.scheme), Dial())
            outcome = await proxy.ask(connection, self._connect(proxy, attempt.address), expiry=3600)
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

    def _connect(self, proxy: Engine, address: TransportAddress) -> Connect:
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

    def _dial_failed(self, url: str, failed: Failed) -> None:
        network, entry, state = self.network, self.entry, self.state
        now, events = network.clock.now(), network.runtime.events
        state.why = entry.outlook.why = f"{url}: {failed.reason}"
        entry.record.history.failed(url, now, failed.reason)
        self.told(failed.retry_after, signed=failed.signed)
        events.emit(DialFailed(now, entry.peer, url, failed.reason))
        if failed.reason == "stale_incarnation" and failed.signed and failed.newest is not None:
            events.emit(DuplicateIdentity(now, entry.peer, network.incarnation, failed.newest))
            network.outlived(failed.newest)
        elif failed.signed and failed.reason == "denied":
            state.denied = True
