"""Runs a command of `actors` that a key asked for, in a process of its own, and says how it ended."""

from __future__ import annotations

import sys
from subprocess import DEVNULL

import msgspec
import trio

from actors.console.envelope import Bad
from actors.console.ui.actions import Action

_PATIENCE = 30.0


async def run_action(action: Action) -> str:
    """What became of it, in a line."""
    command = [sys.executable, "-m", "actors", *action.tokens, "--json"]
    with trio.move_on_after(_PATIENCE):
        done = await trio.run_process(
            command, stdin=DEVNULL, capture_stdout=True, capture_stderr=True, check=False, start_new_session=True
        )
        return f"done: {action.command}" if not done.returncode else f"failed: {_why(done.stdout, done.stderr)}"
    return f"failed: {action.command} did not end within {_PATIENCE:.0f} s"


def _why(out: bytes, err: bytes) -> str:
    try:
        problem = msgspec.json.decode(out, type=Bad).error
    except msgspec.MsgspecError:
        return (err.decode("utf-8", "replace").strip().splitlines() or ["it did not say why"])[-1]
    return f"{problem.what} ({problem.code})" + (f"; {problem.hint}" if problem.hint else "")
