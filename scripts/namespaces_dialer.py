"""A process that is a new node for each line that it reads, and says how it fared with the node of an advert.

scripts/namespaces_dialer.py ADVERT     reads `order` or `seconds`, writes a JSON value for each
"""

from __future__ import annotations

import json
import sys
from functools import partial

import trio
from namespaces_app import SINK, Count

from actors import open_node
from actors.identity import EngineID

PATIENCE = 30.0


async def order(advert: str) -> list[str]:
    """The advert's addresses as a new node would dial them."""
    async with open_node(listen=(), insecure=True) as node:
        ways = [way for way in node.explain(node.learn(advert)) if way.after is not None]
        return [way.url for way in sorted(ways, key=lambda way: way.after or 0.0)]


async def seconds(advert: str) -> float:
    """Until a new node has an answer."""
    async with open_node(listen=(), insecure=True) as node:
        began = trio.current_time()
        with trio.fail_after(PATIENCE):
            assert await node.ask(EngineID(node.learn(advert), SINK), Count(1)) == 2
        return trio.current_time() - began


def main(advert: str) -> None:
    """See above."""
    for line in sys.stdin:
        print(json.dumps(trio.run(partial({"order": order, "seconds": seconds}[line.strip()], advert))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
