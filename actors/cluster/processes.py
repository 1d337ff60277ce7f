"""A cluster of node processes: its directory, its first contact, its links."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import trio
from msgspec import Struct

from actors.cluster.children import GRACE, Child, NodeProcess, open_children
from actors.cluster.lifeline import open_lifeline
from actors.cluster.links import Topology, links
from actors.cluster.remote import RemoteNode
from actors.cluster.stopping import stop_nodes
from actors.cluster.together import together
from actors.control.client import ControlClient, open_control
from actors.control.directories import clear_directory, remove_directory
from actors.control.failures import ControlError
from actors.control.sockets import checked_name, cluster_directory, live_sockets, serving_process
from actors.errors import ConfigError
from actors.identity import NodeID
from transports.schemes import LOOPBACK, MISSING

MIXED = "mixed"
LISTEN = {scheme: (url,) for scheme, url in LOOPBACK.items()} | {MIXED: tuple(LOOPBACK.values())}
"""What the nodes listen on, by what links them: one transport, or all of them."""
CONNECTED = 20.0
"""Seconds that the links of a cluster take at most."""


def no_such_transport(nodes: str, transport: str, known: Iterable[str]) -> ConfigError:
    """What to raise; the hint says what to install, if that would help."""
    error = ConfigError(f"{nodes} cannot be linked by {transport!r}; there is {', '.join(known)}")
    error.hint = MISSING.get(transport, "")
    return error


class Plan(Struct, frozen=True, kw_only=True):
    """What a cluster of processes is to be."""

    names: tuple[str, ...]
    transport: str = "tcp"
    app: str | None = None
    engines: tuple[str, ...] = ()
    record: str = ""
    """A folder where the nodes write down what comes in."""
    topology: Topology = "mesh"
    permanent: bool = False
    grace: float = GRACE

    def processes(self, directory: Path) -> list[NodeProcess]:
        """How to start each node."""
        if self.transport not in LISTEN:
            raise no_such_transport("node processes", self.transport, LISTEN)
        return [
            NodeProcess(
                name=name,
                control=directory / f"{checked_name(name)}.sock",
                listen=LISTEN[self.transport],
                insecure=self.transport == MIXED,
                app=self.app,
                engines=self.engines,
                folder=os.getcwd(),
                links=self.linked_to(position),
                record=self.record,
            )
            for position, name in enumerate(self.names)
        ]

    def linked_to(self, position: int) -> tuple[str, ...]:
        """Whom this node is to keep a permanent link to."""
        pairs = links(len(self.names), self.topology) if self.permanent else ()
        return tuple(self.names[sum(pair) - position] for pair in pairs if position in pair)


@asynccontextmanager
async def open_processes(plan: Plan, cluster: str | None) -> AsyncIterator[tuple[RemoteNode, ...]]:
    """The nodes, all ready and introduced to each other."""
    with claimed_directory(cluster) as directory, open_lifeline(directory):
        async with open_children(plan.processes(directory), grace=plan.grace) as children:
            try:
                async with AsyncExitStack() as stack:
                    nodes = [await _remote(stack, child, directory) for child in children]
                    await introduce([node.control for node in nodes])
                    if plan.permanent:
                        await link([node.control for node in nodes], plan.topology)
                    yield tuple(nodes)
            finally:
                with trio.CancelScope(shield=True):
                    await _stop_restarted(directory, children, plan.grace)


async def introduce(nodes: Sequence[ControlClient]) -> None:
    """Let each node know the others' adverts."""
    adverts: dict[ControlClient, str] = {}

    async def collect(node: ControlClient) -> None:
        adverts[node] = await node.advert()

    async def learn(node: ControlClient) -> None:
        for other, advert in adverts.items():
            if other is not node:
                await node.learn(advert)

    await together(partial(collect, node) for node in nodes)
    await together(partial(learn, node) for node in nodes)


async def link(nodes: Sequence[ControlClient], topology: Topology) -> None:
    """Link the pairs of the topology for ever; returns once all are connected."""
    ids = [(await node.node()).id for node in nodes]

    async def connect(one: int, other: int) -> None:
        # One after the other: two that dial each other at once make two connections, to keep one.
        await nodes[one].connect(ids[other], permanent=True)
        await nodes[other].connect(ids[one], permanent=True)

    try:
        with trio.fail_after(CONNECTED):
            await together(partial(connect, one, other) for one, other in links(len(nodes), topology))
    except trio.TooSlowError:
        what = f"the links are not up after {CONNECTED:.0f} s"
        raise ControlError("not_connected", what, "actors ls proxies") from None


@contextmanager
def claimed_directory(cluster: str | None) -> Iterator[Path]:
    """The directory of a new cluster, without nodes yet; removed at the end, if nobody else runs there."""
    directory = cluster_directory(cluster or f"{os.getpid()}-{secrets.token_hex(2)}")
    if running := live_sockets(directory):
        names = ", ".join(node.name for node in running)
        error = ConfigError(f"the cluster {directory.name!r} runs already: {names}")
        error.hint = f"actors down --cluster {directory.name}, or choose another name"
        raise error
    clear_directory(directory)
    try:
        yield directory
    finally:
        remove_directory(directory)


async def _stop_restarted(directory: Path, children: Sequence[Child], grace: float) -> None:
    """End those that were killed and started again by somebody else."""
    ours = {os.getpid(), *(child.pid for child in children)}
    others = [node for node in live_sockets(directory) if serving_process(node.path) not in ours]
    await stop_nodes(others, grace=grace)


async def _remote(stack: AsyncExitStack, child: Child, directory: Path) -> RemoteNode:
    control = await stack.enter_async_context(open_control(directory / f"{child.name}.sock"))
    return RemoteNode(child, control, NodeID.parse((await control.node()).id))
