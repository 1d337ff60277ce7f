"""Events: what happens on all nodes, the newest at the bottom. Pure."""

from __future__ import annotations

from rich.text import Text

from actors.console.clean import clean
from actors.console.ui.columns import fit, rule, window
from actors.console.ui.figures import span
from actors.console.ui.picture import Picture
from actors.console.ui.watch import EventLine

STYLES = {
    "engine-crashed": "bold red",
    "engine-failed": "bold red",
    "dead-letter": "yellow",
    "dial-failed": "yellow",
    "disconnected": "yellow",
    "advert-rejected": "yellow",
    "peer-refused": "yellow",
    "state-not-written": "bold red",
    "hostile-connection": "bold red",
    "duplicate-identity": "bold red",
    "connected": "green",
}
_AGO = 7


def view(picture: Picture, width: int, height: int) -> list[Text]:
    """The page."""
    items, desk = picture.items, picture.desk
    more = "following" if desk.following else "G follows again"
    head = rule("EVENTS", width, more=f"{len(items)}, {more}")
    if not items:
        words = (
            "nothing has happened yet" if picture.watch.recorded else "nothing has happened since the console looks on"
        )
        return [head, Text(f"  {words}", "bright_black")]
    seen = window(len(items), height - 1, len(items) - 1 if desk.following else picture.chosen)
    lines = [head]
    for index in seen:
        line = fit(event_line(items[index].value, picture.now), width)
        if index == picture.chosen and not desk.following:
            line.stylize("reverse")
        lines.append(line)
    return lines


def event_line(line: EventLine, now: float) -> Text:
    """How long ago, where, what, and its words."""
    style = STYLES.get(line.event, "")
    text = Text.assemble((f"{span(max(0.0, now - line.at)):>{_AGO}} ", "bright_black"))
    text.append(f"{clean(line.node)} ", "bold")
    text.append(f"{clean(line.event)} ", style)
    text.append(clean(line.words))
    return text
