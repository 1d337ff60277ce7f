"""A node's control socket, from outside: typed calls, typed answers, the node's own errors.

async with open_control(path) as control:
    reply = await control.ask("b/echo", "echo.ping", {"n": 1})
    print(reply.value, reply.path.transport)
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
import trio

from actors.control import messages as m
from actors.control.failures import ControlError, NodeDownError, error_from
from actors.control.lines import LineReader, LineTooLongError
from actors.control.sockets import check_owner
from actors.messages import EXPIRY, PREFS, TransportPrefs
from actors.snapshots import (
    AddressSnapshot,
    DeadLetterSnapshot,
    EngineSnapshot,
    LinkSnapshot,
    NodeSnapshot,
    ProxySnapshot,
    WorkSnapshot,
)

_MAX_REPLY = 64 << 20
"""Bytes of one line from our own node; a list of very many engines is long."""
_CALLS_AT_ONCE = 100
"""Each call under way has a connection of its own; a node serves somewhat more."""

_CANCEL = msgspec.json.encode(m.Cancel()) + b"\n"
_decode = msgspec.json.Decoder(m.Reply).decode

A = TypeVar("A", bound=m.ControlReply)


@asynccontextmanager
async def open_control(path: Path) -> AsyncIterator[ControlClient]:
    """A client of the node that serves this socket. ConfigError if it is not ours, NodeDownError if nobody is there."""
    client = ControlClient(path)
    try:
        await client.open()
        yield client
    finally:
        client.abort()


class ControlClient:
    """Calls may be made at the same time. A cancelled call is cancelled on the node as well.

    Every call raises NodeDownError when the node is not there, and otherwise what the node raised: the outcomes
    of `actors.errors` (`Expired`, `Lost`, `Refused`, `Crashed`), ControlError with the codes of `Failed`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[_Line] = []
        self._limit = trio.CapacityLimiter(_CALLS_AT_ONCE)

    # -- looking ------------------------------------------------------------------------------------------

    async def node(self) -> NodeSnapshot:
        """The node's figures."""
        return (await self._call(m.GetNode(), m.NodeIs)).node

    async def proxies(self, *, addresses: bool = False) -> tuple[ProxySnapshot, ...]:
        """Its Node Proxies; addresses: with what `explain` says of each."""
        return (await self._call(m.GetProxies(addresses=addresses), m.ProxiesAre)).proxies

    async def engines(self) -> tuple[EngineSnapshot, ...]:
        """Its engines."""
        return (await self._call(m.GetEngines(), m.EnginesAre)).engines

    async def link(self, peer: str) -> LinkSnapshot:
        """One of its Node Proxies, closely. ControlError `unknown_node` where there is none for this peer."""
        return (await self._call(m.GetLink(peer=peer), m.LinkIs)).link

    async def work(self, engine: str) -> WorkSnapshot:
        """One of its engines, closely. ControlError `unknown_engine` where there is none of this name."""
        return (await self._call(m.GetWork(engine=engine), m.WorkIs)).work

    async def dead_letters(self) -> tuple[DeadLetterSnapshot, ...]:
        """The last messages that were told and did not arrive, oldest first."""
        return (await self._call(m.GetDeadLetters(), m.DeadLettersAre)).letters

    async def recent(self) -> tuple[m.Happened, ...]:
        """The last events of the node, oldest first."""
        return (await self._call(m.GetEvents(), m.EventsAre)).events

    async def describe(self, engine: str) -> tuple[m.MessageDescription, ...]:
        """The messages that an engine of this node takes."""
        return (await self._call(m.Describe(engine=engine), m.Described)).messages

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[m.Happened]]:
        """What happens on the node from now on, until it stops: `async for event in events`."""
        line = await _Line.open(self.path)
        try:
            await line.write(m.Follow())
            _expect(await line.read(), m.Done)
            yield _Events(line)
        finally:
            line.abort()

    # -- sending ------------------------------------------------------------------------------------------

    async def tell(
        self, to: str, type: str, fields: Mapping[str, object], *, expiry: float = EXPIRY, prefs: TransportPrefs = PREFS
    ) -> m.Path:
        """Returns once the message is in the node's outbox, with the way that it takes."""
        request = m.Tell(to=to, type=type, fields=dict(fields), expiry=expiry, prefs=prefs)
        return (await self._call(request, m.Accepted)).path

    async def send(
        self, to: str, type: str, fields: Mapping[str, object], *, expiry: float = EXPIRY, prefs: TransportPrefs = PREFS
    ) -> m.Path:
        """Returns once the message is delivered, with the way that it took."""
        request = m.Send(to=to, type=type, fields=dict(fields), expiry=expiry, prefs=prefs)
        return (await self._call(request, m.Delivered)).path

    async def ask(
        self, to: str, type: str, fields: Mapping[str, object], *, expiry: float = EXPIRY, prefs: TransportPrefs = PREFS
    ) -> m.Replied:
        """The answer as JSON values, and the way."""
        request = m.Ask(to=to, type=type, fields=dict(fields), expiry=expiry, prefs=prefs)
        return await self._call(request, m.Replied)

    async def pass_on(
        self,
        verb: Literal["tell", "send", "ask"],
        to: str,
        payload: bytes,
        *,
        expiry: float = EXPIRY,
        prefs: TransportPrefs = PREFS,
    ) -> bytes:
        """A message that the caller has encoded; the answer's bytes, for `ask`."""
        request = m.Pass(verb=verb, to=to, payload=payload, expiry=expiry, prefs=prefs)
        return (await self._call(request, m.Passed)).payload

    async def compose(self, engine: str, type: str, fields: Mapping[str, object]) -> bytes:
        """A message for an engine of this node, as bytes."""
        return (await self._call(m.Compose(engine=engine, type=type, fields=dict(fields)), m.Composed)).payload

    async def read_reply(self, engine: str, type: str, payload: bytes) -> object:
        """The answer of an engine of this node, from bytes to JSON values."""
        return (await self._call(m.ReadReply(engine=engine, type=type, payload=payload), m.Read)).value

    # -- acting -------------------------------------------------------------------------------------------

    async def connect(self, peer: str, *, permanent: bool = True) -> None:
        """Returns once the peer is connected."""
        await self._call(m.Connect(peer=peer, permanent=permanent), m.Done)

    async def proxy(self, peer: str, action: m.ProxyAction) -> None:
        """Change the Node Proxy of this peer; returns at once."""
        await self._call(m.SetProxy(peer=peer, action=action), m.Done)

    async def explain(self, peer: str) -> tuple[AddressSnapshot, ...]:
        """Each address of the peer: when it would be dialed, and why."""
        return (await self._call(m.ExplainProxy(peer=peer), m.Explained)).addresses

    async def migrate(self, peer: str, scheme: str) -> tuple[str, ...]:
        """Move the link to this transport; the addresses that are dialed for it. ControlError `no_address`."""
        return (await self._call(m.Migrate(peer=peer, scheme=scheme), m.Migrating)).addresses

    async def cut(self, peer: str) -> None:
        """Sever the connection to this peer, as a fault. ControlError `not_connected` where there is none."""
        await self._call(m.Cut(peer=peer), m.Done)

    async def faults(self) -> m.Troubles:
        """What troubles the node's connections. ControlError `no_faults` unless it is one of a local cluster."""
        return (await self._call(m.GetFaults(), m.FaultsAre)).troubles

    async def trouble(self, troubles: m.Troubles) -> None:
        """Trouble its connections so, and no longer as before. ControlError `no_faults`."""
        await self._call(m.SetFaults(troubles=troubles), m.Done)

    async def learn(self, advert: str) -> str:
        """Let the node know a friend's advert; the friend's NodeID."""
        return (await self._call(m.Learn(advert=advert), m.Learned)).id

    async def advert(self) -> str:
        """The node's own, one line of text."""
        return (await self._call(m.GetAdvert(), m.AdvertIs)).advert

    async def stop(self) -> None:
        """Returns at once; the node then stops as by SIGTERM."""
        with suppress(NodeDownError):  # it may be gone before its answer is
            await self._call(m.Stop(), m.Done)

    # -- connections --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, so that what is wrong is known at once."""
        self._idle.append(await _Line.open(self.path))

    def abort(self) -> None:
        """Close what is idle. Calls under way close theirs."""
        while self._idle:
            self._idle.pop().abort()

    async def _call(self, request: m.Request, reply: type[A]) -> A:
        async with self._limit:
            line = self._idle.pop() if self._idle else await _Line.open(self.path)
            try:
                await line.write(request)
                answer = await line.read()
            except trio.Cancelled:
                line.cancel()
                raise
            except BaseException:
                line.abort()
                raise
        self._idle.append(line)
        return _expect(answer, reply)


