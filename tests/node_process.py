"""One node process, started with the public command, in the hands of a test: the bench of the test_process_* files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from actors.identity import NodeID


class NodeProcess:
    """`actors run --json …`, once it is ready."""

    def __init__(self, process: trio.Process, node: dict[str, Any]) -> None:
        self.process = process
        self.id = NodeID.parse(node["id"])
        self.addresses: tuple[str, ...] = tuple(node["addresses"])
        self.name: str = node["name"]

    def signal(self, *signums: signal.Signals) -> None:
        """Send these, one at once after the other."""
        for signum in signums:
            self.process.send_signal(signum)

    async def ended(self) -> tuple[int, str]:
        """Its exit code, and its last words."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        words = b"".join([chunk async for chunk in self.process.stdout])
        words += b"".join([chunk async for chunk in self.process.stderr])
        return await self.process.wait(), " ".join(words.decode().split())


@asynccontextmanager
async def node_process(name: str, *options: str) -> AsyncIterator[NodeProcess]:
    """A node process; it is killed if it still runs when the block ends."""
    command = [sys.executable, "-m", "actors", "run", "--json", "--name", name, *options]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield NodeProcess(process, await _ready(process))
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    await stream.aclose()


async def _ready(process: trio.Process) -> dict[str, Any]:
    assert process.stdout is not None
    assert process.stderr is not None
    said = b""
    while not said.endswith(b"\n"):
        chunk = await process.stdout.receive_some()
        if not chunk:
            raise AssertionError(b"".join([part async for part in process.stderr]).decode())
        said += chunk
    node: dict[str, Any] = json.loads(said)["data"]["node"]
    return node


async def no_node(*options: str) -> tuple[int, str]:
    """The exit code and the words of `actors run` where no node can be started."""
    command = [sys.executable, "-m", "actors", "run", *options]
    ended = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    return ended.returncode, " ".join(ended.stderr.decode().split())


async def figures(cluster: str = "run") -> dict[str, dict[str, Any]]:
    """What `actors ls nodes --json` shows, by name."""
    command = [sys.executable, "-m", "actors", "ls", "nodes", "--json", "--cluster", cluster]
    listed = await trio.run_process(command, capture_stdout=True)
    return {node["name"]: node for node in json.loads(listed.stdout)["data"]["nodes"]}
