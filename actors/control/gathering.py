"""One question to many nodes at once; those that do not answer are told, and keep nobody waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import trio
from msgspec import Struct

from actors.control.client import ControlClient, open_control
from actors.control.sockets import NodeSocket
from actors.errors import ActorError

PATIENCE = 5.0
"""Seconds for a node to say what it knows."""

T = TypeVar("T")


class Answers(Struct, Generic[T], frozen=True):
    """What nodes answered, by their names, in the order in which they were asked; and why some did not."""

    by_name: dict[str, T]
    silent: dict[str, str]

    @property
    def given(self) -> tuple[T, ...]:
        """The answers alone."""
        return tuple(self.by_name.values())


async def gather(nodes: Sequence[NodeSocket], question: Callable[[ControlClient], Awaitable[T]]) -> Answers[T]:
    """Ask all nodes at once."""

    async def asked(_: NodeSocket, control: ControlClient) -> T:
        return await question(control)

    return await gather_each(nodes, asked)


async def gather_each(
    nodes: Sequence[NodeSocket], question: Callable[[NodeSocket, ControlClient], Awaitable[T]]
) -> Answers[T]:
    """As `gather`, where the question is not the same for all."""
    answers: dict[str, T] = {}
    silent: dict[str, str] = {}

    async def ask(node: NodeSocket) -> None:
        try:
            with trio.fail_after(PATIENCE):
                async with open_control(node.path) as control:
                    answers[node.name] = await question(node, control)
        except ActorError as error:
            silent[node.name] = str(error)
        except trio.TooSlowError:
            silent[node.name] = f"no answer within {PATIENCE:g} s"

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(ask, node)
    return Answers({node.name: answers[node.name] for node in nodes if node.name in answers}, silent)
