"""A cluster in this process whose keys, chance and wall clock come from a seed: `open_cluster`, the same every time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import combinations
from random import Random
from string import ascii_lowercase
from typing import Final

from actors.errors import ConfigError
from actors.identity import NodeKey
from actors.node import Node, open_node
from transports.memory.network import MemoryNetwork

WALL_MS: Final = 1_700_000_000_000
"""The wall clock when the nodes start, milliseconds since 1970."""
LATENCY: Final = 0.001
"""Seconds one way between two nodes; up to as many more are drawn."""


@asynccontextmanager
async def open_seeded_cluster(
    n: int = 3, *, seed: int = 0, permanent: bool = False, names: Sequence[str] | None = None
) -> AsyncIterator[tuple[Node, ...]]:
    """`n` nodes called a, b, c … or by `names`, over a memory network, that know each other's adverts.

    To be run by `run_virtual`. They connect when the first message is sent; with `permanent=True` all are linked when
    the block begins, and for ever. Local messages go through the codec, as if they came from another node.
    ConfigError for names that are not `n` different ones.
    """
    network = MemoryNetwork(_stream(seed, "network"), latency=LATENCY, jitter=LATENCY)
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(_open(name, seed, network)) for name in _names(n, names)]
        for node in nodes:
            for other in nodes:
                if other is not node:
                    node.learn(other.advert)
        if permanent:
            for one, other in combinations(nodes, 2):
                await one.connect(other.id)
                await other.connect(one.id)
        yield tuple(nodes)


def _open(name: str, seed: int, network: MemoryNetwork) -> AbstractAsyncContextManager[Node]:
    return open_node(
        NodeKey.from_seed(_stream(seed, f"key {name}").randbytes(32)),
        name=name,
        listen=(f"memory://{name}",),
        transports=(network.transport(name),),
        random=_stream(seed, f"node {name}"),
        boot=WALL_MS,
        pid=0,
        strict=True,
    )


def _stream(seed: int, purpose: str) -> Random:
    return Random(f"{seed} {purpose}")  # noqa: S311 - for tests, no secrets


def _names(n: int, names: Sequence[str] | None) -> Sequence[str]:
    chosen = names if names is not None else [*ascii_lowercase, *(f"n{number}" for number in range(27, n + 1))][:n]
    if n < 1 or len(set(chosen)) != n:
        raise ConfigError(f"a cluster of {n} nodes needs as many names, each its own: {', '.join(chosen) or 'none'}")
    return chosen
