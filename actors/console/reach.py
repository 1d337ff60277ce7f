"""Which nodes run on this machine, and how a command gets to one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import trio
from msgspec import Struct

from actors.console.exits import UsageError
from actors.control.client import ControlClient, open_control
from actors.control.failures import ControlError
from actors.control.resolve import guess
from actors.control.sockets import NodeSocket, clusters
from actors.errors import ActorError

LOCAL = "local"
"""The cluster that `actors up` starts, unless told otherwise."""
PATIENCE = 5.0
"""Seconds for a node to say what it knows."""

T = TypeVar("T")


class Answers(Struct, Generic[T], frozen=True):
    """What the nodes of a cluster answered, in order, and why some did not."""

    given: tuple[T, ...]
    silent: dict[str, str]


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


@asynccontextmanager
async def reach(cluster: str | None, name: str | None) -> AsyncIterator[tuple[NodeSocket, ControlClient]]:
    """A client of the node of this name, or of the first."""
    node = pick(running(cluster), name)
    async with open_control(node.path) as control:
        yield node, control


async def gather(nodes: Sequence[NodeSocket], question: Callable[[ControlClient], Awaitable[T]]) -> Answers[T]:
    """Ask all nodes at once."""
    answers: dict[str, T] = {}
    silent: dict[str, str] = {}

    async def ask(node: NodeSocket) -> None:
        try:
            with trio.fail_after(PATIENCE):
                async with open_control(node.path) as control:
                    answers[node.name] = await question(control)
        except ActorError as error:
            silent[node.name] = str(error)
        except trio.TooSlowError:
            silent[node.name] = f"no answer within {PATIENCE:.0f} s"

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(ask, node)
    return Answers(tuple(answers[node.name] for node in nodes if node.name in answers), silent)
