"""Local clusters for `actors up`: in node processes, in this process, or left behind. What is shown is the caller's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import cast

import trio
from msgspec import Struct

from actors.cluster import Linked, RemoteNode, Topology, node_names, open_cluster, start_cluster
from actors.cluster.endings import wait_ended
from actors.cluster.opening import open_here
from actors.cluster.processes import Plan, claimed_directory
from actors.console.signals import end_by_signal
from actors.console.words import say
from actors.control.client import ControlClient
from actors.control.gathering import gather
from actors.control.server import serve_control
from actors.control.sockets import cluster_directory, live_sockets, serving_process
from actors.control.troubled import Troubled
from actors.node import Node
from actors.snapshots import NodeSnapshot, ProxySnapshot

APP = "actors.console.engines:setup"
_STDERR = 2
_LAST_WORDS = 20


class Launch(Struct, frozen=True, kw_only=True):
    """What is to be started."""

    nodes: int
    transport: str
    topology: Topology
    cluster: str
    app: str = APP
    """What each node runs."""
    record: str = ""
    """A folder where the nodes write down what comes in."""
    seconds: float | None = None
    """How long it is to run once it is ready; None is until a signal."""


class Started(Struct, frozen=True, kw_only=True):
    """What runs, at the moment when every pair is connected."""

    nodes: tuple[NodeSnapshot, ...]
    proxies: tuple[ProxySnapshot, ...]
    ready_seconds: float


Show = Callable[[Started], None]


async def run_processes(launch: Launch, show: Show) -> None:
    """Node processes that end with this command; it ends by a signal, after its time, or when all nodes have ended."""
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(end_by_signal)
        async with _processes(launch) as nodes:
            show(await _look(cluster_directory(launch.cluster), began))
            await _wait(launch, partial(_all_ended, nodes, cluster_directory(launch.cluster)))
        nursery.cancel_scope.cancel()


async def run_watched(launch: Launch, watch: Callable[[Path], Awaitable[None]]) -> None:
    """Node processes that end when `watch`, which has the terminal and is given their directory, returns.

    What they say meanwhile would spoil the screen: it is kept, and said at the end.
    """
    with words_kept():
        async with _processes(launch):
            with trio.move_on_after(inf if launch.seconds is None else launch.seconds):
                await watch(cluster_directory(launch.cluster))


async def run_here(launch: Launch, show: Show) -> None:
    """Nodes in this process, linked by memory, each with its control socket. The end of one is the end of all."""
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(end_by_signal)
        names = node_names(launch.nodes)
        troubled = {name: Troubled() for name in names}
        async with open_here(names, launch.app, (), "memory", launch.topology, troubled) as nodes:
            with claimed_directory(launch.cluster) as directory:
                await _serve(nodes, troubled, directory, launch, show, began)
        nursery.cancel_scope.cancel()


async def run_detached(launch: Launch, show: Show) -> None:
    """Node processes that go on without this command; returns when every pair is connected."""
    began = trio.current_time()
    plan = Plan(
        names=node_names(launch.nodes),
        transport=launch.transport,
        app=launch.app,
        topology=launch.topology,
        permanent=True,
        record=launch.record,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(end_by_signal)
        await start_cluster(plan, launch.cluster)
        nursery.cancel_scope.cancel()
    show(await _look(cluster_directory(launch.cluster), began))


@contextmanager
def words_kept() -> Iterator[None]:
    """Stderr, of this process and those it starts, goes to a file, whose last lines are shown at the end."""
    before = os.dup(_STDERR)
    with tempfile.TemporaryFile() as words:
        os.dup2(words.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(before, _STDERR)
            os.close(before)
            words.seek(0)
            say(*words.read().decode("utf-8", "replace").splitlines()[-_LAST_WORDS:])


def _processes(launch: Launch) -> AbstractAsyncContextManager[tuple[RemoteNode, ...]]:
    return open_cluster(
        launch.nodes,
        processes=True,
        app=launch.app,
        record=launch.record,
        transport=cast("Linked", launch.transport),  # checked by whoever made the launch
        topology=launch.topology,
        permanent=True,
        cluster=launch.cluster,
    )


async def _serve(
    nodes: Sequence[Node],
    troubled: Mapping[str, Troubled],
    directory: Path,
    launch: Launch,
    show: Show,
    began: float,
) -> None:
    ended = trio.Event()
    async with trio.open_nursery() as nursery:
        for node in nodes:
            path = directory / f"{node.name}.sock"
            await nursery.start(partial(serve_control, node, path, stop=ended.set, troubled=troubled[node.name]))
        show(await _look(directory, began))
        await _wait(launch, ended.wait)
        nursery.cancel_scope.cancel()


async def _look(directory: Path, began: float) -> Started:
    seconds = trio.current_time() - began
    sockets = live_sockets(directory)
    nodes, proxies = await gather(sockets, ControlClient.node), await gather(sockets, ControlClient.proxies)
    found = tuple(proxy for known in proxies.given for proxy in known)
    return Started(nodes=nodes.given, proxies=found, ready_seconds=round(seconds, 3))


async def _wait(launch: Launch, ended: Callable[[], Awaitable[object]]) -> None:
    """Until its time is over, or it has ended by itself."""
    with trio.move_on_after(inf if launch.seconds is None else launch.seconds):
        await ended()


async def _all_ended(nodes: Sequence[RemoteNode], directory: Path) -> None:
    """Returns when no node runs any more, for whatever reason: `actors down` from elsewhere is one.

    A node that was started again meanwhile is one of them, too.
    """

    async def watch(node: RemoteNode) -> None:
        code = await node.wait_ended()
        say(f"node {node.name} has ended ({'exit code' if code >= 0 else 'signal'} {abs(code)})")

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(watch, node)
    while again := [pid for node in live_sockets(directory) if (pid := serving_process(node.path))]:
        await wait_ended(again[0])
