"""A node in a process of its own, as a script sees it: the verbs of a Node, carried over its control socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from actors.cluster.children import Child
from actors.control.client import ControlClient
from actors.control.failures import ControlError, NodeDownError
from actors.errors import Lost
from actors.identity import EngineID, NodeID
from actors.messages import EXPIRY, PREFS, Local, Request, TransportPrefs
from actors.runtime.codec import encode, reply_decoder
from actors.snapshots import EngineSnapshot, NodeSnapshot, ProxySnapshot

R = TypeVar("R")


class RemoteNode:
    """`id`, `name` and the verbs are those of Node: messages are encoded, and answers decoded, by the caller's classes.

    What a Node says at once has to be awaited here: `snapshot`, `proxies`, `engines`. There is no `spawn`: a
    process runs the engines of its own app. `control` does whatever else can be done over the control socket.
    """

    def __init__(self, child: Child, control: ControlClient, node: NodeID) -> None:
        self.id = node
        self.name = child.name
        self.pid = child.pid
        self.control = control
        self._child = child

    def __repr__(self) -> str:
        return f"<RemoteNode {self.name} {self.id.short}…, process {self.pid}>"

    async def tell(
        self, to: EngineID, msg: Request[object], *, prefs: TransportPrefs = PREFS, expiry: float = EXPIRY
    ) -> None:
        """As Node.tell: returns once the message is in the node's outbox."""
        await self._pass("tell", to, msg, prefs, expiry)

    async def send(
        self, to: EngineID, msg: Request[object], *, prefs: TransportPrefs = PREFS, expiry: float = EXPIRY
    ) -> None:
        """As Node.send: returns once the message is delivered, else raises its outcome."""
        await self._pass("send", to, msg, prefs, expiry)

    async def ask(self, to: EngineID, msg: Request[R], *, prefs: TransportPrefs = PREFS, expiry: float = EXPIRY) -> R:
        """As Node.ask: the answer. Cancelled, the handler is cancelled too."""
        reply: R = reply_decoder(type(msg))(await self._pass("ask", to, msg, prefs, expiry))
        return reply

    async def snapshot(self) -> NodeSnapshot:
        """The node's figures."""
        return await self.control.node()

    async def proxies(self) -> Sequence[ProxySnapshot]:
        """Its Node Proxies."""
        return await self.control.proxies()

    async def engines(self) -> Sequence[EngineSnapshot]:
        """Its engines."""
        return await self.control.engines()

    async def wait_ended(self) -> int:
        """Returns once the process has ended, with its exit code; below zero, the signal."""
        return await self._child.process.wait()

    async def _pass(
        self,
        verb: Literal["tell", "send", "ask"],
        to: EngineID,
        msg: Request[object],
        prefs: TransportPrefs,
        expiry: float,
    ) -> bytes:
        if isinstance(msg, Local):
            raise ControlError("bad_field", f"{type(msg).__name__} is a local message, and never leaves its node")
        address = f"{to.node or self.id}/{to.name}"
        try:
            return await self.control.pass_on(verb, address, encode(msg), prefs=prefs, expiry=expiry)
        except NodeDownError as down:
            raise Lost("node_down", maybe_sent=down.asked) from down
