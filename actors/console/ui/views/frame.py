"""The whole screen: title, page, foot. Pure: a picture and a size in, exactly so many lines out."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from actors.console.clean import clean
from actors.console.ui.columns import fit
from actors.console.ui.picture import Picture, sorted_by
from actors.console.ui.places import CLUSTER, Page
from actors.console.ui.views import cluster, engines, events, helping, letters, link, links, node

LEAST_WIDTH, LEAST_HEIGHT = 60, 12
"""Cells and lines below which nothing but words of regret fit."""

View = Callable[[Picture, int, int], list[Text]]

VIEWS: dict[Page, View] = {
    "cluster": cluster.view,
    "node": node.view,
    "links": links.view,
    "link": link.view,
    "engines": engines.view,
    "engine": engines.view_one,
    "events": events.view,
    "letters": letters.view,
}
_TABS = (("cluster", "1 Cluster"), ("links", "2 Links"), ("engines", "3 Engines"), ("events", "4 Events"),
         ("letters", "5 Letters"))  # fmt: skip
_ALWAYS = frozenset({"help", "quit"})
_UNDER: dict[Page, Page] = {"node": "cluster", "link": "links", "engine": "engines"}


def frame(picture: Picture, width: int, height: int, clock: str) -> list[Text]:
    """Lines of `width` cells, `height` of them. `clock` is the time of day."""
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return too_small(width, height)
    room = height - 2
    if picture.desk.help:
        page = helping.view(picture.desk.bindings, width, room)
    else:
        page = VIEWS[picture.desk.place.page](picture, width, room)
    page = [*page[:room], *([Text()] * (room - len(page)))]
    return [fit(_harmless(line), width) for line in (title(picture, width, clock), *page, foot(picture, width))]


def _harmless(line: Text) -> Text:
    """Whatever a stranger has put into it, on whichever page: it does not steer the terminal."""
    if not line.plain.isprintable():
        line = line.copy()
        line.plain = clean(line.plain)
    return line


def too_small(width: int, height: int) -> list[Text]:
    """What can be said in a terminal of 20x5, or of 3x1."""
    words = [f"{width}x{height} is too small:", f"{LEAST_WIDTH}x{LEAST_HEIGHT} is the least", "q quits"]
    lines = [fit(Text(line), max(0, width)) for line in words[: max(0, height)]]
    return lines + [fit(Text(), max(0, width))] * (height - len(lines))


def title(picture: Picture, width: int, clock: str) -> Text:
    """Which cluster, which screen, what time."""
    watch, desk = picture.watch, picture.desk
    line = Text.assemble((" actors ", "bold reverse"), (f" {watch.cluster} ", "bold"))
    here = _UNDER.get(desk.place.page, desk.place.page)
    for page, words in _TABS:
        line.append(" ")
        line.append(words, "bold underline" if page == here else "bright_black")
    right = Text("PAUSED ", "bold yellow") if desk.paused else Text()
    right.append(clock)
    if line.cell_len + right.cell_len + 1 > width:
        right = Text("PAUSED", "bold yellow") if desk.paused else Text()
    return Text.assemble(fit(line, width - right.cell_len), right)


def foot(picture: Picture, width: int) -> Text:
    """A question, what is being typed, the last word, or the keys."""
    desk = picture.desk
    if desk.confirm is not None:
        line = Text.assemble((" run ", "bold reverse"), " ", (desk.confirm.command, "bold"))
        return Text.assemble(fit(line, width - 14), ("  y yes  n no", "bold yellow"))
    if desk.menu:
        return Text("  ".join(f"{number} {action.words}" for number, action in enumerate(desk.menu, 1)), "yellow")
    if desk.prompt is not None:
        return Text.assemble((desk.prompt.kind, "bold"), desk.prompt.text, ("▏", "blink"))
    if desk.note:
        return Text(desk.note, "bold yellow")
    line = Text()
    if desk.filter:
        line.append(f"/{desk.filter}  ", "bold yellow")
    if (order := sorted_by(desk)) and not picture.time:
        line.append(f"s by {order}  ", "cyan")
    if picture.time:
        line.append(f"{picture.time}  ", "cyan")
        line.append("p play  ", "bright_black")
    table = [binding for binding in desk.bindings if binding.replay or not picture.time or binding.command in _ALWAYS]
    useless = {"pane"} if desk.place != CLUSTER else {"back"} if not desk.filter else set[str]()
    hints = (binding.hint for binding in table if binding.hint and binding.command not in useless)
    line.append("  ".join(hints), "bright_black")
    return line
