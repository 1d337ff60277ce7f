"""Who sees everything that a user's engine gets: for recording. In service nobody does, and it costs a look at None
for each engine and each life, nothing for a message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from actors.engine import Context
from actors.messages import Request

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.life import Life

Action = Callable[[Any, Any], Any]
"""Of an engine and a message."""


class Behaviour(NamedTuple):
    """An engine's actions by message, as the loop looks them up."""

    table: Mapping[type, Any]
    """Guards and actions, in order."""
    direct: Mapping[type, Action]
    """Actions that no guard decides about."""
    plain: Mapping[type, Action]
    """Of these, the ones that cannot wait."""


class Witness(Protocol):
    """Called in the step in which it happens. Must not raise."""

    def behaviour(self, cell: Cell, behaviour: Behaviour) -> Behaviour:
        """What is to be called in place of the engine's own actions and guards."""
        ...

    def context(self, life: Life) -> Context:
        """A life begins. What its engine is to see, in place of the life itself; `effects` must be the same list."""
        ...

    def crashed(self, life: Life, error: Exception, message: Request[Any] | None) -> None:
        """Some part of the life raised; `message` is the one whose handler did."""
        ...
