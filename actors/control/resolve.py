"""Names that people write, to the nodes and engines they mean. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from msgspec import Struct

from actors.control.failures import ControlError
from actors.errors import IdentityError
from actors.identity import EngineID, NodeID

_LONGEST = 100
_SHORTEST = 4
"""Characters of a NodeID that may stand for it, where they are unique."""


class Known(Struct, frozen=True):
    """A node that can be meant: its name, empty where it is not known, and its NodeID as text."""

    name: str
    id: str


def split_address(text: str) -> tuple[str, str]:
    """`b/echo` -> ("b", "echo"). The engine's own name may have slashes."""
    node, slash, engine = text.partition("/")
    if not (node and slash and engine):
        raise ControlError("bad_request", f"{text!r} is no address", "write NODE/ENGINE, such as b/echo")
    return node, engine


def whole_address(text: str) -> EngineID | None:
    """The engine that is meant, if its node is written as a whole NodeID: then nobody need be known."""
    try:
        node, engine = split_address(text)
        return EngineID(NodeID.parse(node), engine)
    except (ControlError, IdentityError):
        return None


def find_node(text: str, known: Iterable[Known]) -> NodeID:
    """The node that is meant by its name, its NodeID or a unique beginning of it.

    A whole NodeID need not be known. ControlError `unknown_node`, `ambiguous_node`.
    """
    nodes = sorted(set(known), key=lambda node: (node.name, node.id))
    for ids in (_named(text, nodes), _beginning(text, nodes)):
        if len(ids) == 1:
            return NodeID.parse(ids.pop())
        if ids:
            shorts = ", ".join(sorted(id[:12] for id in ids))
            raise ControlError("ambiguous_node", f"{text!r} may be any of {shorts}", "write more of its NodeID")
    try:
        return NodeID.parse(text)
    except IdentityError:
        raise _unknown(text, nodes) from None


def guess(word: str, words: Iterable[str], otherwise: str = "") -> str:
    """A hint: the word that may have been meant, else all there are, else `otherwise`."""
    words = sorted(set(words))
    # Of what somebody wrote only the beginning is compared: megabytes would hold up the node.
    if near := difflib.get_close_matches(word[:_LONGEST], words, 1):
        return f"did you mean {near[0]}?"
    return f"there is {', '.join(words)}" if words else otherwise


def _named(text: str, nodes: Iterable[Known]) -> set[str]:
    return {node.id for node in nodes if node.name == text}


def _beginning(text: str, nodes: Iterable[Known]) -> set[str]:
    return {node.id for node in nodes if len(text) >= _SHORTEST and node.id.startswith(text)}


def _unknown(text: str, nodes: Iterable[Known]) -> ControlError:
    names = [node.name or node.id[:8] for node in nodes]
    return ControlError("unknown_node", f"there is no node {text!r}", guess(text, names, "actors ls nodes"))
