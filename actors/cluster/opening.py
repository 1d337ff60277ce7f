"""`open_cluster`: one call for nodes in this process and for nodes in processes of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Literal, TypeAlias, overload

from actors.app import call_setup, load_engine, load_setup
from actors.cluster.children import GRACE
from actors.cluster.links import Topology, links, node_names
from actors.cluster.processes import LISTEN, Plan, no_such_transport, open_processes
from actors.cluster.remote import RemoteNode
from actors.cluster.together import together
from actors.control.troubled import Troubled
from actors.node import Node, open_node
from transports.base import Transport
from transports.memory.network import MemoryNetwork

Linked: TypeAlias = Literal["tcp", "tls", "ws", "wss", "quic", "mixed"]
"""What links the nodes of a cluster between processes; mixed: all transports."""


@overload
def open_cluster(
    n: int,
    *,
    processes: Literal[False] = False,
    app: str | None = None,
    engines: Sequence[str] = (),
    transport: Linked | Literal["memory"] = "memory",
    topology: Topology = "mesh",
    permanent: bool = False,
    names: Sequence[str] | None = None,
) -> AbstractAsyncContextManager[tuple[Node, ...]]: ...
@overload
def open_cluster(
    n: int,
    *,
    processes: Literal[True],
    app: str | None = None,
    engines: Sequence[str] = (),
    transport: Linked = "tcp",
    topology: Topology = "mesh",
    permanent: bool = False,
    names: Sequence[str] | None = None,
    cluster: str | None = None,
    grace: float = GRACE,
    record: str = "",
) -> AbstractAsyncContextManager[tuple[RemoteNode, ...]]: ...
def open_cluster(
    n: int,
    *,
    processes: bool = False,
    app: str | None = None,
    engines: Sequence[str] = (),
    transport: str | None = None,
    topology: Topology = "mesh",
    permanent: bool = False,
    names: Sequence[str] | None = None,
    cluster: str | None = None,
    grace: float = GRACE,
    record: str = "",
) -> AbstractAsyncContextManager[tuple[Node, ...]] | AbstractAsyncContextManager[tuple[RemoteNode, ...]]:
    """`n` nodes that know each other's adverts, called a, b, c … or by `names`; gone when the block is left.

    Without more they connect when the first message is sent. With `permanent=True` the pairs of `topology` are
    linked for ever, and all are connected when the block begins.

    In this process the nodes share one memory network, or loopback with another `transport` ("mixed": all). With
    `processes=True` each is a process of its own, started as `python -m actors run`, with its control socket in
    the directory of `cluster` (a name; by default one that nobody else has). The processes end with the block,
    and with this process however it ends: by SIGTERM, after `grace` seconds by SIGKILL.

    Each node calls the setup function `app="module:setup"` and spawns the `engines` "module:Class", imported with
    the working directory on the path. AppError for what is wrong with them; NodeConfigError, with the same
    words, for a process that cannot start.
    """
    if processes:
        plan = Plan(
            names=node_names(n, names),
            transport=transport or "tcp",
            app=app,
            engines=tuple(engines),
            topology=topology,
            permanent=permanent,
            grace=grace,
            record=record,
        )
        return open_processes(plan, cluster)
    return open_here(node_names(n, names), app, engines, transport or "memory", topology if permanent else None)


@asynccontextmanager
async def open_here(
    names: Sequence[str],
    app: str | None,
    engines: Sequence[str],
    transport: str,
    topology: Topology | None,
    troubled: Mapping[str, Troubled] | None = None,
) -> AsyncIterator[tuple[Node, ...]]:
    """As `open_cluster`, in this process; linked in memory, the connections of nodes by these names can be troubled."""
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(_open(name, transport, network, troubled or {})) for name in names]
        for node in nodes:
            for other in nodes:
                if other is not node:
                    node.learn(other.advert)
        for node in nodes:
            await _furnish(node, app, engines)
        if topology:
            await _link(nodes, topology)
        yield tuple(nodes)


def _open(
    name: str, transport: str, network: MemoryNetwork, troubled: Mapping[str, Troubled]
) -> AbstractAsyncContextManager[Node]:
    if transport == "memory":
        memory: Transport = network.transport(name)
        if name in troubled:
            memory = troubled[name].over(memory)
        return open_node(name=name, listen=(f"memory://{name}",), transports=(memory,))
    if transport in LISTEN:
        return open_node(name=name, listen=LISTEN[transport])
    raise no_such_transport("nodes of one process", transport, ("memory", *LISTEN))


async def _furnish(node: Node, app: str | None, engines: Sequence[str]) -> None:
    for reference in engines:
        name, engine = load_engine(reference)
        node.spawn(engine, name)
    if app:
        await call_setup(app, load_setup(app), node)


async def _link(nodes: Sequence[Node], topology: Topology) -> None:
    async def connect(one: Node, other: Node) -> None:
        # One after the other: two that dial each other at once make two connections, to keep one.
        await one.connect(other.id, permanent=True)
        await other.connect(one.id, permanent=True)

    await together(partial(connect, nodes[one], nodes[other]) for one, other in links(len(nodes), topology))
