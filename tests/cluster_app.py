"""The engines that the nodes of the cluster tests run; their processes import it by its name."""

from __future__ import annotations

import gc
import os
import threading
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from actors.engine import Engine, on
from actors.identity import EngineID
from actors.messages import Message, Request

if TYPE_CHECKING:
    from actors.node import Node


class Total(Struct, frozen=True):
    total: int
    by: EngineID


class Add(Request[Total], tag="counter.add"):
    amount: int


class Relay(Request[Total], tag="counter.relay"):
    to: EngineID
    amount: int


class Wait(Message): ...


class Cancelled(Request[int]): ...


class Fail(Message): ...


class Hang(Message): ...


class Frozen(Request[int]): ...


class Counter(Engine):
    total: int = 0
    cancelled: int = 0

    @on(Add)
    def add(self, msg: Add) -> Total:
        self.total += msg.amount
        return Total(self.total, self.id)

    @on(Frozen)
    def frozen(self, _: Frozen) -> int:
        return gc.get_freeze_count()

    @on(Relay)
    async def relay(self, msg: Relay) -> Total:
        return await self.ask(msg.to, Add(msg.amount))

    @on(Wait)
    async def wait(self, _: Wait) -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled += 1
            raise

    @on(Cancelled)
    def count(self, _: Cancelled) -> int:
        return self.cancelled

    @on(Fail)
    def fail(self, _: Fail) -> None:
        raise ValueError("as it should")

    @on(Hang)
    def hang(self, _: Hang) -> None:
        threading.Event().wait()  # on purpose: it keeps the whole process from doing anything else


def setup(node: Node) -> None:
    node.spawn(Counter(), "counter")


def broken(node: Node) -> None:
    raise ValueError(f"no node is called {node.name} here")


def gone(node: Node) -> None:
    os._exit(3)
