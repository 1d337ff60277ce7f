"""A process that is many nodes, all linked to the node of an advert: a crowd that floods it, or that listens to it.

    scripts/namespaces_crowd.py ADVERT COUNT flood SIZE    tells its sink notes of so many bytes, as fast as they go
    scripts/namespaces_crowd.py ADVERT COUNT listen        each has a sink; at the end it says what each got, as JSON

It writes a line once all are linked: their NodeIDs, as JSON. It ends with its standard input.
"""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack

import msgspec
import trio
from namespaces_app import LONG, SINK, GotFrom, Note, Sink

from actors import Node, open_node
from actors.identity import EngineID, NodeID


async def crowd(advert: str, count: int, size: int | None) -> None:
    """See above; with a size they flood."""
    with trio.CancelScope() as at_once:
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(open_node(listen=())) for _ in range(count)]
            for node in nodes:
                node.spawn(Sink(), SINK)
                to = node.learn(advert)
                await node.connect(to)
            say([str(node.id) for node in nodes])
            nursery = await stack.enter_async_context(trio.open_nursery())
            if size is not None:
                for node in nodes:
                    nursery.start_soon(flood, node, to, size)
            await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
            if size is None:
                say([await node.ask(EngineID(node.id, SINK), GotFrom(to)) for node in nodes])
            at_once.cancel()  # nobody drains
            await trio.lowlevel.checkpoint()


def say(value: object) -> None:
    """One line of JSON."""
    print(msgspec.json.encode(value).decode(), flush=True)


async def flood(node: Node, to: NodeID, size: int) -> None:
    """Until cancelled."""
    number, pad = 0, bytes(size)
    while True:
        await node.tell(EngineID(to, SINK), Note(number, pad), expiry=LONG)
        number += 1


def main(advert: str, count: str, what: str, size: str = "") -> None:
    """See above."""
    trio.run(crowd, advert, int(count), int(size) if what == "flood" else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
