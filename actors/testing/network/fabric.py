"""What carries the bytes of a simulation: a Wire for each direction, the troubles in force, who looks on.

What can go wrong has its names in `actors.testing.network.wires`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Literal

import trio

from actors.testing.network.dials import Gate
from actors.testing.network.pipes import SimulatedPipe, Way
from actors.testing.network.tape import Tape
from actors.testing.network.troubles import Between, Over, Trouble, Where, Wire
from transports.addresses import MemoryAddress
from transports.errors import ConnectFailed
from transports.memory.connection import Connection, MemoryStream
from transports.memory.network import MemoryListener, MemoryNetwork, MemoryTransport
from transports.memory.pipes import CAPACITY

LATENCY = 0.001


class Fabric(MemoryNetwork):
    """A MemoryNetwork that knows what is wrong between any two hosts, now and for connections to come."""

    def __init__(
        self, rng: Random | None = None, *, latency: float = LATENCY, jitter: float = 0.0, capacity: int = CAPACITY
    ) -> None:
        super().__init__(rng, latency=latency, jitter=jitter, capacity=capacity)
        self.on_bytes: list[Callable[[Connection, str, str, bytes], object]] = []
        """Called with connection, sender, receiver and the bytes when they set out, as they were sent."""
        self.on_datagram: list[Callable[[Connection, str, str, bytes], object]] = []
        """As `on_bytes`, for each datagram, whatever becomes of it."""
        self.on_dial: list[Callable[[float, str, str], object]] = []
        """Called with the time, the host that dials, and the name of the address."""
        self.on_connect: list[Callable[[Connection], object]] = []
        """Called when a dial has come through."""
        self._seed = self.rng.getrandbits(64)
        self._ways: dict[tuple[str, str], Way] = {}
        self._laid: list[Trouble] = []
        self._troubles: list[Trouble] = []
        self._gate = Gate(Random(f"{self._seed} dials"))  # noqa: S311 - an order, not a secret
        self._homes: dict[str, str] = {}
        self._lives: dict[str, int] = {}
        self._dark: dict[str, Trouble] = {}
        self._tape = Tape()

    # -- who looks on -----------------------------------------------------------------------------------

    @property
    def digest(self) -> bytes:
        """Of everything that crossed so far: dials, connections, bytes and ends, each with its virtual time.

        16 bytes. Two runs with the same one had the same traffic.
        """
        return self._tape.digest()

    def _wrote(self, pipe: SimulatedPipe, data: bytes, there: bytes) -> None:
        self._tape.add(pipe.key, there)
        for see in self.on_bytes:
            see(pipe.connection, pipe.way.sender, pipe.way.receiver, data)

    def _threw(self, pipe: SimulatedPipe, data: bytes, times: int) -> None:
        self._tape.add(pipe.key, b"%d times " % times + data)
        for see in self.on_datagram:
            see(pipe.connection, pipe.way.sender, pipe.way.receiver, data)

    def _ended(self, pipe: SimulatedPipe, reset: bool) -> None:
        self._tape.add(-pipe.key, b"reset" if reset else b"end")

    def connected(self, connection: Connection) -> None:
        """See MemoryNetwork."""
        for index, pipe in enumerate(_pipes_of(connection)):
            pipe.attach(connection, 2 * connection.number + index)
        self._tape.add(0, f"{connection.dialer.host} {connection.acceptor.host}".encode())
        for see in self.on_connect:
            see(connection)

    def between(self, one: str, other: str | None = None) -> list[Connection]:
        """The connections of two hosts, or of one with everybody, itself included; oldest first."""
        return [each for each in self.connections if _joins(each, one, other)]

    @property
    def waiting_dials(self) -> int:
        """How many dials hang, or wait for others."""
        return len(self._gate)

    def ends_of(self, host: str) -> list[MemoryStream]:
        """The host's ends of connections that are not closed and not lost."""
        ends = (end for each in self.connections for end in (each.dialer, each.acceptor))
        return [end for end in ends if end.host == host and end.lost is None]

    def listeners_of(self, host: str) -> list[MemoryListener]:
        """Those of the host that are not closed."""
        return [listener for listener in self.listeners if listener.host == host]

    def left_by(self, host: str) -> list[str]:
        """In words what the host has open: nothing, once it has stopped."""
        ends = [f"connection {end.connection.number}: {end}" for end in self.ends_of(host)]
        return [*map(repr, self.listeners_of(host)), *ends]

    # -- wires ------------------------------------------------------------------------------------------

    def _way(self, sender: str, receiver: str) -> Way:
        way = self._ways.get((sender, receiver))
        if way is None:
            way = self._ways[sender, receiver] = Way(sender, receiver, self._seed)
        return way

    @property
    def healthy(self) -> Wire:
        """What it is like between hosts of which nothing is said."""
        return Wire(self.latency, self.jitter, self.capacity)

    def wire(self, sender: str, receiver: str, connection: Connection | None = None) -> Wire:
        """What it is like from one host to another now; of two troubles that say the same, the later one counts."""
        wire = self.healthy
        for each in (*self._laid, *self._troubles):
            if each.where.covers(sender, receiver, connection):
                wire = each.change(wire)
        return wire

    def make_pipe(self, sender: str, receiver: str) -> SimulatedPipe:
        """See MemoryNetwork."""
        return SimulatedPipe(
            self._way(sender, receiver),
            self.wire(sender, receiver),
            on_write=self._wrote,
            on_datagram=self._threw,
            on_end=self._ended,
        )

    def _pipes(self) -> Iterator[SimulatedPipe]:
        for connection in self.connections:
            yield from _pipes_of(connection)

    # -- troubles ---------------------------------------------------------------------------------------

    @property
    def troubles(self) -> list[Trouble]:
        """What is wrong now, in the order in which it began."""
        return list(self._troubles)

    @property
    def is_healed(self) -> bool:
        """Whether nothing is wrong now. What a cut broke stays broken, and counts as nothing."""
        return not self._troubles and not any(pipe.holed for pipe in self._pipes())

    def _begin(
        self, what: str, where: Where, change: Callable[[Wire], Wire], on_end: Callable[[], object] | None = None
    ) -> Trouble:
        trouble = Trouble(what, where, change, heal=self._heal, on_end=on_end)
        self._troubles.append(trouble)
        self._settle()
        return trouble

    def _heal(self, *troubles: Trouble) -> None:
        for trouble in troubles:
            self._troubles.remove(trouble)
            trouble.end()
        self._settle()

    def heal(self, one: str | None = None, other: str | None = None) -> None:
        """End all that is wrong; with hosts, all between these two, or between this one and every other.

        What was held back sets out again, in order; dials that hung come through. What a cut broke stays broken.
        """
        healed = Between(one, other)
        left = [(trouble, trouble.where.without(healed)) for trouble in self._troubles]
        for trouble, where in left:
            trouble.where = where or trouble.where
        self._heal(*(trouble for trouble, where in left if where is None))
        for pipe in self._pipes():
            if healed.encloses(Between(pipe.way.sender, pipe.way.receiver)):
                pipe.release()

    def _forget(self, connection: Connection) -> None:
        super()._forget(connection)
        for trouble in self.troubles:  # what was wrong with this connection alone is over
            if isinstance(trouble.where, Over) and connection in trouble.where.connections:
                where = trouble.where.only(each for each in trouble.where.connections if each is not connection)
                if where is None:
                    trouble.heal()
                else:
                    trouble.where = where

    def _settle(self) -> None:
        found = [(pipe, self.wire(pipe.way.sender, pipe.way.receiver, pipe.connection)) for pipe in self._pipes()]
        for pipe, wire in found:
            if wire.faster_than(pipe.wire):
                pipe.way.free = trio.current_time()  # what is on its way is timed anew
        for pipe, wire in found:
            pipe.meet(wire)
        self._gate.open()

    # -- dials ------------------------------------------------------------------------------------------

    def transport(self, host: str) -> MemoryTransport:
        """See MemoryNetwork. A host that vanished is back with it."""
        if host in self._dark:
            self._dark.pop(host).heal()
        return super().transport(host)

    def listen(self, host: str, address: MemoryAddress) -> MemoryListener:
        """See MemoryNetwork."""
        self._homes[address.name] = host
        return super().listen(host, address)

    async def route(self, dialer: str, address: MemoryAddress) -> None:
        """A dial there and back: it hangs while either way is shut, and may be refused.

        What is wrong with dials to a host may also be wrong with those to one address of it, by that address's name.
        """
        host = self._homes.get(address.name, address.name)
        life = self._lives.get(dialer)
        self._tape.add(1, f"{dialer} {address.name}".encode())
        for see in self.on_dial:
            see(trio.current_time(), dialer, address.name)
        await self._round_trip(dialer, host)
        while obstacle := self._obstacle(dialer, host, address.name):
            await self._gate.wait(lambda: not self._obstacle(dialer, host, address.name))
            if obstacle == "shut":
                await self._round_trip(dialer, host)
        if self._lives.get(dialer) != life:
            await trio.sleep_forever()  # whoever dialed is no more
        if "refuse" in (self.wire(dialer, host).dials, self.wire(dialer, address.name).dials):
            raise ConnectFailed(str(address), "connection refused")

    async def _round_trip(self, dialer: str, host: str) -> None:
        ways = ((dialer, host), (host, dialer))
        await trio.sleep(sum(self._way(*way).delay(self.wire(*way)) for way in ways))

    def _obstacle(self, dialer: str, host: str, name: str) -> Literal["shut", "on hold", ""]:
        there, back = self.wire(dialer, host), self.wire(host, dialer)
        dials = (there.dials, self.wire(dialer, name).dials)
        if there.held or back.held or "ignore" in dials:
            return "shut"
        return "on hold" if "hold" in dials else ""


def _joins(connection: Connection, one: str, other: str | None) -> bool:
    hosts = {connection.dialer.host, connection.acceptor.host}
    return one in hosts if other is None else hosts == {one, other}


def _pipes_of(connection: Connection) -> Iterable[SimulatedPipe]:
    return [pipe for _, pipe in connection.ways if isinstance(pipe, SimulatedPipe)]
