"""Transport Protocol: accepts and initiates connections of one protocol, and spawns a Transport Connection for each.

spec: "a Transport Protocol engine accepts and initiates connections for one protocol".
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from msgspec import field

from actors.engine import Engine, Policy, on
from actors.identity import EngineID
from actors.net.call import Call
from actors.net.network import Network
from actors.net.vocabulary import Dial, Evict, Incoming, Settling
from transports.base import Listener, Stream, Transport
from transports.errors import ListenerClosed

MakeConnection = Callable[[Transport, Stream | Dial, Callable[[Stream | Call], object]], Engine]
"""The engine for a connection: one that was accepted, or one to be dialed. It says when stream or call is its own."""


class TransportProtocol(Engine):
    """Listens at its addresses; before proof a connection has one of a bounded number of slots (H9)."""

    network: Network
    transport: Transport
    listeners: tuple[Listener, ...]
    make_connection: MakeConnection
    unclaimed: set[Stream | Call] = field(default_factory=set)
    """Accepted or to be dialed, and not yet in the hands of an engine that ends it: what was spawned may not begin."""
    made: int = 0

    @on(Dial)
    def dial(self, msg: Dial) -> None:
        """A connection of our own."""
        self.unclaimed.add(msg.call)
        self._spawn(msg)

    @on(Incoming)
    def incoming(self, msg: Incoming) -> None:
        """A connection of somebody who has still to say who it is."""
        self.network.door.counters.came += 1
        connection = self._spawn(msg.stream)
        evicted = self.network.door.slots.enter(connection.name, msg.stream.source)
        if evicted is not None:
            self.tell(EngineID(None, evicted), Evict())

    @on(Settling)
    def settling(self, msg: Settling) -> None:
        """It needs its slot no more."""
        self.network.door.slots.leave(msg.connection.name)

    def _spawn(self, begin: Stream | Dial) -> EngineID:
        self.made += 1
        name = f"transport.{self.transport.scheme}.{self.made}"
        return self.spawn(
            self.make_connection(self.transport, begin, self.unclaimed.discard), name, policy=Policy.TEMPORARY
        )

    # -- port -------------------------------------------------------------------------------------------

    async def port(self) -> None:
        """Accept until the end; the listeners close with it."""
        try:
            async with trio.open_nursery() as nursery:
                if self.transport.serve is not None:
                    nursery.start_soon(self.transport.serve)
                for listener in self.listeners:
                    nursery.start_soon(self._accept, listener)
                await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                for listener in self.listeners:
                    await listener.aclose()

    def _ended(self) -> None:
        """Connections that have begun have ended before; nobody else will look after these."""
        for each in self.unclaimed:
            each.abort()

    async def _accept(self, listener: Listener) -> None:
        while True:
            try:
                stream = await listener.accept()
            except ListenerClosed:
                return
            self.unclaimed.add(stream)
            self.post(Incoming(stream))
