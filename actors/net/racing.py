"""One race: dials to the addresses of a schedule, staggered, until one of them is proven.

What is to be dialed, and what is made of failures, is for `dialing` to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from itertools import zip_longest
from math import inf
from typing import Protocol, TypeAlias

import trio

from actors.engine import Engine
from actors.errors import SendError
from actors.net.call import Call, Dialed
from actors.net.call import DialFailed as Failed
from actors.net.connecting.selection import Attempt, is_plain, stages
from actors.net.network import Entry, Network
from actors.net.offers import offers_of
from actors.net.session.session import Session
from actors.net.vocabulary import Dial, transport_engine
from transports.addresses import TransportAddress

Schedule: TypeAlias = tuple[Attempt[TransportAddress], ...]


class Caller(Protocol):
    """Whose race it is."""

    network: Network
    entry: Entry
    session: Session

    def dial(self, proxy: Engine, address: TransportAddress, call: Call) -> Dial:
        """What a Transport Connection is made for."""

    def over(self, call: Call) -> None:
        """A dial has come out, or was withdrawn."""

    def failed(self, url: str, failed: Failed, *, moving: bool) -> None:
        """It has failed."""


class Race:
    """Dials to the addresses of one schedule, staggered; the first that is proven ends the others.

    Secure addresses are dialed first, and plain ones, where they are allowed, when those are given up: never beside
    them, or whoever drops the packets of the one would choose the other (H12).
    """

    def __init__(self, dialing: Caller, schedule: Schedule, until: float, *, moving: bool = False) -> None:
        self._dialing = dialing
        self._schedule = schedule
        self._until = until
        """When it has had its time."""
        self._moving = moving
        self._proxy: Engine | None = None
        """For whom, once it has begun."""
        self._nursery: trio.Nursery | None = None
        self._next_stage = inf
        """When those have had their time that are dialed now, if others wait."""
        self._on = 0
        """Dials that are not over. While there are any, others may join them."""
        self._plain = False
        self._dialed: set[str] = set()
        self._pending: dict[str, float] = {}
        """When each dial began that has not come to anything yet."""
        self._barred: set[str] = set()
        self._decided = False
        """One has won, the peer wants no more dials, or nobody wants the race any more."""
        self.timed_out = False

    @property
    def is_barred(self) -> bool:
        """Whether this node's own policy denied every address."""
        return bool(self._dialed) and self._dialed == self._barred

    async def run(self, proxy: Engine) -> None:
        """Until one is proven, none is left, or its time is up."""
        self._proxy, start = proxy, self._dialing.network.clock.now()
        races = [*stages(self._schedule)]
        for race, following in zip_longest(races, races[1:]):
            if self._decided or self.timed_out:
                break
            self._next_stage = start + following[0].delay if following else inf
            cut_short = await self._run(race)
            if not self._decided:
                self.timed_out = cut_short and self._is_over(self._dialing.network.clock.now())
                self._give_up()

    def _is_over(self, now: float) -> bool:
        """Whether it was cut short for good, also if it was given more time in that very moment; else for a stage."""
        return now < self._next_stage or now >= self._until

    async def _run(self, schedule: Schedule) -> bool:
        """Whether it was ended. The first dial, which is most often the only one, needs no task of its own."""
        self._plain = is_plain(schedule[0].address)
        async with trio.open_nursery() as self._nursery:
            self._limit()
            dials = self._let_in(schedule, schedule[0].delay)
            self._start(dials[1:])
            if dials:
                await dials[0]()
        return self._nursery.cancel_scope.cancelled_caught

    def _limit(self) -> None:
        if self._nursery is not None:
            self._nursery.cancel_scope.deadline = min(self._until, self._next_stage)

    def extend(self, until: float) -> None:
        """It has time until then, at least."""
        self._until = max(self._until, until)
        self._limit()

    def cancel(self) -> None:
        """Nobody wants it any more. What was not answered yet is not held against anybody."""
        self._decided = True
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def join(self, schedule: Schedule) -> None:
        """Dial those addresses as well that are new, if they may take part in what is on; before it, only these."""
        if self._proxy is None:
            self._schedule = schedule
            return
        fitting = tuple(attempt for attempt in schedule if is_plain(attempt.address) is self._plain)
        if self._on and fitting:
            self._start(self._let_in(fitting, fitting[0].delay))

    def _let_in(self, schedule: Schedule, first: float) -> list[Callable[[], Awaitable[None]]]:
        """The dials of those addresses that were not dialed yet. They count from now on."""
        dials: list[Callable[[], Awaitable[None]]] = []
        before, start = trio.Event(), self._dialing.network.clock.now()
        for attempt in schedule:
            if str(attempt.address) not in self._dialed:
                self._dialed.add(str(attempt.address))
                failed = trio.Event()
                dials.append(partial(self._dial, attempt.address, start + attempt.delay - first, before, failed))
                before = failed
        self._on += len(dials)
        return dials

    def _start(self, dials: Iterable[Callable[[], Awaitable[None]]]) -> None:
        assert self._nursery is not None
        for dial in dials:
            self._nursery.start_soon(dial)

    async def _dial(self, address: TransportAddress, at: float, before: trio.Event, failed: trio.Event) -> None:
        """Dial one address at its time, or when the one before it has failed."""
        try:
            await self._dial_at(address, at, before, failed)
        finally:
            self._on -= 1

    async def _dial_at(self, address: TransportAddress, at: float, before: trio.Event, failed: trio.Event) -> None:
        dialing, now = self._dialing, self._dialing.network.clock.now
        record, url = dialing.entry.record, str(address)
        if at > now():
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
            self._pending.pop(url, None)  # another may have won in this moment
            dialing.failed(url, outcome, moving=self._moving)
            failed.set()
            self._note(url, outcome)
        else:
            self._proven(url, outcome.rtt)

    def _note(self, url: str, failed: Failed) -> None:
        """Some failures say something of other addresses, too."""
        if failed.barred:
            self._barred.add(url)
        if failed.hushes:
            self.cancel()

    async def _connect(self, address: TransportAddress) -> Dialed | Failed:
        dialing, record, proxy = self._dialing, self._dialing.entry.record, self._proxy
        assert proxy is not None
        call = Call()
        record.ends += 1
        try:
            await proxy.ask(transport_engine(address.scheme), dialing.dial(proxy, address, call))
            return await call.outcome()
        except SendError as error:
            return Failed(str(error))
        finally:
            call.withdraw()
            record.ends -= 1
            dialing.over(call)

    def _proven(self, url: str, rtt: float) -> None:
        """It has won. One that began before it looks like a black hole, though it never said so."""
        history, now = self._dialing.entry.record.history, self._dialing.network.clock.now()
        history.proven(url, rtt)
        began = self._pending.pop(url, -inf)  # two may be proven in one moment
        for other, since in self._pending.items():
            if since < began:
                history.overtaken(other, now)
        self._pending.clear()
        self._decided = True
        if self._on > 1:
            self.cancel()

    def _give_up(self) -> None:
        """Whatever hangs has had its time: that is remembered."""
        history, now = self._dialing.entry.record.history, self._dialing.network.clock.now()
        for url in self._pending:
            history.failed(url, now, "no answer in time")
        self._pending.clear()
