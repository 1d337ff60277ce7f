"""Which engine's handler is running here. Async handlers only: a `def` cannot wait.

A context variable, so that it holds in the tasks of a nursery which the handler opens, and in whatever they call.
"""

from __future__ import annotations

from contextvars import ContextVar, Token


class Handling:
    """`with Handling(name):` the body is this engine's handler.

    A task may outlive it (started in the nursery of a port): for that task, the handler is over.
    """

    __slots__ = ("_token", "engine", "over")

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.over = False

    def __enter__(self) -> None:
        self._token: Token[Handling | None] = _handling.set(self)

    def __exit__(self, *_: object) -> None:
        self.over = True
        _handling.reset(self._token)


_handling: ContextVar[Handling | None] = ContextVar("handling", default=None)


def handler_here() -> str | None:
    """The engine that stands still while this task waits; None if no engine does."""
    handling = _handling.get()
    return None if handling is None or handling.over else handling.engine
