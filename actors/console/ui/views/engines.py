"""Engines: a line each, and one closely: mailbox, times, guards, messages, who waits on whom. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from actors.console.clean import clean
from actors.console.ui.columns import Cell, Column, fit, rule
from actors.console.ui.figures import count, millis, share, size, span
from actors.console.ui.looks import shown
from actors.console.ui.picture import Picture
from actors.console.ui.views.events import event_line
from actors.console.ui.views.parts import address, beside, engine_name, figures, rows
from actors.console.ui.watch import Watch
from actors.snapshots import EngineSnapshot, HandledSnapshot, WorkSnapshot

_COLUMNS = (
    Column("node"),
    Column("engine"),
    Column("type", rank=4),
    Column("state"),
    Column("held", right=True),
    Column("handled", right=True),
    Column("p99", right=True, rank=2),
    Column("no guard", right=True, rank=3),
    Column("crashes", right=True),
    Column("restarts", right=True, rank=5),
    Column("waits on", grow=True, rank=1),
)
_RECORDED = (
    Column("node"),
    Column("engine"),
    Column("state"),
    Column("handled", right=True),
    Column("crashes", right=True),
    Column("restarts", right=True),
)
_LEAST_BELOW = 8
"""Lines that guards leave to messages and events."""


def view(picture: Picture, width: int, height: int) -> list[Text]:
    """The page."""
    head = rule("ENGINES", width, more=str(len(picture.items)))
    watch = picture.watch
    if watch.recorded:
        return [head, *rows(_RECORDED, picture, lambda item: _recorded_cells(watch, *item.value), width, height - 1)]
    return [head, *rows(_COLUMNS, picture, lambda item: _cells(watch, *item.value), width, height - 1)]


def _recorded_cells(watch: Watch, node: str, engine: EngineSnapshot) -> Sequence[Cell]:
    return (
        node,
        engine_name(watch, engine.name),
        shown(engine.state),
        count(engine.handled) if watch.counts else "-",
        Text(count(engine.crashes), "bold red" if engine.crashes else ""),
        count(engine.restarts),
    )


def _cells(watch: Watch, node: str, engine: EngineSnapshot) -> Sequence[Cell]:
    full = engine.capacity > 0 and engine.held / engine.capacity >= 0.8
    return (
        node,
        engine_name(watch, engine.name),
        engine.type,
        shown(engine.state),
        Text(f"{engine.held}/{count(engine.capacity)}", "bold red" if full else ""),
        count(engine.handled),
        millis(engine.took_p99_ms),
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
    if watch.recorded:
        lines = [head, *figures(_figures(watch, engine, ("crashes", "restarts")), width)]
        return [*lines, *_events(picture, width, height - len(lines))]
    work = watch.works.get((place.node, place.engine))
    lines = [
        head,
        Text.assemble("  ", shown(engine.state), f", {engine.type}"),
        *figures(_figures(watch, engine), width),
        *_who_waits(watch, place.node, engine, width),
    ]
    lines += _guards(work, width)[: max(0, height - len(lines) - _LEAST_BELOW)]
    left = height - len(lines)
    messages = _messages(watch, work, width)[: max(2, left - 4)]
    return [*lines, *messages, *_events(picture, width, left - len(messages))]


def _who_waits(watch: Watch, node: str, engine: EngineSnapshot, width: int) -> list[Text]:
    lines = []
    if engine.waits_on:
        lines.append(f"  it stands still until it hears of {_waits(watch, engine)}")
    waiters = _waiters(watch, node, engine.name)
    lines += [f"  {other} stands still until it hears of this one" for other in waiters]
    if engine.waiting:
        lines.append(f"  {engine.waiting} senders on this node wait for room in its mailbox")
    return [
        rule("WHO WAITS", width, more="" if lines else "nobody"),
        *(Text(clean(line), "yellow") for line in lines),
    ]


def _guards(work: WorkSnapshot | None, width: int) -> list[Text]:
    """In their order: which action for which message, and how often its guard held."""
    head = rule("GUARDS", width, more="how often each held, of the messages that were looked at: one in a few")
    if work is None:
        return [head, Text("  …", "bright_black")]
    cells = [
        Text.assemble(
            clean(guard.message),
            (f" when {clean(guard.when)}" if guard.when else "", "bright_black"),
            " → ",
            (clean(guard.action), "cyan"),
            f" {count(guard.held)}",
        )
        for guard in work.guards
    ]
    return [head, *beside(cells, width)]


def _messages(watch: Watch, work: WorkSnapshot | None, width: int) -> list[Text]:
    """The newest first."""
    head = rule("LAST MESSAGES", width, more="of those that were looked at")
    if work is None or not work.messages:
        return [head, Text("  none yet", "bright_black")]
    return [head, *(_message(watch, one, width) for one in reversed(work.messages))]


def _message(watch: Watch, one: HandledSnapshot, width: int) -> Text:
    took = Text("  crashed", "bold red") if one.took_ms is None else Text(f"{millis(one.took_ms):>9}")
    line = Text.assemble((f"{span(one.ago):>7} ago ", "bright_black"), took, f"  {clean(one.head or one.tag)}")
    line.append(f"  from {address(watch, one.sender)}", "bright_black")
    return fit(line, width)


def _events(picture: Picture, width: int, height: int) -> list[Text]:
    """What happened to it, as many as there is room for."""
    watch, place = picture.watch, picture.desk.place
    if height < 2:
        return []
    mine = [line for line in watch.events if line.node == place.node and place.engine in line.words.split("/")[-1]]
    head = rule("EVENTS", width, more="" if mine else "none yet")
    return [head, *(event_line(line, picture.now) for line in mine[-(height - 1) :])]


def _waiters(watch: Watch, node: str, engine: str) -> list[str]:
    engines = watch.nodes[node].engines if node in watch.nodes else ()
    return [engine_name(watch, one.name) for one in engines if engine in one.waits_on]


def _figures(watch: Watch, engine: EngineSnapshot, only: Sequence[str] = ()) -> Sequence[tuple[str, Cell]]:
    fill = engine.held / engine.capacity if engine.capacity else None
    pairs: list[tuple[str, Cell]] = [
        ("held", f"{engine.held} of {engine.capacity}"),
        ("full", share(fill)),
        ("bytes held", size(engine.held_bytes)),
        ("promised to peers", count(engine.reserved)),
        ("handled", count(engine.handled)),
        ("no guard held", Text(count(engine.unhandled), "yellow" if engine.unhandled else "")),
        ("p50", millis(engine.took_p50_ms)),
        ("p99", millis(engine.took_p99_ms)),
        ("late answers", count(engine.late)),
        ("crashes", Text(count(engine.crashes), "bold red" if engine.crashes else "")),
        ("restarts", count(engine.restarts)),
        ("timers", count(engine.timers)),
        ("children", count(engine.children)),
        ("spawned by", engine_name(watch, engine.spawner) if engine.spawner else "the node"),
    ]
    return [pair for pair in pairs if not only or pair[0] in only]
