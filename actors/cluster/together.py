"""Several calls side by side, whose first error is raised as itself and not as a group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import trio


async def together(calls: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Returns when all have; the first error ends the others, and is raised alone."""
    errors: list[Exception] = []

    async def run(call: Callable[[], Awaitable[object]]) -> None:
        try:
            await call()
        except Exception as error:  # raised below, in the caller
            errors.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(run, call)
    if errors:
        raise errors[0]
