"""A connection inside one process: two ends, two Pipes, and the faults that can happen to them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import trio

from transports.addresses import MemoryAddress
from transports.channels import PLAIN, Channel
from transports.errors import CLOSED_BY_PEER, CLOSED_HERE, RESET_BY_PEER, ConnectionLost
from transports.memory.datagrams import MemoryDatagrams, Scatter
from transports.memory.pipes import Pipe


class MemoryStream:
    """A Stream: one end of a Connection."""

    def __init__(self, connection: Connection, host: str, local: str, remote: str, source: str) -> None:
        self.connection = connection
        self.host = host
        self.local = local
        self.remote = remote
        self.source = source
        self.channel: Channel = PLAIN
        self.lost: str | None = None
        """Why this end carries nothing any more."""
        self.datagrams: MemoryDatagrams | None = None
        self._readers = trio.lowlevel.ParkingLot()
        self._writers = trio.lowlevel.ParkingLot()

    def join(self, incoming: Pipe, outgoing: Pipe) -> None:
        """Once, by the connection."""
        self._incoming, self._outgoing = incoming, outgoing
        incoming.on_arrival = self._on_arrival
        outgoing.on_room = self._writers.unpark_all

    def _on_arrival(self) -> None:
        self._readers.unpark_all()
        if self._incoming.end_arrival < inf or self._incoming.ended:
            self._writers.unpark_all()

    def lose(self, why: str) -> None:
        """This end carries nothing from now on; the other end is not told."""
        if self.lost is None:
            self.lost = why
            self._readers.unpark_all()
            self._writers.unpark_all()
            if self.datagrams is not None:
                self.datagrams.wake()
            self.connection.on_lost()

    def check(self) -> None:
        """Raises ConnectionLost if it carries nothing."""
        if self.lost is None:
            end = self._incoming.ended
            if end is None or not end.reset:
                return
            self.lose(RESET_BY_PEER)
        raise ConnectionLost(self.lost or RESET_BY_PEER)

    def send_nowait(self, data: bytes | memoryview) -> int:
        """See Stream."""
        self.check()
        if self._incoming.ended:
            raise ConnectionLost(CLOSED_BY_PEER)
        return self._outgoing.write(data)

    def receive_nowait(self, buffer: memoryview) -> int:
        """See Stream. Bytes that are here when a reset arrives are lost."""
        self.check()
        size = self._incoming.read(buffer)
        if not size and not self._incoming.ended:
            raise trio.WouldBlock
        return size

    async def wait_writable(self) -> None:
        """See Stream."""
        self._raise_if_closed()
        if self._writable:
            await trio.lowlevel.checkpoint()
        while not self._writable:
            await _park(self._writers, self._incoming.end_arrival)
        self._raise_if_closed()

    async def wait_readable(self) -> None:
        """See Stream."""
        self._raise_if_closed()
        if self._readable:
            await trio.lowlevel.checkpoint()
        while not self._readable:
            await _park(self._readers, self._incoming.next_arrival)
        self._raise_if_closed()

    @property
    def _writable(self) -> bool:
        return self.lost is not None or self._outgoing.room > 0 or self._incoming.ended is not None

    @property
    def _readable(self) -> bool:
        return self.lost is not None or self._incoming.readable or self._incoming.ended is not None

    def _raise_if_closed(self) -> None:
        if self.lost is not None:
            raise ConnectionLost(self.lost)

    def abort(self) -> None:
        """See Stream. The peer learns it as a reset, when that arrives."""
        if self.lost is None:
            self.lose(CLOSED_HERE)
            self._outgoing.end(reset=True)

    async def aclose(self) -> None:
        """See Stream. Never waits: what was sent is on its way."""
        if self.lost is None:
            self.lose(CLOSED_HERE)
            self._outgoing.end(reset=False)
        await trio.lowlevel.checkpoint()

    def __repr__(self) -> str:
        return f"<MemoryStream {self.local} -> {self.remote}{f' ({self.lost})' if self.lost else ''}>"


async def _park(lot: trio.lowlevel.ParkingLot, until: float) -> None:
    if until == inf:
        await lot.park()
    else:
        with trio.move_on_at(until):
            await lot.park()


class Connection:
    """Two streams and what lies between them.

    number: it is the network's so-many-th. ended: called once, when neither end carries anything any more.
    datagrams: bytes of the largest that it carries beside its bytes; 0: it carries none.
    """

    def __init__(
        self,
        number: int,
        dialer: str,
        acceptor: str,
        address: MemoryAddress,
        *,
        there: Pipe,
        back: Pipe,
        ended: Callable[[Connection], object],
        datagrams: int = 0,
    ) -> None:
        self.number = number
        self._ended = ended
        here, away = str(MemoryAddress(dialer)), str(address)
        self.dialer = MemoryStream(self, dialer, local=here, remote=away, source=acceptor)
        self.acceptor = MemoryStream(self, acceptor, local=away, remote=here, source=dialer)
        self.dialer.join(incoming=back, outgoing=there)
        self.acceptor.join(incoming=there, outgoing=back)
        self.ways = ((self.dialer, there), (self.acceptor, back))
        """Each end with the pipe that it sends through."""
        if datagrams:
            thrown, returned = Scatter(there), Scatter(back)
            self.dialer.datagrams = MemoryDatagrams(self.dialer, returned, thrown, largest=datagrams)
            self.acceptor.datagrams = MemoryDatagrams(self.acceptor, thrown, returned, largest=datagrams)

    def cut(self, end: MemoryStream | None = None) -> None:
        """Break it for good: both ends notice now. With an `end`, it alone notices, the other never: half-open."""
        for stream, pipe in self.ways:
            pipe.sever()
            if end is None or stream is end:
                stream.lose("the connection was cut")

    def blackhole(self, sender: MemoryStream | None = None) -> None:
        """From now on nothing arrives of what `sender` sends; without one, nothing either way."""
        for stream, pipe in self.ways:
            if sender is None or stream is sender:
                pipe.hold()

    def heal(self) -> None:
        """End every `blackhole`: what was sent meanwhile arrives after all, as TCP sends it again."""
        for _, pipe in self.ways:
            pipe.release()

    def on_lost(self) -> None:
        """One end is lost now; of interest when both are."""
        if self.dialer.lost and self.acceptor.lost:
            self._ended(self)

    def __repr__(self) -> str:
        return f"<Connection {self.number} {self.dialer.host} -> {self.acceptor.host}>"
