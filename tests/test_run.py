"""What a node process does, run in this process: ready, serving, stopped, or telling why not."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from msgspec import json

from actors.config import NodeConfig
from actors.control.client import ControlClient, open_control
from actors.control.messages import Failed, NodeIs
from actors.control.sockets import socket_path
from actors.errors import ActorError, ConfigError
from actors.run import run_node
from actors.snapshots import NodeSnapshot

APP = """
import trio
import trio.testing
from actors.engine import Engine, on
from actors.messages import Request
class Double(Request[int]):
    n: int
class Doubler(Engine):
    @on(Double)
    def double(self, msg: Double) -> int:
        return 2 * msg.n
def setup(node):
    node.spawn(Doubler(), "second")
async def endless(node):
    await trio.sleep_forever()
def broken(node):
    raise ValueError("no")
"""


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    Path("run_app.py").write_text(APP)
    yield
    sys.modules.pop("run_app", None)


class Running:
    """A node that runs beside the test."""

    def __init__(self) -> None:
        self.ready: list[NodeSnapshot] = []
        self.ended = trio.Event()
        self.code: int | None = None
        self.began = trio.Event()

    def on_ready(self, node: NodeSnapshot) -> None:
        self.ready.append(node)
        self.began.set()

    async def run(self, config: NodeConfig, lifeline_fd: int | None) -> None:
        self.code = await run_node(config, on_ready=self.on_ready, lifeline_fd=lifeline_fd)
        self.ended.set()


@asynccontextmanager
async def running(config: NodeConfig, lifeline_fd: int | None = None) -> AsyncIterator[tuple[Running, ControlClient]]:
    node = Running()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.run, config, lifeline_fd)
            await node.began.wait()
            async with open_control(socket_path("run", config.name)) as control:
                yield node, control
            await node.ended.wait()


async def test_a_node_runs_its_engines_and_its_app_until_it_is_told_to_stop(tmp_path: Path) -> None:
    config = NodeConfig(name="a", app="run_app:setup", engines=("run_app:Doubler",))
    async with running(config) as (node, control):
        assert [snapshot.name for snapshot in node.ready] == ["a"]
        assert node.ready[0].pid == os.getpid()
        assert (await control.ask("a/doubler", "double", {"n": 2})).value == 4
        assert (await control.ask("a/second", "double", {"n": 3})).value == 6
        await control.stop()
        await node.ended.wait()
        assert node.code == 0
    assert os.listdir(tmp_path / "actors") == []


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_a_signal_stops_it_cleanly(signum: signal.Signals, code: int) -> None:
    async with running(NodeConfig(name="a")) as (node, control):
        os.kill(os.getpid(), signum)
        await node.ended.wait()
        assert node.code == code
        assert not control.path.exists()


async def test_a_setup_that_takes_for_ever_can_be_stopped() -> None:
    node = Running()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.run, NodeConfig(name="a", app="run_app:endless"), None)
            await trio.testing.wait_all_tasks_blocked(0.05)
            os.kill(os.getpid(), signal.SIGTERM)
    assert (node.code, node.ready) == (0, [])


async def test_it_ends_with_its_starter() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with running(NodeConfig(name="a"), theirs.fileno()) as (node, _):
            ours.close()
            await node.ended.wait()
            assert node.code == 0


@pytest.mark.parametrize(
    ("config", "code", "what"),
    [
        (NodeConfig(name="a", app="run_app:broken"), "app", "setup raised ValueError: no"),
        (NodeConfig(name="a", app="run_app:setpu"), "app", "has no setpu"),
        (NodeConfig(name="a", engines=("run_app:setup",)), "app", "no Engine class"),
        (NodeConfig(name="a", peers=("nonsense",)), "advert", "not an advert"),
        (NodeConfig(name="a", adverts=(Path("nowhere"),)), "configuration", "the advert file nowhere cannot be read"),
        (NodeConfig(name="a", key=Path("nokey")), "key_file", "there is no key file nokey"),
        (NodeConfig(name="a", listen=("tcp://127.0.0.1",)), "address", "tcp://127.0.0.1"),
    ],
)
async def test_what_is_wrong_is_raised_or_told_to_the_starter(config: NodeConfig, code: str, what: str) -> None:
    with pytest.raises(ActorError, match=what) as error:
        await run_node(config)
    assert error.value.code == code
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert await run_node(config, ready_fd=theirs.fileno()) in (78, 1)
        failed = json.decode(ours.recv(65536), type=Failed)
    assert (failed.code, failed.what, failed.hint) == (code, str(error.value), error.value.hint)


async def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = NodeConfig(name="a", listen=(f"tcp://127.0.0.1:{taken.getsockname()[1]}",))
        with pytest.raises(ConfigError) as error:
            await run_node(config)
    assert error.value.code == "address_in_use"
    assert error.value.hint.startswith("choose another address")


async def test_the_starter_hears_when_it_is_ready() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                partial(run_node, NodeConfig(name="a"), ready_fd=theirs.fileno(), lifeline_fd=theirs.fileno())
            )
            await trio.lowlevel.wait_readable(ours)
            node = json.decode(ours.recv(65536), type=NodeIs).node
            ours.close()
    assert node.name == "a"


async def test_a_starter_that_is_gone_is_no_reason_to_fail() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        assert await run_node(NodeConfig(name="a", app="run_app:broken"), ready_fd=theirs.fileno()) == 78
