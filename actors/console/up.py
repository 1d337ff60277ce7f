"""`actors up`: a local cluster, shown, until Ctrl-C; or, with `--detach`, until `actors down`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from actors.console.options import Json, flag

if TYPE_CHECKING:
    from actors.console.launch import Launch, Started

Topology = Literal["mesh", "ring", "star"]


async def up(
    nodes: Annotated[int, Parameter(help="How many; they are called a, b, c …")] = 3,
    /,
    *,
    transport: Annotated[str, flag("What links them: tcp, tls, ws, wss, quic, mixed, or memory.")] = "tcp",
    topology: Annotated[Topology, flag("Which pairs are linked: all, neighbours, or the first with all.")] = "mesh",
    seconds: Annotated[
        float | None, Parameter(name="--for", help="Seconds to run, counted from when it is ready.")
    ] = None,
    detach: Annotated[bool, flag("Return once every pair is connected; end it with: actors down.")] = False,
    app: Annotated[str, flag("What each node runs in place of these engines, module:setup.")] = "",
    record: Annotated[Path | None, flag("Write down there what comes in; see actors replay.")] = None,
    ui: Annotated[bool, flag("Show the dashboard; leaving it ends the cluster.")] = False,
    cluster: Annotated[str, flag("The cluster's name, where several are to run.")] = "local",
    json: Json = False,
) -> None:
    """Start a cluster of node processes, show it, and run until Ctrl-C.

    Each node runs the engines echo, counter and sink, or what --app says, and keeps a permanent link to its peers.
    """
    from actors.cluster.processes import LISTEN
    from actors.console.choices import checked_nodes, checked_seconds, checked_transport
    from actors.console.exits import UsageError
    from actors.console.launch import APP, Launch, run_detached, run_here, run_processes
    from transports.schemes import MISSING

    launch = Launch(
        app=app or APP,
        record="" if record is None else str(record.absolute()),
        nodes=checked_nodes(nodes, 1),
        transport=checked_transport(transport, (*LISTEN, "memory"), MISSING),
        topology=topology,
        cluster=cluster,
        seconds=checked_seconds("--for", seconds),
    )
    if record and transport == "memory":
        raise UsageError("--record: what is recorded is a process; nodes linked by memory live in this one")
    if detach and transport == "memory":
        raise UsageError("--detach: nodes linked by memory live in this process, and end with it")
    if ui:
        return await _with_dashboard(launch, detach=detach, json=json)
    run = run_detached if detach else run_here if transport == "memory" else run_processes
    await run(launch, partial(_show, launch, json=json, detached=detach))


async def _with_dashboard(launch: Launch, *, detach: bool, json: bool) -> None:
    from actors.console.exits import UsageError
    from actors.console.launch import run_watched
    from actors.console.ui.command import dashboard
    from actors.console.ui.terminal import check_terminal

    if detach or json or launch.transport == "memory":
        raise UsageError("--ui goes with node processes that end with it: not with --detach, --json or memory")
    check_terminal()
    await run_watched(launch, partial(dashboard, launch.cluster))


def _show(launch: Launch, started: Started, *, json: bool, detached: bool) -> None:
    from actors.console.envelope import good
    from actors.console.ls import node_columns, node_row
    from actors.console.words import say, show, write

    if json:
        return write(good(data_of(launch, started, detached=detached)))
    show(node_columns(), [node_row(node) for node in started.nodes], title=f"cluster {launch.cluster}")
    say("", f"ready in {started.ready_seconds:.1f} s; try", *next_commands(launch, started))
    if not detached and launch.seconds is None:
        say("", "Ctrl-C stops it")


def data_of(launch: Launch, started: Started, *, detached: bool) -> dict[str, object]:
    """What `--json` shows."""
    return {
        "cluster": launch.cluster,
        "transport": launch.transport,
        "topology": launch.topology,
        "detached": detached,
        "ready_seconds": started.ready_seconds,
        "nodes": started.nodes,
        "proxies": started.proxies,
    }


def next_commands(launch: Launch, started: Started) -> list[str]:
    """What to try on this cluster."""
    where = "" if launch.cluster == "local" else f" --cluster {launch.cluster}"
    first, last = started.nodes[0].name, started.nodes[-1].name
    return [
        f"  actors ask {last}/echo echo.ping '{{\"n\": 1}}' --from {first}{where}",
        f"  actors ask {last}/counter counter.add '{{\"amount\": 2}}'{where}",
        f'  actors tell {last}/sink sink.drop \'{{"data": "hello"}}\'{where}',
        f"  actors ls proxies{where}",
        f"  actors down{where}",
    ]
