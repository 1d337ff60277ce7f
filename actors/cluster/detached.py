"""Clusters that outlive the process that started them: found again by their directory, ended over their sockets."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

import trio

from actors.cluster.children import GRACE, Child, start_all, stop_all
from actors.cluster.endings import wait_ended
from actors.cluster.processes import Plan, claimed_directory, introduce, link, remove_directory
from actors.cluster.together import together
from actors.control.client import open_control
from actors.control.sockets import NodeSocket, live_sockets, serving_process
from actors.errors import ActorError

_ANSWER = 2.0
"""Seconds for a node to hear that it should stop."""


async def start_cluster(plan: Plan, cluster: str) -> tuple[NodeSocket, ...]:
    """Start a cluster that goes on when this process ends; returns when it is ready, and linked if it is to be.

    Its words go to `<cluster>.log` in its directory. If anything fails, or this is cancelled, nothing stays.
    """
    children: list[Child] = []
    with claimed_directory(cluster) as directory:
        try:
            await start_all(plan.processes(directory), children, log=directory / f"{cluster}.log")
            await _make_friends(plan, [directory / f"{child.name}.sock" for child in children])
        except BaseException:
            await stop_all(children, plan.grace)
            raise
        for child in children:
            child.release()
        return live_sockets(directory)


async def stop_nodes(nodes: Iterable[NodeSocket], *, grace: float = GRACE) -> tuple[str, ...]:
    """End these nodes, and remove the directories that are empty then; the names of those that had to be killed.

    A node is asked over its socket. One that still runs after `grace` seconds, or does not answer, is killed.
    """
    nodes = tuple(nodes)
    killed: list[str] = []
    await together(partial(_stop, node, grace, killed) for node in nodes)
    for directory in {node.path.parent for node in nodes}:
        remove_directory(directory)
    return tuple(sorted(killed))


async def _make_friends(plan: Plan, paths: Iterable[Path]) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_control(path)) for path in paths]
        await introduce(nodes)
        if plan.permanent:
            await link(nodes, plan.topology)


async def _stop(node: NodeSocket, grace: float, killed: list[str]) -> None:
    pid = serving_process(node.path)
    if pid is None:
        return
    with trio.move_on_after(grace):
        await _ask_to_stop(node)
        await wait_ended(pid)
        return
    killed.append(node.name)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    await wait_ended(pid)


async def _ask_to_stop(node: NodeSocket) -> None:
    with suppress(ActorError), trio.move_on_after(_ANSWER):
        async with open_control(node.path) as control:
            await control.stop()
