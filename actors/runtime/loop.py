"""The loop that hands an engine its messages, one at a time. The hot path, with `mailbox` and `verbs`.

What is in hand outlives a life of the engine: after a crash the next life goes on behind the message that crashed.
This file is as long as it is because what a message costs is decided here, on one screen: no scope, nursery, clock
or checkpoint for each message; a checkpoint for each slice, a scope for an async handler that answers an ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from inspect import iscoroutinefunction
from itertools import islice
from operator import length_hint
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import trio
from msgspec import Raw
from trio.lowlevel import checkpoint

from actors.engine import Engine
from actors.errors import Crashed, Refused
from actors.identity import EngineID
from actors.messages import Request, Started
from actors.runtime.asks import Slot
from actors.runtime.beside import NO_ANSWER, Beside, Besides
from actors.runtime.codec import encode, reply_through_codec
from actors.runtime.containment import words
from actors.runtime.effects import carry_out, prepare, told_at_once
from actors.runtime.handling import Handling
from actors.runtime.mailbox import Batch, Kind, Mailbox, Origin, message_of, strike
from actors.runtime.supervision import ChildFailedError
from actors.runtime.witness import Behaviour
from actors.runtime.work import EVERY, YOUNG, Work

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.life import Life

_TELL, _ASK, _TIMER = Kind.TELL, Kind.ASK, Kind.TIMER
_OK, _CRASHED, _REFUSED = 0, 1, 2
_STARTED = Started()
_NONE: Iterator[Any] = iter(())
"""Has nothing to give, to anybody."""


@lru_cache(maxsize=1024)
def _plain(cls: type[Engine]) -> dict[type, Any]:
    """Of these, the ones that cannot wait."""
    return {message: action for message, action in _unguarded(cls).items() if not iscoroutinefunction(action)}


@lru_cache(maxsize=1024)
def _unguarded(cls: type[Engine]) -> dict[type, Any]:
    """The actions that no guard decides about, by message."""
    return {message: guards[0][1] for message, guards in cls.table.items() if guards[0][0] is None}


class Loop:
    """What one engine has in hand, and how it is handled."""

    def __init__(self, cell: Cell) -> None:
        cls = type(cell.pristine)
        behaviour = Behaviour(cls.table, _unguarded(cls), _plain(cls))
        witness = cell.runtime.witness
        if witness is not None and not cell.reserved:
            behaviour = witness.behaviour(cell, behaviour)
        self._cell = cell
        self._runtime, self._id = cell.runtime, cell.id
        self._mailbox: Mailbox | None = cell.mailbox
        cell.mailbox.loop = self
        self._pace = cell.runtime.pace
        self._table, self._direct, self._plain = behaviour
        self._life: Life | None = None
        """The life whose messages are handled here."""
        self.handled = self.late = self.unhandled = 0
        self.work = Work()
        if cell.once:
            self.work.due = self._now() + YOUNG  # of a thousand peers that only link, nothing is worth a look
        self._chosen: Any = None
        """The action of the guard that held last."""
        self.message: Request[Any] | None = None
        """The message whose handler did not return."""
        self._batch: Batch | None = None
        self._messages: Iterator[Any] = _NONE
        self._released = self._released_size = 0
        self._asked: tuple[Origin | None, Any] | None = None
        """The ask whose handler runs: where it came from, and its slot or correlation."""
        self._asked_scope: trio.CancelScope | None = None
        self._replied: Origin | None = None
        self._besides: Besides | None = None

    @property
    def busy(self) -> bool:
        """Whether there is anything in hand."""
        return self._batch is not None

    @property
    def owes(self) -> bool:
        """Whether it has messages in hand that were told, not asked."""
        return self._batch is not None and self._batch.kind == _TELL

    async def run(self, life: Life, *, lasting: bool = True) -> bool:
        """Handle messages until the engine stops. If not `lasting`, until none is left: True. Raises as a handler."""
        mailbox, pace, since, unseen = self._cell.mailbox, self._pace, 0, 0 if self._cell.once else EVERY
        self.message = None
        self._life = life
        if Started in self._table:
            await self._tells(life, life.id, iter((_STARTED,)))
        while not life.stopping:
            batch = self._batch
            if batch is None:
                if len(mailbox):
                    batch, unseen = mailbox.take_nowait(), unseen + 1
                elif not lasting:
                    return True
                else:
                    batch, unseen = await mailbox.take(), EVERY if self._now() >= self.work.due else unseen
                self._begin(batch)
            while left := length_hint(self._messages):
                if unseen < EVERY:
                    await self._slice(life, batch, left)
                else:
                    left, unseen = await self._look(life, batch, left), 0
                if life.stopping:
                    return False
                pace.opens = 0
                since += left
                if since >= pace.slice:
                    since = 0
                    await checkpoint()
            self._finish(batch)
        return False

    async def _look(self, life: Life, batch: Batch, left: int) -> int:
        """A slice that is timed, and how many it was: of tells only the first; asks together, as are their answers."""
        count = min(left, self._pace.slice) if batch.kind == _ASK else 1
        message, begin = message_of(batch, len(batch.items) - left), self._now()
        await self._slice(life, batch, left, count)
        if message is not None:
            end, size = self._now(), batch.size // len(batch.items)
            self.work.handled(batch.sender, message, size, end, (end - begin) / count, count)
            self.work.held(self._direct.get(type(message)) or self._chosen)
        return count

    async def _slice(self, life: Life, batch: Batch, left: int, most: int = 0) -> None:
        most = most or self._pace.slice
        messages = self._messages if left <= most else islice(self._messages, most)
        if batch.kind == _TELL:
            await self._tells(life, batch.sender, messages)
        elif batch.kind == _ASK:
            await self._asks(life, batch, messages)
        else:
            await self._own(life, batch, messages)

    async def _tells(self, life: Life, sender: EngineID, messages: Iterator[Request[Any]]) -> None:
        engine, effects, direct, ports = life.engine, life.effects, self._direct.get, self._cell.verbs.ports
        life.sender = sender
        message: Request[Any] | None = None
        try:
            for message in messages:
                action = direct(type(message)) or self._choose(engine, message)
                if action is None:
                    self._unhandled(sender, message)
                    continue
                value = action(engine, message)
                if value.__class__ is CoroutineType:
                    with Handling(life.id.name):
                        await value
                    self._release()
                if effects and not told_at_once(ports, effects):
                    await self._apply(life)
                    if life.stopping:
                        return
        except BaseException:
            self.message = message
            raise

    async def _asks(self, life: Life, batch: Batch, asks: Iterator[tuple[Any, Request[Any]] | None]) -> None:
        engine, effects, origin = life.engine, life.effects, batch.origin
        life.sender = batch.sender
        message: Request[Any] | None = None
        try:
            for ask in asks:
                if ask is None or (origin is None and ask[0].done):
                    continue  # withdrawn while it waited
                ref, message = ask
                self._asked = origin, ref
                value: Any
                if batch.early is not None:
                    value = _unwrap(batch.early)
                else:
                    action = self._direct.get(type(message)) or self._choose(engine, message)
                    if action is None:
                        self._asked = None
                        self.unhandled += 1
                        self._refuse(origin, ref, _unhandled(life.id, message))
                        continue
                    if origin is None:
                        ref.written = True
                    value = action(engine, message)
                    if value.__class__ is CoroutineType:
                        value = await self._await_answer(value, batch, ref)
                if value is NO_ANSWER:
                    effects.clear()
                else:
                    if origin is not None:
                        if value.__class__ is not Raw:
                            value = Raw(encode(value))  # if it cannot be encoded the handler is wrong: no effects
                    elif self._pace.strict:
                        value = reply_through_codec(type(message), value)
                    if effects:
                        await self._apply(life)
                    self._answer(origin, ref, value)
                self._asked = None
                if life.stopping:
                    return
        except BaseException:
            self.message = message
            raise
        finally:
            self._flush()

    def handle_at_once(self, batch: Batch) -> bool:
        """Handle a lone ask in the task that brought it, for an engine that waits: a task switch less, 15 us.

        Only for a `def` without guard. False: the mailbox has to take it; if its handler has run by then, what it
        asked for or raised is left in hand for the engine's own task.
        """
        life, (ref, message) = self._life, batch.items[0]
        action = self._plain.get(type(message))
        if life is None or action is None or batch.origin is None:
            return False
        life.sender = batch.sender
        begin = self._now()
        look = begin >= self.work.due
        try:
            value = Raw(encode(action(life.engine, message)))
        except Exception as error:  # raised again in the engine's task, where it is contained
            batch.early = None, error
            return False
        if life.effects:
            batch.early = value, None
            return False
        batch.origin.reply(ref, _OK, value)
        if look:
            end = self._now()
            self.work.handled(batch.sender, message, batch.size, end, end - begin)
            self.work.held(action)
        batch.origin.flush()
        self.handled += 1
        self._let_go(batch, 1, batch.size)
        return True

    async def _await_answer(self, handler: CoroutineType[Any, Any, Any], batch: Batch, ref: Any) -> object:
        """The handler's deadline is the ask's; who withdraws the ask cancels it (PROTOCOL Q1, Q2)."""
        self._flush()  # those before it need not wait
        slot: Slot | None = ref if batch.origin is None else None
        deadline = batch.deadline if slot is None else slot.deadline
        with Handling(self._cell.name), trio.CancelScope(deadline=deadline) as scope:
            if slot is None:
                self._asked_scope = scope
            else:
                slot.withdraw = scope.cancel
            try:
                value: object = await handler
            finally:
                self._asked_scope = None
                if slot is not None:
                    slot.withdraw = None
        self._release()
        if scope.cancelled_caught:
            return NO_ANSWER
        if value.__class__ is Beside and self._life is not None:
            assert isinstance(value, Beside)
            if self._besides is None:
                self._besides = Besides()
            self._besides.begin(self, self._life, value, batch.origin, ref, deadline)
            return NO_ANSWER
        return value

    async def _own(self, life: Life, batch: Batch, items: Iterator[Any]) -> None:
        """Timers, and what the engine posted to itself. Of this life only."""
        for item in items:
            if batch.kind == _TIMER:
                message, alarm = item
                wanted, fatal = life.elapsed(message, alarm), False
            else:
                posted_in, message, fatal = item
                wanted = posted_in is life
            if fatal and wanted and self._choose(life.engine, message) is None:
                raise ChildFailedError(f"{message.child} failed: {message.error}")
            if wanted:
                await self._tells(life, batch.sender, iter((message,)))
            if life.stopping:
                return

    def _choose(self, engine: Engine, message: Request[Any]) -> Any:
        """The action of the first guard that holds, or None."""
        for when, action in self._table.get(type(message), ()):
            if when is None or when(engine, message):
                self._chosen = action
                return action
        self._chosen = None
        return None

    async def _apply(self, life: Life) -> None:
        effects = life.effects.copy()
        life.effects.clear()
        await carry_out(self._cell, life, effects, prepare(self._cell, effects))

    def _unhandled(self, sender: EngineID, message: Request[Any]) -> None:
        self.unhandled += 1
        cell = self._cell
        cell.runtime.dead_letters.add(sender, cell.id, message, _unhandled(cell.id, message))

    def _now(self) -> float:
        return self._cell.runtime.clock.now()

    # -- answers -----------------------------------------------------------------------------------------

    def _answer(self, origin: Origin | None, ref: Any, value: object) -> None:
        if origin is None:
            if not ref.give(value):
                self.late += 1
        else:
            self._replied = origin
            origin.reply(ref, _OK, value)

    def _refuse(self, origin: Origin | None, ref: Any, outcome: Crashed | Refused) -> None:
        if origin is None:
            ref.fail(outcome)
            return
        self._replied = origin
        if isinstance(outcome, Refused):
            origin.reply(ref, _REFUSED, outcome.reason)
        else:
            origin.reply(ref, _CRASHED, None)  # what it was stays on this node

    def answer_beside(self, origin: Origin | None, ref: Any, value: object) -> None:
        """See Desk."""
        self._flush()  # what the handlers have collected so far, perhaps for somebody else
        self._answer(origin, ref, value)
        self._flush()

    def fail_beside(self, origin: Origin | None, ref: Any, error: Exception | None) -> None:
        """See Desk."""
        self._flush()
        self._refuse(origin, ref, self._stopped() if error is None else Crashed(words(error)))
        self._flush()

    def _flush(self) -> None:
        origin, self._replied = self._replied, None
        if origin is not None:
            origin.flush()

    def give_up(self, error: Exception | None) -> None:
        """The handler at work will not return: it raised this, or the engine ends. Its asker learns it now."""
        if self._asked is not None:
            (origin, ref), self._asked = self._asked, None
            self._refuse(origin, ref, self._stopped() if error is None else Crashed(words(error)))
        self._flush()

    def cancel_ask(self, origin: Origin, correlation: int) -> None:
        """Another node withdraws its ask: cancel the handler that works on it, or drop it where it waits."""
        if self._asked == (origin, correlation):
            if self._asked_scope is not None:
                self._asked_scope.cancel()
            return
        if self._besides is not None and self._besides.cancel(origin, correlation):
            return
        if self._mailbox is not None:
            self._mailbox.withdraw(origin, correlation)
        if self._batch is not None and self._batch.origin == origin and self._batch.kind == _ASK:
            strike(self._batch, correlation)

    # -- the end -----------------------------------------------------------------------------------------

    def turn_away(self, batches: list[Batch]) -> None:
        """The engine has ended: what is in hand, and these, is refused."""
        if self._batch is not None:
            self._turn_away(self._batch)
        for batch in batches:
            self._begin(batch)
            self._turn_away(batch)

    def leave(self) -> None:
        """The engine is gone. What still comes is turned away without it: nothing here holds it any more.

        So it is freed at once, and not by the collector, whose pauses grow with what connections leave behind.
        """
        if self._mailbox is not None:
            self._mailbox = self._life = None
            del self._cell

    def _turn_away(self, batch: Batch) -> None:
        dead_letters, engine = self._runtime.dead_letters, self._id
        for item in self._messages:
            if batch.kind == _TELL:
                dead_letters.add(batch.sender, engine, item, self._stopped())
            elif batch.kind == _ASK and item is not None:
                self._refuse(batch.origin, item[0], self._stopped())
        self._flush()
        self._finish(batch)

    def _stopped(self) -> Refused:
        return Refused("stopped", f"{self._id.name} has ended")

    # -- room --------------------------------------------------------------------------------------------

    def _begin(self, batch: Batch) -> None:
        self._batch, self._messages = batch, iter(batch.items)
        self._released = self._released_size = 0

    def _finish(self, batch: Batch) -> None:
        """The batch is done, and leaves the mailbox."""
        self._batch, self._messages = None, _NONE
        count = len(batch.items)
        self.handled += count
        self._let_go(batch, count - self._released, batch.size - self._released_size)

    def _release(self) -> None:
        """A handler has taken its time: the room of what is done is free for others before the batch is."""
        batch = self._batch
        if batch is not None:
            count = len(batch.items)
            done = count - length_hint(self._messages)
            size = batch.size * done // count
            self._let_go(batch, done - self._released, size - self._released_size)
            self._released, self._released_size = done, size

    def _let_go(self, batch: Batch, count: int, size: int) -> None:
        if batch.kind <= _ASK and count:
            if self._mailbox is not None:
                self._mailbox.release(count, size)
            if batch.origin is not None:
                batch.origin.consumed(count, size)


def _unwrap(early: tuple[Raw | None, Exception | None]) -> Raw | None:
    value, error = early
    if error is not None:
        raise error
    return value


def _unhandled(engine: EngineID, message: Request[Any]) -> Refused:
    return Refused("unhandled", f"{engine.name} has no action for {type(message).__name__}")
