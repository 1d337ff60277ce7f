"""The one table of keys: the help sheet, the footer and the prompt's commands are made from it. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Binding(NamedTuple):
    """Keys, the command they stand for, and what it does. `changes`: not for those who only look."""

    keys: tuple[str, ...]
    command: str
    words: str
    group: str
    changes: bool = False
    hint: str = ""
    """In the footer, if it belongs there."""
    replay: bool = False
    """Only in a recording."""


LOOK, MOVE, ACT, TIME = "Look", "Move", "Act", "Time"

BINDINGS = (
    Binding(("j", "down"), "down", "next row", MOVE),
    Binding(("k", "up"), "up", "row before", MOVE),
    Binding(("page down", " "), "page-down", "ten rows on", MOVE),
    Binding(("page up",), "page-up", "ten rows back", MOVE),
    Binding(("g", "home"), "first", "first row", MOVE),
    Binding(("G", "end"), "last", "last row; follow events", MOVE),
    Binding(("enter", "right"), "open", "look closely", MOVE, hint="Enter open"),
    Binding(("esc", "left", "backspace"), "back", "back; out of a filter", MOVE, hint="Esc back"),
    Binding(("tab",), "pane", "nodes or problems", MOVE, hint="Tab pane"),
    Binding(("1",), "cluster", "nodes, problems, ledger", LOOK),
    Binding(("2",), "links", "links; Enter for one", LOOK),
    Binding(("3",), "engines", "engines; Enter for one", LOOK),
    Binding(("4",), "events", "what happens", LOOK),
    Binding(("5",), "letters", "dead letters, by reason", LOOK),
    Binding(("/",), "filter", "only rows with words", LOOK, hint="/ filter"),
    Binding((":",), "command", "by name: link a b, node a", LOOK),
    Binding(("s",), "sort", "another order", LOOK),
    Binding(("p",), "pause", "hold the picture still", LOOK),
    Binding((".",), "step", "to the next event", TIME, hint=", . step", replay=True),
    Binding((",",), "step-back", "to the event before", TIME, replay=True),
    Binding(("]",), "forward", "ten seconds on", TIME, hint="[ ] 10 s", replay=True),
    Binding(("[",), "rewind", "ten seconds back", TIME, replay=True),
    Binding(("+",), "faster", "twice as fast", TIME, replay=True),
    Binding(("-",), "slower", "half as fast", TIME, replay=True),
    Binding(("r",), "dial-now", "dial the chosen link", ACT, True),
    Binding(("P",), "permanence", "permanent or ephemeral", ACT, True),
    Binding(("x",), "faults", "break a node or a link", ACT, True),
    Binding(("?",), "help", "this sheet", LOOK, hint="? help"),
    Binding(("q",), "quit", "leave; the cluster goes on", LOOK, hint="q quit"),
)
_NAMES = {" ": "Space", "page up": "PgUp", "page down": "PgDn"}
_SHOWN = 2
"""Keys of one binding that a person is told of."""


def bindings(*, readonly: bool, faults: bool, replay: bool = False) -> tuple[Binding, ...]:
    """Those that do something here."""
    return tuple(
        binding
        for binding in BINDINGS
        if not (readonly and binding.changes)
        and (faults or binding.command != "faults")
        and (replay or not binding.replay)
    )


def command_of(key: str, table: tuple[Binding, ...]) -> str | None:
    """What a key does."""
    return next((binding.command for binding in table if key in binding.keys), None)


def key_names(binding: Binding) -> str:
    """As a person calls them: `j down`."""
    return " ".join(_NAMES.get(key) or (key if len(key) == 1 else key.title()) for key in binding.keys[:_SHOWN])
