"""What `actors replay` shows: the engines of a record, and the message that a replay stopped at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actors.console.envelope import good
from actors.console.exits import Exit
from actors.console.words import Column, say, show, write
from actors.control.compose import readable
from actors.recording.files import Reading
from actors.recording.folders import nodes_in, run_numbers, run_of
from actors.replay.performance import Performance
from actors.replay.players import Played
from actors.replay.story import Story, Turn, summaries
from actors.replay.traces import trace_lines

LONGEST = 200
"""Characters of a message or field that are shown."""


def show_folder(folder: Path, *, json: bool) -> Exit:
    """What records a folder holds: of each node its last run, by engines."""
    found = [(node, Story(Reading(run_of(folder, node, None)))) for node in nodes_in(folder)]
    if json:
        write(good({"nodes": [_node(folder, node, story) for node, story in found]}))
        return Exit.OK
    columns = [Column("node"), Column("engine"), Column("type"), Column("messages", True), Column("from", True),
               Column("lives", True), Column("crashed at")]  # fmt: skip
    rows = [
        (node, each.engine, each.type, each.messages, each.first or None, each.lives, _some(each.crashes))
        for node, story in found
        for each in summaries(story)
    ]
    show(columns, rows)
    for node, story in found:
        if len(runs := run_numbers(folder / node)) > 1:
            say(f"node {node} has runs {', '.join(map(str, runs))}; this is the last, --run chooses another")
        if story.cut:
            say(f"the record of {node} ends early: {story.cut}")
    return Exit.OK


def _node(folder: Path, node: str, story: Story) -> dict[str, Any]:
    return {
        "runs": run_numbers(folder / node),
        "header": story.header,
        "node": node,
        "engines": summaries(story),
        "arrived": story.arrived,
        "commands": story.commands,
        "closed": story.closed,
        "cut": story.cut,
    }


def _some(crashes: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, crashes[:5]))
    return f"{shown} and {len(crashes) - 5} more" if len(crashes) > 5 else shown


def lines_of(story: Story, performance: Performance) -> list[str]:
    """A replay, for people."""
    header = story.header
    lines = [f"node {header.node} {header.id[:8]}, recorded {header.began}, run {header.run}"]
    count = f"{performance.played} message{'' if performance.played == 1 else 's'}"
    then = "each as it was recorded" if performance.failed is None else "each as it was recorded, up to the one after"
    lines.append(f"{count} handled again, {then}")
    if performance.last:
        *before, last = performance.last
        lines += [f"  {_message(story, played)}" for played in before]
        lines += ["", *_stop(story, last)]
    return lines


def _stop(story: Story, played: Played) -> list[str]:
    lines = [_message(story, played), f"  state before: {_fields(played.before)}"]
    if played.error is not None:
        return [*lines, *trace_lines(played.error), "crashed, as it was recorded"]
    lines.append(f"  state after:  {_fields(played.after)}")
    if played.later:
        return [*lines, f"  it did: {_short(played.did)}", f"and crashed then, as it was recorded: {played.later}"]
    ends = {
        "returned": f"returned: {_short(played.did)}",
        "cancelled": "cancelled, as it was recorded",
        "unhandled": "no action takes it: refused as unhandled",
        "unfinished": "still at work when the record ends",
    }
    return [*lines, ends.get(played.end, played.end)]


def _message(story: Story, played: Played) -> str:
    turn = played.turn
    after = turn.at - story.header.clock
    return (
        f"message {turn.number} of {turn.role.name}, from {sender_of(turn)} at {after:.6f} s: {_short(played.message)}"
    )


def sender_of(turn: Turn) -> str:
    """An address, for people; a node itself has no name."""
    return str(turn.sender) if turn.sender.name else f"node {turn.sender.node.short if turn.sender.node else '?'}"


def _fields(fields: dict[str, str]) -> str:
    return _short(", ".join(f"{name}={value}" for name, value in fields.items())) or "none"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def data_of(story: Story, performance: Performance) -> dict[str, Any]:
    """A replay, for programs."""
    return {
        "node": story.header.node,
        "id": story.header.id,
        "run": story.header.run,
        "recorded": story.header.began,
        "cut": story.cut,
        "played": performance.played,
        "stopped": performance.stopped,
        "aside": {name: str(error) for name, error in performance.aside.items()},
        "last": [_played(story, played) for played in performance.last],
    }


def _played(story: Story, played: Played) -> dict[str, Any]:
    turn, error = played.turn, played.error
    return {
        "engine": turn.role.name,
        "number": turn.number,
        "life": turn.life,
        "seconds": round(turn.at - story.header.clock, 6),
        "sender": sender_of(turn),
        "message": _data(played.message),
        "before": played.before,
        "after": played.after,
        "end": played.end,
        "did": played.did,
        "error": "" if error is None else f"{type(error).__name__}: {error}",
        "traceback": [] if error is None else trace_lines(error),
        "later": played.later,
    }


def _data(message: object) -> object:
    try:
        return readable(message)
    except (TypeError, ValueError):
        return repr(message)
