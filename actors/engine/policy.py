"""Whether an engine that ended is started again. Pure."""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct


class Policy(Struct, frozen=True):
    """When an engine is started again, and how often within how many seconds before its spawner is told.

    `Policy("transient", most=10, within=60)`; the constants restart 3 times in 5 s at most.
    An engine that stopped itself or was stopped stays stopped under every policy.
    """

    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    most: int = 3
    within: float = 5.0

    PERMANENT: ClassVar[Policy]
    """Again after a crash, and when its port returns."""
    TRANSIENT: ClassVar[Policy]
    """Again after a crash."""
    TEMPORARY: ClassVar[Policy]
    """Never again; its crash ends it."""

    def restarts(self, *, crashed: bool) -> bool:
        """Whether a life that crashed (otherwise: whose port returned) is followed by another."""
        return self.restart == "permanent" or (crashed and self.restart == "transient")


Policy.PERMANENT = Policy("permanent")
Policy.TRANSIENT = Policy("transient")
Policy.TEMPORARY = Policy("temporary")
