"""The node that scripts/hostile and scripts/storm do harm to: an engine that answers, and says how its loop fares.

actors run --app scripts.target:setup
"""

from __future__ import annotations

from collections import deque

import trio
from msgspec import field

from actors import Engine, Message, Node, Request, on

BEAT = 0.01
"""Seconds between two looks at the clock."""


class Count(Request[int], tag="target.count"):
    """Answered with one more."""

    n: int


class Lags(Request[tuple[float, ...]], tag="target.lags"):
    """How late each beat of the node's loop was since the last question, in seconds."""


class Cargo(Message, tag="target.cargo"):
    """Something to keep."""

    data: bytes


class Target(Engine):
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=100_000))

    @on(Count)
    def count(self, msg: Count) -> int:
        return msg.n + 1

    @on(Lags)
    def tell_lags(self, _: Lags) -> tuple[float, ...]:
        lags = tuple(round(lag, 5) for lag in self.lags)
        self.lags.clear()
        return lags

    @on(Cargo)
    def cargo(self, _: Cargo) -> None:
        """It is of no use."""

    async def port(self) -> None:
        while True:
            due = trio.current_time() + BEAT
            await trio.sleep_until(due)
            self.lags.append(trio.current_time() - due)


def setup(node: Node) -> None:
    """What the process does once its node runs."""
    node.spawn(Target(), "target")
