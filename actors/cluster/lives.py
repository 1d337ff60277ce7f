"""Faults of the node processes of a local cluster: killed, started again, frozen for a while."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from actors.cluster.apart import Known, look, merged
from actors.cluster.children import Child, NodeProcess, start_again
from actors.cluster.endings import wait_ended
from actors.cluster.lifeline import lifeline_of
from actors.cluster.processes import introduce
from actors.control.client import ControlClient, open_control
from actors.control.directories import state_path
from actors.control.failures import ControlError
from actors.control.gathering import gather_each
from actors.control.messages import Troubles
from actors.control.sockets import NodeSocket, live_sockets, serving_process
from actors.keyfile import load_key
from actors.snapshots import NodeSnapshot


async def kill(node: NodeSocket) -> int:
    """SIGKILL: it ends at once, without a word; which process that was. ControlError `no_faults`, `unreachable`."""
    pid = process_of(node)
    _signal(pid, signal.SIGKILL)
    await wait_ended(pid)
    return pid


def freeze_all(nodes: Sequence[NodeSocket]) -> dict[str, int]:
    """SIGSTOP: they do nothing, but their connections stay; which processes, by name. As `kill`: all or none."""
    pids = {node.name: process_of(node) for node in nodes}
    for pid in pids.values():
        _signal(pid, signal.SIGSTOP)
    return pids


def thaw_all(nodes: Sequence[NodeSocket]) -> None:
    """SIGCONT: those that are frozen go on; a node without a process of its own cannot be."""
    for node in nodes:
        with suppress(ControlError):
            _signal(process_of(node), signal.SIGCONT)


def process_of(node: NodeSocket) -> int:
    """The node's process, where it has one of its own. ControlError `no_faults`, `unreachable`."""
    _start_of(node.path)
    pid = serving_process(node.path)
    if pid is None:
        raise ControlError("unreachable", f"node {node.name} does not run", f"actors fault restart {node.name}")
    return pid


async def restart(node: NodeSocket) -> NodeSnapshot:
    """Start a node again, with its key and its state; killed first if it runs. It outlives this process.

    Returns once it is ready, knows the others that answer and they know its new address; its links are those of its
    cluster, and one to each that holds one to it. Who was kept away from it still is; slow it is no more.
    """
    child, again = await restart_child(node)
    child.release()
    return again


async def restart_child(node: NodeSocket) -> tuple[Child, NodeSnapshot]:
    """As `restart`, for who goes on to own the process."""
    start, directory = _start_of(node.path), node.path.parent
    if serving_process(node.path) is not None:
        await kill(node)
    others = [other for other in live_sockets(directory) if other.name != node.name]
    known = (await look(others)).by_name
    id = _id_of(node.path)
    away = tuple(other.away for other in known.values() if any(peer.peer == id for peer in other.troubles.away))
    start = replace(start, troubles=Troubles(away=away))
    with lifeline_of(directory) as lifeline:
        child, again = await start_again(start, log=directory / f"{node.cluster}.log", lifeline=lifeline)
    try:
        await _introduce(node, start.links, [other for other in others if other.name in known], known, again)
    except BaseException:
        child.release()
        raise
    return child, again


async def _introduce(
    node: NodeSocket, links: Sequence[str], others: Sequence[NodeSocket], known: dict[str, Known], again: NodeSnapshot
) -> None:
    """First where it is not to be reached, then where it is; then the links."""

    async def meet(other: NodeSocket, control: ControlClient) -> None:
        troubles = known[other.name].troubles
        if any(away.peer == again.id for away in troubles.away):
            here = Known(again, Troubles()).away
            await control.trouble(replace(troubles, away=merged(troubles.away, [here])))
        async with open_control(node.path) as ours:
            await introduce([ours, control])
            if other.name in links or await _holds(control, again.id):
                await control.proxy(again.id, "permanent")
                await ours.proxy(known[other.name].node.id, "permanent")

    await gather_each(others, meet)


async def _holds(control: ControlClient, peer: str) -> bool:
    """Whether this node holds a permanent link to the peer."""
    return any(proxy.peer_id == peer and proxy.permanence == "permanent" for proxy in await control.proxies())


def _start_of(control: Path) -> NodeProcess:
    start = NodeProcess.read(control)
    if start is None:
        what = f"node {control.stem} has no process of its own that was started for a local cluster"
        raise ControlError("no_faults", what, "actors up --detach")
    return start


def _id_of(control: Path) -> str:
    return str(load_key(state_path(control) / "key").id)


def _signal(pid: int, signum: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signum)
