"""The Context of an engine that is run again: what it looks at and what it is told is what was recorded."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, TypeVar

import msgspec
import trio
from msgspec import Raw

from actors.engine import Effect, MailboxStatistics
from actors.errors import ActorError, IdentityError
from actors.identity import EngineID
from actors.messages import Local, Request, Timer, TransportPrefs, reply_type
from actors.recording.books import outcome_from
from actors.recording.plain import UNFIT, decode
from actors.recording.records import Answered, Cut, Read
from actors.replay.story import Turn

R = TypeVar("R")


class Diverged(ActorError):
    """An engine did something else than when it was recorded: it used what is not in the record."""

    code = "replay_diverged"
    hint = "self.now and random are recorded; the wall clock, files, threads, and what a port changes are not"


class Unplayable(ActorError):
    """What an engine was given is not in the record: it was no plain data."""

    code = "record"
    hint = "replay up to the message before, with --to; or let the message carry plain data"


class RecordedError(Exception):
    """In the place of an error that an ask raised and that was no outcome."""


class Stage:
    """Of one engine, for one life. `turn` is what it was given last."""

    def __init__(self, id: EngineID, seed: int, kinds: Mapping[str, type], *, lenient: bool) -> None:
        self.id = id
        self.sender = id
        self.effects: list[Effect] = []
        self.random = Random(seed)  # noqa: S311 - the engine's, again
        self._kinds = kinds
        """The engine's messages by name."""
        self._lenient = lenient
        """In a debugger somebody may look once more."""
        self._reads: dict[str, deque[Any]] = {}
        self._last: dict[str, Any] = {}
        self._answers: dict[int, Answered] = {}
        self._order: deque[int] = deque()
        self._lot = trio.lowlevel.ParkingLot()
        self._calls = 0
        self._turn: Turn | None = None

    def begin(self, turn: Turn) -> None:
        """A message is about to be handled."""
        self._turn = turn
        self.sender = turn.sender
        self._calls = 0
        self._reads = {}
        self._last = {"now": turn.at}
        self._answers = {record.call: record for record in turn.tail if isinstance(record, Answered)}
        self._order = deque(self._answers)
        for record in turn.tail:
            if isinstance(record, Read):
                self._reads.setdefault(record.what, deque()).append(record.value)

    def unread(self) -> str:
        """What was looked at when it was recorded, and was not now; empty if nothing was."""
        return next((what for what, values in self._reads.items() if values), "")

    # -- what it looks at -----------------------------------------------------------------------------------

    def _read(self, what: str, kind: Any) -> Any:
        found = self._reads.get(what)
        if found:
            try:
                value = self._last[what] = decode(found.popleft(), kind)
            except (msgspec.MsgspecError, IdentityError, *UNFIT):
                raise Unplayable(f"{self._words()} looked at {what}, which was no plain data") from None
            return value
        if self._turn is None or (self._lenient and what in self._last):
            return self._last.get(what)
        raise Diverged(f"{self._words()} looked at {what} once more than when it was recorded")

    def now(self) -> float:
        """As it was."""
        now: float = self._read("now", float)
        return now

    def mailbox(self) -> MailboxStatistics:
        """As it was."""
        found: MailboxStatistics = self._read("mailbox", MailboxStatistics)
        return found

    def acquaintances(self) -> frozenset[EngineID]:
        """As they were."""
        return frozenset(self._read("acquaintances", tuple[EngineID, ...]) or ())

    def timers(self) -> tuple[Timer, ...]:
        """As they were."""
        found: list[tuple[str, Raw]] = self._read("timers", list[tuple[str, Raw]]) or []
        return tuple(decode(raw, self._kinds[name]) for name, raw in found)

    def uuid4(self, _: Callable[[], uuid.UUID]) -> uuid.UUID:
        """As it was drawn."""
        return uuid.UUID(bytes=self._read("uuid4", bytes))

    def post(self, msg: Local[object]) -> None:
        """Comes, as it came."""

    # -- what it is told ------------------------------------------------------------------------------------

    async def send(self, to: EngineID, msg: Request[object], prefs: TransportPrefs, expiry: float) -> None:
        """As it was."""
        await self._answer(None)

    async def ask(self, to: EngineID, msg: Request[R], prefs: TransportPrefs, expiry: float) -> R:
        """As it was answered."""
        value: R = await self._answer(reply_type(msg.__class__))
        return value

    async def _answer(self, kind: Any) -> Any:
        number, self._calls = self._calls, self._calls + 1
        answer = self._answers.get(number)
        if answer is None:
            return await self._never()
        await trio.sleep_until(answer.at)
        await self._turn_of(number)
        try:
            return self._told(answer, kind)
        except (msgspec.MsgspecError, IdentityError, *UNFIT) as error:
            raise Unplayable(f"{self._words()} was answered by what cannot be read back: {error}") from None

    async def _turn_of(self, number: int) -> None:
        """Answers that came at one instant are told in the order in which they were."""
        with trio.move_on_after(3600):
            while self._order[0] != number:
                await self._lot.park()
            self._order.popleft()
            self._lot.unpark_all()
            return
        raise Diverged(f"{self._words()} did not ask what it asked when it was recorded")

    def _told(self, answer: Answered, kind: Any) -> Any:
        match answer.status:
            case 0:
                return decode(answer.value, kind)
            case 1:
                outcome = outcome_from(decode(answer.value, list))
            case 2:
                raise RecordedError(decode(answer.value, str))
            case _:
                what = decode(answer.value, str)
                raise Unplayable(f"{self._words()} was answered by {what}, which is no plain data")
        raise outcome

    async def _never(self) -> None:
        """Not answered while it waited: it gave up, or was cancelled."""
        end = None if self._turn is None else self._turn.end
        if end is None or isinstance(end, Cut):
            await trio.sleep_forever()
        await trio.sleep_until(end.at + 1)
        raise Diverged(f"{self._words()} waits for an answer that it did not wait for when it was recorded")

    def _words(self) -> str:
        return f"{self.id.name}, at message {self._turn.number if self._turn else 0},"
