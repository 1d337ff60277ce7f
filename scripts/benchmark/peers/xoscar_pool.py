"""xoscar: `local` within one pool, `tcp` between the pools of two processes."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import AsyncExitStack
from typing import Any

import xoscar

from benchmark.worker import BODY, MAILBOX, SENDER, TARGET, answer, beside, clock, greet, module, next_request, ready


class Receiver(xoscar.Actor):
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    async def push(self, _: dict[str, Any]) -> None:
        """One more."""
        self.count += 1

    async def counted(self) -> int:
        """So many."""
        return self.count


def free_address() -> str:
    """Where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


async def other_end() -> None:
    """A pool with the receiver."""
    address = free_address()
    async with await xoscar.create_actor_pool(address, n_process=0):
        await xoscar.create_actor(Receiver, uid="receiver", address=address)
        greet(address)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def measuring(there: str | None) -> None:
    """A pool of this process; the receiver is in it, or there."""
    here = free_address()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(await xoscar.create_actor_pool(here, n_process=0))
        if there is None:
            receiver = await xoscar.create_actor(Receiver, uid="receiver", address=here)
        else:
            receiver = await xoscar.actor_ref(uid="receiver", address=there)
        told = 0
        ready()
        while (request := await asyncio.get_running_loop().run_in_executor(None, next_request)) is not None:
            count, _ = request
            began = clock()
            for _each in range(count):
                await receiver.push.tell({"sender": SENDER, "target": TARGET, "mailbox": MAILBOX, "msg": BODY})
            told += count
            while await receiver.counted() < told:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.001)
            answer((clock() - began) / count)


def main(arguments: list[str]) -> None:
    """What the head of the file says."""
    if arguments == ["other-end"]:
        asyncio.run(other_end())
    elif arguments == ["local"]:
        asyncio.run(measuring(None))
    else:
        with beside(*module("peers.xoscar_pool", "other-end")) as there:
            asyncio.run(measuring(there.greeting))


if __name__ == "__main__":
    from benchmark.peers import xoscar_pool  # actors are found by their module's name

    xoscar_pool.main(sys.argv[1:])
