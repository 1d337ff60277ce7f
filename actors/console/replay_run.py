"""What `actors replay` does for one node, and what it shows afterwards."""

from __future__ import annotations

import platform
from pathlib import Path

from actors.console.exits import Exit, UsageError
from actors.console.failures import now, problem_of, say_problem
from actors.console.hash_seed import fix_hash_seed
from actors.console.replay_words import data_of, lines_of
from actors.console.words import clean, say, write
from actors.recording.files import Reading
from actors.recording.folders import run_of
from actors.recording.recorder import own_version
from actors.recording.records import Header
from actors.replay.performance import perform, target_of
from actors.replay.story import Story


def replayed(
    folder: Path,
    node: str,
    run: int | None,
    engine: str | None,
    to: int | None,
    *,
    to_crash: bool,
    debug: bool,
    json: bool,
) -> Exit:
    """Run it again, and show where it stopped. Raises ActorError for a record that cannot be used."""
    from actors.console.envelope import bad, good

    reading = Reading(run_of(folder, node, run))
    if reading.header.hash_seed:
        fix_hash_seed(reading.header.hash_seed)
    warn_of(reading.header)
    story = Story(reading, engine)
    _check_engine(story, node, engine, to)
    if story.cut:
        say(f"the record ends early, as of a node that was killed, or still runs: {story.cut}")
    performance = perform(story, target_of(story, number=to, to_crash=to_crash, debug=debug))
    problem = performance.failed
    say(*(f"left aside: {error}" for error in performance.aside.values() if error is not problem))
    data = data_of(story, performance)
    if json:
        write(good(data) if problem is None else bad(problem_of(problem, now()), data))
    else:
        write("".join(f"{clean(line)}\n" for line in lines_of(story, performance)).encode())
        if problem is not None:
            say_problem(problem_of(problem, now()))
    return Exit.OK if problem is None else Exit.FAILED


def warn_of(header: Header) -> None:
    """Of what may make another run of it."""
    here = platform.python_version()
    if header.python.split(".")[:2] != here.split(".")[:2]:
        say(f"it was recorded with Python {header.python}; this is {here}")
    if header.version != own_version():
        say(f"it was recorded with trio-actors {header.version}; this is {own_version()}")


def _check_engine(story: Story, node: str, engine: str | None, to: int | None) -> None:
    if engine is not None and engine not in story.names:
        error = UsageError(f"node {node} has no engine {engine!r} in this record")
        error.hint = f"there is {', '.join(story.names) or 'none'}"
        raise error
    if to is not None and engine is None:
        had = list(dict.fromkeys(turn.role.name for turn in story.turns if turn.number))
        if len(had) > 1:
            error = UsageError(f"--to {to}: of which engine? say --engine, too")
            error.hint = f"there is {', '.join(had)}"
            raise error