class _Line:
    """One connection: a request, its reply, the next request."""

    def __init__(self, path: Path, socket: trio.socket.SocketType) -> None:
        self._path = path
        self._socket = socket
        self._stream = trio.SocketStream(socket)
        self._reader = LineReader(self._stream, _MAX_REPLY)

    @classmethod
    async def open(cls, path: Path) -> _Line:
        socket = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        try:
            check_owner(path)
            await socket.connect(str(path))
        except OSError:
            socket.close()
            raise NodeDownError(path) from None
        except BaseException:
            socket.close()
            raise
        return cls(path, socket)

    async def write(self, request: m.Request) -> None:
        data = msgspec.json.encode(request) + b"\n"
        if len(data) > m.MAX_LINE:
            raise ControlError("bad_request", f"the request has {len(data)} bytes, at most {m.MAX_LINE} fit")
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise NodeDownError(self._path, asked=True) from None

    async def read(self) -> m.Reply:
        try:
            line = await self._reader.read()
        except (trio.BrokenResourceError, trio.ClosedResourceError, LineTooLongError):
            line = None
        if line is None:
            raise NodeDownError(self._path, asked=True)
        try:
            reply: m.Reply = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ControlError("bug", f"{self._path} answers what this version does not know: {error}") from None
        return reply

    def cancel(self) -> None:
        """Let the node forget what it is doing for us. At once: the one line fits, or nobody reads any more."""
        with suppress(OSError):
            os.write(self._socket.fileno(), _CANCEL)
        self.abort()

    def abort(self) -> None:
        self._socket.close()


class _Events:
    """What happens, until the node ends. (No generator: one that is dropped half way would have to be closed.)"""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> m.Happened:
        try:
            return _expect(await self._line.read(), m.Happened)
        except NodeDownError:
            raise StopAsyncIteration from None


def _expect(answer: m.Reply, reply: type[A]) -> A:
    if isinstance(answer, m.Failed):
        raise error_from(answer)
    if not isinstance(answer, reply):
        raise ControlError("bug", f"the node answered {type(answer).__name__} where {reply.__name__} belongs")
    return answer
