"""`actors replay DIR --node b`: engines of a recorded node run again, up to the message that crashed or a given one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from actors.console.options import Json, flag


def replay(
    folder: Annotated[Path, Parameter(help="The folder that was given to --record.")],
    /,
    *,
    node: Annotated[str | None, flag("Whose engines; without it, what is in the record.")] = None,
    engine: Annotated[str | None, flag("Only the engine of this name.")] = None,
    to: Annotated[int | None, flag("Stop at this message of the engine, counted from 1.")] = None,
    to_crash: Annotated[bool, flag("Stop where a handler crashed first; without one, fail.")] = False,
    debug: Annotated[bool, flag("Python's debugger: with --to before the message, else where it crashed.")] = False,
    run: Annotated[int | None, flag("The node's how many-th run; by default its last.")] = None,
    json: Json = False,
) -> int:
    """Run engines of a recorded node again: no network, no ports, the same messages, times, answers and chance.

    It stops at the first crash, at the message that --to names, or at the end, and shows it. Everything is compared
    with what was recorded. Ends with 1 if an engine did something else; start it where the app can be imported.
    """
    from actors.console.exits import UsageError
    from actors.console.replay_run import replayed
    from actors.console.replay_words import show_folder

    if node is None:
        if engine or to is not None or to_crash or debug or run is not None:
            raise UsageError("of which node? say --node, too")
        return show_folder(folder, json=json)
    if to is not None and (to_crash or to < 1):
        raise UsageError("--to is the number of a message, from 1, and goes without --to-crash")
    if debug and json:
        raise UsageError("--debug talks to a person, --json to a program: not both")
    return replayed(folder, node, run, engine, to, to_crash=to_crash, debug=debug, json=json)
