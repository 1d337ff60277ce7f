"""Who can be meant by a name: this node, its peers, and the nodes whose control sockets lie beside its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import trio

from actors.control.client import open_control
from actors.control.resolve import Known, find_node, split_address
from actors.errors import ActorError
from actors.identity import EngineID, NodeID

_Answer: TypeAlias = tuple[tuple[int, int], str]
_PATIENCE = 2.0
"""Seconds for a neighbour to say who it is. One that does not is no neighbour."""


class Nodes:
    """All nodes that can be meant somewhere, and where those on this machine can be asked."""

    def __init__(self, known: Iterable[Known], sockets: Mapping[str, Path]) -> None:
        self._known = frozenset(known)
        self._sockets = sockets

    def node(self, text: str) -> NodeID:
        """The node that is meant. ControlError `unknown_node`, `ambiguous_node`."""
        return find_node(text, self._known)

    def address(self, text: str) -> EngineID:
        """The engine that is meant by `b/echo`; whether there is one is not known here."""
        node, engine = split_address(text)
        return EngineID(self.node(node), engine)

    def socket(self, node: NodeID) -> Path | None:
        """Its control socket, if it runs on this machine."""
        return self._sockets.get(str(node))

    def name(self, node: NodeID) -> str:
        """What to call it."""
        names = (known.name for known in self._known if known.id == str(node))
        # A node calls a peer without a name by the beginning of its NodeID: that is no name.
        return next((name for name in names if name not in ("", node.short)), node.short)


class Neighbours:
    """Who answers in the directory of `own`, without `own` itself."""

    def __init__(self, own: Path) -> None:
        self._own = own
        self._ids: dict[Path, _Answer] = {}

    async def sockets(self) -> dict[Known, Path]:
        """Name and NodeID of each, with its socket. Each is asked once: one that is restarted has a new socket."""
        found = {path: await self._asked(path) for path in self._own.parent.glob("*.sock") if path != self._own}
        self._ids = {path: answer for path, answer in found.items() if answer}
        return {Known(path.stem, id): path for path, (_, id) in self._ids.items()}

    async def _asked(self, path: Path) -> _Answer | None:
        """Which socket it is, and the NodeID behind it; None where nobody answers."""
        try:
            stamp, known = _stamp(path), self._ids.get(path)
            return known if known and known[0] == stamp else (stamp, await _ask_id(path))
        except (ActorError, OSError, trio.TooSlowError):
            return None


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


async def _ask_id(path: Path) -> str:
    with trio.fail_after(_PATIENCE):
        async with open_control(path) as control:
            return (await control.node()).id
