"""The engines of the node processes of `test_process_life`; their processes import it by its name."""

from __future__ import annotations

import os

import trio
from proxies import Item

from actors.engine import Engine, on
from actors.node import Node


class Writer(Engine):
    """Takes its time, and then writes the number into a file."""

    @on(Item)
    async def write(self, msg: Item) -> None:
        await trio.sleep(0.001)
        with open(os.environ["LIFE_FILE"], "a") as file:  # noqa: ASYNC230 - one line
            file.write(f"{msg.n}\n")


class Hangs(Engine):
    """Never comes to an end."""

    @on(Item)
    async def hang(self, _: Item) -> None:
        await trio.sleep_forever()


def setup(node: Node) -> None:
    node.spawn(Writer(), "writer")
    node.spawn(Hangs(), "hangs")
