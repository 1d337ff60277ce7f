"""The end of nodes that are nobody's children here: asked over their control sockets, killed if that does not help."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

import trio

from actors.cluster.children import GRACE
from actors.cluster.endings import wait_ended
from actors.cluster.together import together
from actors.control.client import open_control
from actors.control.directories import remove_directory
from actors.control.sockets import NodeSocket, serving_process
from actors.errors import ActorError

_ANSWER = 2.0
"""Seconds for a node to hear that it should stop."""


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
