"""One engine, run again turn after turn, each compared with what was recorded of it."""

from __future__ import annotations

from bdb import BdbQuit
from collections.abc import Callable
from functools import lru_cache
from math import inf
from types import CoroutineType
from typing import Any, Final, Literal, TypeAlias

import msgspec
import trio
from msgspec import Raw, Struct

from actors.app import load_module
from actors.engine import Engine, bind
from actors.errors import IdentityError
from actors.identity import EngineID, NodeID
from actors.recording.books import name_of
from actors.recording.chance import handling
from actors.recording.digests import digest, reply_and_effects
from actors.recording.folders import RecordError
from actors.recording.plain import ANOTHER_APP, UNFIT, decode, encode, engine_from, state_of
from actors.recording.records import Came, Cut, Done, Stands
from actors.replay.stage import Diverged, Stage, Unplayable
from actors.replay.story import Role, Turn

End: TypeAlias = Literal["returned", "crashed", "cancelled", "unhandled", "unfinished"]
Call: TypeAlias = Callable[[Callable[[Any, Any], Any], Engine, Any], Any]
"""Calls an action with its engine and message; what an action that waits gives is awaited."""


class Played(Struct, frozen=True, kw_only=True):
    """What became of one message, again."""

    turn: Turn
    message: Any
    before: dict[str, str]
    """The engine's fields."""
    after: dict[str, str]
    end: End
    did: str
    """Its reply, and what it asked for, in words."""
    error: BaseException | None = None
    """What its handler raised."""
    later: str = ""
    """Why it crashed after its handler had returned, as it was recorded."""


