"""The measured end of a worker that runs Trio; `worker` says what is said."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from benchmark.worker import answer, next_request, ready


async def serve(measure: Callable[[int, int], Awaitable[float]]) -> None:
    """Answer requests until there are no more."""
    ready()
    while (request := await trio.to_thread.run_sync(next_request)) is not None:
        answer(await measure(*request))


@asynccontextmanager
async def until_alone() -> AsyncIterator[trio.Nursery]:
    """A block of the other end: it is cancelled when the process that measures lets go of our standard input."""
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait)
        yield nursery
        nursery.cancel_scope.cancel()
