"""One life of an engine: from a fresh copy to its stop or crash. What the engine sees of the runtime."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

from actors.engine import Detached, Effect, MailboxStatistics, bind, fresh
from actors.identity import EngineID
from actors.messages import Local, Request, Timer, TransportPrefs
from actors.runtime.clock import Alarm
from actors.runtime.mailbox import Batch, Kind

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.supervision import Verdict

R = TypeVar("R")


class Life:
    """The Context of an engine, for one life. Once that is over, nothing that is left of it has any effect.

    `nursery` is that of its port and its children.
    """

    def __init__(self, cell: Cell, nursery: trio.Nursery) -> None:
        self.cell = cell
        self.nursery = nursery
        self.children: dict[str, Cell] = {}
        self.stopping = False
        """It asked to stop."""
        self.error: Exception | None = None
        """Why it ended, if it crashed."""
        self.port_over = self.port_returned = False
        self.over = False
        self.verdict: Verdict | None = None
        """What follows on it, once that is known."""
        self._alarms: dict[Timer, Alarm] = {}
        self.id = cell.id
        self.sender = cell.id
        self.effects: list[Effect] = []
        witness = None if cell.reserved else cell.runtime.witness
        context = self if witness is None else witness.context(self)
        self.engine = bind(cell.pristine, context) if cell.once else fresh(cell.pristine, context)

    def end(self) -> None:
        """Timers are gone, and effects that were not carried out; what it posted to itself will be dropped."""
        self.over = True
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()
        self.effects.clear()

    def part(self) -> None:
        """Nothing of it runs any more: it and its engine do not hold each other."""
        if self.cell.once:
            bind(self.engine, Detached())
        del self.engine

    # -- timers ------------------------------------------------------------------------------------------

    def set_timer(self, timer: Timer, after: float) -> None:
        """In the place of one that is equal, even if that has elapsed and lies in the mailbox."""
        self.cancel_timer(timer)
        clock = self.cell.runtime.clock
        self._alarms[timer] = clock.call_at(clock.now() + after, partial(self._elapse, timer))

    def cancel_timer(self, timer: Timer) -> None:
        """Its message does not come, even if it lies in the mailbox already."""
        alarm = self._alarms.pop(timer, None)
        if alarm is not None:
            alarm.cancel()
            if not self._alarms:
                self._alarms = {}  # a table does not shrink, and most peers that are linked need no timer

    def _elapse(self, timer: Timer) -> None:
        self.cell.mailbox.put(Batch(self.id, Kind.TIMER, [(timer, self._alarms[timer])]))

    def elapsed(self, timer: Timer, alarm: Alarm) -> bool:
        """Whether the message of this alarm still counts, now that its turn has come."""
        if self._alarms.get(timer) is not alarm:
            return False
        del self._alarms[timer]
        return True

    # -- Context -----------------------------------------------------------------------------------------

    def now(self) -> float:
        """The runtime's clock."""
        return self.cell.runtime.clock.now()

    def mailbox(self) -> MailboxStatistics:
        """How full it is."""
        return self.cell.mailbox.statistics()

    def acquaintances(self) -> frozenset[EngineID]:
        """Spawner and children."""
        known = {child.id for child in self.children.values()}
        spawner = self.cell.spawner
        return frozenset(known if spawner is None else known | {spawner.id})

    def timers(self) -> tuple[Timer, ...]:
        """Those that have not elapsed."""
        return tuple(timer for timer, alarm in self._alarms.items() if alarm.ring is not None)

    def post(self, msg: Local[object]) -> None:
        """Into the engine's own mailbox."""
        self.cell.post(msg, self)

    def beside(self, work: Callable[[], Awaitable[object]]) -> None:
        """In this life's nursery."""
        if not self.over:
            self.nursery.start_soon(self.cell.run_beside, self, work, name=f"beside {self.id.name}")

    def leave(self) -> None:
        """See OwnContext."""
        self.nursery.cancel_scope.cancel()

    def rest(self) -> None:
        """See OwnContext."""
        self.cell.verbs.ports.close()

    async def send(self, to: EngineID, msg: Request[object], prefs: TransportPrefs, expiry: float) -> None:
        """See Verbs."""
        await self.cell.verbs.send(to, msg, prefs=prefs, expiry=expiry)

    async def ask(self, to: EngineID, msg: Request[R], prefs: TransportPrefs, expiry: float) -> R:
        """See Verbs."""
        return await self.cell.verbs.ask(to, msg, prefs=prefs, expiry=expiry)
