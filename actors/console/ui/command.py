"""`actors ui`: the dashboard; or one frame of it, as text, data or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from actors.console.exits import Exit
from actors.console.options import Cluster, Json, flag

PageName = Literal["cluster", "links", "engines", "events", "letters"]


async def ui(
    *,
    once: Annotated[bool, flag("Print one frame and return; needs no terminal.")] = False,
    svg: Annotated[Path | None, Parameter(help="Write one frame into this file, as a picture.")] = None,
    page: Annotated[PageName, flag("The page of --once and --svg.")] = "cluster",
    readonly: Annotated[bool, flag("Hide what changes things.")] = False,
    cluster: Cluster = None,
    json: Json = False,
) -> int:
    """See a running cluster: its nodes, links, engines, events, and what is wrong. `?` lists the keys, `q` leaves."""
    from actors.console.exits import UsageError
    from actors.console.reach import running

    if json and not once:
        raise UsageError("--json goes with --once")
    if once or svg is not None:
        nodes = running(cluster)
        return await _still(nodes[0].cluster, nodes[0].path.parent, page, svg, json)
    from actors.console.ui.terminal import check_terminal

    check_terminal()
    nodes = running(cluster)
    await dashboard(nodes[0].cluster, nodes[0].path.parent, readonly=readonly)
    return Exit.OK


async def dashboard(cluster: str, directory: Path, *, readonly: bool = False) -> None:
    """The interactive dashboard, until `q`."""
    from importlib.util import find_spec

    from actors.console.ui.actions import Able
    from actors.console.ui.shell import run_shell

    faults = find_spec("actors.console.fault") is not None
    await run_shell(cluster, directory, Able(readonly=readonly, faults=faults))


async def _still(cluster: str, directory: Path, page: PageName, svg: Path | None, json: bool) -> int:
    from shutil import get_terminal_size

    from actors.console.envelope import good
    from actors.console.ui.still import HEIGHT, WIDTH, natural_height, print_lines, take_still, write_svg
    from actors.console.words import write

    still = await take_still(cluster, directory, page)
    if svg is not None:
        write_svg(still.lines(page, WIDTH, HEIGHT), svg, f"actors ui: {cluster}")
    elif json:
        write(good(still.data()))
    else:
        width = max(80, get_terminal_size((WIDTH, HEIGHT)).columns)
        print_lines(still.lines(page, width, natural_height(still)))
    silent = [node for node in still.watch.nodes.values() if not node.there]
    if silent:
        return Exit.PARTIAL if len(silent) < len(still.watch.nodes) else Exit.UNREACHABLE
    return Exit.OK
