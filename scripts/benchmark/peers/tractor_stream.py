"""tractor over TCP: a parent tells its child over a stream."""

from __future__ import annotations

from typing import Any

import tractor
import trio

from benchmark.trio_worker import serve
from benchmark.worker import BODY, MAILBOX, SENDER, TARGET, clock


@tractor.context
async def receiver(ctx: tractor.Context) -> None:
    """Read a count, then so many messages; again."""
    await ctx.started(None)
    async with ctx.open_stream() as stream:
        async for count in stream:
            for _ in range(count):
                await stream.receive()
            await stream.send("done")


async def main() -> None:
    """Start the child, and answer requests."""
    message = {"sender": SENDER, "target": TARGET, "mailbox": MAILBOX, "msg": BODY}
    async with tractor.open_nursery(**_over_tcp()) as nursery:
        portal = await nursery.start_actor("receiver", enable_modules=[__name__])
        async with portal.open_context(receiver) as (ctx, _), ctx.open_stream() as stream:

            async def measure(count: int, _: int) -> float:
                await stream.send(count)
                began = clock()
                for _each in range(count):
                    await stream.send(message)
                assert await stream.receive() == "done"
                return (clock() - began) / count

            await serve(measure)
        await portal.cancel_actor()


def _over_tcp() -> dict[str, Any]:
    """Releases before it had transports know TCP only, and do not know the option."""
    import inspect

    options: dict[str, Any] = {"loglevel": "error"}
    known = inspect.signature(inspect.unwrap(tractor.open_nursery)).parameters
    return {**options, "enable_transports": ["tcp"]} if "enable_transports" in known or "kwargs" in known else options


if __name__ == "__main__":
    trio.run(main)
