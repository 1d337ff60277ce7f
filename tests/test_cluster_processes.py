"""Clusters of real processes: they start or say why not, carry messages, and never stay behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from cluster_app import Add, Cancelled, Fail, Frozen, Hang, Relay, Wait

from actors.cluster import Plan, open_cluster, start_cluster, stop_nodes
from actors.cluster.endings import wait_ended
from actors.control.failures import ControlError, NodeConfigError
from actors.control.sockets import NodeSocket, clusters, is_alive, serving_process
from actors.errors import ConfigError, Crashed, Expired, Lost
from actors.events import EngineCrashed
from actors.identity import EngineID
from actors.messages import Started

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
APP = "cluster_app:setup"


@pytest.fixture(autouse=True)
def runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{HERE.parent}:{HERE}")
    return tmp_path / "actors"


@asynccontextmanager
async def in_time(seconds: float = 30) -> AsyncIterator[None]:
    with trio.fail_after(seconds):
        yield


async def all_ended(pids: list[int]) -> None:
    for pid in pids:
        await wait_ended(pid)


def leftovers(directory: Path) -> list[str]:
    """What is left of clusters, now that none should run."""
    return [path.name for path in directory.iterdir()]


# -- carrying messages --------------------------------------------------------------------------------------


async def test_three_processes_answer_each_other() -> None:
    async with in_time(), open_cluster(3, processes=True, app=APP, permanent=True, cluster="three") as nodes:
        a, b, c = nodes
        assert [node.name for node in clusters()["three"]] == ["a", "b", "c"]
        assert len({os.getpid(), *(node.pid for node in nodes)}) == 4
        assert {(await node.snapshot()).pid for node in nodes} == {node.pid for node in nodes}
        for node in nodes:
            proxies = await node.proxies()
            others = {other.name for other in nodes} - {node.name}
            assert {proxy.peer for proxy in proxies} == others
            assert {(proxy.state, proxy.permanence, proxy.transport) for proxy in proxies} == {
                ("ready", "permanent", "tcp")
            }
        # By the caller's classes, from one engine to another, and by field names.
        assert (await a.ask(EngineID(b.id, "counter"), Add(2))).total == 2
        assert (await a.ask(EngineID(b.id, "counter"), Relay(EngineID(c.id, "counter"), 5))).total == 5
        reply = await a.control.ask("c/counter", "counter.add", {"amount": 1})
        assert reply.value == {"total": 6, "by": f"{c.id}/counter"}
        assert (reply.path.source, reply.path.target, reply.path.transport) == ("a", "c", "tcp")
        relayed = await c.control.ask("a/counter", "counter.relay", {"to": "b/counter", "amount": 1})
        assert relayed.value == {"total": 3, "by": f"{b.id}/counter"}
        for proxy in await a.proxies():
            assert proxy.ledger.balanced
    assert clusters() == {}


async def test_outcomes_and_events_come_through() -> None:
    async with in_time(), open_cluster(2, processes=True, app=APP) as (a, b):
        counter = EngineID(b.id, "counter")
        async with b.control.events() as events:
            with pytest.raises(Crashed):
                await a.ask(counter, Fail())
            async for event in events:
                if event.event == EngineCrashed.__struct_config__.tag:
                    assert event.data["error"] == "ValueError('as it should')"
                    break
        with pytest.raises(Expired):
            await a.ask(counter, Wait(), expiry=0.05)
        with pytest.raises(ControlError, match="Started is a local message"):
            await a.tell(counter, Started())


async def test_a_cancelled_ask_cancels_its_handler_in_the_other_process() -> None:
    async with in_time(), open_cluster(2, processes=True, app=APP) as (a, b):
        counter = EngineID(b.id, "counter")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.ask, counter, Wait())
            while not any(proxy.ledger.delivered for proxy in await a.proxies()):  # noqa: ASYNC110 - another process
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        assert await a.ask(counter, Cancelled()) == 1


async def test_the_collector_of_a_node_process_need_not_look_at_what_was_imported() -> None:
    async with in_time(), open_cluster(1, processes=True, app=APP) as (a,):
        assert await a.ask(EngineID(a.id, "counter"), Frozen()) > 20_000


async def test_a_killed_node_is_lost_and_the_others_go_on() -> None:
    async with in_time(), open_cluster(2, processes=True, app=APP) as (a, b):
        os.kill(b.pid, signal.SIGKILL)
        assert await b.wait_ended() == -signal.SIGKILL
        with pytest.raises(Lost, match="node_down") as error:
            await b.ask(EngineID(a.id, "counter"), Add(1))
        assert error.value.maybe_sent in (True, False)
        assert (await a.ask(EngineID(a.id, "counter"), Add(1))).total == 1
    assert clusters() == {}


# -- starting, or not ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "what"),
    [
        ("cluster_app:broken", r"node [ab]: app 'cluster_app:broken': setup raised ValueError: no node is called"),
        ("no_such_app:setup", r"node [ab]: 'no_such_app:setup': there is no module no_such_app"),
        ("cluster_app:gone", r"node [ab] ended with exit code 3 before it was ready"),
    ],
)
async def test_an_app_that_does_not_work_is_told_in_the_parent_and_nothing_stays(
    app: str, what: str, capfd: pytest.CaptureFixture[str], runtime_directory: Path
) -> None:
    async with in_time():
        with pytest.raises(NodeConfigError, match=what) as error:
            async with open_cluster(2, processes=True, app=app):
                pytest.fail("it has begun")
    assert "Traceback" not in "".join(capfd.readouterr())
    assert leftovers(runtime_directory) == []
    if app == "cluster_app:broken":
        assert f"({HERE / 'cluster_app.py'}, line " in str(error.value)


async def test_a_name_that_no_node_can_have_is_refused_before_anything_starts(runtime_directory: Path) -> None:
    with pytest.raises(ConfigError, match="'b/c' cannot name a node"):
        async with open_cluster(2, processes=True, names=["a", "b/c"]):
            pytest.fail("it has begun")
    assert leftovers(runtime_directory) == []


async def test_a_cluster_is_not_started_twice() -> None:
    async with in_time(), open_cluster(1, processes=True, cluster="one"):
        with pytest.raises(ConfigError, match="'one' runs already: a"):
            async with open_cluster(1, processes=True, cluster="one"):
                pytest.fail("it has begun")


# -- ending -------------------------------------------------------------------------------------------------


async def test_an_error_in_the_block_ends_the_processes(runtime_directory: Path) -> None:
    pids: list[int] = []
    async with in_time():
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what is raised is raised within
            async with open_cluster(2, processes=True) as nodes:
                pids += [node.pid for node in nodes]
                raise ZeroDivisionError
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert leftovers(runtime_directory) == []


async def test_cancellation_ends_the_processes_even_while_they_start(runtime_directory: Path) -> None:
    async with in_time():
        for moment in (0.0, 0.2, 5.0):
            with trio.move_on_after(moment):
                async with open_cluster(2, processes=True):
                    await trio.sleep(0.05)
            assert leftovers(runtime_directory) == []


async def test_a_process_that_does_not_end_is_killed() -> None:
    async with in_time(), open_cluster(1, processes=True, app=APP, grace=0.3) as (a,):
        await a.send(EngineID(a.id, "counter"), Hang())
        await trio.sleep(0.1)
    assert await a.wait_ended() == -signal.SIGKILL
    assert clusters() == {}


PARENT = """
import trio
from actors.cluster import open_cluster
async def main():
    async with open_cluster(2, processes=True) as nodes:
        print(*[node.pid for node in nodes], flush=True)
        await trio.sleep_forever()
