"""Rows 18 and 24 on a host: a disk that is full (tmpfs), and a process that may open no more files."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import trio
from figures import Figure
from namespaces_app import Count
from namespaces_children import open_child
from namespaces_world import ROOT, Watch, linked, look_until, nodes_on, sink, until, watching

from actors.control.client import open_control
from actors.testing.hosts import Host, open_hosts
from actors.testing.hosts.nodes import HostedNode
from transports.addresses import HostAddress, parse_address

BAD_CONFIG: Final = 78
SPARE: Final = 4
"""Files that the node may still open."""
STRANGERS: Final = 12
"""More than those, and fewer than one source may have before it proves itself."""
SUPERSEDED: Final = "superseded"
"""Why one of two connections ends where both ends dialed: no loss."""
REDIALS: Final = 10
"""Cycles after each of which the friend has to come again."""


# -- row 18 -----------------------------------------------------------------------------------------------


async def full_disk() -> list[Figure]:
    """A node that starts on it, and one that runs already when it becomes full."""
    with TemporaryDirectory(prefix="disk-") as folder:
        disk, control = _folders(folder)
        async with open_hosts("a") as (host,), trio.open_nursery() as nursery:
            await host.run("mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk))
            run = partial(trio.run_process, check=False, capture_stdout=True, capture_stderr=True)
            nursery.start_soon(run, _command(host, "a", disk, control))
            await until((control / "a.sock").exists)
            await host.run("sh", "-c", f"head -c 1m /dev/zero 2>&1 > {disk}/filler || true")
            late = await run(_command(host, "b", disk, control))
            async with open_control(control / "a.sock") as client:
                goes_on = (await client.node()).state == "running" and bool(await client.advert())
                await client.stop()
    plain = all(words in late.stderr for words in (b"No space left", b"df -h")) and b"Traceback" not in late.stderr
    return [
        Figure(18, "a node on a full disk does not end with exit code 78", late.returncode != BAD_CONFIG, 0),
        Figure(18, "and without plain words of what to do", not plain, 0),
        Figure(18, "a node that runs already ends when its disk is full", not goes_on, 0),
    ]


def _folders(above: str) -> tuple[Path, Path]:
    """For the disk, and for what must not be on it."""
    disk, control = Path(above, "disk"), Path(above, "control")
    disk.mkdir()
    control.mkdir(mode=0o700)
    return disk, control


def _command(host: Host, name: str, disk: Path, control: Path) -> list[str]:
    command = [*host.through(ROOT), sys.executable, "-m", "actors", "run", "--name", name]
    return [*command, "--state-dir", str(disk / name), "--control", str(control / f"{name}.sock")]


# -- row 24 -----------------------------------------------------------------------------------------------


async def no_more_files(cycles: int) -> list[Figure]:
    """Strangers take all files that a node may open, and let go; each time. Its friends stay, and can come again."""
    async with AsyncExitStack() as stack:
        a, b, c = await stack.enter_async_context(open_hosts("a", "b", "c"))
        node, friend = await stack.enter_async_context(nodes_on(a, b, limits={"backoff_cap_seconds": 0.5}))
        await friend.control.connect(str(node.id))  # it alone, so that no two dials meet
        address = parse_address((await node.snapshot()).addresses[0])
        assert isinstance(address, HostAddress)
        strangers = await stack.enter_async_context(open_child("sockets", c, address.host, str(address.port)))
        watch = await stack.enter_async_context(watching(node, friend))
        process = node.process  # to look for it takes a connection to its control socket
        most = _files(process) + SPARE
        resource.prlimit(process, resource.RLIMIT_NOFILE, (most, most))
        exhausted = again = 0
        for cycle in range(1, cycles + 1):
            await strangers.asked(f"open {STRANGERS}", int)
            exhausted += await _soon(lambda: _files(process) >= most)
            assert await friend.ask(sink(node), Count(cycle)) == cycle + 1
            await strangers.asked("close", int)
            await _soon(lambda: _files(process) <= most - SPARE)
            if cycle % REDIALS == 0:
                again += await _comes_again(friend, node, watch)
        ended = [each.why for each in watch.of(friend, "disconnected", node)]
    lost = len(ended) - ended.count(SUPERSEDED) - cycles // REDIALS
    return [
        Figure(24, f"of {cycles} times without files, those that did not come to it", cycles - exhausted, 0),
        Figure(24, "connections of a friend that were lost by it", lost, 0),
        Figure(24, f"of {cycles // REDIALS} times that it came again, those in vain", cycles // REDIALS - again, 0),
    ]


async def _comes_again(friend: HostedNode, node: HostedNode, watch: Watch) -> bool:
    """Whether its link is up again soon after it was cut."""
    ended = len(watch.of(friend, "disconnected", node))
    await friend.control.cut(str(node.id))
    await until(lambda: len(watch.of(friend, "disconnected", node)) > ended)
    with trio.move_on_after(5):
        await look_until(partial(linked, friend, node))
        return True
    return False


def _files(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


async def _soon(holds: Callable[[], bool]) -> bool:
    """Whether it is so within some seconds."""
    with trio.move_on_after(5):
        await until(holds)
        return True
    return False
