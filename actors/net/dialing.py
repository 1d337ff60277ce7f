"""Dialing: how a Node Proxy comes to a connection. Which address is dialed when, and what is made of a failure.

When an attempt is due, the proxy's life and its backoff say; which address comes first, `selection`; who is there, the
Transport Connection. One that is proven joins the session by itself: nothing of it comes by here.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from actors.engine import Engine, own_context
from actors.events import DialFailed
from actors.net.call import Call
from actors.net.call import DialFailed as Failed
from actors.net.connecting.backoff import Backoff
from actors.net.connecting.selection import rank
from actors.net.network import Entry, Network
from actors.net.offers import offers_of, prefs_of
from actors.net.racing import Race, Schedule
from actors.net.session.session import Session
from actors.net.vocabulary import AttemptOver, Dial
from transports.addresses import TransportAddress


class DialState(Struct):
    """What a proxy has to remember of its dials. Its guards read it."""

    backoff: Backoff
    why: str = "made"
    """The last thing that ended an attempt or a connection, in words."""
    attempt: Race | None = None
    """The attempt under way; None if there is none."""
    moves: bool = False
    """Whether a migration is under way, or about to be."""
    move: Race | None = None
    way: Schedule = ()
    """Where it is to go next."""
    handshakes: frozenset[Call] = frozenset()
    """Those whose ConnectRequest is out."""
    denied: bool = False
    """The peer has signed that it will not have us, or this node's policy will not have it."""


class Move(Struct, frozen=True):
    """Dial although a connection stands."""


Order: TypeAlias = Race | Move
"""An attempt, or a move of the connection that stands."""


class Dialing(Struct):
    """The dials to one peer. Handlers of the proxy order them, a task beside makes them, its guards read their state.

    There is such a task only while there is something to dial: a thousand peers that are linked have none.
    """

    network: Network
    entry: Entry
    session: Session
    state: DialState
    orders: tuple[Order, ...] = ()
    """The attempts to make, one after the other."""
    proxy: Engine | None = None
    """For whom, while it runs."""
    dials: bool = False
    """Whether the task that makes them runs."""

    # -- orders -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """An attempt over all addresses of the peer."""
        now, cfg = self.network.clock.now(), self.network.cfg
        self.state.backoff.attempt(now)
        self.state.way = ()
        if self.state.move is not None:
            self.state.move.cancel()  # the connection is lost that it was to take the place of
        most = min(cfg.attempt_timeout, cfg.backoff.cap)  # T4
        # spec S3: "performs connection establishment"
        self.state.attempt = race = Race(self, self._attemptable(), now + most)
        self._order(race)

    def _attemptable(self) -> Schedule:
        return () if self._is_kept_off() else self.schedule()

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
            self._order(Move())

    def widen(self) -> None:
        """New addresses join the attempt under way (C6)."""
        attempt = self.state.attempt
        if attempt is not None:
            attempt.extend(self.network.clock.now() + self.network.cfg.handshake_timeout)
            attempt.join(self._attemptable())

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

    def dial(self, proxy: Engine, address: TransportAddress, call: Call) -> Dial:
        """What a Transport Connection is made for."""
        record, outbox = self.entry.record, self.entry.outbox
        return Dial(
            address,
            proxy.id,
            self.entry.peer,
            record.next_dial(),
            record.accepted,
            self.network.versions(self.entry.peer),
            outbox.transmit.epoch,
            self.entry.life.permanent,
            call,
        )

    def over(self, call: Call) -> None:
        """Its ConnectRequest, if it was out, will not be answered any more."""
        self.state.handshakes -= {call}

    # -- attempts ---------------------------------------------------------------------------------------

    def _order(self, order: Order) -> None:
        self.orders += (order,)
        if self.proxy is not None and not self.dials:
            self.dials = True
            own_context(self.proxy).beside(self._serve)

    async def _serve(self) -> None:
        """What attempts are ordered, one after the other."""
        assert self.proxy is not None
        while self.orders:
            order, self.orders = self.orders[0], self.orders[1:]
            await (self._move(self.proxy) if isinstance(order, Move) else self._attempt(self.proxy, order))
        self.dials = False

    async def _attempt(self, proxy: Engine, race: Race) -> None:
        """One attempt: a race in a nursery of its own. The first that is proven cancels the others (C7)."""
        await race.run(proxy)
        if race.timed_out:
            self.state.why = "no address answered in time"
        self.state.attempt = None
        self.state.denied |= race.is_barred
        self.state.handshakes = frozenset()
        proxy.post(AttemptOver())

    async def _move(self, proxy: Engine) -> None:
        """Dial beside the connection that stands. One that is proven wins over it, being newer (C3, C7)."""
        network, state = self.network, self.state
        while schedule := state.way:
            state.way = ()
            state.move = Race(self, schedule, network.clock.now() + network.cfg.attempt_timeout, moving=True)
            await state.move.run(proxy)
        state.move, state.moves = None, False
        proxy.post(AttemptOver())  # the connection that stood may be gone, and nothing but this handshake was left

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
