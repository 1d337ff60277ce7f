"""`actors fault cut|partition|slow|heal`: the connections of a local cluster."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from actors.console.options import Cluster, Json

Group = Annotated[str, Parameter(help="Nodes, with commas between them, such as a,b.")]


async def cut(
    node: Annotated[str, Parameter(help="One node.")],
    peer: Annotated[str, Parameter(help="The other.")],
    /,
    *,
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Break the connection between two nodes, now. A permanent link comes back by itself."""
    from actors.cluster import apart
    from actors.console.choices import checked_apart
    from actors.console.fault_told import tell
    from actors.console.reach import pick, running

    nodes = running(cluster)
    one, other = pick(nodes, node), pick(nodes, peer)
    checked_apart([one.name], [other.name])
    await apart.cut(one, other.name)
    tell(one.cluster, {"cut": [one.name, other.name]}, f"cut {one.name} - {other.name}", json)


async def partition(
    group: Group,
    others: Annotated[str | None, Parameter(help="The other group; all other nodes if left out.")] = None,
    /,
    *,
    cluster: Cluster = None,
    json: Json = False,
) -> int:
    """Keep two groups of nodes apart: connections between them are cut, and none comes about, until healed.

    Several partitions add up.
    """
    from actors.cluster import apart
    from actors.console.choices import checked_apart
    from actors.console.fault_told import UNTIL, names_of, told
    from actors.console.reach import pick_all, running

    nodes = running(cluster)
    one = pick_all(nodes, group)
    other = [node for node in nodes if node not in one] if others is None else pick_all(nodes, others)
    sides = [node.name for node in one], [node.name for node in other]
    checked_apart(*sides)
    silent = await apart.part([*one, *other], *sides)
    words = f"apart: {names_of(one)} | {names_of(other)}   {UNTIL}"
    return told([*one, *other], {"groups": sides}, words, silent, json)


async def slow(
    node: Group,
    /,
    *,
    latency: Annotated[float | None, Parameter(help="Seconds added to each round trip.")] = None,
    rate: Annotated[float | None, Parameter(help="KiB a second, each way.")] = None,
    cluster: Cluster = None,
    json: Json = False,
) -> int:
    """Make all connections of a node slow, in place of what was said before, until healed."""
    from actors.cluster import apart
    from actors.console.choices import slowness_in_words
    from actors.console.fault_told import UNTIL, names_of, told
    from actors.console.reach import pick_all, running

    how = slowness_in_words(latency, rate)
    chosen = pick_all(running(cluster), node)
    silent = await apart.slow(chosen, latency or 0.0, None if rate is None else rate * 1024)
    data = {"nodes": [node.name for node in chosen], "latency": latency, "rate_kib": rate}
    return told(chosen, data, f"slow: {names_of(chosen)}: {how}   {UNTIL}", silent, json)


async def heal(*, cluster: Cluster = None, json: Json = False) -> int:
    """End partitions, slowness and frost. Links that were lost come back by themselves; what was killed does not."""
    from actors.cluster import apart, lives
    from actors.console.fault_told import names_of, told
    from actors.console.reach import running

    nodes = running(cluster)
    lives.thaw_all(nodes)
    silent = await apart.heal(nodes)
    healed = [node for node in nodes if node.name not in silent]
    return told(nodes, {"healed": [node.name for node in healed]}, f"healed {names_of(healed)}", silent, json)
