"""The engine that fuzzed messages are for, and what it understands."""

from __future__ import annotations

from actors.engine import Engine, on
from actors.identity import EngineID, NodeID
from actors.messages import Request


class Add(Request[int], tag="add"):
    """A message with something of everything."""

    amount: int
    more: tuple[int, ...] = ()
    note: str | None = None


class Meet(Request[NodeID | None], tag="meet"):
    """A message with a node in it."""

    whom: NodeID
    where: EngineID | None = None


class Counter(Engine):
    """Whom the messages are for."""

    @on(Add)
    def add(self, msg: Add) -> int:
        return msg.amount

    @on(Meet)
    def meet(self, msg: Meet) -> NodeID | None:
        return msg.whom
