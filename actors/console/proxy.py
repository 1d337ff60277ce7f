"""`actors proxy NODE PEER --permanent|--ephemeral|--dial-now|--close|--transport T|--explain`: one Node Proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from actors.console.options import Cluster, Json, flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.console.words import Row
    from actors.control.messages import ProxyAction
    from actors.snapshots import AddressSnapshot, ProxySnapshot

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
    transport: Annotated[str | None, flag("Move the link to this transport, and prefer it from now on.")] = None,
    explain: Annotated[bool, flag("Show each address: when it would be dialed, why, and what came of it.")] = False,
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Change one Node Proxy, and show it; or explain why its link is where it is."""
    from actors.console.reach import reach

    wanted = {"permanent": permanent, "ephemeral": ephemeral, "dial_now": dial_now, "close": close}
    action = action_of(**wanted, transport=transport is not None, explain=explain)
    async with reach(cluster, node) as (_, control):
        if action == "explain":
            return _explain(await control.explain(peer), json)
        if action == "transport":
            await control.migrate(peer, transport or "")
        else:
            await control.proxy(peer, action)
        _show([proxy for proxy in await control.proxies() if _is_meant(peer, proxy)], json)


def action_of(**wanted: bool) -> ProxyAction | Literal["transport", "explain"]:
    """The one that was asked for; UsageError unless it is one."""
    from actors.console.exits import UsageError

    chosen = [name for name, on in wanted.items() if on]
    if len(chosen) != 1:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in wanted)
        raise UsageError(f"one of {flags}" + ", not several" * (len(chosen) > 1))
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


def _explain(addresses: Sequence[AddressSnapshot], json: bool) -> None:
    from actors.console.envelope import good
    from actors.console.words import Column, show, write

    if json:
        return write(good({"addresses": addresses}))
    titles = ("", "address", "dialed", "why", "last tried", "last failure")
    columns = [*map(Column, titles), *(Column(title, right=True) for title in ("score", "proven", "rtt ms"))]
    show(columns, [_explained(address) for address in addresses])


def _explained(one: AddressSnapshot) -> Row:
    dialed = "never" if one.after is None else "first" if not one.after else f"after {one.after:.3g} s"
    tried = "never" if one.tried_ago is None else f"{one.tried_ago:.3g} s ago"
    score = f"{one.score:.3g}"
    return (_use(one), one.url, dialed, one.why, tried, one.error, score, one.proven, one.rtt_ms)


def _use(one: AddressSnapshot) -> str:
    if one.better_in is not None:
        return f"better, tried in {one.better_in:.0f} s"
    return "in use" if one.in_use else ""
