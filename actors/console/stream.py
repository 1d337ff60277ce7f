"""A stream through a cluster of its own: the processes, the sockets to its two ends, and what became of it."""

from __future__ import annotations

import os
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path

import msgspec
import trio
from msgspec import Struct

from actors.cluster import Linked, RemoteNode, node_names, open_cluster
from actors.cluster.processes import MIXED
from actors.console.errand import Errand, Receipt, read_line, write_line
from actors.console.memory import peak_mib
from actors.console.pipe_engines import DRAIN, FOLDER, SOURCE
from actors.console.pipe_report import PipeReport, make_report
from actors.console.progress import Progress
from actors.console.pumps import pump_in, pump_out
from actors.console.signals import end_by_signal
from actors.control.failures import ControlError
from actors.errors import ActorError
from actors.snapshots import ProxySnapshot
from transports.schemes import SCHEMES

APP = "actors.console.pipe_engines:setup"
STDIN, STDOUT = 0, 1
_SETTLED = 5.0
"""Seconds for the last acknowledgements to arrive."""
_LOOK = 0.01
_STAY = 0.2
"""Seconds on one transport, where they are mixed."""


class StreamError(ActorError):
    """The stream broke off."""

    code = "stream"
    hint = "run it again; the words of the nodes are above"


class NotDelivered(ActorError):
    """Not everything that went in came out."""

    code = "not_delivered"
    hint = "the ledgers are in the file of --report"


class Stream(Struct, frozen=True, kw_only=True):
    """What is to be carried, and how it is to be disturbed."""

    nodes: int
    transport: Linked
    lines: bool
    cuts: int
    cut_every: float | None
    seed: int


async def carry(stream: Stream, progress: Progress) -> PipeReport:
    """Carry stdin to stdout. StreamError if a node ends before the stream does; Interrupted by a signal."""
    names = node_names(stream.nodes)
    async with trio.open_nursery() as nursery:
        await nursery.start(end_by_signal)
        with _listening(names[0], names[-1]) as (source, drain):
            async with open_cluster(
                stream.nodes, processes=True, transport=stream.transport, app=APP, permanent=True
            ) as nodes:
                figures = await _watched(stream, nodes, await _accept(source), await _accept(drain), progress)
        nursery.cancel_scope.cancel()
    return figures


async def _watched(
    stream: Stream,
    nodes: Sequence[RemoteNode],
    source: trio.SocketStream,
    drain: trio.SocketStream,
    progress: Progress,
) -> PipeReport:
    """The stream ends when one of its nodes does."""
    moves = Counter[str]()
    async with source, drain, trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(_watch, node)
        if stream.transport == MIXED:
            nursery.start_soon(_wander, nodes[0], nodes[-1], moves)
        began = trio.current_time()
        await write_line(source, _errand(stream, nodes[-1]))
        receipt, written = await _pump(source, drain, progress)
        seconds = trio.current_time() - began
        proxies = await _settled(nodes)
        nursery.cancel_scope.cancel()
    return make_report(
        receipt,
        proxies,
        first=nodes[0].name,
        last=nodes[-1].name,
        written=written,
        seconds=seconds,
        seed=stream.seed,
        pids={node.name: node.pid for node in nodes},
        moves=moves,
        peak_mib={node.name: peak for node in nodes if (peak := peak_mib(node.pid)) is not None},
    )


async def _watch(node: RemoteNode) -> None:
    code = await node.wait_ended()
    raise StreamError(f"node {node.name} ended ({'exit code' if code >= 0 else 'signal'} {abs(code)})")


async def _wander(first: RemoteNode, last: RemoteNode, moves: Counter[str]) -> None:
    """Let the stream's link move from one transport to the next, for ever."""
    for scheme in cycle(SCHEMES):
        with suppress(ControlError):  # it is cut just now
            await first.control.migrate(str(last.id), scheme)
            moves[scheme] += 1
        await trio.sleep(_STAY)


def _errand(stream: Stream, last: RemoteNode) -> Errand:
    return Errand(to=str(last.id), lines=stream.lines, cuts=stream.cuts, cut_every=stream.cut_every, seed=stream.seed)


async def _pump(source: trio.SocketStream, drain: trio.SocketStream, progress: Progress) -> tuple[Receipt, int]:
    """Until stdin has ended and everything is written; the source's receipt, and how many bytes came out."""
    written = 0

    def wrote(size: int) -> None:
        nonlocal written
        written += size
        progress.wrote(size)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_feed, source, progress)
        nursery.start_soon(pump_out, drain, STDOUT, wrote)
        receipt = await _receipt(source)
        if receipt.error:
            nursery.cancel_scope.cancel()
    return receipt, written


async def _feed(source: trio.SocketStream, progress: Progress) -> None:
    with suppress(trio.BrokenResourceError):  # the receipt, or its absence, says why
        await pump_in(STDIN, source, progress.read)


async def _receipt(source: trio.SocketStream) -> Receipt:
    try:
        line, _ = await read_line(source)
    except trio.BrokenResourceError:
        line = b""
    if not line:
        raise StreamError("the engine at the first node gave up")
    return msgspec.json.decode(line, type=Receipt)


async def _settled(nodes: Sequence[RemoteNode]) -> list[ProxySnapshot]:
    """All nodes' proxies, once nothing is in flight any more."""
    patience = trio.current_time() + _SETTLED
    found = await _proxies(nodes)
    while any(proxy.ledger.in_flight for proxy in found) and trio.current_time() < patience:
        await trio.sleep(_LOOK)
        found = await _proxies(nodes)
    return found


async def _proxies(nodes: Sequence[RemoteNode]) -> list[ProxySnapshot]:
    return [proxy for node in nodes for proxy in await node.proxies()]


# -- the sockets to the two ends --------------------------------------------------------------------------


@contextmanager
def _listening(first: str, last: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Where the two ends will find this process: in a folder that only we can enter, named in their environment."""
    with tempfile.TemporaryDirectory(prefix="actors-pipe-") as folder, ExitStack() as stack:
        ends = [stack.enter_context(_bound(Path(folder) / name)) for name in (f"{first}.{SOURCE}", f"{last}.{DRAIN}")]
        os.environ[FOLDER] = folder
        try:
            yield ends[0], ends[1]
        finally:
            del os.environ[FOLDER]


def _bound(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(path))
    bound.listen(1)
    return bound


async def _accept(bound: socket.socket) -> trio.SocketStream:
    """The node has connected before it was ready."""
    connected, _ = await trio.socket.from_stdlib_socket(bound).accept()
    return trio.SocketStream(connected)
