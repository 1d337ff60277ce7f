"""`actors down`: stop a local cluster."""

from __future__ import annotations

from actors.console.exits import Exit
from actors.console.options import Cluster, Json


async def down(*, cluster: Cluster = None, json: Json = False) -> int:
    """Stop the nodes of a cluster; they send what they have accepted first. What does not end is killed."""
    from actors.cluster import stop_nodes
    from actors.console.envelope import good
    from actors.console.reach import running
    from actors.console.words import say, write

    nodes = running(cluster)
    killed = await stop_nodes(nodes)
    stopped = [node.name for node in nodes if node.name not in killed]
    if json:
        write(good({"cluster": nodes[0].cluster, "stopped": stopped, "killed": killed}))
    else:
        say(f"stopped {', '.join(stopped) or 'nothing'}" + (f"; had to kill {', '.join(killed)}" if killed else ""))
    return Exit.PARTIAL if killed else Exit.OK
