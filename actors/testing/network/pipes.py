"""One direction of a simulated connection: what a Wire does to the bytes, drawn from the chance of its Way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from math import inf
from random import Random
from typing import TypeAlias

import trio

from actors.testing.network.troubles import Wire
from transports.memory.connection import Connection
from transports.memory.pipes import End, Pipe

SEGMENT = 1_460
"""Bytes: where bandwidth is limited nothing smaller is cut out of a parcel."""
SEGMENT_TIME = 0.05
"""Seconds that a longer segment may take, so that a fast wire carries few segments."""


class Way:
    """What all connections from one host to another share. Its chance is its own: no other traffic changes it."""

    def __init__(self, sender: str, receiver: str, seed: int) -> None:
        self.sender = sender
        self.receiver = receiver
        self.free = -inf
        """When it has carried all that was sent."""
        self._seed = seed

    @cached_property
    def jitter(self) -> Random:
        """How much longer parcels travel."""
        return self._chance("jitter")

    @cached_property
    def flips(self) -> Random:
        """Which bits are flipped."""
        return self._chance("flips")

    @cached_property
    def datagrams(self) -> Random:
        """Which are lost or come twice, and when."""
        return self._chance("datagrams")

    @cached_property
    def parts(self) -> Random:
        """How much short writes and short reads take."""
        return self._chance("parts")

    def _chance(self, purpose: str) -> Random:
        return Random(f"{self._seed} {self.sender} {self.receiver} {purpose}")  # noqa: S311 - faults, not secrets

    def delay(self, wire: Wire) -> float:
        """Seconds that a parcel without weight travels."""
        return wire.latency + (self.jitter.uniform(0, wire.jitter) if wire.jitter else 0.0)


class SimulatedPipe(Pipe):
    """A Pipe whose Wire may change at any time.

    on_write, on_datagram, on_end: called with what is handed to the network, and what becomes of it on the way.
    """

    connection: Connection
    key: int
    """Tells it from all others: twice the connection's number, one more for the way back."""

    def __init__(self, way: Way, wire: Wire, *, on_write: OnWrite, on_datagram: OnDatagram, on_end: OnEnd) -> None:
        super().__init__(lambda: self.wire.latency, capacity=wire.capacity)
        self.way = way
        self._on_write = on_write
        self._on_datagram = on_datagram
        self._on_end = on_end
        self._holed = False
        self._forsaken = False
        self._read_free = -inf
        self._use(wire)

    def attach(self, connection: Connection, key: int) -> None:
        """Once, as soon as there is a connection."""
        self.connection = connection
        self.key = key

    def meet(self, wire: Wire) -> None:
        """From now on this is what it is like."""
        before = self.wire
        if wire == before:
            return
        self._use(wire)
        if wire.capacity != before.capacity:
            self.resize(wire.capacity)
        if wire.read_rate < before.read_rate:
            self._call_back()
        elif wire.faster_than(before):
            self._hasten()
        if wire.held:
            super().hold()
        elif before.held and not self._holed:
            super().release()

    def _use(self, wire: Wire) -> None:
        self.wire = wire
        self._steady = not (wire.jitter or wire.rationed)
        self._plain = not (wire.rationed or wire.longest_write or self._forsaken)

    # -- the writer's side

    def write(self, data: bytes | memoryview) -> int:
        """See Pipe."""
        return super().write(data) if self._plain else self._write_in_parts(data)

    def _write_in_parts(self, data: bytes | memoryview) -> int:
        if self._forsaken:
            return len(data)
        most = min(len(data), self.room)
        if most and self.wire.longest_write:
            most = self.way.parts.randint(1, min(most, self.wire.longest_write))
        return sum(super(SimulatedPipe, self).write(piece) for piece in self._pieces(bytes(data[:most])))

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        rate = min(self.wire.bandwidth, self.wire.read_rate)
        size = max(SEGMENT, int(rate * SEGMENT_TIME)) if rate < inf else max(1, len(data))
        return (data[start : start + size] for start in range(0, len(data), size))

    def carry(self, data: bytes) -> bytes:
        """See Pipe."""
        there = data
        if self.wire.corruption and self.way.flips.random() < self.wire.corruption:
            there = _flip(data, self.way.flips.randrange(len(data) * 8))
        self._on_write(self, data, there)
        return there

    def end(self, *, reset: bool) -> None:
        """See Pipe."""
        if not self._forsaken:
            self._on_end(self, reset)
            super().end(reset=reset)

    def forsake(self) -> None:
        """Whoever wrote into it is no more: what it writes from now on, on its way out, never was."""
        self._forsaken = True
        self._plain = False

    # -- the way

    def delay(self, size: int) -> float:
        """See Pipe."""
        if self._steady:
            return self.wire.latency
        wire, now = self.wire, trio.current_time()
        arrival = now
        if wire.bandwidth < inf:
            arrival = self.way.free = max(self.way.free, now) + size / wire.bandwidth
        arrival += self.way.delay(wire)
        if wire.read_rate < inf:
            arrival = self._read_free = max(self._read_free, arrival) + size / wire.read_rate
        return arrival - now

    def journeys(self, data: bytes) -> list[float]:
        """See Pipe. One that a bit is flipped in is lost, too: whoever reads it would know."""
        if self._forsaken or not self.passable:
            return []
        wire, chance = self.wire, self.way.datagrams
        lost = chance.random() < 1 - (1 - wire.loss) * (1 - wire.corruption)
        times = 0 if lost else 1 + (chance.random() < wire.copies)
        self._on_datagram(self, data, times)
        way = len(data) / min(wire.bandwidth, wire.read_rate)
        return [way + self.way.delay(wire) + chance.uniform(0, wire.scatter) for _ in range(times)]

    def hold(self) -> None:
        """See Pipe."""
        self._holed = True
        super().hold()

    def release(self) -> None:
        """See Pipe. What else holds it back still does."""
        self._holed = False
        if not self.wire.held:
            super().release()

    @property
    def holed(self) -> bool:
        """Whether somebody has called `hold`, and not `release`, on a connection that is not cut."""
        return self._holed and not self._severed

    def _hasten(self) -> None:
        """What is on its way arrives as if it had set out now, where that is sooner."""
        if self._flying:
            self._land()
            self._read_free = last = -inf
            now = trio.current_time()
            for index, (arrival, parcel) in enumerate(self._flying):
                sooner = now + self.delay(0 if isinstance(parcel, End) else len(parcel))
                last = max(last, min(arrival, sooner))
                self._flying[index] = last, parcel
            self.on_arrival()

    def _call_back(self) -> None:
        """What was not read yet sets out again: whoever reads has become slow."""
        if self._severed:
            return
        held = self._held is not None
        super().hold()
        assert self._held is not None
        parcels: list[bytes | End] = [bytes(self._here), *self._held]
        self._here.clear()
        if self._end is not None:
            parcels.append(self._end)
            self._end = None
        self._held = []
        for parcel in parcels:
            self._held.extend([parcel] if isinstance(parcel, End) else self._pieces(parcel))
        self._read_free = -inf
        if not held:
            super().release()

    # -- the reader's side

    def read(self, buffer: memoryview) -> int:
        """See Pipe."""
        if self.wire.longest_read and self.readable:
            most = min(len(buffer), len(self._here), self.wire.longest_read)
            buffer = buffer[: self.way.parts.randint(1, most)]
        return super().read(buffer)


OnWrite: TypeAlias = Callable[[SimulatedPipe, bytes, bytes], object]
OnDatagram: TypeAlias = Callable[[SimulatedPipe, bytes, int], object]
"""How often it will arrive comes last."""
OnEnd: TypeAlias = Callable[[SimulatedPipe, bool], object]


def _flip(data: bytes, bit: int) -> bytes:
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)
