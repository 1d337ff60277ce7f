"""What one engine gets, written down where its handlers are called: the recorder's hot path.

A `Book` is one engine's stay, a `Recorded` what it sees of one life. They stand between engine and runtime only
while a node is recorded.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from random import Random
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from actors.engine import Effect, MailboxStatistics
from actors.errors import Crashed, Expired, Lost, Refused, SendError
from actors.identity import EngineID
from actors.messages import Local, Request, Timer, TransportPrefs
from actors.recording.chance import handling
from actors.recording.digests import digest
from actors.recording.plain import UNFIT, State, comes_back, kind_of, loose_fields, state_of
from actors.runtime import Behaviour, Cell

if TYPE_CHECKING:
    from actors.recording.recorder import Recorder
    from actors.runtime.life import Life

R = TypeVar("R")


def name_of(cls: type) -> str:
    """`module:Qualname`."""
    return f"{cls.__module__}:{cls.__qualname__}"


class Book:
    """One engine's records."""

    def __init__(self, recorder: Recorder, cell: Cell, number: int, behaviour: Behaviour) -> None:
        self.recorder = recorder
        self.cell = cell
        self.number = number
        self.part = 0
        """The part of the record in which the engine was introduced last."""
        self.too_large: State | None = None
        """What stands for its state, once that is too large: it would take long to find out again."""
        self.handled = 0
        self.lives = 0
        self._kinds = tuple(behaviour.table)
        self.loose = frozenset(kind for kind, message in enumerate(self._kinds) if loose_fields(message))
        """Messages of which the types do not say what is in them."""

    def behaviour(self, behaviour: Behaviour) -> Behaviour:
        """The same actions, written down."""
        table = {
            message: tuple(
                (
                    self._guarding(when, kind, first=place == 0) if when is not None else None,
                    self._acting(action, kind, first=place == 0 and when is None),
                )
                for place, (when, action) in enumerate(behaviour.table[message])
            )
            for kind, message in enumerate(self._kinds)
        }
        return Behaviour(
            table,
            {message: table[message][0][1] for message in behaviour.direct},
            {message: table[message][0][1] for message in behaviour.plain},
        )

    def _guarding(self, when: Callable[[Any, Any], object], kind: int, *, first: bool) -> Callable[[Any, Any], object]:
        def guard(engine: Any, message: Any) -> object:
            recorded: Recorded = engine._context
            if first:
                recorded.begin(message, kind)
            token = handling.set(recorded)
            try:
                return when(engine, message)
            finally:
                handling.reset(token)

        return guard

    def _acting(self, action: Callable[[Any, Any], Any], kind: int, *, first: bool) -> Callable[[Any, Any], Any]:
        def act(engine: Any, message: Any) -> Any:
            recorded: Recorded = engine._context
            if first:
                recorded.begin(message, kind)
            token = handling.set(recorded)
            try:
                value = action(engine, message)
            finally:
                handling.reset(token)
            if value.__class__ is CoroutineType:
                return recorded.waiting(value)
            recorded.done(value)
            return value

        act.__wrapped__ = action  # type: ignore[attr-defined]  # whoever counts actions means the engine's own
        return act

    def introduce(self) -> None:
        """Before the first record in a part."""
        self.part = self.recorder.part
        spawner = self.cell.spawner.id.name if self.cell.spawner else ""
        cls = type(self.cell.pristine)
        self.recorder.put((1, self.number, self.cell.name, name_of(cls), tuple(map(name_of, self._kinds)), spawner))


