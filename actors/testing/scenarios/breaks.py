"""Faults that scenarios need beside those of `actors.testing.faults`: single connections, and ends that give up."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Blackhole, Cut, Fault
from transports.memory.connection import Connection


class HangUp(Fault):
    """One node gives up its connections with another, which learns it by a reset, behind all that was sent."""

    by: str
    other: str

    async def apply(self, sim: Simulation) -> None:
        for connection in sim.network.between(self.by, self.other):
            (connection.dialer if connection.dialer.host == self.by else connection.acceptor).abort()


class CutOne(Fault):
    """The network's so-many-th connection breaks. `noticed_by`: that host's end alone notices."""

    number: int
    noticed_by: str = ""

    @property
    def undetected(self) -> bool:  # type: ignore[override]
        """Half-open: the other end has to find out."""
        return bool(self.noticed_by)

    async def apply(self, sim: Simulation) -> None:
        for connection in _numbered(sim, self.number):
            ends = {connection.dialer.host: connection.dialer, connection.acceptor.host: connection.acceptor}
            connection.cut(ends[self.noticed_by] if self.noticed_by else None)


class Stillborn(Fault):
    """The next so many connections of two nodes break as they are made."""

    one: str
    other: str
    count: int

    async def apply(self, sim: Simulation) -> None:
        left, pair = [None] * self.count, {self.one, self.other}

        def made(connection: Connection) -> None:
            if left and {connection.dialer.host, connection.acceptor.host} == pair:
                left.pop()
                connection.cut()

        sim.network.on_connect.append(made)


class Swallow(Fault):
    """From now on nothing arrives on the network's so-many-th connection."""

    undetected: ClassVar[bool] = True
    number: int

    async def apply(self, sim: Simulation) -> None:
        for connection in _numbered(sim, self.number):
            sim.network.blackhole(connection)


def _numbered(sim: Simulation, number: int) -> list[Connection]:
    return [connection for connection in sim.network.connections if connection.number == number]


def draw_break(rng: Random, one: str, other: str) -> Fault:
    """A way in which the connections of two nodes end: both notice, one does, one gives up, nobody is told."""
    here, there = rng.sample((one, other), 2)
    faults = (Cut(one, other), Cut(one, other, here), HangUp(here, there), Blackhole(one, other))
    return rng.choices(faults, (4, 2, 3, 1))[0]
