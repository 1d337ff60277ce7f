"""Dead letters: told, not delivered, and nobody waited to learn it; by node and reason. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from actors.console.ui.columns import Cell, Column, rule
from actors.console.ui.figures import count, span
from actors.console.ui.picture import Picture
from actors.console.ui.views.parts import address, rows
from actors.console.ui.watch import Watch
from actors.snapshots import DeadLetterSnapshot

_COLUMNS = (
    Column("node"),
    Column("reason"),
    Column("number", right=True),
    Column("last", right=True),
    Column("message", rank=1),
    Column("to", rank=2),
    Column("its head", grow=True, rank=3),
)


def view(picture: Picture, width: int, height: int) -> list[Text]:
    """The page."""
    watch = picture.watch
    total = sum(node.node.statistics.dead_letters for node in watch.nodes.values() if node.node)
    head = rule("DEAD LETTERS", width, more=f"{count(total)} in all; the last 256 of each node")
    if not picture.items:
        return [head, Text("  none: whatever was told has arrived, or is under way", "green")]
    lines = [head, *rows(_COLUMNS, picture, lambda item: _cells(watch, *item.value), width, height - 4)]
    return [*lines, Text(), *_closely(picture)]


def _cells(watch: Watch, node: str, reason: str, number: int, last: DeadLetterSnapshot) -> Sequence[Cell]:
    to = address(watch, last.to)
    return (node, reason, count(number), f"{span(last.ago)} ago", last.tag or "-", to, repr(last.head)[2:-1])


def _closely(picture: Picture) -> list[Text]:
    item = picture.item
    if item is None:
        return []
    _, _, _, last = item.value
    sender = address(picture.watch, last.sender)
    return [
        Text(f"  {last.tag or 'a message'} from {sender} to {address(picture.watch, last.to)}: {last.outcome}"),
        Text(f"  {repr(last.head)[2:-1]}", "bright_black"),
    ]
