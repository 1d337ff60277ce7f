"""Connections inside one process: no sockets, no tasks, no real time, the same in every run under a MockClock.

A simulator replaces pieces: `MemoryNetwork.make_pipe` (bandwidth, corruption), `MemoryNetwork.route` (who reaches
whom, and when), and learns of new connections in `MemoryNetwork.connected`. Faults of the moment happen to the
members of `MemoryNetwork.connections`.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from random import Random

import trio

from transports.addresses import MemoryAddress, TransportAddress
from transports.errors import AddressError, AddressInUse, ConnectFailed, ListenerClosed
from transports.memory.connection import Connection, MemoryStream
from transports.memory.pipes import CAPACITY, Pipe

BACKLOG = 128


class MemoryListener:
    """A Listener at a name of a MemoryNetwork."""

    def __init__(self, network: MemoryNetwork, host: str, address: MemoryAddress) -> None:
        self.address = address
        self.host = host
        self._network = network
        self._waiting: deque[MemoryStream] = deque()
        self._changed = trio.lowlevel.ParkingLot()
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether too many wait to be accepted."""
        return len(self._waiting) >= BACKLOG

    def offer(self, stream: MemoryStream) -> None:
        """A dial has come through."""
        self._waiting.append(stream)
        self._changed.unpark()

    async def accept(self) -> MemoryStream:
        """See Listener."""
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self._closed:
                raise ListenerClosed(f"{self.address} is closed")
            await self._changed.park()
        return self._waiting.popleft()

    async def aclose(self) -> None:
        """See Listener. Connections that nobody accepted are reset."""
        if not self._closed:
            self._closed = True
            self._network.unlist(self)
            while self._waiting:
                self._waiting.popleft().abort()
            self._changed.unpark_all()
        await trio.lowlevel.checkpoint()

    def __repr__(self) -> str:
        return f"<MemoryListener {self.address}{' closed' if self._closed else ''}>"


class MemoryNetwork:
    """Hosts that reach each other by name. Nothing is global: two networks know nothing of each other.

    latency: seconds that bytes travel one way; jitter: up to so many more, drawn from `rng`.
    capacity: bytes that one direction of a connection holds.
    """

    def __init__(
        self, rng: Random | None = None, *, latency: float = 0.0, jitter: float = 0.0, capacity: int = CAPACITY
    ) -> None:
        self.rng = rng or Random(0)  # noqa: S311 - delays, not secrets
        self.latency = latency
        self.jitter = jitter
        self.capacity = capacity
        self.datagrams = 0
        """Bytes of the largest datagram that new connections carry beside their bytes; 0: they carry none."""
        self._listeners: dict[str, MemoryListener] = {}
        self._connections: dict[int, Connection] = {}
        self._numbers = count(1)

    @property
    def connections(self) -> list[Connection]:
        """Those with an end that is not lost, in the order in which they were dialed."""
        return list(self._connections.values())

    @property
    def listeners(self) -> list[MemoryListener]:
        """Those that can be reached, in the order in which they were opened."""
        return list(self._listeners.values())

    def transport(self, host: str) -> MemoryTransport:
        """How one host uses the network. `host` reads like the name of a memory:// address."""
        return MemoryTransport(self, host)

    def delay(self) -> float:
        """Seconds that the next parcel of any pipe travels."""
        return self.latency + (self.rng.uniform(0, self.jitter) if self.jitter else 0.0)

    def make_pipe(self, sender: str, receiver: str) -> Pipe:
        """The way from one host to another, for a new connection."""
        return Pipe(self.delay, capacity=self.capacity)

    async def route(self, dialer: str, address: MemoryAddress) -> None:
        """A dial on its way to the listener and back. May raise ConnectFailed, or never return."""
        await trio.sleep(self.delay() + self.delay())

    def connected(self, connection: Connection) -> None:
        """A dial has come through; nobody has used the connection yet."""

    async def connect(self, dialer: str, address: MemoryAddress) -> MemoryStream:
        """See Transport.dial."""
        await self.route(dialer, address)
        listener = self._listeners.get(address.name)
        if listener is None:
            raise ConnectFailed(str(address), "connection refused, nothing listens there")
        if listener.full:
            raise ConnectFailed(str(address), "connection refused, too many wait there")
        connection = Connection(
            next(self._numbers),
            dialer,
            listener.host,
            address,
            there=self.make_pipe(dialer, listener.host),
            back=self.make_pipe(listener.host, dialer),
            ended=self._forget,
            datagrams=self.datagrams,
        )
        self._connections[connection.number] = connection
        self.connected(connection)
        listener.offer(connection.acceptor)
        return connection.dialer

    def listen(self, host: str, address: MemoryAddress) -> MemoryListener:
        """See Transport.listen."""
        if address.name in self._listeners:
            raise AddressInUse(str(address), "the address is in use")
        listener = self._listeners[address.name] = MemoryListener(self, host, address)
        return listener

    def unlist(self, listener: MemoryListener) -> None:
        """Nobody reaches this listener any more."""
        if self._listeners.get(listener.address.name) is listener:
            del self._listeners[listener.address.name]

    def _forget(self, connection: Connection) -> None:
        del self._connections[connection.number]


class MemoryTransport:
    """The Transport of `memory://`, for one host of one network."""

    scheme = MemoryAddress.scheme
    secure = MemoryAddress.secure
    serve = None

    def __init__(self, network: MemoryNetwork, host: str) -> None:
        self.network = network
        self.host = MemoryAddress(host).name

    async def dial(self, address: TransportAddress) -> MemoryStream:
        """See Transport."""
        return await self.network.connect(self.host, _own(address))

    async def listen(self, address: TransportAddress) -> MemoryListener:
        """See Transport."""
        await trio.lowlevel.checkpoint()
        return self.network.listen(self.host, _own(address))


def _own(address: TransportAddress) -> MemoryAddress:
    if not isinstance(address, MemoryAddress):
        raise AddressError(f"{address} is no memory:// address")
    return address
