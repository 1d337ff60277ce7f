"""Faults of the node processes of a local cluster: killed, started again, frozen for a while."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from actors.cluster.apart import Known, look, merged
from actors.cluster.children import NodeProcess, start_again
from actors.cluster.endings import wait_ended
from actors.cluster.lifeline import lifeline_of
from actors.cluster.processes import introduce
from actors.control.client import ControlClient, open_control
from actors.control.directories import state_path
from actors.control.failures import ControlError
from actors.control.gathering import gather
from actors.control.messages import Troubles
from actors.control.sockets import NodeSocket, live_sockets, serving_process
from actors.keyfile import load_key
from actors.snapshots import NodeSnapshot


async def kill(node: NodeSocket) -> int:
    """SIGKILL: it ends at once, without a word; which process that was. ControlError `no_faults`, `unreachable`."""
    pid = process_of(node)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    await wait_ended(pid)
    return pid


def freeze(node: NodeSocket) -> int:
    """SIGSTOP: it does nothing, but its connections stay; which process. ControlError `no_faults`, `unreachable`."""
    return _signal(node, signal.SIGSTOP)


def thaw(node: NodeSocket) -> int:
    """SIGCONT: it goes on. ControlError `no_faults`, `unreachable`."""
    return _signal(node, signal.SIGCONT)


def process_of(node: NodeSocket) -> int:
    """The node's process, where it has one of its own. ControlError `no_faults`, `unreachable`."""
    _start_of(node.path)
    pid = serving_process(node.path)
    if pid is None:
        raise ControlError("unreachable", f"node {node.name} does not run", f"actors fault restart {node.name}")
    return pid


def thaw_all(nodes: Sequence[NodeSocket]) -> None:
    """Those that are frozen go on; a node without a process of its own cannot be."""
    for node in nodes:
        with suppress(ControlError):
            thaw(node)


async def restart(node: NodeSocket) -> NodeSnapshot:
    """Start a node again, with its key and its state; killed first if it runs.

    Returns once it is ready, knows the others that answer and they know its new address, and it holds a permanent
    link to each that holds one to it. Who was kept away from it still is; slow it is no more.
    """
    start, directory = _start_of(node.path), node.path.parent
    if serving_process(node.path) is not None:
        await kill(node)
    others = [other for other in live_sockets(directory) if other.name != node.name]
    known = (await look(others)).by_name
    id = _id_of(node.path)
    away = tuple(other.away for other in known.values() if any(peer.peer == id for peer in other.troubles.away))
    start = replace(start, troubles=Troubles(away=away))
    with lifeline_of(directory) as lifeline:
        again = await start_again(start, log=directory / f"{node.cluster}.log", lifeline=lifeline)
    await _introduce(node, [other for other in others if other.name in known], known, again)
    return again


async def _introduce(
    node: NodeSocket, others: Sequence[NodeSocket], known: dict[str, Known], again: NodeSnapshot
) -> None:
    """First where it is not to be reached, then where it is."""

    async def meet(control: ControlClient) -> str | None:
        """Who holds a permanent link to it."""
        own = await control.node()
        troubles = known[own.name].troubles
        if any(away.peer == again.id for away in troubles.away):
            here = Known(again, Troubles()).away
            await control.trouble(replace(troubles, away=merged(troubles.away, [here])))
        async with open_control(node.path) as ours:
            await introduce([ours, control])
        linked = [proxy for proxy in await control.proxies() if proxy.peer_id == again.id]
        return own.id if any(proxy.permanence == "permanent" for proxy in linked) else None

    holders = (await gather(others, meet)).given
    async with open_control(node.path) as control:
        for holder in holders:
            if holder is not None:
                await control.proxy(holder, "permanent")


def _start_of(control: Path) -> NodeProcess:
    start = NodeProcess.read(control)
    if start is None:
        what = f"node {control.stem} has no process of its own that was started for a local cluster"
        raise ControlError("no_faults", what, "actors up --detach")
    return start


def _id_of(control: Path) -> str:
    return str(load_key(state_path(control) / "key").id)


def _signal(node: NodeSocket, signum: signal.Signals) -> int:
    pid = process_of(node)
    with suppress(ProcessLookupError):
        os.kill(pid, signum)
    return pid
