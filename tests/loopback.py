"""Nodes of this process over real sockets, with fault proxies between them: the bench of the test_rows_* files."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pytest
import trio
from proxies import ID, KEYS, Item, Journal, Question, Sink, balanced

from actors.events import EngineCrashed, Event
from actors.identity import EngineID, NodeKey
from actors.net.connecting.backoff import BackoffCfg
from actors.net.network import NetworkCfg
from actors.net.session.liveness import LivenessCfg
from actors.node import Node, open_node
from actors.testing.detour import Detour
from actors.testing.faultproxy import FaultProxy
from transports.builtin import built_in

P = ParamSpec("P")
E = TypeVar("E", bound=Event)

QUICK = NetworkCfg(
    backoff=BackoffCfg(first=0.02, factor=1.0, cap=0.5),
    liveness=LivenessCfg(ping_after=0.2, dead_after=0.6),
    handshake_timeout=1.0,
    attempt_timeout=0.5,
    drain_timeout=1.0,
)
"""A node's times, so short that tests need not wait for them. Their proportions are as they are by default."""
GUARD = 15.0
"""Seconds after which a test that waits for something gives up. Nothing is measured by it."""

whole_loopback = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on its loopback interface"
)


def in_time(test: Callable[P, Awaitable[object]]) -> Callable[P, Awaitable[None]]:
    """It does not hang."""

    @wraps(test)
    async def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with trio.fail_after(GUARD):
            await test(*args, **kwargs)

    return run


class Live:
    """A node, what its `sink` got, and what happened to it."""

    def __init__(self, node: Node, key: NodeKey) -> None:
        self.node = node
        self.key = key
        self.journal = Journal()
        self.address = node.addresses[0] if node.addresses else ""
        self._incoming = node.events.subscribe(1 << 16)
        self._seen: list[Event] = []
        node.spawn(Sink(journal=self.journal), "sink")

    @property
    def sink(self) -> EngineID:
        return EngineID(self.node.id, "sink")

    def events(self, kind: type[E]) -> list[E]:
        """All of this kind since the node started."""
        while True:
            try:
                self._seen.append(self._incoming.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                return [event for event in self._seen if isinstance(event, kind)]

    async def until(self, holds: Callable[[], object]) -> None:
        """Until something is so; it is looked at each time something happens on the node, and now and then."""
        while not holds():
            with trio.move_on_after(0.005):
                self._seen.append(await self._incoming.receive())

    async def answers(self, other: Live) -> None:
        """It is asked by another node, and goes on as if nothing had been."""
        assert await other.node.ask(self.sink, Question(5)) == -5

    async def connected(self, other: Live) -> None:
        """A permanent link to it, up."""
        self.node.learn(other.node.advert)
        await self.node.connect(other.node.id)

    def check(self) -> None:
        """Its ledger balances, and no engine crashed."""
        assert balanced(self.node.snapshot().statistics.ledger), self.node.snapshot()
        assert self.events(EngineCrashed) == []


@asynccontextmanager
async def live(name: str, *through: FaultProxy, cfg: NetworkCfg = QUICK, **options: Any) -> AsyncIterator[Live]:
    """A node with the key of this name, on a port of its own, by default for tcp. It dials through these proxies."""
    options.setdefault("listen", ("tcp://127.0.0.1:0",))
    transports = [Detour(transport, *through) for transport in built_in(KEYS[name].private_key())]
    async with open_node(KEYS[name], name=name, transports=transports, cfg=cfg, **options) as node:
        running = Live(node, KEYS[name])
        yield running
        running.check()


__all__ = ["GUARD", "ID", "KEYS", "QUICK", "Item", "Live", "Question", "in_time", "live", "whole_loopback"]
