"""Work that answers an ask while its engine handles other messages. For the network's own engines.

A user's engine takes one message at a time (spec). What keeps asks waiting for an event, for anybody who cares to ask,
would then be an engine for each of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio
from msgspec import Raw

from actors.runtime.codec import encode
from actors.runtime.containment import Containment

if TYPE_CHECKING:
    from actors.runtime.asks import Slot
    from actors.runtime.life import Life
    from actors.runtime.mailbox import Origin

NO_ANSWER: Final = object()
"""The ask was withdrawn, or its answer comes later."""


class Beside:
    """What an `async` action returns in the place of its reply: `work` is run in a task, and its value is the reply.

    The task ends as a handler would: with its ask, whose deadline it has, when the ask is withdrawn (PROTOCOL Q1, Q2),
    and with its engine's life. What the action collects beside it is dropped.
    """

    __slots__ = ("work",)

    def __init__(self, work: Callable[[], Awaitable[object]]) -> None:
        self.work = work


class Desk(Protocol):
    """Where answers go: the loop of the engine that was asked."""

    def answer_beside(self, origin: Origin | None, ref: Any, value: object) -> None:
        """The work is done."""

    def fail_beside(self, origin: Origin | None, ref: Any, error: Exception | None) -> None:
        """It raised; with None the engine has ended first."""


class Besides:
    """The tasks of one engine that answer asks, by where these came from."""

    def __init__(self) -> None:
        self._scopes: dict[tuple[Origin, int], trio.CancelScope] = {}

    def begin(self, desk: Desk, life: Life, beside: Beside, origin: Origin | None, ref: Any, deadline: float) -> None:
        """Start the work, in the nursery of this life."""
        name = f"beside {life.id.name}"
        life.nursery.start_soon(self._run, desk, life, beside.work, origin, ref, deadline, name=name)

    def cancel(self, origin: Origin, correlation: int) -> bool:
        """The ask is withdrawn. Whether any work here is for it."""
        scope = self._scopes.get((origin, correlation))
        if scope is not None:
            scope.cancel()
        return scope is not None

    async def _run(
        self,
        desk: Desk,
        life: Life,
        work: Callable[[], Awaitable[object]],
        origin: Origin | None,
        ref: Any,
        deadline: float,
    ) -> None:
        value: object = NO_ANSWER
        crash = Containment()
        with trio.CancelScope(deadline=deadline) as scope:
            forget = self._remember(scope, origin, ref)
            try:
                with crash:
                    result = await work()
                    value = result if origin is None else Raw(encode(result))
            finally:
                forget()
                if value is not NO_ANSWER:
                    desk.answer_beside(origin, ref, value)
                elif not scope.cancel_called:  # it raised, or its engine ends
                    desk.fail_beside(origin, ref, crash.error)
        if crash.error is not None:
            life.cell.crash(life, crash.error)

    def _remember(self, scope: trio.CancelScope, origin: Origin | None, ref: Any) -> Callable[[], object]:
        if origin is not None:
            self._scopes[origin, ref] = scope
            return lambda: self._scopes.pop((origin, ref), None)
        slot: Slot = ref
        if slot.done:
            scope.cancel()
        slot.withdraw = scope.cancel
        return lambda: setattr(slot, "withdraw", None)

    def __len__(self) -> int:
        return len(self._scopes)
