"""Processes of our own on hosts, besides nodes: scripts/namespaces_*.py, which read lines and write JSON values."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from subprocess import PIPE
from typing import TypeVar

import msgspec
import trio
from namespaces_world import ROOT

from actors.control.lines import LineReader
from actors.testing.hosts import Host

V = TypeVar("V")


class Child:
    """It ends with its standard input."""

    def __init__(self, reads: trio.abc.SendStream, writes: trio.abc.ReceiveStream) -> None:
        self._reads = reads
        self._lines = LineReader(writes, 1 << 20)

    async def line(self, kind: type[V]) -> V:
        """The next that it writes."""
        line = await self._lines.read()
        if line is None:
            raise RuntimeError("a process on a host ended; it said why on stderr")
        return msgspec.json.decode(line, type=kind)

    async def asked(self, what: str, kind: type[V]) -> V:
        """What it answers to a line."""
        await self._reads.send_all(f"{what}\n".encode())
        return await self.line(kind)

    async def end_input(self) -> None:
        """It has something left to say, perhaps."""
        await self._reads.aclose()


@asynccontextmanager
async def open_child(name: str, host: Host, *words: str, nice: bool = False) -> AsyncIterator[Child]:
    """scripts/namespaces_NAME.py on a host, with these arguments; nice: it leaves the processor to others."""
    command = [*host.through(ROOT), *(["nice", "-n", "10"] if nice else []), sys.executable]
    command += [str(ROOT / "scripts" / f"namespaces_{name}.py"), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await trio.lowlevel.open_process(command, stdin=PIPE, stdout=PIPE, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Child(process.stdin, process.stdout)
    finally:
        with trio.CancelScope(shield=True):
            await process.stdin.aclose()
            await process.wait()
            await process.stdout.aclose()
