"""Rows 6 and 19 of the reliability table with real sockets: a node with many permanent peers ends, and comes back.

    scripts/storm [--peers 200] [--down 2] [--steady 11] [--json]

The hub is a process of its own, which keeps its key and its port; the peers are all nodes of this process. It is killed
once, and once it is told to stop, by SIGTERM, while all its peers tell it what to write down and it tells all of them.
Measured are the peers' dials in any 100 ms from then on, how long it takes from the hub's return until all are linked
again, how late the hub's loop was in that time, the collector's pauses included; how long it takes to stop, and whether
anything is missing of what was acknowledged. A link that stood for 10 s starts its delays anew, so the peers are left
in peace for --steady seconds first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

import trio
from figures import Figure, percentile, told
from msgspec import Struct
from storm_world import Guest, Heard, Hub, Stopped, peers_of
from target import BEAT, Count, Lags, Note, Shout

from actors import Node
from actors.errors import SendError
from actors.identity import EngineID
from actors.net.connecting.backoff import BackoffCfg

WINDOW = 0.1
"""Seconds."""
TALK = 0.2
"""Seconds between two things that a peer tells."""
DRAIN = 10.0
"""Seconds in which a node that is told to stop is to have ended."""
SHOUT = 20
"""What the hub has for each of its peers when it is told to stop."""


class Storm(Struct, frozen=True):
    """One end of the hub and its return."""

    down: float
    """Seconds that nobody was there."""
    at_once: int
    """The most peers that dialed within 100 ms."""
    at_once_late: int
    """The same, from the hub's return on."""
    recovery: float
    """Seconds from the return until all were linked."""
    lag: float
    """How late the hub's loop was meanwhile: the 99th percentile, in seconds."""
    collector: float
    """Its collector's longest pause."""
    own_lag: float
    """How late the loop of the peers was: dials that are late by it come together."""


def most_at_once(dials: Sequence[float]) -> int:
    """The most that fall into one window."""
    ordered = sorted(dials)
    return max((bisect_left(ordered, at + WINDOW) - number for number, at in enumerate(ordered)), default=0)


async def all_linked(peers: Sequence[Node], hub: Hub) -> float:
    """When the last is."""
    while not all(peer.is_connected(hub.id) for peer in peers):  # noqa: ASYNC110 - each has events of its own
        await trio.sleep(0.005)
    return trio.current_time()


class Sea:
    """The hub and its peers."""

    def __init__(self, hub: Hub, nodes: Sequence[Node], dials: list[float]) -> None:
        self.hub = hub
        self.nodes = nodes
        self._target = EngineID(hub.id, "target")
        self._dials = dials
        self.heard = Heard()
        self.acknowledged: list[tuple[int, int]] = []

    async def storm(self, nursery: trio.Nursery, end: Callable[[], Awaitable[None]], down: float) -> Storm:
        """The hub ends, comes back after so many seconds, and all peers come to it."""
        self._dials.clear()
        own_lags: list[float] = []
        nursery.start_soon(_beat, own_lags)
        ended = trio.current_time()
        await end()
        await trio.sleep(down)
        await self.hub.start(nursery)
        back = trio.current_time()
        linked = await all_linked(self.nodes, self.hub)
        lag = await self.nodes[0].ask(self._target, Lags())
        late = [at for at in self._dials if at >= back]
        return Storm(
            back - ended,
            most_at_once(self._dials),
            most_at_once(late),
            linked - back,
            percentile(lag.beats, 0.99),
            lag.collector,
            percentile(own_lags, 0.99),
        )

    async def answers(self) -> None:
        """To each of them."""
        for node in self.nodes:
            assert await node.ask(self._target, Count(1)) == 2

    async def talk(self) -> None:
        """All peers tell the hub one thing after the other, for ever."""
        async with trio.open_nursery() as nursery:
            for number, node in enumerate(self.nodes):
                nursery.start_soon(self._talk, number, node)

    async def _talk(self, number: int, node: Node) -> None:
        for n in count():
            with suppress(SendError):  # the hub ended before it was acknowledged: nothing is said of it
                await node.send(self._target, Note(number, n), expiry=120)
                self.acknowledged.append((number, n))
            await trio.sleep(TALK)

    async def shout(self) -> int:
        """The hub has something for each of them; how much it is in all."""
        for node in self.nodes:
            node.spawn(Guest(heard=self.heard), "guest")
        return await self.nodes[0].ask(self._target, Shout(SHOUT))


