"""Words that could stand where one types, after `actors`: commands, options, and names from clusters that run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import trio
from msgspec import Struct

from actors.console.clean import clean
from actors.console.main import GROUPS, make_app
from actors.control.client import ControlClient, open_control
from actors.control.sockets import NodeSocket, clusters
from actors.errors import ActorError

if TYPE_CHECKING:
    from cyclopts import App, Argument

_PATIENCE = 1.0
"""Seconds for a node to tell of its engines: somebody waits at a prompt."""


class Candidate(NamedTuple):
    """A word, and what it is."""

    word: str
    words: str = ""


FILES = ":files"
"""Stands for the names of files, which the shell knows best."""


class Line(Struct, frozen=True):
    """What stands before the word that is being typed."""

    before: list[str]
    """Words that are no options and no values of some."""
    options: dict[str, str]
    current: str
    asks: Argument | None
    """The option whose value is being typed."""


def candidates(words: Sequence[str]) -> list[Candidate]:
    """Those that begin like the last word; `--page=links` may come as one word or as three, as bash has it."""
    *before, current = words or [""]
    if current == "=":
        current = ""
    name, equals, value = current.partition("=")
    joined = f"{name}=" if equals and name.startswith("--") else ""
    if joined:
        before, current = [*before, name], value
    found = _all([word for word in before if word != "="], current)
    return [
        Candidate(joined + one.word, one.words) for one in found if one.word.startswith(current) or one.word == FILES
    ]


def _all(before: Sequence[str], current: str) -> Iterable[Candidate]:
    if not before:
        return [Candidate(name, words) for group in GROUPS.values() for name, (_, words) in group.items()]
    app, rest = _command(make_app(), before)
    if app is None:
        return []
    if app.default_command is None:
        return [Candidate(name, _first_line(app[name].help)) for name in app if not name.startswith("-")]
    arguments = [one for one in app.assemble_argument_collection() if one.parameter.show is not False]
    line = _read(arguments, rest, current)
    if line.asks is not None:
        return _values(line.asks, line)
    if current.startswith("-"):
        return _options(arguments, line)
    places = [one for one in arguments if one.index is not None]
    return _values(places[len(line.before)], line) if len(line.before) < len(places) else []


def _command(app: App, words: Sequence[str]) -> tuple[App | None, Sequence[str]]:
    """The command that these words begin with, and what follows."""
    while words and app.default_command is None:
        name, *words = words
        if name.startswith("-") or name not in list(app):
            return None, words
        app = app[name]
    return app, words


def _read(arguments: Sequence[Argument], words: Sequence[str], current: str) -> Line:
    by_name = {name: one for one in arguments for name in one.names if name.startswith("-")}
    before: list[str] = []
    options: dict[str, str] = {}
    asks: Argument | None = None
    for word in words:
        name, equals, value = word.partition("=")
        if asks is not None:
            options[asks.name] = word
            asks = None
        elif name in by_name:
            options[by_name[name].name] = value
            asks = by_name[name] if by_name[name].token_count()[0] and not equals else None
        else:
            before.append(word)
    return Line(before, options, current, asks)


def _options(arguments: Sequence[Argument], line: Line) -> list[Candidate]:
    """Those that were not given yet, or may be given again."""
    return [
        Candidate(one.name, _first_line(one.parameter.help))
        for one in arguments
        if one.name.startswith("-") and (one.name not in line.options or one.token_count()[1])
    ]


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


# -- values -----------------------------------------------------------------------------------------------


def _values(argument: Argument, line: Line) -> Iterable[Candidate]:
    if choices := argument.get_choices():
        return map(Candidate, choices)
    if "Path" in str(argument.hint):
        return [Candidate(FILES)]
    find = _FINDERS.get(argument.name)
    return find(line) if find and (argument.hint is not int) else []


def _nodes(line: Line) -> list[Candidate]:
    return [Candidate(node.name, f"node of {node.cluster}") for node in _running(line)]


def _groups(line: Line) -> list[Candidate]:
    """`a,b`: names with commas between them."""
    given, comma, _ = line.current.rpartition(",")
    return [Candidate(f"{given}{comma}{node.name}") for node in _running(line) if node.name not in given.split(",")]


def _addresses(line: Line) -> list[Candidate]:
    """`b/echo`: nodes first, then engines of the one that was typed."""
    name, slash, _ = line.current.partition("/")
    if not slash:
        return [Candidate(f"{node.name}/", f"engines of {node.name}") for node in _running(line)]

    async def engines(control: ControlClient) -> list[Candidate]:
        return [Candidate(f"{name}/{one.name}", one.type) for one in await control.engines() if _speaks(one.name)]

    return _asked(line, name, engines)


def _speaks(engine: str) -> bool:
    """Not one of the network's own, which take nothing from outside."""
    from actors.runtime.names import is_reserved

    return not is_reserved(engine)


def _messages(line: Line) -> list[Candidate]:
    """What the engine understands that was typed before."""
    name, _, engine = line.before[0].partition("/")

    async def described(control: ControlClient) -> list[Candidate]:
        return [
            Candidate(one.type, ", ".join(f"{field.name}: {field.type}" for field in one.fields))
            for one in await control.describe(engine)
        ]

    return _asked(line, name, described)


def _clusters(_: Line) -> list[Candidate]:
    return [Candidate(name, ", ".join(node.name for node in nodes)) for name, nodes in clusters().items()]


def _codes(_: Line) -> list[Candidate]:
    from actors.console.codes import pages

    return [Candidate(page.code, page.meaning) for page in pages().values()]


def _events(_: Line) -> list[Candidate]:
    from actors.events import AnyEvent

    return [Candidate(str(event.__struct_config__.tag), _first_line(event.__doc__)) for event in AnyEvent.__args__]


def _scenarios(line: Line) -> list[Candidate]:
    from actors.console.sim_table import known_scenarios

    return [Candidate(one.name, one.about) for one in known_scenarios(()).values()]


def _transports(_: Line) -> list[Candidate]:
    from transports.schemes import SCHEMES

    return [Candidate(scheme) for scheme in SCHEMES]


_FINDERS: dict[str, Callable[[Line], Iterable[Candidate]]] = {
    "NODE": _nodes,
    "PEER": _nodes,
    "--from": _nodes,
    "--node": _nodes,
    "GROUP": _groups,
    "OTHERS": _groups,
    "TO": _addresses,
    "TYPE": _messages,
    "--cluster": _clusters,
    "CODE": _codes,
    "--kind": _events,
    "SCENARIO": _scenarios,
    "--transport": _transports,
}


def _running(line: Line) -> tuple[NodeSocket, ...]:
    from actors.console.reach import choose

    return choose(clusters(), line.options.get("--cluster"))


def _asked(line: Line, name: str, question: Callable[[ControlClient], Any]) -> list[Candidate]:
    path: Path | None = next((node.path for node in _running(line) if node.name == name), None)
    if path is None:
        return []

    async def ask() -> list[Candidate]:
        with trio.move_on_after(_PATIENCE), suppress(ActorError):
            async with open_control(path) as control:
                return [Candidate(clean(one.word), clean(one.words)) for one in await question(control)]
        return []

    return trio.run(ask)