class Player:
    """The engine of one role. `watched` are the numbers of messages whose states before and after are wanted."""

    def __init__(self, role: Role, node: NodeID, *, lenient: bool = False) -> None:
        self.role = role
        self._id = EngineID(node, role.name)
        self._lenient = lenient
        self._cls = class_of(role.cls)
        self._kinds = {name_of(message): message for message in self._cls.table}
        self._engine: Engine | None = None
        self._stage: Stage | None = None

    def stand(self, turn: Turn) -> None:
        """A life begins, or a part of the record: take the state that was written down, or compare with it."""
        stands = turn.came
        assert isinstance(stands, Stands)
        known = self._engine is not None and not stands.begins and not turn.sudden
        if known:
            assert self._stage is not None
            self._compare_state(stands)
            self._stage.random.seed(stands.seed)
            return
        if stands.why:
            raise Unplayable(f"{self.role.name} cannot be run again from message {stands.handled + 1}: {stands.why}")
        self._stage = Stage(self._id, stands.seed, self._kinds, lenient=self._lenient)
        self._engine = bind(engine_from(self._cls, stands.state, stands.absent), self._stage)

    async def play(self, turn: Turn, *, look: bool, call: Call) -> Played:
        """Handle the message of this turn. With `look`, states are told. Diverged if it goes otherwise than it went."""
        engine, stage, came = self._engine, self._stage, turn.came
        assert engine is not None
        assert stage is not None
        assert isinstance(came, Came)
        message = self._message(turn, came)
        stage.begin(turn)
        stage.effects.clear()
        before = fields_of(engine) if look else {}
        end, value, error = await self._handle(engine, message, turn, call)
        did = reply_and_effects(value, stage.effects) if end == "returned" and look else ""
        self._compare(turn, end, value, error)
        stage.effects.clear()
        later = turn.crash.error if turn.crash is not None and end == "returned" else ""
        after = fields_of(engine) if look else {}
        return Played(
            turn=turn, message=message, before=before, after=after, end=end, did=did, error=error, later=later
        )

    async def _handle(
        self, engine: Engine, message: Any, turn: Turn, call: Call
    ) -> tuple[End, object, BaseException | None]:
        token = handling.set(self._stage)
        value: Any = None
        try:
            action = _action(engine, message)
            if action is None:
                return "unhandled", None, None
            value = call(action, engine, message)
            if isinstance(value, CoroutineType):
                value = await self._finish(value, turn)
        except BdbQuit:
            raise SystemExit(0) from None  # somebody had seen enough
        except Exception as error:  # the user's handler, whatever it raises
            ours = next((leaf for leaf in _leaves(error) if isinstance(leaf, (Diverged, Unplayable))), None)
            if ours is None:
                return "crashed", None, error
            if turn.end is None:  # the record ends while it was handled
                return "unfinished", None, None
            raise ours from None
        finally:
            handling.reset(token)
        if value is CANCELLED or value is UNFINISHED:
            return ("cancelled" if value is CANCELLED else "unfinished"), None, None
        return "returned", value, None

    async def _finish(self, handler: CoroutineType[Any, Any, object], turn: Turn) -> object:
        """What a handler that waits gives. One that had not ended when the record did is left where it waits."""
        until, instead = inf, CANCELLED
        if isinstance(turn.end, Cut):
            until = turn.end.at
        elif turn.end is None:
            until, instead = trio.current_time() + 3600, UNFINISHED
        with trio.CancelScope(deadline=until):
            return await handler
        return instead

    # -- comparing ------------------------------------------------------------------------------------------

    def _compare(self, turn: Turn, end: End, value: object, error: BaseException | None) -> None:
        assert self._stage is not None
        was, crash, where = turn.end, turn.crash, f"message {turn.number} of {self.role.name}"
        if was is None:
            return  # nothing is known of its end
        if isinstance(was, Done):
            if end != "returned":
                raise Diverged(f"{where}: its handler {_in_words(end, error)}; it returned when it was recorded")
            if digest(value, self._stage.effects) != was.digest:
                did = reply_and_effects(value, self._stage.effects)
                raise Diverged(f"{where}: its handler did something else than when it was recorded, now: {did}")
        elif isinstance(was, Cut):
            if end != "cancelled":
                raise Diverged(f"{where}: its handler {_in_words(end, error)}; it was cancelled when it was recorded")
        elif crash is not None and (error is None or f"{type(error).__name__}: {error}" != crash.error):
            raise Diverged(f"{where}: its handler {_in_words(end, error)}; when it was recorded: {crash.error}")
        if unread := self._stage.unread():
            raise Diverged(f"{where}: its handler did not look at {unread} as often as when it was recorded")

    def _compare_state(self, stands: Stands) -> None:
        assert self._engine is not None
        if stands.why:
            return
        if state_of(self._engine).data == stands.state:
            return
        was = engine_from(self._cls, stands.state, stands.absent)  # a set may only have another order
        for name in self._engine.__struct_fields__:
            now, then = getattr(self._engine, name), getattr(was, name)
            if name not in stands.absent and now != then and encode(now) != encode(then):
                words = f"{name} is {now!r}, and was {then!r}"
                raise Diverged(f"{self.role.name} differs after message {stands.handled}: {words}")

    # -- messages -------------------------------------------------------------------------------------------

    def _message(self, turn: Turn, came: Came) -> Any:
        name = self.role.takes[came.kind] if came.kind < len(self.role.takes) else "?"
        if came.why:
            raise Unplayable(f"message {turn.number} of {self.role.name} cannot be given again: {came.why}")
        kind = self._kinds.get(name)
        if kind is None:
            raise RecordError(f"{self._cls.__name__} has no action for {name} now, which it was given", ANOTHER_APP)
        return message_from(came.body, kind, name)


CANCELLED: Final = object()
UNFINISHED: Final = object()
"""In place of what a handler gives."""


def message_from(body: Raw, kind: type, name: str) -> Any:
    """The message. RecordError if its class has other fields now."""
    try:
        return decode(body, kind)
    except (msgspec.MsgspecError, IdentityError, *UNFIT) as error:
        raise RecordError(f"a message {name} does not fit its class as it is now: {error}", ANOTHER_APP) from None


@lru_cache
def class_of(name: str) -> type[Engine]:
    """The class that `module:Qualname` names. RecordError, or AppError, if it is not there now."""
    module, _, path = name.partition(":")
    found: Any = load_module(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, Engine)):
        raise RecordError(f"there is no engine {path} in {module} now", ANOTHER_APP)
    return found


def fields_of(engine: Engine) -> dict[str, str]:
    """The engine's fields, for people."""
    return {name: repr(getattr(engine, name)) for name in engine.__struct_fields__}


def plain_call(action: Callable[[Any, Any], Any], engine: Engine, message: Any) -> Any:
    """With nobody looking on."""
    return action(engine, message)


def _action(engine: Engine, message: Any) -> Callable[[Any, Any], Any] | None:
    for when, action in engine.table.get(type(message), ()):
        if when is None or when(engine, message):
            return action
    return None


def _in_words(end: End, error: BaseException | None) -> str:
    return f"raised {type(error).__name__}: {error}" if error is not None else end.replace("unhandled", "is not found")


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]
