"""What several screens show: what is known of links, actions to choose from, figures with their names. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from actors.console.clean import clean
from actors.console.ui.actions import Action
from actors.console.ui.columns import Cell, Column, as_text, fit, table, window
from actors.console.ui.figures import cause, coarse, count, share, span
from actors.console.ui.looks import shown
from actors.console.ui.picture import WHOLE_ID, Item, Picture
from actors.console.ui.watch import Watch
from actors.snapshots import ProxySnapshot

LINK_COLUMNS = (
    Column("link"),
    Column("state"),
    Column("via", rank=2),
    Column("rtt", right=True, rank=2),
    Column("p99", right=True, rank=1),
    Column("queued", right=True, rank=1),
    Column("unacked", right=True, rank=3),
    Column("outbox", right=True, rank=4),
    Column("lost", right=True, rank=2),
    Column("resumed", right=True, rank=5),
    Column("why", grow=True),
)
RECORDED_COLUMNS = (
    Column("link"),
    Column("state"),
    Column("for", right=True, rank=1),
    Column("connections", right=True, rank=3),
    Column("failures", right=True, rank=2),
    Column("lost", right=True, rank=2),
    Column("why", grow=True),
)


def link_cells(watch: Watch, name: str, proxy: ProxySnapshot) -> Sequence[Cell]:
    """A link in a table of links."""
    return (
        f"{name} → {watch.name_of(proxy)}",
        shown(proxy.state),
        proxy.transport or "-",
        coarse(proxy.rtt_ms),
        coarse(proxy.p99_ms),
        count(proxy.queued),
        count(proxy.retained),
        share(proxy.fill),
        lost(proxy.ledger.lost),
        count(proxy.reconnects),
        why(proxy),
    )


def _recorded_link_cells(watch: Watch, name: str, proxy: ProxySnapshot) -> Sequence[Cell]:
    return (
        f"{name} → {watch.name_of(proxy)}",
        shown(proxy.state),
        span(proxy.since),
        count(proxy.connections),
        Text(count(proxy.failures), "yellow" if proxy.failures else ""),
        lost(proxy.ledger.lost) if watch.counts else "-",
        why(proxy),
    )


def link_rows(picture: Picture, width: int, height: int) -> list[Text]:
    """The page's links; in a recording, what its log tells of them."""
    watch = picture.watch
    columns, cells = (RECORDED_COLUMNS, _recorded_link_cells) if watch.recorded else (LINK_COLUMNS, link_cells)
    return rows(columns, picture, lambda item: cells(watch, *item.value), width, height)


def why(proxy: ProxySnapshot) -> str:
    """What brought it where it is, and what comes next."""
    if proxy.retry_in is not None and proxy.state == "backoff":
        return f"again in {span(proxy.retry_in)}; {cause(proxy.why)}"
    return cause(proxy.why)


def lost(number: int) -> Text:
    """Nothing is no news."""
    return Text(count(number), "bold red" if number else "")


def engine_name(watch: Watch, name: str) -> str:
    """A proxy's engine is named after a NodeID, which says nothing to a person."""
    if len(name) != WHOLE_ID:
        return name
    return f"proxy of {watch.names.get(name, name[:8])}"


def address(watch: Watch, text: str) -> str:
    """`b/echo`, with the node's name where it is known; of the node itself, its name."""
    node, _, engine = text.partition("/")
    known = watch.names.get(node, node[:8])
    return f"{known}/{engine_name(watch, engine)}" if engine else known


def rows(
    columns: Sequence[Column], picture: Picture, cells: Callable[[Item], Sequence[Cell]], width: int, height: int
) -> list[Text]:
    """A table of the page's items: those that fit around the cursor, each made by `cells`."""
    items = picture.items
    seen = window(len(items), height - 1, picture.chosen)
    chosen = picture.chosen - seen.start if items else None
    visible = [cells(items[index]) for index in seen]
    return table(columns, visible, width, chosen=chosen)


def figures(pairs: Sequence[tuple[str, Cell]], width: int) -> list[Text]:
    """Names and values, as many beside each other as fit."""
    return beside([Text.assemble((f"{name} ", "bright_black"), as_text(value)) for name, value in pairs], width)


def beside(cells: Sequence[Text], width: int) -> list[Text]:
    """As many beside each other as fit."""
    each = max((cell.cell_len for cell in cells), default=1) + 3
    across = max(1, (width - 2) // each)
    lines = [cells[start : start + across] for start in range(0, len(cells), across)]
    return [Text.assemble("  ", *(fit(cell, each) for cell in line)) for line in lines]


def numbered(actions: Sequence[Action], width: int, chosen: int | None = None) -> list[Text]:
    """What to do: number, words, command."""
    lines = []
    for number, action in enumerate(actions, 1):
        here = number - 1 == chosen
        line = Text.assemble("▸ " if here else "  ", (str(number), "bold"), f"  {clean(action.words)}   ")
        line.append(action.command, "cyan")
        line = fit(line, width)
        if here:
            line.stylize("reverse")
        lines.append(line)
    return lines
