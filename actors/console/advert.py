"""`actors advert [NODE]`: a running node's signed address line, for a friend."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from actors.console.options import Cluster, Json


async def advert(
    node: Annotated[str | None, Parameter(help="The node; the cluster's first if left out.")] = None,
    /,
    *,
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Print a node's advert: one signed line with its addresses. A friend puts it into `peers` of his configuration."""
    from actors.console.envelope import good
    from actors.console.reach import reach
    from actors.console.words import say, write

    async with reach(cluster, node) as (found, control):
        line, snapshot = await control.advert(), await control.node()
    if json:
        write(good({"node": found.name, "id": snapshot.id, "addresses": snapshot.addresses, "advert": line}))
    else:
        say(f"{found.name}: {' '.join(snapshot.addresses)}")
        write(line.encode() + b"\n")
