"""Which nodes run on this machine, and how a command gets to one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from actors.console.choices import node_list
from actors.console.exits import UsageError
from actors.control.client import ControlClient, open_control
from actors.control.failures import ControlError
from actors.control.resolve import guess
from actors.control.sockets import NodeSocket, checked_name, clusters, runtime_directory

LOCAL = "local"
"""The cluster that `actors up` starts, unless told otherwise."""


def running(cluster: str | None) -> tuple[NodeSocket, ...]:
    """The nodes of this cluster; of the only one there is, or of the local one, if none is named."""
    return choose(clusters(), cluster)


def choose(found: dict[str, tuple[NodeSocket, ...]], cluster: str | None) -> tuple[NodeSocket, ...]:
    """As `running`, among those found. Pure. ControlError `no_cluster`, UsageError."""
    wanted = cluster or (LOCAL if LOCAL in found else next(iter(found), LOCAL))
    if wanted not in found:
        there = f"running: {', '.join(found)}" if found else "actors up --detach"
        raise ControlError("no_cluster", f"no cluster {wanted!r} runs here", there)
    if cluster is None and wanted != LOCAL and len(found) > 1:
        error = UsageError(f"which cluster? There are {', '.join(found)}")
        error.hint = f"add --cluster {wanted}"
        raise error
    return found[wanted]


def pick(nodes: Sequence[NodeSocket], name: str | None) -> NodeSocket:
    """The node of this name, or the first. Pure. ControlError `unknown_node`."""
    for node in nodes:
        if name is None or node.name == name:
            return node
    raise ControlError("unknown_node", f"there is no node {name!r}", guess(name or "", [node.name for node in nodes]))


def pick_all(nodes: Sequence[NodeSocket], text: str) -> list[NodeSocket]:
    """The nodes that `a,b` names. Pure. UsageError, ControlError `unknown_node`."""
    return [pick(nodes, name) for name in node_list(text)]


def started(cluster: str | None) -> tuple[NodeSocket, ...]:
    """The nodes that were started for this cluster as processes, whether or not they still run. As `running`."""
    try:
        directory = running(cluster)[0].path.parent
    except ControlError:
        directory = runtime_directory() / checked_name(cluster or LOCAL)
        if not any(directory.glob("*.start")):
            raise
    controls = [path.with_suffix(".sock") for path in sorted(directory.glob("*.start"))]
    return tuple(NodeSocket(directory.name, control.stem, control) for control in controls)


@asynccontextmanager
async def reach(cluster: str | None, name: str | None) -> AsyncIterator[tuple[NodeSocket, ControlClient]]:
    """A client of the node of this name, or of the first."""
    node = pick(running(cluster), name)
    async with open_control(node.path) as control:
        yield node, control
