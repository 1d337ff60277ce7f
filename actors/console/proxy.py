"""`actors proxy NODE PEER --permanent|--ephemeral|--dial-now|--close`: change one Node Proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from actors.console.options import Cluster, Json, flag

if TYPE_CHECKING:
    from actors.control.messages import ProxyAction
    from actors.snapshots import ProxySnapshot

NodeName = Annotated[str, Parameter(help="The node whose proxy it is.")]
Peer = Annotated[str, Parameter(help="The node that it leads to: a name, a NodeID or the beginning of one.")]


async def proxy(
    node: NodeName,
    peer: Peer,
    /,
    *,
    permanent: Annotated[bool, flag("Keep a connection open, for ever.")] = False,
    ephemeral: Annotated[bool, flag("Connect when there is something to send; close when idle.")] = False,
    dial_now: Annotated[bool, flag("Try now, instead of after the pause.")] = False,
    close: Annotated[bool, flag("Close the connection after what is under way.")] = False,
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Change one Node Proxy, and show it."""
    from actors.console.reach import reach

    action = action_of(permanent=permanent, ephemeral=ephemeral, dial_now=dial_now, close=close)
    async with reach(cluster, node) as (_, control):
        await control.proxy(peer, action)
        _show([proxy for proxy in await control.proxies() if _is_meant(peer, proxy)], json)


def action_of(**wanted: bool) -> ProxyAction:
    """The one that was asked for; UsageError unless it is one."""
    from actors.console.exits import UsageError

    chosen = [name for name, on in wanted.items() if on]
    if len(chosen) != 1:
        raise UsageError("one of --permanent, --ephemeral, --dial-now, --close" + ", not several" * (len(chosen) > 1))
    return chosen[0]  # type: ignore[return-value]


def _is_meant(peer: str, proxy: ProxySnapshot) -> bool:
    return proxy.peer == peer or proxy.peer_id.startswith(peer)


def _show(found: list[ProxySnapshot], json: bool) -> None:
    from actors.console.envelope import good
    from actors.console.ls import proxy_columns, proxy_row
    from actors.console.words import show, write

    if json:
        write(good({"proxies": found}))
    elif found:
        show(proxy_columns(), [proxy_row(one) for one in found])
