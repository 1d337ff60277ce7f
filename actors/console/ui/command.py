"""`actors ui`: the dashboard; or one frame of it, as text, data or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from actors.console.exits import Exit
from actors.console.options import Cluster, Json, flag

if TYPE_CHECKING:
    from actors.console.ui.past import Past
    from actors.console.ui.still import Still

PageName = Literal["cluster", "links", "engines", "events", "letters"]


async def ui(
    *,
    once: Annotated[bool, flag("Print one frame and return; needs no terminal.")] = False,
    svg: Annotated[Path | None, Parameter(help="Write one frame into this file, as a picture.")] = None,
    page: Annotated[PageName, flag("The page of --once and --svg.")] = "cluster",
    readonly: Annotated[bool, flag("Hide what changes things.")] = False,
    replay: Annotated[Path | None, Parameter(help="Show a recorded event log, not a cluster.")] = None,
    at: Annotated[float | None, flag("The second of --replay for --once and --svg; its end by default.")] = None,
    seconds: Annotated[
        float | None, Parameter(name="--for", help="Seconds to look on before --once and --svg.")
    ] = None,
    cluster: Cluster = None,
    json: Json = False,
) -> int:
    """See a running cluster: its nodes, links, engines, events, and what is wrong. `?` lists the keys, `q` leaves."""
    from actors.console.choices import checked_seconds
    from actors.console.exits import UsageError
    from actors.console.reach import running

    if json and not once:
        raise UsageError("--json goes with --once")
    still = once or svg is not None
    checked_seconds("--for", seconds)
    if seconds and (replay is not None or not still):
        raise UsageError("--for goes with --once or --svg, of a cluster that runs")
    if at is not None and (replay is None or not still):
        raise UsageError("--at goes with --replay, and --once or --svg")
    if replay is not None:
        return await _replay(replay, at, page, svg, json) if still else await _play(replay)
    if still:
        nodes = running(cluster)
        return await _still(nodes[0].cluster, nodes[0].path.parent, page, seconds or 0.0, svg, json)
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
    from actors.console.ui.stage import Live

    faults = find_spec("actors.console.fault") is not None
    await run_shell(Live(cluster, directory), Able(readonly=readonly, faults=faults))


async def _play(file: Path) -> int:
    """The interactive dashboard of a recorded log."""
    from actors.console.ui.actions import Able
    from actors.console.ui.replay import Replay
    from actors.console.ui.shell import run_shell
    from actors.console.ui.stage import Recorded
    from actors.console.ui.terminal import check_terminal

    past = _past(file)
    check_terminal()
    await run_shell(Recorded(Replay(past)), Able(readonly=True, replay=True))
    return Exit.OK


async def _replay(file: Path, at: float | None, page: PageName, svg: Path | None, json: bool) -> int:
    from actors.console.ui.still import still_of

    _show(still_of(_past(file), at, page), page, svg, json)
    return Exit.OK


def _past(file: Path) -> Past:
    """LogError for a file that is no event log, ConfigError for one that cannot be read."""
    from actors.console.ui.past import read_past
    from actors.console.words import say
    from actors.errors import ConfigError

    try:
        past = read_past(file.read_bytes(), str(file))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    if past.note:
        say(f"{file}: {past.note}")
    return past


async def _still(cluster: str, directory: Path, page: PageName, seconds: float, svg: Path | None, json: bool) -> int:
    from actors.console.ui.still import take_still

    still = await take_still(cluster, directory, page, seconds)
    _show(still, page, svg, json)
    silent = [node for node in still.watch.nodes.values() if not node.there]
    if silent:
        return Exit.PARTIAL if len(silent) < len(still.watch.nodes) else Exit.UNREACHABLE
    return Exit.OK


def _show(still: Still, page: PageName, svg: Path | None, json: bool) -> None:
    """As a picture, as data or as text."""
    from shutil import get_terminal_size

    from actors.console.envelope import good
    from actors.console.ui.still import HEIGHT, WIDTH, natural_height, print_lines, write_svg
    from actors.console.words import write

    if svg is not None:
        write_svg(still.lines(page, WIDTH, HEIGHT), svg, f"actors ui: {still.watch.cluster}")
    elif json:
        write(good(still.data()))
    else:
        width = max(80, get_terminal_size((WIDTH, HEIGHT)).columns)
        print_lines(still.lines(page, width, natural_height(still)))
