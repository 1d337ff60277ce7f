"""`actors fault kill|restart|freeze`: the processes of a local cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from actors.console.options import Cluster, Json

if TYPE_CHECKING:
    from actors.control.sockets import NodeSocket

Nodes = Annotated[str, Parameter(help="The node; several with commas between them.")]


async def kill(node: Nodes, /, *, cluster: Cluster = None, json: Json = False) -> None:
    """End a node's process at once, without a word (SIGKILL)."""
    from actors.cluster import lives
    from actors.console.fault_told import names_of, tell
    from actors.console.reach import pick_all, running

    chosen = pick_all(running(cluster), node)
    for one in chosen:
        lives.process_of(one)  # all or none
    pids = {one.name: await lives.kill(one) for one in chosen}
    again = f"actors fault restart {names_of(chosen)}"
    tell(chosen[0].cluster, {"killed": pids}, f"killed {names_of(chosen)}; to start it again: {again}", json)


async def restart(node: Nodes, /, *, cluster: Cluster = None, json: Json = False) -> None:
    """Start a node again, with its key and its state; killed first if it runs.

    It comes back at another address, with the links of its cluster, and one to each node that holds one to it.
    """
    from actors.cluster import lives
    from actors.console.fault_told import names_of, tell
    from actors.console.reach import pick_all, started

    chosen = pick_all(started(cluster), node)
    nodes = [await lives.restart(one) for one in chosen]
    where = "; ".join(f"{node.name} is process {node.pid} at {' '.join(node.addresses)}" for node in nodes)
    tell(chosen[0].cluster, {"nodes": nodes}, f"started {names_of(chosen)} again: {where}", json)


async def freeze(
    node: Nodes,
    /,
    *,
    seconds: Annotated[float | None, Parameter(name="--for", help="Seconds; the command waits for its end.")] = None,
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Stop a node's process (SIGSTOP): it does nothing, and its connections stay open. Until healed, or for a while."""
    from actors.cluster import lives
    from actors.console.choices import checked_seconds
    from actors.console.fault_told import UNTIL, names_of, tell
    from actors.console.reach import pick_all, running

    checked_seconds("--for", seconds)
    chosen = pick_all(running(cluster), node)
    if seconds is None:
        pids, words = lives.freeze_all(chosen), f"frozen: {names_of(chosen)}   {UNTIL}"
    else:
        frozen = "" if json else f"frozen for {seconds:g} s: {names_of(chosen)}"
        pids, words = await _frozen_for(seconds, chosen, frozen), f"goes on: {names_of(chosen)}"
    tell(chosen[0].cluster, {"frozen": pids, "seconds": seconds}, words, json)


async def _frozen_for(seconds: float, nodes: Sequence[NodeSocket], words: str) -> dict[str, int]:
    """That long, or until a signal ends the command: it leaves nobody frozen."""
    import trio

    from actors.cluster import lives
    from actors.console.signals import end_by_signal
    from actors.console.words import say

    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(end_by_signal)
            pids = lives.freeze_all(nodes)
            say(*([words] if words else []))
            await trio.sleep(seconds)
            nursery.cancel_scope.cancel()
    finally:
        lives.thaw_all(nodes)
    return pids
