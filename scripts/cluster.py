"""Three node processes on this machine, and an engine of our own that greets across them.

Run it from the checkout: python scripts/cluster.py
"""

from __future__ import annotations

import trio

from actors import Engine, EngineID, Node, Request, on, open_cluster


class Greet(Request[str]):
    name: str


class Greeter(Engine):
    greeted: int = 0

    @on(Greet)
    def greet(self, msg: Greet) -> str:
        self.greeted += 1
        return f"hello {msg.name}, you are my number {self.greeted}"


def setup(node: Node) -> None:
    """What each of the processes does once its node runs."""
    node.spawn(Greeter(), "greeter")


async def main() -> None:
    async with open_cluster(3, processes=True, app="scripts.cluster:setup") as nodes:
        for node in nodes:
            print(f"node {node.name} {node.id.short} is process {node.pid}")
        for here in nodes:
            for there in nodes:
                if here is not there:
                    print(f"{there.name} says:", await here.ask(EngineID(there.id, "greeter"), Greet(here.name)))


if __name__ == "__main__":
    trio.run(main)
