"""An error becomes words or an envelope, and an exit code. Never a traceback, unless `ACTORS_DEBUG=1` asks for one."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime

from actors.console.envelope import Problem, bad
from actors.console.exits import Exit, UsageError, exit_for
from actors.console.words import clean, say, write, write_words
from actors.errors import ActorError

_HINTS = {
    "unknown_node": "actors ls nodes",
    "ambiguous_node": "actors ls nodes",
    "unknown_engine": "actors ls engines",
    "no_cluster": "actors up --detach",
    "unreachable": "actors ls nodes",
    "not_connected": "actors ls proxies",
    "expired": "actors ls proxies",
    "lost": "actors ls proxies",
    "refused": "actors ls engines",
    "crashed": "actors ls engines",
    "bug": "run it again with ACTORS_DEBUG=1 to see where",
}
"""What to try, where the error itself does not say."""


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, however deep; an error alone is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves(part)
    else:
        yield error


def principal(error: BaseException) -> BaseException:
    """The error of a group that decides: a signal, else a bug, else what was raised first."""
    parts = list(leaves(error))
    for wanted in (Exit.INTERRUPTED, Exit.TERMINATED, Exit.BUG):
        for part in parts:
            if exit_for(part) is wanted:
                return part
    return parts[0]


def problem_of(error: BaseException, when: datetime, command: str = "") -> Problem:
    """The error of this command in words. Pure."""
    code, what, hint = "bug", f"{type(error).__name__}: {error}", ""
    if isinstance(error, ActorError):
        code, what, hint = error.code, str(error), error.hint
    elif isinstance(error, KeyboardInterrupt):
        code, what = "interrupted", "ended by SIGINT"
    elif isinstance(error, OSError):
        code, what = "os", str(error)
    stamp = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Problem(code=code, what=" ".join(what.split()), when=stamp, hint=hint or _hint(code, command))


def _hint(code: str, command: str) -> str:
    return " ".join(["actors", *command.split(), "--help"]) if code == "usage" else _HINTS.get(code, "")


def translated(error: BaseException) -> BaseException:
    """The command line parser's own errors are usage errors, with its guesses."""
    from cyclopts import CycloptsError

    return UsageError(str(error)) if isinstance(error, CycloptsError) else error


def now() -> datetime:
    """The wall clock, for `when`."""
    return datetime.now(UTC)


def report(error: BaseException, *, json: bool, command: str = "") -> Exit:
    """Print the error, as words to stderr or as `json` to stdout; returns the exit code.

    The stdout of `pipe` belongs to its stream: there the envelope goes to stderr too.
    """
    cause = principal(error)
    if isinstance(cause, BrokenPipeError):
        return _unread()
    problem = problem_of(cause, now(), command)
    if os.environ.get("ACTORS_DEBUG") == "1":
        traceback.print_exception(error)
    if json:
        (write_words if command == "pipe" else write)(bad(problem))
    else:
        say_problem(problem)
    return exit_for(cause)


def _unread() -> Exit:
    """The reader of stdout went away: no words. Python would complain when it flushes stdout at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.PIPE


def say_problem(problem: Problem) -> None:
    """The error on stderr: what, then code and when, then what to do."""
    if problem.code == "interrupted":
        return say("actors: " + problem.what)
    say(f"actors: {clean(problem.what)}", f"  code  {problem.code}   at {problem.when}")
    if problem.hint:
        say(f"  hint  {problem.hint}")
