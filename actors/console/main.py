"""The entry point of the command `actors`, and the table of its commands. What is heavy is imported by commands only.

The one place where every error becomes an exit code, words on stderr and, with `--json`, an envelope on stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App

_HELP = "Brokerless, identity-secured messaging between actors on many nodes."

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "A local cluster": {
        "up": ("up:up", "Start a cluster of node processes, show it, and run until Ctrl-C."),
        "down": ("down:down", "Stop the local cluster."),
        "ui": ("ui.command:ui", "See a running cluster: nodes, links, problems, events."),
        "ls": ("ls:ls", "List nodes, proxies or engines."),
        "events": ("events:events", "Print what happens on its nodes, as it happens."),
        "proxy": ("proxy:proxy", "Change one Node Proxy: permanent, ephemeral, dial now, close."),
        "fault": ("fault:app", "Cut, part, slow, kill, restart or freeze nodes; heal them."),
        "pipe": ("pipe:pipe", "Carry stdin through a cluster of its own to stdout."),
    },
    "Messages": {
        "ask": ("verbs:ask", "Send a message and print the answer."),
        "send": ("verbs:send", "Send a message; return when it is delivered."),
        "tell": ("verbs:tell", "Hand a message over and return."),
    },
    "Help": {
        "debug": ("debug:app", "Collect what a maintainer needs to see of a cluster."),
        "explain": ("explain:explain", "Say what an error code means, and what to do."),
        "completion": ("completion:completion", "Print what bash, zsh or fish needs to complete words."),
    },
    "One node": {
        "run": ("run:run", "Run one node from a configuration file."),
        "keygen": ("keygen:keygen", "Make a node's key file."),
        "advert": ("advert:advert", "Print a node's signed address line, for a friend."),
        "replay": ("replay:replay", "Run engines of a recorded node again, up to a message."),
        "doctor": ("doctor:doctor", "Look whether a node with these settings would run well here."),
    },
    "Simulated clusters": {
        "sim": ("sim:app", "Run scenarios from seeds, under a virtual clock, and judge them."),
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if tokens in ([], ["--help"], ["-h"]):
            sys.stdout.write(front_page())
            return _finished(0)
        if tokens[0] == "_complete":
            return _completed(tokens[1:])
        check_command(tokens[0])
        return _finished(make_app()(tokens, print_error=False, exit_on_error=False, result_action="return_value"))
    except BaseException as error:  # the console's one containment point: nothing leaves it but an exit code
        return _failed(error, tokens)


def _completed(words: Sequence[str]) -> int:
    """For the shell, which asks with each Tab: see `completion`."""
    from actors.console.completion import answer

    return answer(words)


def front_page() -> str:
    """What `actors --help` prints. By hand: loading the parser and rich would cost ten times as much as the page."""
    lines = ["Usage: actors COMMAND", "", _HELP]
    for group, commands in GROUPS.items():
        lines += ["", f"{group}:", *(f"  {name:<10} {words}" for name, (_, words) in commands.items())]
    lines += ["", "Options of COMMAND: actors COMMAND --help", "Version:            actors --version"]
    return "\n".join(lines) + "\n"


def check_command(name: str) -> None:
    """UsageError for a command that there is not. The parser's own words would cost the import of all commands."""
    commands = [command for group in GROUPS.values() for command in group]
    if name in (*commands, "--help", "-h", "--version"):
        return
    from difflib import get_close_matches

    from actors.console.exits import UsageError

    near = get_close_matches(name, commands, 1)
    error = UsageError(f"there is no command {name!r}")
    error.hint = f"actors {near[0]}" if near else "actors --help"
    raise error


def make_app() -> App:
    """The tree of commands. A command's module is imported when the command is used."""
    from cyclopts import App

    app = App("actors", help=_HELP, help_format="plaintext", version=_version, backend="trio")
    for group, commands in GROUPS.items():
        for name, (target, words) in commands.items():
            app.command(f"actors.console.{target}", name=name, help=words, group=group)
    return app


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("trio-actors")
    except PackageNotFoundError:
        return "not installed"


def _finished(result: object) -> int:
    sys.stdout.flush()
    return int(result) if isinstance(result, int) else 0


def _failed(error: BaseException, tokens: Sequence[str]) -> int:
    from actors.console.failures import report, translated

    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    command = next((token for token in tokens[:1] if not token.startswith("-")), "")
    try:
        return report(translated(error), json="--json" in tokens, command=command)
    except BrokenPipeError as gone:
        return report(gone, json=False)


if __name__ == "__main__":
    sys.exit(main())
