"""A call: one dial, between the race that waits for its outcome and the connection that makes it."""

from __future__ import annotations

from collections.abc import Callable

import trio
from msgspec import Struct

from actors.identity import Incarnation


class Dialed(Struct, frozen=True, gc=False):
    """The connection is proven and attached."""

    rtt: float


class DialFailed(Struct, frozen=True, gc=False):
    """It is not, and why. `signed`: the peer's own word (H7)."""

    reason: str
    retry_after: float = 0.0
    signed: bool = False
    newest: Incarnation | None = None
    barred: bool = False
    """It was this node's own policy that denied it."""

    @property
    def hushes(self) -> bool:
        """Whether the peer itself wants no more dials now, to whatever address (H7)."""
        return self.signed and (self.reason == "denied" or self.retry_after > 0)


class Call:
    """Its connection begins it and ends it, once; whoever waits for that may withdraw it, at any time."""

    __slots__ = ("_cancel", "_outcome", "_waiting", "_withdrawn")

    def __init__(self) -> None:
        self._outcome: Dialed | DialFailed | None = None
        self._cancel: Callable[[], object] | None = None
        self._waiting: trio.Event | None = None
        self._withdrawn = False

    @property
    def is_wanted(self) -> bool:
        """Whether it has not come out, and somebody waits for it."""
        return self._outcome is None and not self._withdrawn

    def begin(self, cancel: Callable[[], object]) -> None:
        """The connection dials from now on, until that is not wanted any more; perhaps it is not even now."""
        if self._withdrawn:
            cancel()
        else:
            self._cancel = cancel

    def end(self, outcome: Dialed | DialFailed) -> None:
        """How it came out. The first word counts."""
        if self._outcome is None:
            self._outcome, self._cancel = outcome, None
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                waiting.set()

    def abort(self) -> None:
        """No connection will make it."""
        self.end(DialFailed("its transport has ended"))

    def withdraw(self) -> None:
        """Nobody waits for it any more. Idempotent; one that has come out is left as it is."""
        cancel, self._cancel, self._withdrawn = self._cancel, None, True
        if cancel is not None:
            cancel()

    async def outcome(self) -> Dialed | DialFailed:
        """Wait for it. For one task."""
        if self._outcome is None:
            self._waiting = trio.Event()
            await self._waiting.wait()
        assert self._outcome is not None
        return self._outcome
