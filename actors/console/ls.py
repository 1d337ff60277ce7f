"""`actors ls nodes|proxies|engines`: what runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from actors.console.exits import Exit
from actors.console.options import Cluster, Json

if TYPE_CHECKING:
    from actors.console.words import Column, Row
    from actors.control.client import ControlClient
    from actors.control.gathering import Answers
    from actors.control.sockets import NodeSocket
    from actors.snapshots import EngineSnapshot, NodeSnapshot, ProxySnapshot

Kind = Literal["nodes", "proxies", "engines"]


async def ls(
    kind: Annotated[Kind, Parameter(help="What to list.")] = "nodes", *, cluster: Cluster = None, json: Json = False
) -> int:
    """List nodes, proxies or engines."""
    from actors.console.envelope import good
    from actors.console.reach import running
    from actors.console.words import say, show, write

    answers = await _ask(kind, running(cluster))
    items, silent = [item for found in answers.given for item in found], answers.silent
    if json:
        write(good({kind: items, **({"silent": silent} if silent else {})}))
    else:
        columns, row = _TABLES[kind]
        show(columns(), [row(item) for item in items], title=kind)
        say(*(f"{node}: {why}" for node, why in silent.items()))
    if silent:
        return Exit.PARTIAL if items else Exit.UNREACHABLE
    return Exit.OK


async def _ask(kind: Kind, nodes: Sequence[NodeSocket]) -> Answers[tuple[Any, ...]]:
    from actors.control.client import ControlClient
    from actors.control.gathering import gather

    match kind:
        case "nodes":
            return await gather(nodes, _node)
        case "proxies":
            return await gather(nodes, partial(ControlClient.proxies, addresses=True))
        case "engines":
            return await gather(nodes, ControlClient.engines)


async def _node(control: ControlClient) -> tuple[NodeSnapshot]:
    return (await control.node(),)


def node_columns() -> Sequence[Column]:
    """Of a table of nodes."""
    from actors.console.words import Column

    texts = [Column(title) for title in ("name", "id", "state", "addresses")]
    return [*texts, *(Column(title, right=True) for title in ("pid", "engines", "connected", "turned away", "up s"))]


def node_row(node: NodeSnapshot) -> Row:
    """A node in such a table."""
    counted = node.statistics
    known = (node.name, node.id[:8], node.state, " ".join(node.addresses), node.pid)
    door = counted.door
    turned_away = door.evicted + door.hinted + door.refused
    return (*known, counted.engines, f"{counted.connected}/{counted.proxies}", turned_away, round(counted.uptime))


def proxy_columns() -> Sequence[Column]:
    """Of a table of proxies."""
    from actors.console.words import Column

    texts = [Column(title) for title in ("node", "peer", "permanence", "state", "transport")]
    figures = ("rtt ms", "accepted", "delivered", "sent", "in flight", "lost", "expired", "refused", "reconnects")
    return [*texts, *(Column(title, right=True) for title in figures)]


def proxy_row(proxy: ProxySnapshot) -> Row:
    """A proxy in such a table."""
    told = proxy.ledger
    known = (proxy.node, proxy.peer, proxy.permanence, proxy.state, proxy.transport, proxy.rtt_ms)
    ended = (told.delivered, told.sent, told.in_flight, told.lost, told.expired, told.refused)
    return (*known, told.accepted, *ended, proxy.reconnects)


def shorter(name: str) -> str:
    """A proxy is named by its peer's whole NodeID; in a table, the beginning has to do."""
    return name if len(name) < 52 else name[:8]


def _engine_columns() -> Sequence[Column]:
    from actors.console.words import Column

    texts = [Column(title) for title in ("node", "name", "type", "state")]
    figures = ("held", "handled", "p50 ms", "p99 ms", "crashes", "restarts")
    return [*texts, *(Column(title, right=True) for title in figures)]


def _engine_row(engine: EngineSnapshot) -> Row:
    known = (engine.node, shorter(engine.name), engine.type, engine.state)
    took = (_short(engine.took_p50_ms), _short(engine.took_p99_ms))
    return (*known, f"{engine.held}/{engine.capacity}", engine.handled, *took, engine.crashes, engine.restarts)


def _short(millis: float | None) -> float | None:
    return None if millis is None else round(millis, 2)


_TABLES: dict[Kind, tuple[Callable[[], Sequence[Column]], Callable[[Any], Row]]] = {
    "nodes": (node_columns, node_row),
    "proxies": (proxy_columns, proxy_row),
    "engines": (_engine_columns, _engine_row),
}
