"""Ways to engines: what the network implements, and one sender's table of them. Protocols, and a dict."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from actors.errors import Refused
from actors.identity import EngineID, NodeID
from actors.messages import TransportPrefs
from actors.runtime.mailbox import LocalPort

if TYPE_CHECKING:
    from actors.runtime.asks import Slot
    from actors.runtime.runtime import Runtime


class Port(Protocol):
    """The way to one engine of another node, for one sender: a lane of that node's outbox.

    While `left` covers a message's bytes and FLAT and its expiry is `expiry`, `tell` only calls `append`.
    Everything else goes through the methods. Messages are encoded.
    """

    @property
    def local(self) -> Literal[False]: ...

    @property
    def closed(self) -> bool:
        """The outbox has ended: ask for another lane."""

    left: int
    expiry: float
    append: Callable[[bytes], None]

    @property
    def FLAT(self) -> int:
        """What every message weighs besides its bytes."""

    async def tell_slow(self, data: bytes, expiry: float, prefs: TransportPrefs) -> None:
        """Returns when accepted; waits for room, at most until the expiry."""

    def tell_nowait(self, data: bytes, expiry: float, prefs: TransportPrefs) -> None:
        """Accepted, or Refused("full")."""

    async def send(self, data: bytes, expiry: float, prefs: TransportPrefs, slot: Slot) -> None:
        """Returns when accepted; the slot gets the outcome."""

    async def ask(self, data: bytes, expiry: float, prefs: TransportPrefs, slot: Slot) -> None:
        """Returns when accepted; the slot, found by its correlation, gets the answer or the outcome."""


class Outlet(Protocol):
    """The outbox to one other node."""

    def lane(self, sender: str, target: str) -> Port:
        """The way from one engine here ("" is the node itself) to one there. The same pair, the same lane."""


Gateway: TypeAlias = Callable[[NodeID], Outlet]
"""The outbox to a node; raises Refused if there can be none."""

AnyPort: TypeAlias = LocalPort | Port


def no_route(node: NodeID) -> Outlet:
    """The gateway of a runtime without a network."""
    raise Refused("no_route", f"no way to node {node.short}: this runtime has no network")


_MANY = 1024
"""Ports of one sender from which on those that have closed are looked for."""


class Ports(dict[EngineID, AnyPort]):
    """One sender's ports by target, opened at first use: `ports[target]`, or Refused."""

    __slots__ = ("_limit", "_runtime", "_sender")

    def __init__(self, runtime: Runtime, sender: EngineID) -> None:
        super().__init__()
        self._runtime = runtime
        self._sender = sender
        self._limit = _MANY

    def __missing__(self, target: EngineID) -> AnyPort:
        if len(self) >= self._limit:
            self._sweep()
        port = self[target] = self._open(target)
        return port

    def _open(self, to: EngineID) -> AnyPort:
        runtime = self._runtime
        if runtime.is_over:
            raise Refused("node_stopped", f"node {runtime.id.short} has stopped")
        if to.node is not None and to.node != runtime.id:
            return runtime.gateway(to.node).lane(self._sender.name, to.name)
        absolute = EngineID(runtime.id, to.name)
        if to.node is None:
            return self[absolute]  # both spellings are one port: one order
        cell = runtime.directory.get(to.name)
        if cell is None:
            raise Refused("no_engine", f"there is no engine {to.name!r} on node {runtime.id.short}")
        if cell.mailbox.closed:
            raise Refused("stopped", f"{to.name} is ending")
        return LocalPort(self._sender, absolute, cell.mailbox, runtime.pace, self)

    def leave(self, target: EngineID) -> None:
        """One of the two ends of this port is no more."""
        self.forget(target, EngineID(None, target.name))

    def forget(self, *targets: EngineID) -> None:
        """The next use opens another."""
        for target in targets:
            self.pop(target, None)

    def close(self) -> None:
        """The sender has ended. What it told stays told."""
        for port in tuple(self.values()):
            if port.local:
                port.unbind()
        self.clear()

    def _sweep(self) -> None:
        """Local ports leave by themselves, when either end does; those of closed outboxes go here."""
        for target, port in tuple(self.items()):
            if not port.local and port.closed:
                del self[target]
        self._limit = max(_MANY, 2 * len(self))
