"""One host: namespaces of its own for network, processes and mounts, and what can be done to what comes to it.

A host is a process that reads its standard input and ends with it. It is the first of its process namespace, so the
kernel kills all others there when it ends; with the last of them its network and its mounts are gone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from typing import Final, Literal

import trio

from actors.errors import ActorError

TOOLS: Final = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2", "nft": "nftables"}
"""What hosts are made with, and the Debian package that has it."""
RULES: Final = """
table inet harm {
    set unheard { type ipv4_addr; }
    set shut { type inet_proto . inet_service; }
    chain incoming {
        type filter hook input priority 0;
        ip saddr @unheard drop
        meta l4proto . th dport @shut drop
    }
}
"""
"""What a host drops of what comes to it: nothing, until there is something in the sets."""
DEVICE: Final = "line"
"""The end of a bad line on a host."""
NAMESPACES: Final = ("net", "mnt", "pid_for_children")

Protocol = Literal["tcp", "udp"]


class HostError(ActorError):
    """A command on a host, or one that makes it, failed; the message says which, and what it said."""

    code = "host"


@cache
def why_not() -> str:
    """Why no hosts can be made here, in words; empty if they can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = {package for tool, package in TOOLS.items() if shutil.which(tool) is None}
    if missing:
        return f"network namespaces need {' and '.join(sorted(missing))}; on Debian: apt-get install"
    tried = subprocess.run([*_unshare(), "true"], capture_output=True, text=True, check=False)
    return f"this machine makes no namespaces: {tried.stderr.strip()}" if tried.returncode else ""


class Host:
    """`address` is its IPv4 address on the network that it was made with."""

    def __init__(self, name: str, address: str, pid: int) -> None:
        self.name = name
        self.address = address
        self.pid = pid

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.address}>"

    def through(self, folder: str | os.PathLike[str] = "/") -> tuple[str, ...]:
        """The words before a command that make it run here, in this folder."""
        net, mounts, processes = (f"/proc/{self.pid}/ns/{name}" for name in NAMESPACES)
        return (_tool("nsenter"), f"--net={net}", f"--mount={mounts}", f"--pid={processes}", f"--wdns={folder}")

    async def run(self, *command: str, said: str = "") -> str:
        """Run a command here, with this on its standard input; what it printed. HostError if it fails."""
        return await run(*self.through(), *command, said=said)

    async def break_connections(self, other: Host | None = None) -> None:
        """End all established TCP connections of this host, or those to another, as if they had been reset (ss -K)."""
        to = ("dst", other.address) if other else ()
        await self.run("ss", "--tcp", "--kill", "--numeric", "state", "established", *to)

    @asynccontextmanager
    async def shut(self, *ports: tuple[Protocol, int]) -> AsyncIterator[None]:
        """In the block, what comes to these ports vanishes without a word."""
        elements = ", ".join(f"{protocol} . {port}" for protocol, port in ports)
        async with self._dropping("shut", elements):
            yield

    @asynccontextmanager
    async def narrow(self, rate: str) -> AsyncIterator[None]:
        """In the block, what the host says leaves at this rate at most, such as `1mbit` (tc tbf)."""
        device = (await self.run("ip", "-o", "route", "get", self._neighbour)).partition(" dev ")[2].split()[0]
        shape = ("tbf", "rate", rate, "burst", "16kb", "latency", "200ms")
        await self.run("tc", "qdisc", "add", "dev", device, "root", *shape)
        try:
            yield
        finally:
            await self._again("tc", "qdisc", "del", "dev", device, "root")

    @property
    def _neighbour(self) -> str:
        """An address of the same network."""
        return self.address.rpartition(".")[0] + ".254"

    @asynccontextmanager
    async def _dropping(self, what: str, elements: str) -> AsyncIterator[None]:
        await self.run("nft", "add", "element", "inet", "harm", what, f"{{ {elements} }}")
        try:
            yield
        finally:
            await self._again("nft", "delete", "element", "inet", "harm", what, f"{{ {elements} }}")

    async def _again(self, *command: str) -> None:
        """As it was. If the host is gone, so is what was done to it."""
        with trio.CancelScope(shield=True):
            if os.path.exists(f"/proc/{self.pid}/ns/net"):  # noqa: ASYNC240 - /proc does not block
                await self.run(*command)


@asynccontextmanager
async def deaf(host: Host, to: Host) -> AsyncIterator[None]:
    """In the block, the host hears nothing of what the other says; the other hears it."""
    async with host._dropping("unheard", to.address):
        yield


@asynccontextmanager
async def apart(one: Host, other: Host) -> AsyncIterator[None]:
    """In the block, neither hears the other."""
    async with deaf(one, other), deaf(other, one):
        yield


@contextmanager
def holding(name: str, address: str) -> Iterator[Host]:
    """A host without a network yet; all that runs there is killed when the block is left."""
    process = subprocess.Popen(
        [*_unshare(), "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            if not process.stdout.read(1):
                raise HostError(f"host {name} could not be made")
            yield Host(name, address, process.pid)
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()


async def run(*command: str, said: str = "") -> str:
    """Run a command on this machine, with this on its standard input; what it printed. HostError if it fails."""
    done = await trio.run_process(
        [_tool(command[0]), *command[1:]], stdin=said.encode(), capture_stdout=True, capture_stderr=True, check=False
    )
    if done.returncode:
        raise HostError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def _unshare() -> list[str]:
    return [_tool("unshare"), "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def _tool(name: str) -> str:
    return shutil.which(name) or name
