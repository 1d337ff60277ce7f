"""Links: every Node Proxy of every node, a line each. Pure."""

from __future__ import annotations

from rich.text import Text

from actors.console.ui.columns import rule
from actors.console.ui.picture import Picture
from actors.console.ui.views.parts import link_rows


def view(picture: Picture, width: int, height: int) -> list[Text]:
    """The page."""
    head = rule("LINKS", width, more=str(len(picture.items)))
    if not picture.items and picture.watch.recorded:
        return [head, Text("  none at this time", "bright_black")]
    if not picture.items:
        return [head, Text("  none: a link begins with the first message to a node, or with `actors proxy`")]
    return [head, *link_rows(picture, width, height - 1)]
