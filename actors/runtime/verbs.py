"""tell, send and ask, for one sender: an engine, or the node itself. The hot path, with `mailbox` and `cell`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import trio
from trio.lowlevel import checkpoint

from actors.errors import Expired, Refused
from actors.identity import EngineID
from actors.messages import EXPIRY, PREFS, Request, TransportPrefs
from actors.runtime.asks import Slot
from actors.runtime.codec import encode, through_codec
from actors.runtime.handling import handler_here
from actors.runtime.mailbox import LocalPort
from actors.runtime.ports import AnyPort, Port, Ports

if TYPE_CHECKING:
    from actors.runtime.runtime import Runtime

R = TypeVar("R")


class Verbs:
    """What one sender can do. `expiry` is in seconds, from now.

    `tell` returns when the message is accepted, usually without giving way; whatever happens to it later is a dead
    letter at most. It raises if the message could not be accepted in time, or ever. A target that does not exist is
    no error of `tell`: the message is a dead letter; that this node has stopped is one: Refused("node_stopped").
    `send` and `ask` raise every outcome but the good one. `prefs` may make a message for another node unreliable: see
    TransportPrefs.
    """

    def __init__(self, runtime: Runtime, sender: EngineID) -> None:
        self._runtime = runtime
        self._sender = sender
        self.ports = Ports(runtime, sender)

    # -- tell --------------------------------------------------------------------------------------------

    async def tell(
        self, to: EngineID, msg: Request[Any], *, prefs: TransportPrefs = PREFS, expiry: float = EXPIRY
    ) -> None:
        """Accept the message for delivery. Cancelled, it was not accepted."""
        try:
            port = self.ports[to]
        except Refused as outcome:
            await self._undeliverable(to, msg, outcome)
            return
        if port.local:
            if port.left > 0:
                port.left -= 1
                port.append(msg)
            else:
                await self.tell_local(port, self._checked(msg), expiry, handler_here())
            return
        data = encode(msg)  # the caller gets the error, and the size is known
        left = port.left - len(data) - port.FLAT
        if left >= 0 and expiry == port.expiry and prefs is PREFS:
            port.left = left
            port.append(data)
        else:
            await self.tell_remote(port, to, data, prefs, expiry)

    def tell_nowait(
        self, to: EngineID, msg: Request[Any], *, prefs: TransportPrefs = PREFS, expiry: float = EXPIRY
    ) -> None:
        """As tell, or Refused("full")."""
        try:
            port = self._port(to)
        except Refused as outcome:
            self._bury(to, msg, outcome)
            return
        if not port.local:
            port.tell_nowait(encode(msg), expiry, prefs)
        elif not port.tell(self._checked(msg)):
            raise Refused("full", f"the mailbox of {to.name} has no room")

    async def tell_local(self, port: LocalPort, msg: Request[Any], expiry: float, waiter: str | None) -> None:
        """About once in a slice: let others run, open a new batch, wait for room."""
        if port.spent():
            pace = self._runtime.pace
            pace.opens = 0
            if not pace.strict:
                port.open()  # before giving way: other tasks of this sender go on with a fresh share
            await checkpoint()  # before accepting: cancelled means not accepted
        if not port.tell(msg):
            try:
                await self._wait_for_room(port, expiry, waiter, port.open)
            except Refused as outcome:
                if outcome.reason != "stopped":
                    raise
                await self._undeliverable(port.target, msg, outcome)
            else:
                port.tell(msg)

    async def tell_remote(self, port: Port, to: EngineID, data: bytes, prefs: TransportPrefs, expiry: float) -> None:
        """The run is full, or old, or another: the outbox decides."""
        if port.closed:
            try:
                port = self._reopened(to)
            except Refused as outcome:
                await self._undeliverable(to, data, outcome)
                return
        await port.tell_slow(data, expiry, prefs)

    async def _undeliverable(self, to: EngineID, msg: Request[Any] | bytes, outcome: Refused) -> None:
        await checkpoint()
        self._bury(to, msg, outcome)

    def _bury(self, to: EngineID, msg: Request[Any] | bytes, outcome: Refused) -> None:
        if self._runtime.is_over:
            raise outcome  # nobody looks at the dead letters of a node that has stopped
        self._runtime.dead_letters.add(self._sender, to, msg, outcome)

    # -- send --------------------------------------------------------------------------------------------

    async def send(
        self, to: EngineID, msg: Request[Any], *, prefs: TransportPrefs = PREFS, expiry: float = EXPIRY
    ) -> None:
        """Return when the message is in its target's mailbox, else raise its outcome.

        Cancelled, it may be delivered all the same: use `ask` where it must be taken back.
        """
        await checkpoint()
        port = self._port(to)
        if port.local:
            msg = self._checked(msg)
            if not port.tell(msg):
                await self._wait_for_room(port, expiry, handler_here(), port.open)
                port.tell(msg)
            return
        slot = Slot(self._runtime.clock.now() + expiry, type(msg), peer=to.node)
        alarm = self._runtime.clock.call_at(slot.deadline, slot.expire)
        try:
            await port.send(encode(msg), expiry, prefs, slot)
            await slot.wait()
        finally:
            alarm.cancel()

    # -- ask ---------------------------------------------------------------------------------------------

    async def ask(self, to: EngineID, msg: Request[R], *, prefs: TransportPrefs = PREFS, expiry: float = EXPIRY) -> R:
        """The reply, else raise the outcome. Cancelled, an async handler that works on it is cancelled too.

        On another node that handler has the time that is left here: the expiry, or what the asker's cancel scopes
        leave when it asks, if that is less (PROTOCOL Q2). In a handler, that is at most what its own asker waits.
        """
        port = self.ports.get(to)
        if port is None or (not port.local and port.closed):
            port = await self._port_or_checkpoint(to)
        if port.local:
            value = await self._ask_local(port, msg, expiry)
        else:
            value = await self._ask_remote(port, to, msg, prefs, expiry)
        return value  # type: ignore[return-value]  # what the handler gave, or the decoder read

    async def _ask_local(self, port: LocalPort, msg: Request[Any], expiry: float) -> object:
        runtime, waiter, target = self._runtime, handler_here(), port.target.name
        slot = Slot(runtime.clock.now() + expiry, type(msg))
        ask = (slot, self._checked(msg))
        if waiter is not None:
            await self._add_edge(waiter, target)
        alarm = runtime.clock.call_at(slot.deadline, slot.expire)
        try:
            if not port.ask(ask):
                await self._wait_for_room(port, expiry, None, lambda: port.ask(ask, first=True))
            return await slot.wait()
        finally:
            alarm.cancel()
            if waiter is not None:
                runtime.waits.remove(waiter, target)

    async def _ask_remote(
        self, port: Port, to: EngineID, msg: Request[Any], prefs: TransportPrefs, expiry: float
    ) -> object:
        runtime, data = self._runtime, encode(msg)
        slot = runtime.asks.open(runtime.clock.now() + expiry, type(msg), to.node or runtime.id)
        slot.until = trio.current_effective_deadline()
        alarm = runtime.clock.call_at(slot.deadline, slot.expire)
        try:
            await port.ask(data, expiry, prefs, slot)
            return await slot.wait()
        finally:
            alarm.cancel()
            runtime.asks.forget(slot)

    # -- ports -------------------------------------------------------------------------------------------

    def _port(self, to: EngineID) -> AnyPort:
        port = self.ports[to]
        return port if port.local or not port.closed else self._reopened(to)

    def _reopened(self, to: EngineID) -> Port:
        """Another lane, in the place of one whose outbox has ended."""
        self.ports.forget(to)
        port = self.ports[to]
        assert not port.local
        return port

    async def _port_or_checkpoint(self, to: EngineID) -> AnyPort:
        try:
            return self._port(to)
        except Refused:
            await checkpoint()
            raise

    # -- waiting -----------------------------------------------------------------------------------------

    async def _wait_for_room(
        self, port: LocalPort, expiry: float, waiter: str | None, attempt: Callable[[], bool]
    ) -> None:
        """Until `attempt` succeeds; after all that came before. `waiter` stands still meanwhile."""
        box, target = port.mailbox, port.target.name
        if waiter is not None:
            await self._add_edge(waiter, target)
        box.waiting += 1
        try:
            with trio.move_on_after(expiry) as scope:
                if box.waiting > 1 and not box.closed:
                    await box.lot.park()
                while not attempt():
                    if box.closed:
                        raise Refused("stopped", f"{target} ended before it had room")
                    await box.lot.park()
            if scope.cancelled_caught:
                raise Expired(maybe_sent=False)
        finally:
            box.waiting -= 1
            if waiter is not None:
                self._runtime.waits.remove(waiter, target)

    async def _add_edge(self, waiter: str, target: str) -> None:
        if cycle := self._runtime.waits.add(waiter, target):
            await checkpoint()
            raise Refused("deadlock", " -> ".join(cycle))

    def _checked(self, msg: Request[Any]) -> Request[Any]:
        return through_codec(msg) if self._runtime.pace.strict else msg
