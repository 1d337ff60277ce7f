"""The control socket of a node: many clients, one request after the other each. I/O and containment only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import msgspec
import trio

from actors.control import messages as m
from actors.control.answers import Answers, happened
from actors.control.failures import failed_by
from actors.control.lines import LineReader, LineTooLongError
from actors.control.neighbours import Neighbours
from actors.control.reading import TOO_LONG, read_request
from actors.control.sockets import bound_socket
from actors.control.surface import ControlledNode
from actors.control.troubled import Troubled
from transports.errors import in_words

MAX_CLIENTS = 512
"""Connections at once; one more is told `busy`, and closed."""
PAUSE = 0.1
"""Seconds after which a client is looked for again that could not be let in."""

_log = logging.getLogger("actors.control")
_log.addHandler(logging.NullHandler())
_BUSY = m.Failed(code="busy", what=f"{MAX_CLIENTS} connections to this socket are open", hint="close some")
_CANCELLED = m.Failed(code="cancelled", what="cancelled by its client")

Work: TypeAlias = "tuple[m.Request | m.Failed, trio.CancelScope]"


async def serve_control(
    node: ControlledNode,
    path: Path,
    *,
    stop: Callable[[], None],
    troubled: Troubled | None = None,
    heard: Callable[[m.Request], None] | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the node's control socket at this path until cancelled; then it is gone.

    Started once clients can connect. `stop` is called when a client asks for the node's end; `troubled` are its
    connections, where clients may trouble them; `heard` is called with each request. ConfigError if the path cannot
    be served: a directory that is open to others, a node that serves it already, too long a path. Nothing that a
    client sends ends it.
    """
    answers = Answers(node, Neighbours(path), stop, troubled)
    clients: set[trio.SocketStream] = set()

    async def serve_client(stream: trio.SocketStream) -> None:
        async with stream:
            if len(clients) >= MAX_CLIENTS:
                return await _refuse(stream)
            clients.add(stream)
            try:
                await _Client(stream, node, answers, heard).serve()
            finally:
                clients.discard(stream)

    with bound_socket(path) as bound:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
        async with listener, trio.open_nursery() as nursery:
            task_status.started()
            while True:
                nursery.start_soon(serve_client, await _accept(listener))


async def _accept(listener: trio.SocketListener) -> trio.SocketStream:
    """The next client. A process without room for one more file has it again when somebody leaves."""
    told = False
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if not told:
                _log.warning("the control socket takes nobody: %s", in_words(error), extra={"event": "control-full"})
            told = True
            await trio.sleep(PAUSE)


class _Client:
    """One connection."""

    def __init__(
        self,
        stream: trio.SocketStream,
        node: ControlledNode,
        answers: Answers,
        heard: Callable[[m.Request], None] | None,
    ) -> None:
        self._stream = stream
        self._node = node
        self._answers = answers
        self._heard = heard

    async def serve(self) -> None:
        """Until the client has gone, and what it had asked is answered."""
        give, take = trio.open_memory_channel[Work](0)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, give)
                async for request, scope in take:
                    if isinstance(request, m.Follow):
                        nursery.start_soon(_until_closed, take, nursery.cancel_scope)
                        await self._follow()
                        break
                    await self._stream.send_all(await self._reply(request, scope))
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone

    async def _read(self, give: trio.MemorySendChannel[Work]) -> None:
        """Requests, one ahead of what is handled, so that a Cancel is seen."""
        reader = LineReader(self._stream, m.MAX_LINE)
        scope = trio.CancelScope()
        async with give:
            try:
                while (line := await reader.read()) is not None:
                    request = read_request(line)
                    if isinstance(request, m.Cancel):
                        scope.cancel()
                    elif line:
                        scope = trio.CancelScope()
                        await give.send((request, scope))
            except LineTooLongError:
                await give.send((TOO_LONG, scope))

    async def _reply(self, request: m.Request | m.Failed, scope: trio.CancelScope) -> bytes:
        with scope:
            try:
                if self._heard is not None and not isinstance(request, m.Failed):
                    self._heard(request)
                return _line(request if isinstance(request, m.Failed) else await self._answers.answer(request))
            except Exception as error:  # the socket's containment: a request must never harm the node
                return _line(failed_by(error))
        return _line(_CANCELLED)

    async def _follow(self) -> None:
        with self._node.events.subscribe() as events:
            await self._stream.send_all(_line(m.Done()))
            async for event in events:
                await self._stream.send_all(_line(happened(event)))


async def _until_closed(take: trio.MemoryReceiveChannel[Work], following: trio.CancelScope) -> None:
    """A client that follows events has had enough when it closes its side. What else it says means nothing."""
    async for _ in take:
        pass
    following.cancel()


async def _refuse(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        await stream.send_all(_line(_BUSY))


def _line(reply: m.Reply) -> bytes:
    return msgspec.json.encode(reply) + b"\n"
