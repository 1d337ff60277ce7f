"""`actors events -f`: what happens on the nodes of a cluster, a line each, as it happens."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from actors.console.options import Cluster, Json, flag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.control.messages import Happened
    from actors.control.sockets import NodeSocket

_AGAIN = 0.5
"""Seconds between two looks for a node that has ended, and may come again."""


async def events(
    *,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), negative=(), help="Until Ctrl-C.")] = False,
    seconds: Annotated[float | None, Parameter(name="--for", help="Seconds to listen.")] = None,
    node: Annotated[list[str] | None, flag("Only of this node; repeatable.")] = None,
    kind: Annotated[list[str] | None, flag("Only events of this name, such as engine-crashed; repeatable.")] = None,
    grep: Annotated[str, Parameter(help="Only lines with this text.")] = "",
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Print events from now on. Ends with Ctrl-C, after its time, or when no node runs any more."""
    from functools import partial

    from actors.console.choices import checked_seconds
    from actors.console.exits import UsageError
    from actors.console.reach import pick, running
    from actors.control.client import ControlClient
    from actors.control.gathering import gather
    from actors.events import AnyEvent

    if not follow and seconds is None:
        error = UsageError("events are told as they happen: for how long?")
        error.hint = "actors events -f, or actors events --for 10"
        raise error
    names = sorted(str(event.__struct_config__.tag) for event in AnyEvent.__args__)
    for name in kind or ():
        if name not in names:
            unknown = UsageError(f"there is no event {name!r}")
            unknown.hint = f"there are {', '.join(names)}"
            raise unknown
    nodes = running(cluster)
    chosen = [pick(nodes, name) for name in node] if node else nodes
    told = await gather(nodes, ControlClient.node)
    ids = {one.id: one.name for one in told.given}
    show = partial(_show, ids, kinds=frozenset(kind or names), grep=grep.casefold(), json=json)
    await _listen(chosen, checked_seconds("--for", seconds), show)


async def _listen(nodes: Sequence[NodeSocket], seconds: float | None, show: Callable[[str, Happened], None]) -> None:
    from math import inf

    import trio

    from actors.console.signals import end_by_signal
    from actors.control.client import open_control
    from actors.errors import ActorError

    heard = set[str]()

    async def hear(node: NodeSocket) -> None:
        heard.add(node.name)
        try:
            async with open_control(node.path) as control, control.events() as happening:
                async for event in happening:
                    show(node.name, event)
        finally:
            heard.discard(node.name)

    async def hear_again(node: NodeSocket) -> None:
        """Over all its lives, as long as there is anybody to hear."""
        await hear(node)
        while heard:
            await trio.sleep(_AGAIN)
            with suppress(ActorError):
                await hear(node)

    with trio.move_on_after(inf if seconds is None else seconds):
        async with trio.open_nursery() as nursery:
            await nursery.start(end_by_signal)
            async with trio.open_nursery() as listeners:
                for node in nodes:
                    listeners.start_soon(hear_again, node)
            nursery.cancel_scope.cancel()


def _show(names: dict[str, str], node: str, event: Happened, *, kinds: frozenset[str], grep: str, json: bool) -> None:
    from time import time

    from actors.console.envelope import line
    from actors.console.words import clean, write

    if event.event not in kinds:
        return
    words = f"{node}  {event.at:.3f}  {event.event}  " + " ".join(f"{key}={value}" for key, value in event.data.items())
    for node_id, name in names.items():
        words = words.replace(node_id, name)
    if grep in words.casefold():
        told = {"time": round(time(), 6), "node": node, "event": event.event, "at": event.at, **event.data}
        if peer := names.get(str(event.data.get("peer"))):
            told["peer_name"] = peer
        write(line(told) if json else f"{clean(words)}\n".encode())
