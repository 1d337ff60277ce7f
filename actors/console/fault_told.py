"""What the commands of `actors fault` print, and how they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from actors.console.envelope import good
from actors.console.exits import Exit
from actors.console.words import say, write

if TYPE_CHECKING:
    from actors.control.sockets import NodeSocket

UNTIL = "until: actors fault heal"


def tell(cluster: str, data: Mapping[str, object], words: str, json: bool) -> None:
    """What was done: data to stdout with `json`, else words."""
    if json:
        write(good({"cluster": cluster, **data}))
    else:
        say(words)


def told(
    meant: Sequence[NodeSocket], data: Mapping[str, object], words: str, silent: Mapping[str, str], json: bool
) -> Exit:
    """What was done to the nodes that were meant, and why not to those that are silent; the exit code."""
    tell(meant[0].cluster, {**data, **({"silent": silent} if silent else {})}, words, json)
    if not json:
        say(*(f"{name}: {why}" for name, why in silent.items()))
    if not silent:
        return Exit.OK
    return Exit.PARTIAL if len(silent) < len(meant) else Exit.UNREACHABLE


def names_of(nodes: Sequence[NodeSocket]) -> str:
    """Their names, as a command line takes them."""
    return ",".join(node.name for node in nodes)