trio.run(main)
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_processes_end_with_the_one_that_started_them(signum: signal.Signals, runtime_directory: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.send_signal(signum)
        parent.wait(20)

    async def main() -> None:
        with trio.fail_after(30):
            await all_ended(pids)

    trio.run(main)
    assert len(pids) == 2
    assert leftovers(runtime_directory) == []


# -- detached -----------------------------------------------------------------------------------------------

STARTER = """
import trio
from actors.cluster import Plan, start_cluster
async def main():
    plan = Plan(names=("a", "b"), app="cluster_app:setup", permanent=True)
    print(*[node.name for node in await start_cluster(plan, "demo")])
trio.run(main)
"""


@pytest.fixture
def detached() -> Iterator[tuple[NodeSocket, ...]]:
    started = subprocess.run([sys.executable, "-c", STARTER], capture_output=True, text=True, timeout=30, check=False)
    assert (started.returncode, started.stdout, started.stderr) == (0, "a b\n", "")
    nodes = clusters()["demo"]
    yield nodes
    trio.run(partial(stop_nodes, nodes, grace=0.1))


async def test_a_detached_cluster_that_cannot_start_leaves_nothing(runtime_directory: Path) -> None:
    async with in_time():
        with pytest.raises(NodeConfigError, match="setup raised ValueError"):
            await start_cluster(Plan(names=("a", "b"), app="cluster_app:broken"), "demo")
    assert leftovers(runtime_directory) == []


async def test_a_detached_cluster_is_found_again_and_stopped(
    detached: tuple[NodeSocket, ...], runtime_directory: Path
) -> None:
    async with in_time():
        assert [(node.cluster, node.name) for node in detached] == [("demo", "a"), ("demo", "b")]
        assert (runtime_directory / "demo" / "demo.log").stat().st_mode & 0o777 == 0o600
        assert await stop_nodes(detached) == ()
    assert clusters() == {}
    assert leftovers(runtime_directory) == []


async def test_a_frozen_node_of_a_detached_cluster_is_killed(detached: tuple[NodeSocket, ...]) -> None:
    frozen = serving_process(detached[1].path)
    assert frozen
    os.kill(frozen, signal.SIGSTOP)
    async with in_time():
        # The other one may have to be killed as well: it says goodbye to a peer that does not answer.
        assert "b" in await stop_nodes(detached, grace=0.5)
    assert not is_alive(detached[1].path)


# -- scripts/cluster.py -------------------------------------------------------------------------------------


def test_the_script_shows_a_cluster() -> None:
    script = HERE.parent / "scripts" / "cluster.py"
    shown = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False, cwd=HERE.parent
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    lines = shown.stdout.splitlines()
    assert [line[:7] for line in lines[:3]] == ["node a ", "node b ", "node c "]
    assert lines[-1] == "b says: hello c, you are my number 2"