async def _beat(lags: list[float]) -> None:
    while True:
        due = trio.current_time() + BEAT
        await trio.sleep_until(due)
        lags.append(trio.current_time() - due)


async def measure(peers: int, down: float, steady: float) -> list[Figure]:
    """All figures."""
    dials: list[float] = []
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        hub = Hub(Path(folder))
        async with trio.open_nursery() as nursery:
            advert = await hub.start(nursery)
            async with peers_of(advert, peers, dials) as nodes:
                sea = Sea(hub, nodes, dials)
                await all_linked(nodes, hub)
                await trio.sleep(steady)
                figures = await killed(sea, nursery, down)
                await trio.sleep(steady)
                figures += await stopped(sea, nursery, down)
                hub.kill()
                nursery.cancel_scope.cancel()
    return figures


async def killed(sea: Sea, nursery: trio.Nursery, down: float) -> list[Figure]:
    """All peers notice it in the same moment."""

    async def kill() -> None:
        sea.hub.kill()

    storm = await sea.storm(nursery, kill, down)
    await sea.answers()
    return _of_storm("killed", len(sea.nodes), storm)


async def stopped(sea: Sea, nursery: trio.Nursery, down: float) -> list[Figure]:
    """SIGTERM in the midst of traffic both ways."""
    ended: list[Stopped] = []

    async def stop() -> None:
        ended.append(await sea.hub.stop())

    async with trio.open_nursery() as talking:
        talking.start_soon(sea.talk)
        while len({who for who, _ in sea.acknowledged}) < len(sea.nodes):  # noqa: ASYNC110 - they have no event
            await trio.sleep(0.05)
        told = await sea.shout()
        storm = await sea.storm(nursery, stop, down)
        talking.cancel_scope.cancel()
    await sea.answers()
    notes = Counter(sea.hub.notes())
    missing = sum(note not in notes for note in sea.acknowledged)
    twice = sum(times > 1 for times in notes.values())
    most = f"of {len(sea.acknowledged)} messages that the hub acknowledged"
    return [
        *_of_storm("stopped", len(sea.nodes), storm),
        Figure(19, f"stopped by SIGTERM with {len(sea.nodes)} peers, after", ended[0].seconds, DRAIN, "s"),
        Figure(19, "its exit code", ended[0].code, 0),
        Figure(19, f"{most}, not written down", missing, 0),
        Figure(19, "written down twice", twice, 0),
        Figure(19, f"of {told} that it had for its peers, not arrived", told - sea.heard.count, 0),
    ]


def _of_storm(how: str, peers: int, storm: Storm) -> list[Figure]:
    share = 100 / peers
    again = f"all linked, {storm.down:.1f} s after it was {how}: from the return"
    return [
        Figure(6, f"{how}: most of {peers} peers that dial in 100 ms", share * storm.at_once, 10, "%"),
        Figure(6, "the same, from the hub's return on", share * storm.at_once_late, 10, "%"),
        Figure(6, again, storm.recovery, 1.2 * BackoffCfg().cap + 5, "s"),
        Figure(6, "lag of the hub's loop meanwhile, p99", 1000 * storm.lag, 50, "ms"),
        Figure(6, "the longest pause of its collector", 1000 * storm.collector, 50, "ms"),
        Figure(6, "lag of the peers' own loop, which bunches their dials, p99", 1000 * storm.own_lag, 50, "ms"),
    ]


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="scripts/storm", description="A node with many permanent peers comes back.")
    parser.add_argument("--peers", type=int, default=200)
    parser.add_argument("--down", type=float, default=2.0, help="seconds that nobody is there")
    parser.add_argument("--steady", type=float, default=11.0, help="seconds of peace before")
    parser.add_argument("--json", action="store_true", help="JSON lines in place of a table")
    said = parser.parse_args(arguments)
    if said.peers < 1 or said.down < 0 or said.steady < 0:
        parser.error("a storm needs one peer at least, and no time below 0")
    return told(trio.run(measure, said.peers, said.down, said.steady), json=said.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
