"""What one node asks the `keeper` of another about engines there: ordinary asks between two engines. Pure.

PROTOCOL W. The classes' tags and fields are part of the protocol, as those of frames are.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from actors.identity import U64
from actors.messages import Message, Request

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Code: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=86_400)]


class Found(Struct, frozen=True, array_like=True, tag="found"):
    """The engine is there. `stay` tells it from another that gets its name later, or in a later run of its node."""

    stay: U64


class Held(Struct, frozen=True, array_like=True, tag="held"):
    """It is still there; ask again."""


class Gone(Struct, frozen=True, array_like=True, tag="gone"):
    """It is not there: see `actors.errors.Down`."""

    reason: Code


class Lent(Struct, frozen=True, array_like=True, tag="lent"):
    """The engine runs."""

    name: Name
    stay: U64


class NotLent(Struct, frozen=True, array_like=True, tag="not_lent"):
    """No engine runs: `not_offered`, `too_many`, `stopping`."""

    reason: Code


class Find(Request[Found | Gone], tag="keeper.find"):
    """Which engine has this name now?"""

    name: Name


class Hold(Request[Held | Gone], tag="keeper.hold"):
    """Answered when that engine ends, or after `wait` seconds. One that is lent runs for `lease` seconds from now."""

    name: Name
    stay: U64
    wait: Seconds
    lease: Seconds


class Lend(Request[Lent | NotLent], tag="keeper.lend"):
    """Start an engine that is offered by this name, and stop it after `lease` seconds without a word. Asked again with
    the same token, the answer is the same engine."""

    offer: Name
    token: U64
    lease: Seconds


class Release(Message, tag="keeper.release"):
    """Stop the engine that was lent for this token; answered when it is gone."""

    token: U64
