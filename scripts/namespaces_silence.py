"""Rows 2, 8 and 25 between hosts, with the limits that every node has: what is silent, and what only seems to be.

A hub has a permanent link to each of the others, and notes flow both ways. Some links are cut without a word; at the
same time some peers stand still for less than death takes, and the wall clock of one jumps by days. The cut links must
end in time, by the nodes' own clocks, and none of the others.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import trio
from figures import Figure
from namespaces_app import Stall, Wall
from namespaces_world import (
    APP,
    HEAD_START,
    ROOT,
    Happened,
    Watch,
    flow,
    kept,
    link,
    linked,
    look_until,
    nodes_on,
    sink,
    tallies,
    until,
    watching,
)

from actors.cluster.processes import introduce
from actors.testing.hosts import Host, apart, deaf, open_hosts, open_nodes
from actors.testing.hosts.nodes import HostedNode

NOTICED: Final = 15.0
SLACK: Final = 0.5
"""Seconds that a node with a busy machine under it may be late."""
HEALED: Final = 1.2 * 30
"""Seconds: the longest delay between two attempts."""
FROZEN: Final = 9.5
STALLED: Final = 5.0
DAY: Final = 86_400
JUMPS: Final = (0, DAY, -DAY, 0)
"""Seconds by which the wall clock is off, one after the other."""
NO_HEARTBEAT: Final = "no heartbeat"
"""Why a connection ended, as the one who ended it says."""
CUTS: Final = ("apart", "heard", "hearing")
BYSTANDERS: Final = ("frozen", "stalled")
FAKETIME: Final = "faketime/libfaketime.so.1"


async def silence() -> list[Figure]:
    """All three rows, in one world: each fault takes as long as the others."""
    async with AsyncExitStack() as stack:
        hosts = await stack.enter_async_context(open_hosts("hub", *CUTS, *BYSTANDERS, "shifted"))
        at = {host.name: host for host in hosts}
        plain = await stack.enter_async_context(nodes_on(*(at[name] for name in ("hub", *CUTS, *BYSTANDERS))))
        nodes = {node.name: node for node in plain}
        clock = stack.enter_context(_wall_clock())
        if clock is not None:
            (shifted,) = await stack.enter_async_context(clock.node_on(at["shifted"]))
            nodes["shifted"] = shifted
            await introduce([node.control for node in nodes.values()])
        hub = nodes.pop("hub")
        await link(hub, *nodes.values())
        watch = await stack.enter_async_context(watching(hub, *nodes.values()))
        return await _faults(at, hub, nodes, clock, watch)


async def _faults(
    at: dict[str, Host], hub: HostedNode, nodes: dict[str, HostedNode], clock: WallClock | None, watch: Watch
) -> list[Figure]:
    for node in nodes.values():
        await flow(hub, node, pause=0.05)
        await flow(node, hub, pause=0.05)
    await trio.sleep(HEAD_START)
    figures: list[Figure] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_freeze, nodes["frozen"])
        nursery.start_soon(_stall, nodes["stalled"])
        if clock is not None:
            nursery.start_soon(_jump, nodes["shifted"], clock, figures)
        async with _cut(at):
            began = time.monotonic()
            await until(lambda: all(_noticed(watch, hub, nodes[name]) for name in CUTS), within=2 * NOTICED)
        healed = time.monotonic()
        for name in CUTS:
            await look_until(partial(linked, hub, nodes[name]))
            await look_until(partial(linked, nodes[name], hub))
        figures.append(Figure(2, "the cut links are up again after the heal", time.monotonic() - healed, HEALED, "s"))
    for name, words in zip(CUTS, ("both ways", "towards the hub", "from the hub"), strict=True):
        at_the_latest = max(each.at for each in _noticed(watch, hub, nodes[name]))
        figures.append(
            Figure(2, f"cut {words}: noticed by both ends, after", at_the_latest - began, NOTICED + SLACK, "s")
        )
    found = await tallies(*((one, other) for node in nodes.values() for one, other in ((hub, node), (node, hub))))
    figures += _false_ends(watch, hub, nodes)
    return figures + kept(2, "all links", found)


@asynccontextmanager
async def _cut(at: dict[str, Host]) -> AsyncIterator[None]:
    """One link both ways, one each way."""
    hub = at["hub"]
    async with apart(hub, at["apart"]), deaf(hub, at["heard"]), deaf(at["hearing"], hub):
        yield


def _noticed(watch: Watch, hub: HostedNode, node: HostedNode) -> list[Happened]:
    """The first end of the connection, as each side tells it; empty until both have."""
    ends = [watch.of(hub, "disconnected", node), watch.of(node, "disconnected", hub)]
    return [end[0] for end in ends] if all(ends) else []


def _false_ends(watch: Watch, hub: HostedNode, nodes: dict[str, HostedNode]) -> list[Figure]:
    words = {
        "frozen": (25, f"a peer frozen for {FROZEN:g} s (SIGSTOP)"),
        "stalled": (25, f"a peer whose loop stalls for {STALLED:g} s"),
        "shifted": (8, f"the wall clock jumps {len(JUMPS) - 1} times by a day or two"),
    }
    return [
        Figure(row, f"{what}: links that ended", len(_ends(watch, hub, nodes[name])), 0)
        for name, (row, what) in words.items()
        if name in nodes
    ]


def _ends(watch: Watch, hub: HostedNode, node: HostedNode) -> Sequence[object]:
    return [*watch.of(hub, "disconnected", node), *watch.of(node, "disconnected", hub)]


# -- what only seems to be silent -------------------------------------------------------------------------


async def _freeze(node: HostedNode) -> None:
    async with node.frozen():
        await trio.sleep(FROZEN)


async def _stall(node: HostedNode) -> None:
    await node.tell(sink(node), Stall(STALLED))


async def stopped(limits: Mapping[str, float], seconds: float) -> list[Figure]:
    """A process stands still for twice as long as death takes. Its peer gives it up; it does not give up its peer."""
    async with open_hosts("a", "b") as hosts, nodes_on(*hosts, limits=limits) as (one, other):
        await link(one, other)
        async with watching(one, other) as watch:
            await flow(one, other)
            await flow(other, one)
            await trio.sleep(HEAD_START)
            async with other.frozen():
                await trio.sleep(seconds)
            found = await tallies((one, other), (other, one))
            there = [each for each in watch.of(other, "disconnected", one) if each.why == NO_HEARTBEAT]
            here = watch.of(one, "disconnected", other)
    what = f"frozen for {seconds:g} s where {NO_HEARTBEAT!r} takes {limits.get('dead_seconds', NOTICED):g}"
    return [
        Figure(25, f"{what}: it took its peer for dead", len(there), 0),
        Figure(25, f"{what}: its peer did not take it for dead", not here, 0),
        *kept(25, what, found),
    ]


# -- the wall clock ---------------------------------------------------------------------------------------


@contextmanager
def _wall_clock() -> Iterator[WallClock | None]:
    """One that can be set; None where there is no library for it."""
    library = next(Path("/usr/lib").glob(f"*/{FAKETIME}"), None)
    if library is None:
        yield None
        return
    with TemporaryDirectory(prefix="clock-") as folder:
        yield WallClock(library, Path(folder) / "ahead")


class WallClock:
    """That of one process, which can be set. (Time namespaces have none; libfaketime answers for the kernel.)"""

    def __init__(self, library: Path, file: Path) -> None:
        self._library = library
        self._file = file
        self.set(0)

    def set(self, ahead: int) -> None:
        """So many seconds before or behind the machine's."""
        self._file.write_text(f"{ahead:+d}\n")

    def node_on(self, host: Host) -> AbstractAsyncContextManager[tuple[HostedNode, ...]]:
        """A node with this clock."""
        settings = {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return open_nodes(host, app=APP, folder=ROOT, settings=settings)


async def _jump(node: HostedNode, clock: WallClock, figures: list[Figure]) -> None:
    """As often as it can; the node must see it, or nothing is shown."""
    seen = []
    for ahead in JUMPS:
        clock.set(ahead)
        seen.append(await node.ask(sink(node), Wall()) - time.time())
        await trio.sleep(4)
    least = min(abs(later - earlier) for earlier, later in pairwise(seen))
    figures.append(Figure(8, "hours by which the node saw its wall clock jump, short of a day", 24 - least / 3600, 0.1))
