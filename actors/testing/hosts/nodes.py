"""Node processes, each on a host; which can be killed, frozen and started again."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from types import MappingProxyType

import trio

from actors.cluster import NodeProcess, RemoteNode, lives
from actors.cluster.children import GRACE, Child, open_children
from actors.cluster.lifeline import open_lifeline
from actors.cluster.processes import claimed_directory, introduce
from actors.cluster.together import together
from actors.control.client import open_control
from actors.control.failures import ControlError
from actors.control.sockets import NodeSocket
from actors.identity import NodeID
from actors.snapshots import NodeSnapshot
from actors.testing.hosts.host import Host

PLAIN = MappingProxyType(dict[str, str]())


class HostedNode(RemoteNode):
    """A node process on a host. `process` is the node's own: `pid` is that of what started it there."""

    def __init__(self, child: Child, host: Host, socket: NodeSocket, remote: RemoteNode) -> None:
        super().__init__(child, remote.control, remote.id)
        self.host = host
        self._socket = socket

    @property
    def process(self) -> int:
        """As this process sees it. ControlError if there is none."""
        return lives.process_of(self._socket)

    async def kill(self) -> None:
        """SIGKILL: it ends at once, without a word."""
        await lives.kill(self._socket)
        await self.wait_ended()
        self.control.abort()  # its lines to the process that was

    async def restart(self) -> NodeSnapshot:
        """Start it again, killed first if it runs: with its key and its state, on a new port; the others are told."""
        with suppress(ControlError):
            await self.kill()
        self._child.release()
        self._child, again = await lives.restart_child(self._socket)
        self.pid = self._child.pid
        return again

    async def stop(self, grace: float) -> None:
        """As by SIGTERM, which what started it there would not hand on; killed after so many seconds."""
        with suppress(Exception), trio.move_on_after(grace):
            async with open_control(self.control.path) as control:
                await control.stop()
            await self.wait_ended()
        await self._child.stop(grace)

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """In the block it does nothing (SIGSTOP), and its connections stay."""
        process = self.process
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in (process, self.pid):  # what started it stops when it does
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def open_nodes(
    *hosts: Host,
    schemes: Sequence[str] = ("tls",),
    app: str | None = None,
    folder: str | os.PathLike[str] = ".",
    settings: Mapping[str, str] = PLAIN,
    through: Sequence[str] = (),
    grace: float = GRACE,
) -> AsyncIterator[tuple[HostedNode, ...]]:
    """A node on each host, named after it; all ready, and introduced to each other, without links yet.

    schemes: the transports that they listen with. app: as of `actors run`, imported from `folder`. settings: more of
    their environment, such as ACTORS_LIMITS_DEAD_SECONDS. through: words before their commands, as of a `Bound`. They
    end with the block, and with this process.
    """
    place = os.path.abspath(folder)  # noqa: ASYNC240 - does not block
    with claimed_directory(None) as directory, open_lifeline(directory):
        starts = [
            NodeProcess(
                name=host.name,
                control=directory / f"{host.name}.sock",
                listen=tuple(f"{scheme}://{host.address}:0" for scheme in schemes),
                insecure=bool({"tcp", "ws"} & set(schemes)),
                app=app,
                folder=place,
                through=(*host.through(place), *through),
                settings=dict(settings),
            )
            for host in hosts
        ]
        async with open_children(starts, grace=grace) as children, AsyncExitStack() as stack:
            nodes = [
                await _hosted(stack, child, host, NodeSocket(directory.name, host.name, start.control))
                for child, host, start in zip(children, hosts, starts, strict=True)
            ]
            try:
                await introduce([node.control for node in nodes])
                yield tuple(nodes)
            finally:
                with trio.CancelScope(shield=True):
                    await together(partial(node.stop, grace) for node in nodes)


async def _hosted(stack: AsyncExitStack, child: Child, host: Host, socket: NodeSocket) -> HostedNode:
    control = await stack.enter_async_context(open_control(socket.path))
    return HostedNode(child, host, socket, RemoteNode(child, control, NodeID.parse((await control.node()).id)))
