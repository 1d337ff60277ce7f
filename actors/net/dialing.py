"""Dialing: how a Node Proxy comes to a connection. Which address is dialed when, and what is made of a failure.

When an attempt is due, the proxy's life and its backoff say; which address comes first, `selection`; who is there, the
Transport Connection. One that is proven joins the session by itself: nothing of it comes by here.
"""

from __future__ import annotations

import trio
from msgspec import Struct, field

from actors.engine import Engine
from actors.events import DialFailed
from actors.identity import EngineID
from actors.net.connecting.backoff import Backoff
from actors.net.connecting.selection import rank
from actors.net.network import Entry, Network
from actors.net.offers import offers_of, prefs_of
from actors.net.racing import Race, Schedule
from actors.net.session.session import Session
from actors.net.vocabulary import AttemptOver, Connect
from actors.net.vocabulary import DialFailed as Failed
from transports.addresses import TransportAddress


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

    @property
    def handshakes(self) -> set[EngineID]:
        """See DialState."""
        return self.state.handshakes

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
