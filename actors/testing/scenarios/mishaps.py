"""Faults that only some scenarios inflict; the common ones stand in `actors.testing.faults`."""

from __future__ import annotations

from typing import ClassVar

from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Fault


class OneWay(Fault):
    """On the connections there are now nothing arrives of what `sender` says; the other way it does. For good."""

    undetected: ClassVar[bool] = True
    sender: str
    other: str

    async def apply(self, sim: Simulation) -> None:
        for connection in sim.network.between(self.sender, self.other):
            sim.network.blackhole(connection, sender=self.sender)
