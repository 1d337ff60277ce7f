"""Engines: a line each, and one closely: mailbox, guards, restarts, who waits on whom. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from actors.console.ui.columns import Cell, Column, rule
from actors.console.ui.figures import count, share, size
from actors.console.ui.looks import shown
from actors.console.ui.picture import Picture
from actors.console.ui.views.events import event_line
from actors.console.ui.views.parts import engine_name, figures, rows
from actors.console.ui.watch import Watch
from actors.snapshots import EngineSnapshot

_COLUMNS = (
    Column("node"),
    Column("engine"),
    Column("type", rank=3),
    Column("state"),
    Column("held", right=True),
    Column("handled", right=True),
    Column("no guard", right=True, rank=2),
    Column("crashes", right=True),
    Column("restarts", right=True, rank=4),
    Column("waits on", grow=True, rank=1),
)


def view(picture: Picture, width: int, height: int) -> list[Text]:
    """The page."""
    head = rule("ENGINES", width, more=str(len(picture.items)))
    watch = picture.watch
    return [head, *rows(_COLUMNS, picture, lambda item: _cells(watch, *item.value), width, height - 1)]


def _cells(watch: Watch, node: str, engine: EngineSnapshot) -> Sequence[Cell]:
    full = engine.capacity > 0 and engine.held / engine.capacity >= 0.8
    return (
        node,
        engine_name(watch, engine.name),
        engine.type,
        shown(engine.state),
        Text(f"{engine.held}/{count(engine.capacity)}", "bold red" if full else ""),
        count(engine.handled),
        Text(count(engine.unhandled), "yellow" if engine.unhandled else ""),
        Text(count(engine.crashes), "bold red" if engine.crashes else ""),
        count(engine.restarts),
        _waits(watch, engine),
    )


def _waits(watch: Watch, engine: EngineSnapshot) -> str:
    return ", ".join(engine_name(watch, name) for name in engine.waits_on)


def view_one(picture: Picture, width: int, height: int) -> list[Text]:
    """One engine closely."""
    watch, place = picture.watch, picture.desk.place
    engine = watch.engine(place.node, place.engine)
    head = rule(f"ENGINE {place.node}/{engine_name(watch, place.engine)}", width)
    if engine is None:
        return [head, Text("  it is gone")]
    lines = [
        head,
        Text.assemble("  ", shown(engine.state), f", {engine.type}"),
        *figures(_figures(watch, engine), width),
    ]
    lines.append(rule("WHO WAITS", width))
    if engine.waits_on:
        lines.append(Text(f"  it stands still until it hears of {_waits(watch, engine)}", "yellow"))
    waiters = _waiters(watch, place.node, place.engine)
    lines += [Text(f"  {other} stands still until it hears of this one", "yellow") for other in waiters]
    if engine.waiting:
        lines.append(Text(f"  {engine.waiting} senders on this node wait for room in its mailbox", "yellow"))
    if lines[-1].plain.startswith("WHO"):
        lines.append(Text("  nobody", "bright_black"))
    lines.append(rule("EVENTS", width))
    mine = [line for line in watch.events if line.node == place.node and place.engine in line.words.split("/")[-1]]
    shown_lines = mine[-(height - len(lines)) :] if height > len(lines) else []
    return [*lines, *(event_line(line, picture.now) for line in shown_lines)]


def _waiters(watch: Watch, node: str, engine: str) -> list[str]:
    engines = watch.nodes[node].engines if node in watch.nodes else ()
    return [engine_name(watch, one.name) for one in engines if engine in one.waits_on]


def _figures(watch: Watch, engine: EngineSnapshot) -> Sequence[tuple[str, Cell]]:
    fill = engine.held / engine.capacity if engine.capacity else None
    return [
        ("held", f"{engine.held} of {engine.capacity}"),
        ("full", share(fill)),
        ("bytes held", size(engine.held_bytes)),
        ("promised to peers", count(engine.reserved)),
        ("handled", count(engine.handled)),
        ("no guard held", Text(count(engine.unhandled), "yellow" if engine.unhandled else "")),
        ("late answers", count(engine.late)),
        ("crashes", Text(count(engine.crashes), "bold red" if engine.crashes else "")),
        ("restarts", count(engine.restarts)),
        ("timers", count(engine.timers)),
        ("children", count(engine.children)),
        ("spawned by", engine_name(watch, engine.spawner) if engine.spawner else "the node"),
    ]
