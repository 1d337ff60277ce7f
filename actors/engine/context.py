"""What a runtime lends to an engine for one life. Pure: the contract, and the stand-in when there is no runtime."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol, TypeVar

from actors.engine.effects import Effect
from actors.engine.records import MailboxStatistics
from actors.errors import ActorError
from actors.identity import EngineID
from actors.messages import Local, Request, Timer, TransportPrefs

R = TypeVar("R")

_NOBODY = EngineID(None, "")


class Context(Protocol):
    """One engine's view of the runtime that drives it."""

    effects: list[Effect]
    """Where the verbs collect. The runtime takes the list, or clears it, after each handler."""

    @property
    def id(self) -> EngineID:
        """The engine's own address, with its node."""
        ...

    @property
    def sender(self) -> EngineID:
        """Who sent the message in hand; the name "" is a node itself."""
        ...

    def now(self) -> float:
        """The runtime's clock, in seconds."""
        ...

    def mailbox(self) -> MailboxStatistics:
        """How full the mailbox is."""
        ...

    def acquaintances(self) -> frozenset[EngineID]:
        """Spawner and children."""
        ...

    def timers(self) -> tuple[Timer, ...]:
        """What is set and has not elapsed."""
        ...

    def post(self, msg: Local[object]) -> None:
        """Into the engine's own mailbox, at once and without a bound."""
        ...

    async def send(self, to: EngineID, msg: Request[object], prefs: TransportPrefs, expiry: float) -> None:
        """Returns when delivered, else raises the outcome."""
        ...

    async def ask(self, to: EngineID, msg: Request[R], prefs: TransportPrefs, expiry: float) -> R:
        """The reply, else raises the outcome."""
        ...


class OwnContext(Context, Protocol):
    """What the network's own engines are lent beyond that. Nobody records them."""

    def beside(self, work: Callable[[], Awaitable[object]]) -> None:
        """Run this beside the engine's messages, at most for its life: a port for as long as there is something to do.

        What it raises crashes the engine; nothing happens once the life is over.
        """
        ...

    def leave(self) -> None:
        """End this life now: its port, and all that runs beside, is cancelled."""
        ...

    def rest(self) -> None:
        """It will hardly tell anybody anything for long: the ways that it has used need not be kept."""
        ...


class NoRuntimeError(ActorError, RuntimeError):
    """An engine that no runtime drives cannot wait for others."""

    code = "no_runtime"
    hint = "spawn the engine on a node; to test a handler alone, bind the engine to a Context of your own"


class Detached:
    """The context of an engine without a runtime: what it does is collected, for a test to look at.

    `bind(Counter(), Detached(sender=someone, now=12.0))` sets the scene.
    """

    __slots__ = ("_now", "effects", "id", "sender")

    def __init__(self, *, id: EngineID = _NOBODY, sender: EngineID = _NOBODY, now: float = 0.0) -> None:
        self.id = id
        self.sender = sender
        self.effects: list[Effect] = []
        self._now = now

    def now(self) -> float:
        """The time it was given."""
        return self._now

    def mailbox(self) -> MailboxStatistics:
        """An empty one of no size."""
        return MailboxStatistics()

    def acquaintances(self) -> frozenset[EngineID]:
        """None."""
        return frozenset()

    def timers(self) -> tuple[Timer, ...]:
        """None: timers that are set lie in `effects`."""
        return ()

    def post(self, msg: Local[object]) -> None:
        """Raises NoRuntimeError."""
        self._refuse("post", msg)

    def beside(self, work: Callable[[], Awaitable[object]]) -> None:
        """Nothing runs here."""

    def leave(self) -> None:
        """Nothing runs here."""

    def rest(self) -> None:
        """There are none."""

    async def send(self, to: EngineID, msg: Request[object], prefs: TransportPrefs, expiry: float) -> None:
        """Raises NoRuntimeError."""
        self._refuse("send", msg)

    async def ask(self, to: EngineID, msg: Request[R], prefs: TransportPrefs, expiry: float) -> R:
        """Raises NoRuntimeError."""
        self._refuse("ask", msg)

    def _refuse(self, verb: str, msg: Request[object]) -> NoReturn:
        raise NoRuntimeError(f"cannot {verb} {type(msg).__name__}: no runtime drives this engine")
