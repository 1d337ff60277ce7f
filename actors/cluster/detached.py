"""Clusters that outlive the process that started them, and are found again by their directory."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from actors.cluster.children import Child, start_all, stop_all
from actors.cluster.processes import Plan, claimed_directory, introduce, link
from actors.control.client import open_control
from actors.control.sockets import NodeSocket, live_sockets


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


async def _make_friends(plan: Plan, paths: Iterable[Path]) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_control(path)) for path in paths]
        await introduce(nodes)
        if plan.permanent:
            await link(nodes, plan.topology)
