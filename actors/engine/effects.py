"""What a handler asked for. Pure: records, collected in order, that take hold together after it returns.

If the handler raises, none does (spec: an action yields an effect).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from actors.engine.policy import Policy
from actors.identity import EngineID
from actors.messages import EXPIRY, PREFS, Request, Timer, TransportPrefs

if TYPE_CHECKING:
    from actors.engine.base import Engine


class Tell(Struct, frozen=True, gc=False):
    """A message to send."""

    to: EngineID
    msg: Request[object]
    prefs: TransportPrefs = PREFS
    expiry: float = EXPIRY


class Spawn(Struct, frozen=True):
    """An engine to start, as a child of the one that asks."""

    engine: Engine
    name: str
    policy: Policy = Policy.PERMANENT


class SetTimer(Struct, frozen=True):
    """A timer to start; one that is equal is replaced."""

    timer: Timer
    after: float


class CancelTimer(Struct, frozen=True):
    """A timer to forget; no error if there is none."""

    timer: Timer


class Stop(Struct, frozen=True):
    """The engine ends when its effects have taken hold."""


Effect: TypeAlias = Tell | Spawn | SetTimer | CancelTimer | Stop
