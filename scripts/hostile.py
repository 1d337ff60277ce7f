"""Rows 11 to 16 and 20 of the reliability table at full size: people who mean harm at the sockets of one real node.

    scripts/hostile [--rows 11,12,…] [--size 1.0] [--json]

The node has the limits that every node has, and a friend with a permanent link, whose questions must go on as if
nothing were. A line for each figure, beside its target; exit 1 if one is missed. Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import TypeAlias

import trio
from figures import Figure, percentile, told
from hostile_flood import come_greedily
from hostile_impostors import come_as_another, come_in_thousands
from hostile_people import come_broken, come_slowly, fill_the_book, promise_four_gib
from target import Count, Lag, Lags

from actors import Node, open_cluster, open_node
from actors.cluster import RemoteNode
from actors.config import Limits, NodeConfig
from actors.console.doctor_words import memory_of
from actors.identity import EngineID, NodeKey

ROOM = 64
"""Peers that the node of row 16 has room for."""
MANY = [f"127.{n // 250 + 1}.{n % 250 + 1}.1" for n in range(1000)]
FRIENDS = "127.0.0.2"
"""Where honest people come from: not from where the others come."""


class Victim:
    """The node, as the people see it, and its friend."""

    def __init__(self, remote: RemoteNode, friend: Node, addresses: Sequence[str], size: float, seed: int) -> None:
        self.remote = remote
        self.friend = friend
        self.id = remote.id
        schemes = {address.partition(":")[0]: address for address in addresses}
        self.addresses = {scheme: schemes[scheme] for scheme in ("tcp", "tls")}
        self.random = Random(seed)
        self._size = size

    @property
    def tcp(self) -> str:
        return self.addresses["tcp"]

    def many(self, count: int) -> int:
        """So many people at full size."""
        return max(10, int(count * self._size))

    async def lags(self) -> Lag:
        """How late the node's loop was since the last question; also the friend's proof that it goes on."""
        return await self.friend.ask(EngineID(self.id, "target"), Lags())

    async def answers(self) -> None:
        """The friend asks, over the link that it has had all along."""
        assert await self.friend.ask(EngineID(self.id, "target"), Count(1)) == 2

    def memory(self) -> int:
        """Bytes that the process holds."""
        with Path(f"/proc/{self.remote.pid}/statm").open() as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def settled(self) -> None:
        """The node has handled what was sent to it: its memory does not change any more."""
        last = 0
        while self.memory() != last:
            last = self.memory()
            await trio.sleep(0.5)

    def reconnects(self) -> int:
        """Of the friend's link."""
        (proxy,) = self.friend.proxies()
        return proxy.reconnects


@asynccontextmanager
async def victim(size: float, seed: int, **limits: int) -> AsyncIterator[Victim]:
    """A node process that listens at every transport, and its friend."""
    for name, value in limits.items():
        os.environ[f"ACTORS_LIMITS_{name.upper()}"] = str(value)
    try:
        async with open_cluster(1, processes=True, transport="mixed", app="scripts.target:setup") as (remote,):
            addresses = (await remote.snapshot()).addresses
            async with open_node(NodeKey.generate(), name="friend", listen=()) as friend:
                friend.learn(await remote.control.advert())
                await friend.connect(remote.id)
                yield Victim(remote, friend, addresses, size, seed)
    finally:
        for name in limits:
            del os.environ[f"ACTORS_LIMITS_{name.upper()}"]


Row: TypeAlias = Callable[[Victim], Awaitable[list[Figure]]]


# -- the rows ---------------------------------------------------------------------------------------------


async def row_11(at: Victim) -> list[Figure]:
    """Turned bits, torn frames, bad tags, bad UTF-8, deep nesting: before the proof and after it."""
    await at.lags()
    sources = [MANY[n % len(MANY)] for n in range(at.many(4000))]
    came = await come_broken(at.tcp, at.id, sources, at.random)
    lags = await at.lags()
    collector = f"the collector took {1000 * lags.collector:.0f} ms at a time"
    return [
        Figure(11, f"of {came.sent} malformed frames, connections that neither end nor go on", came.stuck, 0),
        Figure(11, f"the longest that the node's loop hung; {collector}", 1000 * max(lags.beats), 100, "ms"),
        Figure(11, "times that an honest link was lost", at.reconnects(), 0),
    ]


async def row_12(at: Victim) -> list[Figure]:
    """Headers that say 4 GiB."""
    await at.answers()
    count, before, peak = at.many(1000), at.memory(), 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, at.memory())
            await trio.sleep(0.01)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        still_open = await promise_four_gib(at.tcp, at.id, MANY[:count])
        nursery.cancel_scope.cancel()
    return [
        Figure(12, f"more memory for {count} such peers", (peak - before) / (1 << 20), 8, "MiB"),
        Figure(12, "of them, not closed at the header", still_open, 0),
    ]


async def row_13(at: Victim) -> list[Figure]:
    """A thousand sockets that send a byte a second."""
    figures = []
    for where, sources in (("one address", ["127.0.0.1"]), ("many", MANY)):
        count = at.many(1000)
        slow = await come_slowly(at.tcp, at.id, [sources[n % len(sources)] for n in range(count)], FRIENDS)
        figures += [
            Figure(13, f"{count} slow sockets from {where}: the last is closed", slow.last, 5.5, "s"),
            Figure(13, f"the same: honest handshakes ({len(slow.honest)}), p99", percentile(slow.honest, 0.99), 1, "s"),
            Figure(13, "the same: honest handshakes that failed", slow.failed, 0),
        ]
    await at.answers()
    return figures


