"""Engines: state, verbs, and how a class becomes one. Pure: no scheduling, no clock, no I/O."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from msgspec import Struct, StructMeta, field

from actors.engine import mistakes
from actors.engine.behaviour import Guard, Table, behaviour_of, table_of, wire_messages_of
from actors.engine.context import Context, Detached, OwnContext
from actors.engine.effects import CancelTimer, Effect, SetTimer, Spawn, Stop, Tell
from actors.engine.policy import Policy
from actors.engine.records import EngineCfg, EngineEnv, LocalCfg
from actors.identity import EngineID
from actors.messages import EXPIRY, PREFS, Local, Request, Timer, TransportPrefs, settle
from actors.messages.annotations import mark_class_variables, visible_from

R = TypeVar("R")


class EngineMeta(StructMeta):
    """Makes an engine class: checks it, and reads its behaviour from the methods marked by `on`."""

    @classmethod
    def __prepare__(mcls, name: str, bases: tuple[type, ...], /, **options: Any) -> mistakes.Body:
        return mistakes.Body()

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        derived = any(isinstance(base, EngineMeta) for base in bases)
        here = sys._getframe(1)
        local_names = visible_from(here)
        names = {**here.f_globals, **local_names}
        if derived:
            mark_class_variables(namespace.get("__annotations__", {}), names)
            mistakes.check_options(name, options)
            mistakes.check_body(name, namespace, _VERBS)
        try:
            cls: Any = super().__new__(mcls, name, bases, dict(namespace), kw_only=True, eq=False)
        except (TypeError, ValueError) as error:
            raise mistakes.impossible_class(name, error) from None
        cls.behaviour = behaviour_of(cls)
        cls.table = table_of(cls.behaviour)
        cls.wire_messages = wire_messages_of(cls.table)
        if derived:
            mistakes.check_class(cls, names)
            mistakes.check_tags(cls, cls.wire_messages)
            for message in cls.table:
                settle(message, local_names)
        return cls

    if not TYPE_CHECKING:  # for checkers, the fields make the constructor

        def __call__(cls, *args, **fields):
            engine = super().__call__(*args, **fields)
            engine._context = Detached()
            return engine


class _Bound:
    """Where an engine keeps its context: beside its fields, so that it is no part of its state."""

    __slots__ = ("_context",)
    _context: Context


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class Engine(Struct, _Bound, metaclass=EngineMeta):
    """An actor: fields are its state, methods marked by `on` its behaviour. It takes one message at a time.

    An instance is configuration and initial state, given by keyword; what runs is a fresh copy of it.
    Handlers can be called without a runtime; what they ask for then lies in `effects`.

    `tell`, `spawn`, `stop` and timers are collected: they take hold together after the handler returned, and
    if it raises, none does. `send` and `ask` are awaited, act at once and are not undone.
    (spec: Engine = cfg, env, behaviour.)
    """

    behaviour: ClassVar[tuple[Guard, ...]]
    """The guards in order."""
    table: ClassVar[Table]
    """The behaviour by message."""
    wire_messages: ClassVar[tuple[type[Request[object]], ...]]
    """The messages that may come from another node."""

    __instead__: ClassVar[str] = "is an engine and stays where it runs; send its EngineID"

    # -- configuration and environment -------------------------------------------------------------------

    @property
    def id(self) -> EngineID:
        """The engine's own address."""
        return self._context.id

    @property
    def cfg(self) -> EngineCfg:
        """Its node, its name, and its field of a LocalCfg type."""
        own = (value for value in self._fields().values() if isinstance(value, LocalCfg))
        return EngineCfg(self.id.node, self.id.name, next(own, None))

    @property
    def env(self) -> EngineEnv:
        """Its local state, mailbox, acquaintances and timers, as they are now."""
        state = {name: value for name, value in self._fields().items() if not isinstance(value, LocalCfg)}
        context = self._context
        return EngineEnv(MappingProxyType(state), context.mailbox(), context.acquaintances(), context.timers())

    @property
    def sender(self) -> EngineID:
        """Who sent the message in hand; the name "" is a node itself."""
        return self._context.sender

    @property
    def now(self) -> float:
        """The runtime's clock, in seconds; 0 without a runtime."""
        return self._context.now()

    @property
    def effects(self) -> list[Effect]:
        """What this handler has asked for so far."""
        return self._context.effects

    def _fields(self) -> Mapping[str, object]:
        return {name: getattr(self, name) for name in self.__struct_fields__}

    # -- collected ---------------------------------------------------------------------------------------

    def tell(
        self, to: EngineID, msg: Request[object], *, prefs: TransportPrefs = PREFS, expiry: float = EXPIRY
    ) -> None:
        """Send without waiting; a failure becomes a dead letter. `expiry` in seconds."""
        self._context.effects.append(Tell(to, msg, prefs, expiry))

    def spawn(self, engine: Engine, /, name: str, *, policy: Policy = Policy.PERMANENT) -> EngineID:
        """Start a child, which ends with this engine's life. The address is valid once the handler returned.

        A name that is taken is an error of this handler.
        """
        context = self._context
        context.effects.append(Spawn(engine, name, policy))
        return EngineID(context.id.node, name)

    def stop(self) -> None:
        """End this engine after this message; what is left in its mailbox is refused as `stopped`."""
        self._context.effects.append(Stop())

    def set_timer(self, timer: Timer, /, *, after: float) -> None:
        """Get this message in so many seconds. An equal timer that is set is replaced."""
        self._context.effects.append(SetTimer(timer, after))

    def cancel_timer(self, timer: Timer, /) -> None:
        """Forget the timer; its message does not come any more. No error if it is not set."""
        self._context.effects.append(CancelTimer(timer))

    # -- at once -----------------------------------------------------------------------------------------

    def post(self, msg: Local[object]) -> None:
        """Put a message into the engine's own mailbox, for what `port` has to say. Never waits."""
        self._context.post(msg)

    async def send(
        self, to: EngineID, msg: Request[object], *, prefs: TransportPrefs = PREFS, expiry: float = EXPIRY
    ) -> None:
        """Return when the message is in its target's mailbox; otherwise raise its outcome, a SendError."""
        await self._context.send(to, msg, prefs, expiry)

    async def ask(self, to: EngineID, msg: Request[R], *, prefs: TransportPrefs = PREFS, expiry: float = EXPIRY) -> R:
        """Return the reply; otherwise raise the outcome, a SendError. Cancelling it cancels the other's handler."""
        return await self._context.ask(to, msg, prefs, expiry)

    # -- the world ---------------------------------------------------------------------------------------

    async def port(self) -> None:
        """To be defined by an engine that touches the world: runs beside its messages, for one life.

        When it returns this life is over, when it raises the engine crashes; the policy says what follows. It tells the
        engine what happened by `post`; what it collects takes hold with the next message.
        """

    def _ended(self) -> None:
        """For the network's own engines: the life is over, and nothing of it runs any more. Must not raise."""


_VERBS = frozenset(name for name in (*vars(Engine), *vars(_Bound)) if not name.startswith("__")) - {"port", "_ended"}


def own_context(engine: Engine) -> OwnContext:
    """For the network's own engines."""
    return engine._context  # type: ignore[return-value]  # a Life, or Detached: these have it all


def has_port(engine: Engine) -> bool:
    """Whether the engine's class defines a port."""
    return type(engine).port is not Engine.port
