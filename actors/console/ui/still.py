"""One frame: as text, as data, or as a picture for a page. Needs no terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from time import localtime, strftime

import trio
from msgspec.structs import replace
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from actors.console.ui.actions import Able
from actors.console.ui.desk import Desk
from actors.console.ui.figures import clock
from actors.console.ui.past import Past
from actors.console.ui.picture import all_links, look
from actors.console.ui.places import CLUSTER, Page, Place
from actors.console.ui.poller import EVERY, PATIENCE, Poller
from actors.console.ui.problems import Problem, Problems
from actors.console.ui.replay import Replay
from actors.console.ui.views.frame import frame
from actors.console.ui.watch import Watch
from actors.errors import ConfigError

WIDTH, HEIGHT = 100, 24
_JUDGE = 0.5
_LEFT_OUT = re.compile(r"\s*@font-face \{.*?\}\n|\s*<!--.*?-->", re.DOTALL)
"""Fonts of another site, and who made it."""
_THEME = TerminalTheme(
    (27, 29, 35),
    (214, 218, 224),
    [(27, 29, 35), (230, 108, 117), (140, 190, 110), (222, 182, 95), (98, 160, 234), (190, 130, 220), (86, 182, 194),
     (200, 204, 210)],
    [(128, 134, 146), (240, 130, 138), (165, 210, 135), (235, 200, 120), (130, 185, 245), (210, 155, 235),
     (120, 205, 215), (240, 242, 245)],
)  # fmt: skip
"""Rich's own draws bright black as dark as what is behind it."""


class Still:
    """What was heard in a short time."""

    def __init__(self, watch: Watch, problems: tuple[Problem, ...], now: float, clock: str = "") -> None:
        self.watch = watch
        self.problems = problems
        self.now = now
        self.clock = clock or strftime("%H:%M:%S", localtime())

    def lines(self, page: Page, width: int, height: int) -> list[Text]:
        """The frame of a page."""
        desk = Desk(able=Able(readonly=True, replay=bool(self.watch.recorded)))
        if page != "cluster":
            desk.stack = [CLUSTER, Place(page)]
        picture = look(self.watch, self.problems, desk, self.now)
        if page != "letters":
            picture = replace(picture, chosen=-1)  # nobody moves a cursor here
        return frame(picture, width, height, self.clock)[:-1]

    def data(self) -> dict[str, object]:
        """The same for programs."""
        watch = self.watch
        return {
            "cluster": watch.cluster,
            "nodes": [
                {
                    "name": node.name,
                    "state": node.state,
                    "why": node.why,
                    "sent_per_second": node.rates()[0],
                    "received_per_second": node.rates()[1],
                    "node": node.node,
                }
                for node in watch.nodes.values()
            ],
            "links": [proxy for _, proxy in all_links(watch)],
            "problems": [
                {
                    "code": problem.finding.code,
                    "level": problem.finding.level,
                    "where": problem.finding.where,
                    "cause": problem.finding.cause,
                    "seconds": self.now - problem.since,
                }
                for problem in self.problems
            ],
            "ledger": watch.ledger(),
            "balanced": watch.ledger().balanced,
        }


def still_of(past: Past, at: float | None, page: Page) -> Still:
    """A recorded log at this second; at its end, if none is given."""
    replay = Replay(past)
    replay.seek(past.end if at is None else min(at, past.end), Place(page))
    return Still(replay.watch, replay.problems, replay.at, f"{clock(replay.at)} of {clock(past.end)}")


async def take_still(cluster: str, directory: Path, page: Page, seconds: float = 0.0) -> Still:
    """Look on for so long, and until every node was asked twice, so that there are rates."""
    watch, problems = Watch(cluster), Problems()
    poller = Poller(directory, lambda change: change(watch, trio.current_time()), lambda: Place(page))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.run)
        end = trio.current_time() + seconds
        while trio.current_time() < end:
            await trio.sleep(min(_JUDGE, end - trio.current_time()))
            problems.look(watch, trio.current_time())
        with trio.move_on_after(PATIENCE + EVERY):
            while not _enough(watch):  # noqa: ASYNC110 - many nodes, each in its own time
                await trio.sleep(EVERY / 20)
        nursery.cancel_scope.cancel()
    return Still(watch, problems.look(watch, trio.current_time()), trio.current_time())


def _enough(watch: Watch) -> bool:
    nodes = watch.nodes.values()
    return bool(nodes) and all(len(node.samples) > 1 or node.state in ("down", "denied") for node in nodes)


def natural_height(still: Still) -> int:
    """So high that nothing of the cluster's page is left out."""
    return max(HEIGHT, 16 + 2 * len(still.watch.nodes) + len(still.problems))


def print_lines(lines: Sequence[Text]) -> None:
    """To stdout; in colours on a terminal."""
    console = Console(markup=False, emoji=False, highlight=False)
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)


def write_svg(lines: Sequence[Text], path: Path, title: str) -> None:
    """A picture of a terminal. ConfigError if it cannot be written. It names no font of another site."""
    width = max((line.cell_len for line in lines), default=1)
    console = Console(
        file=io.StringIO(), record=True, width=width, force_terminal=True, color_system="standard", markup=False
    )
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, emoji=False)
    picture = _LEFT_OUT.sub("", console.export_svg(title=title, theme=_THEME, unique_id="actors"))
    try:
        path.write_text(picture)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