async def row_14(at: Victim) -> list[Figure]:
    """Handshakes that were somebody else's, or some other time's."""
    count = at.many(1000)
    figures = []
    for scheme, address in sorted(at.addresses.items()):
        accepted = await come_in_thousands(address, at.id, count, at.random)
        what = f"{scheme}: of {count} replayed, reflected and relayed handshakes, accepted"
        figures.append(Figure(14, what, accepted, 0))
    await at.answers()
    return figures


async def row_15(at: Victim) -> list[Figure]:
    """Somebody who is not who he says."""
    figures = []
    for scheme, address in sorted(at.addresses.items()):
        came = await come_as_another(address, at.id, at.friend.id, at.many(50))
        figures += [
            Figure(15, f"{scheme}: bytes for {came.tries} people who are not who they say", came.bytes, 0),
            Figure(15, f"{scheme}: of them, those to be told why and not told", came.untold, 0),
        ]
    await at.answers()
    return figures


async def row_16(at: Victim) -> list[Figure]:
    """More peers than there is room for."""
    count = max(2 * ROOM, at.many(1000))
    came = await fill_the_book(at.tcp, at.id, count, at.friend, await at.remote.control.advert())
    await at.answers()
    return [
        Figure(16, f"of {count} that came, connected where {ROOM} have room", came.accepted, ROOM),
        Figure(16, "turned away without a signed retry_after", came.unsigned, 0),
        Figure(16, "dials of a node that was told to wait", came.early, 0),
        Figure(16, "refusals of a permanent peer that came again", came.refused, 0),
    ]


async def row_20(at: Victim) -> list[Figure]:
    """Peers that take nothing and give as much as they can."""
    count, limits = at.many(100), Limits()
    config = NodeConfig(limits=limits)
    one = memory_of(config, own_engines=1).per_peer
    assert one is not None
    await at.answers()
    before, asked = at.memory(), list[float]()
    async with AsyncExitStack() as stack:
        for source in MANY[:count]:
            sizes = {"outbox": limits.outbox_bytes, "frame": limits.frame_bytes}
            await come_greedily(stack, at.tcp, at.id, source, **sizes)
            began = trio.current_time()
            await at.remote.snapshot()
            asked.append(trio.current_time() - began)
        await at.settled()
        more = at.memory() - before
        await at.answers()
    off = 100 * abs(more / (count * one) - 1)
    mib = 1 << 20
    return [
        Figure(
            20,
            f"{count} greedy peers: {more / mib:.0f} MiB more, off the formula's {count * one / mib:.0f}",
            off,
            20,
            "%",
        ),
        Figure(20, "control meanwhile, p99", 1000 * percentile(asked, 0.99), 100, "ms"),
    ]


ROWS: dict[int, Row] = {11: row_11, 12: row_12, 13: row_13, 14: row_14, 15: row_15, 16: row_16, 20: row_20}
PATIENT = {"heartbeat_seconds": 3000, "dead_seconds": 6000}
"""The node of row 20: its peers answer nothing, and are to stay."""


# -- the command ------------------------------------------------------------------------------------------


async def measure(rows: Sequence[int], size: float, seed: int) -> list[Figure]:
    """All figures of these rows. Rows 11 to 15 are the same node's, one after the other.

    Row 12 comes first: what it costs must not lie in memory that the others have left free.
    """
    figures = []
    if set(rows) - {16, 20}:
        async with victim(size, seed) as at:
            for row in sorted(set(rows) - {16, 20}, key=lambda row: (row != 12, row)):
                figures += await _told(row, at)
    if 16 in rows:
        async with victim(size, seed, peers=ROOM) as at:
            figures += await _told(16, at)
    if 20 in rows:
        async with victim(size, seed, **PATIENT) as at:
            figures += await _told(20, at)
    return sorted(figures, key=lambda figure: figure.row)


async def _told(row: int, at: Victim) -> list[Figure]:
    began = trio.current_time()
    figures = await ROWS[row](at)
    print(f"row {row}: {trio.current_time() - began:.1f} s", file=sys.stderr)
    return figures


def _rows(text: str) -> list[int]:
    rows = [int(word) for word in text.split(",") if word.strip().isdigit()]
    if not rows or set(rows) - set(ROWS):
        raise argparse.ArgumentTypeError(f"{text!r} are no rows; there are {', '.join(map(str, ROWS))}")
    return sorted(set(rows))


def _size(text: str) -> float:
    try:
        size = float(text)
    except ValueError:
        size = 0
    if not 0 < size <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write a number above 0, up to 1")
    return size


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="scripts/hostile", description="People who mean harm, at one real node.")
    parser.add_argument(
        "--rows", type=_rows, default=list(ROWS), help="11,12,… of the reliability table; all by default"
    )
    parser.add_argument("--size", type=_size, default=1.0, help="how many people come, as a part of all; 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="JSON lines in place of a table")
    said = parser.parse_args(arguments)
    return told(trio.run(measure, said.rows, said.size, said.seed), json=said.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
