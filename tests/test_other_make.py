"""A node of another make, in another language, made from PROTOCOL.md alone: `node_peer.cjs` links with ours over ws://."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from actors import EngineID, Message, Node, NodeID, Refused, open_node
from actors.console.engines import Echo

PEER = Path(__file__).with_name("node_peer.cjs")
PACKAGES = "require('ws'); require('@msgpack/msgpack')"
ENVIRONMENT = {"NODE_PATH": str(Path(sys.prefix) / "node_modules"), **os.environ}
"""`make test` has npm install them beside Python's packages."""


def missing() -> str:
    """What is not here; nothing if all is."""
    if shutil.which("node") is None:
        return "node is not installed"
    tried = subprocess.run(
        ["node", "-e", PACKAGES], stdin=subprocess.DEVNULL, capture_output=True, check=False, env=ENVIRONMENT
    )
    return "" if tried.returncode == 0 else "npm's ws and @msgpack/msgpack are not installed: make test does it"


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing() or "all is here")]


class Word(Message, tag="ears.word"):
    n: int


class Peer:
    """The process, and what it says."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []
        self._came = trio.Condition()

    async def listen(self) -> None:
        rest = b""
        assert self.process.stdout is not None
        async for data in self.process.stdout:
            *lines, rest = (rest + data).split(b"\n")
            async with self._came:
                self.said += map(json.loads, lines)
                self._came.notify_all()

    async def do(self, command: str) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(f"{command}\n".encode())

    async def says(self, key: str, times: int = 1) -> list[Any]:
        """All that it said of this, once it is so many."""
        with trio.fail_after(60):
            async with self._came:
                while len(self.of(key)) < times:
                    await self._came.wait()
        return self.of(key)

    def of(self, key: str) -> list[Any]:
        return [one[key] for one in self.said if key in one]


async def start(url: str, target: NodeID) -> trio.Process:
    """It says what is wrong on stdout; with no terminal at its ends it leaves ours alone."""
    command = ["node", str(PEER), url, bytes(target).hex()]
    return await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Node, Peer, NodeID]]:
    """A node of ours, the peer, and its id."""
    async with open_node(name="ours", listen=["ws://127.0.0.1:0"]) as node, trio.open_nursery() as nursery:
        node.spawn(Echo(), "echo")
        peer = Peer(await start(node.addresses[0], node.id))
        try:
            nursery.start_soon(peer.listen)
            (name,) = await peer.says("id")
            await peer.says("connected")
            id_ = NodeID(bytes.fromhex(name))
            node.set_permanence(id_, True)
            yield node, peer, id_
            assert peer.process.stdin is not None
            await peer.process.stdin.aclose()
            with trio.fail_after(10):
                assert await peer.process.wait() == 0
        finally:
            peer.process.kill()
            nursery.cancel_scope.cancel()


async def test_it_asks_and_is_answered() -> None:
    async with linked() as (_, peer, _):
        for number in range(40):  # more than its first credit
            await peer.do(f"ask {number}")
        assert await peer.says("answer", 40) == list(range(40))
        assert peer.of("asked") == list(range(40))


async def test_it_takes_tells_in_order_and_refuses_what_is_for_nobody() -> None:
    async with linked() as (node, peer, id_):
        for number in range(3000):
            await node.tell(EngineID(id_, "ears"), Word(number))
        assert await peer.says("told", 3000) == list(range(3000))
        with pytest.raises(Refused, match="no_engine"):
            await node.send(EngineID(id_, "nobody"), Word(1))


async def test_it_resumes_after_cuts_and_nothing_is_lost_or_doubled() -> None:
    async with linked() as (node, peer, id_):
        for cut in range(5):
            for number in range(cut * 400, cut * 400 + 400):
                await node.tell(EngineID(id_, "ears"), Word(number))
                if number % 100 == 0:
                    await peer.do(f"ask {number}")
                if number % 400 == 200:
                    await peer.do("cut")
            await peer.says("connected", cut + 2)
        assert await peer.says("told", 2000) == list(range(2000))
        assert await peer.says("answer", 20) == list(range(0, 2000, 100))
        node.close(id_)
        await peer.says("connected", 7)
        await peer.do("ask 1")
        assert (await peer.says("answer", 21))[-1] == 1
        assert peer.of("told") == list(range(2000))
        assert peer.of("error") == []


async def test_what_it_thinks_is_another_node_is_refused() -> None:
    async with open_node(name="ours", listen=["ws://127.0.0.1:0"]) as node, open_node(listen=[]) as other:
        process = await start(node.addresses[0], other.id)
        async with trio.open_nursery() as nursery:
            peer = Peer(process)
            nursery.start_soon(peer.listen)
            assert (await peer.says("error"))[0] == "turned away: denied"
            process.kill()
            await process.wait()
            nursery.cancel_scope.cancel()