class Recorded:
    """The Context of an engine for one life: that of the runtime, with all that it gives written down."""

    def __init__(self, book: Book, life: Life) -> None:
        self.id: EngineID = life.id
        self.effects: list[Effect] = life.effects
        self.random = Random()  # noqa: S311 - an engine's own; seeded by `stands`
        self._book = book
        self._life = life
        self._number = book.number
        self._recorder = book.recorder
        self._put = book.recorder.put
        self._note = book.recorder.note
        self._now = life.cell.runtime.clock.now
        self._calls = 0
        self._sender: EngineID | None = None
        self._sender_number = -1
        book.lives += 1
        self.stands(begins=True)

    def stands(self, *, begins: bool = False) -> None:
        """The engine, between two messages."""
        book, recorder = self._book, self._recorder
        if book.part != recorder.part:
            book.introduce()
        self._sender = None
        seed = recorder.seed()
        self.random.seed(seed)
        state = state_of(book.cell.pristine) if begins else book.too_large or state_of(self._life.engine)
        book.too_large = None if begins or not state.why else state
        at = self._now()
        self._put((2, book.number, at, book.lives, book.handled, seed, begins, state.data, state.absent, state.why))

    # -- handlers -------------------------------------------------------------------------------------------

    def begin(self, message: Request[Any], kind: int) -> None:
        """This message is given to its handler, or to the guards before it."""
        book, recorder = self._book, self._recorder
        recorder.look()
        if book.part != recorder.part:
            self.stands()
        book.handled += 1
        self._calls = 0
        sender = self._life.sender
        if sender is not self._sender:
            self._sender, self._sender_number = sender, recorder.number_of(sender)
        try:
            if kind in book.loose and not comes_back(message):
                raise TypeError("another type comes back")
            self._put((4, self._number, self._now(), self._sender_number, kind, message))
        except UNFIT:
            why = f"a {kind_of(message)} holds what is no plain data"
            self._put((4, self._number, self._now(), self._sender_number, kind, None, why))

    def done(self, value: object) -> None:
        """A handler that does not wait has returned."""
        self._put((7, self._number, digest(value, self.effects)))

    async def waiting(self, handler: CoroutineType[Any, Any, Any]) -> object:
        """A handler that waits, to its end."""
        token = handling.set(self)
        try:
            value: object = await handler
        except trio.Cancelled:
            self._put((8, self._number, self._now()))
            raise
        finally:
            handling.reset(token)
        self._put((7, self._number, digest(value, self.effects), self._now()))
        return value

    # -- what it looks at -----------------------------------------------------------------------------------

    def _read(self, what: str, value: object) -> None:
        if handling.get() is self:
            try:
                self._note((5, self._number, what, value))
            except UNFIT:
                self._note((5, self._number, what, None))

    @property
    def sender(self) -> EngineID:
        """Comes with the message."""
        return self._life.sender

    def now(self) -> float:
        """The runtime's clock."""
        now = self._now()
        self._read("now", now)
        return now

    def mailbox(self) -> MailboxStatistics:
        """How full it is."""
        found = self._life.mailbox()
        self._read("mailbox", found)
        return found

    def acquaintances(self) -> frozenset[EngineID]:
        """Spawner and children."""
        found = self._life.acquaintances()
        self._read("acquaintances", sorted(found, key=str))
        return found

    def timers(self) -> tuple[Timer, ...]:
        """Those that have not elapsed."""
        found = self._life.timers()
        self._read("timers", [(name_of(type(timer)), timer) for timer in found])
        return found

    def uuid4(self, draw: Callable[[], uuid.UUID]) -> uuid.UUID:
        """A new one, from the system's randomness."""
        drawn = draw()
        self._read("uuid4", drawn.bytes)
        return drawn

    def post(self, msg: Local[object]) -> None:
        """Comes as a message."""
        self._life.post(msg)

    # -- what it is told ------------------------------------------------------------------------------------

    async def send(self, to: EngineID, msg: Request[object], prefs: TransportPrefs, expiry: float) -> None:
        """See Verbs."""
        if handling.get() is not self:  # of a port
            return await self._life.send(to, msg, prefs, expiry)
        return await self._answered(self._life.send(to, msg, prefs, expiry))

    async def ask(self, to: EngineID, msg: Request[R], prefs: TransportPrefs, expiry: float) -> R:
        """See Verbs."""
        if handling.get() is not self:
            return await self._life.ask(to, msg, prefs, expiry)
        return await self._answered(self._life.ask(to, msg, prefs, expiry))

    async def _answered(self, call: Awaitable[R]) -> R:
        number = self._calls
        self._calls += 1
        try:
            value = await call
        except SendError as outcome:
            self._note((6, self._number, self._now(), number, 1, outcome_as_data(outcome)))
            raise
        except Exception as error:
            self._note((6, self._number, self._now(), number, 2, f"{type(error).__name__}: {error}"))
            raise
        try:
            self._note((6, self._number, self._now(), number, 0, value))
        except UNFIT:
            self._note((6, self._number, self._now(), number, 3, kind_of(value)))
        return value


def outcome_as_data(outcome: SendError) -> tuple[object, ...]:
    """[code, arguments …]"""
    return (outcome.code, *outcome.args)


def outcome_from(data: list[Any]) -> SendError:
    """The other way. ValueError for what is none."""
    kinds: dict[str, type[SendError]] = {kind.code: kind for kind in (Crashed, Expired, Lost, Refused)}
    code, *args = data
    if code not in kinds:
        raise ValueError(f"there is no outcome {code!r}")
    return kinds[code](*args)
