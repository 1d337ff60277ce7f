"""`actors fault`, against clusters of real processes: what it does to them, what it says, and that it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from commands import Capture, data_of, running_up

from actors.cluster.endings import wait_ended
from actors.console.main import main
from actors.control.client import open_control
from actors.control.messages import Troubles
from actors.control.sockets import socket_path
from actors.snapshots import ProxySnapshot

pytestmark = pytest.mark.slow

PATIENCE = 30


@pytest.fixture(scope="module")
def runtime_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(directory))
        yield directory / "actors"


@pytest.fixture(scope="module")
def cluster(runtime_directory: Path) -> Iterator[str]:
    """Three processes, left behind; the tests leave them healed and running."""
    command = [sys.executable, "-m", "actors", "up", "3", "--detach", "--cluster", "troubled"]
    subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    yield "troubled"
    assert main(["down", "--cluster", "troubled"]) == 0
    assert list(runtime_directory.iterdir()) == []


@pytest.fixture
def healed(cluster: str) -> Iterator[str]:
    yield cluster
    assert main(["fault", "heal", "--cluster", cluster]) == 0
    until(cluster, linked)


def nodes_of(cluster: str, capture: Capture) -> dict[str, dict[str, Any]]:
    capture.readouterr()
    assert main(["ls", "nodes", "--cluster", cluster, "--json"]) == 0
    return {node["name"]: node for node in data_of(capture)["nodes"]}


def troubles_of(cluster: str, node: str) -> Troubles:
    async def ask() -> Troubles:
        async with open_control(socket_path(cluster, node)) as control:
            return await control.faults()

    return trio.run(ask)


def restart(nodes: str, cluster: str) -> dict[str, Any]:
    """`actors fault restart`, in a process of its own, as the nodes are to outlive it."""
    command = [sys.executable, "-m", "actors", "fault", "restart", nodes, "--cluster", cluster, "--json"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    return {node["name"]: node for node in json.loads(done.stdout)["data"]["nodes"]}


def until(cluster: str, holds: Callable[[list[ProxySnapshot]], bool], nodes: str = "abc") -> None:
    """Returns once it holds for the proxies of these nodes."""

    async def look() -> list[ProxySnapshot]:
        found: list[ProxySnapshot] = []
        for node in nodes:
            async with open_control(socket_path(cluster, node)) as control:
                found += await control.proxies()
        return found

    async def wait() -> None:
        with trio.fail_after(PATIENCE):
            while not holds(await look()):  # noqa: ASYNC110 - other processes
                await trio.sleep(0.02)

    trio.run(wait)


def linked(proxies: list[ProxySnapshot]) -> bool:
    pairs = len({proxy.node for proxy in proxies})
    return sum(proxy.state == "ready" for proxy in proxies) == pairs * (pairs - 1)


def ended(pid: int) -> None:
    async def wait() -> None:
        with trio.fail_after(PATIENCE):
            await wait_ended(pid)

    trio.run(wait)


# -- connections ------------------------------------------------------------------------------------------


def test_a_link_that_is_cut_comes_back(healed: str, capsys: Capture) -> None:
    before: list[int] = []

    def connections(proxies: list[ProxySnapshot]) -> int:
        return next(proxy.connections for proxy in proxies if (proxy.node, proxy.peer) == ("a", "b"))

    def counted(proxies: list[ProxySnapshot]) -> bool:
        before.append(connections(proxies))
        return True

    until(healed, counted)
    assert main(["fault", "cut", "a", "b", "--cluster", healed, "--json"]) == 0
    assert data_of(capsys) == {"cluster": healed, "cut": ["a", "b"]}
    until(healed, lambda proxies: linked(proxies) and connections(proxies) > before[0])


def test_a_partition_lasts_until_it_is_healed_and_what_was_told_meanwhile_arrives(healed: str, capsys: Capture) -> None:
    assert main(["fault", "partition", "a,b", "c", "--cluster", healed, "--json"]) == 0
    assert data_of(capsys) == {"cluster": healed, "groups": [["a", "b"], ["c"]]}

    def parted(proxies: list[ProxySnapshot]) -> bool:
        ready = {proxy.node + proxy.peer for proxy in proxies if proxy.state == "ready"}
        return ready == {"ab", "ba"}

    until(healed, parted)
    ping = ["echo.ping", '{"n": 1}', "--cluster", healed, "--expiry", "0.7"]
    for source, target in ("ac", "ca", "cb"):
        assert main(["ask", f"{target}/echo", *ping, "--from", source]) == 4
    assert main(["ask", "b/echo", *ping, "--from", "a"]) == 0
    until(healed, parted)
    assert main(["tell", "c/counter", "counter.add", '{"amount": 7}', "--from", "a", "--cluster", healed]) == 0
    assert main(["fault", "heal", "--cluster", healed]) == 0
    until(healed, linked)
    capsys.readouterr()
    assert main(["ask", "c/counter", "counter.add", '{"amount": 1}', "--from", "a", "--cluster", healed]) == 0
    assert capsys.readouterr().out == "8\n"


def test_one_group_is_kept_apart_from_all_others_and_partitions_add_up(healed: str, capsys: Capture) -> None:
    assert main(["fault", "partition", "a", "b", "--cluster", healed]) == 0
    assert main(["fault", "partition", "c", "--cluster", healed]) == 0
    assert "apart: c | a,b   until: actors fault heal" in capsys.readouterr().err
    until(healed, lambda proxies: not any(proxy.state == "ready" for proxy in proxies))
    assert [len(troubles_of(healed, node).away) for node in "abc"] == [2, 2, 2]


def test_a_slow_node_takes_longer_and_a_healed_one_does_not(healed: str, capsys: Capture) -> None:
    def round_trip() -> float:
        capsys.readouterr()
        assert main(["ask", "b/echo", "echo.ping", '{"n": 1}', "--from", "a", "--cluster", healed, "--json"]) == 0
        seconds: float = data_of(capsys)["path"]["rtt_ms"] / 1000
        return seconds

    assert main(["fault", "slow", "b", "--latency", "0.4", "--rate", "64", "--cluster", healed]) == 0
    assert "slow: b: 0.4 s more for each round trip, 64 KiB/s each way" in capsys.readouterr().err
    assert troubles_of(healed, "b") == Troubles(latency=0.4, rate=65536)
    assert round_trip() >= 0.4
    assert main(["fault", "heal", "--cluster", healed, "--json"]) == 0
    assert data_of(capsys) == {"cluster": healed, "healed": ["a", "b", "c"]}
    assert troubles_of(healed, "b") == Troubles()
    assert main(["fault", "slow", "a,c", "--rate", "1.5", "--cluster", healed, "--json"]) == 0
    assert data_of(capsys) == {"cluster": healed, "nodes": ["a", "c"], "latency": None, "rate_kib": 1.5}


# -- processes --------------------------------------------------------------------------------------------


def test_a_killed_node_starts_again_with_its_key_and_its_links(healed: str, capsys: Capture) -> None:
    before = nodes_of(healed, capsys)
    assert main(["fault", "kill", "c", "--cluster", healed, "--json"]) == 0
    assert data_of(capsys)["killed"] == {"c": before["c"]["pid"]}
    assert nodes_of(healed, capsys).keys() == {"a", "b"}
    assert main(["fault", "kill", "c", "--cluster", healed]) == 2
    again = restart("c", healed)["c"]
    assert again["id"] == before["c"]["id"]
    assert again["pid"] != before["c"]["pid"]
    until(healed, linked)
    until(healed, lambda proxies: all(proxy.permanence == "permanent" for proxy in proxies))


def test_several_nodes_are_killed_and_started_at_once_and_one_that_runs_is_killed_first(
    healed: str, capsys: Capture
) -> None:
    before = nodes_of(healed, capsys)
    assert main(["fault", "kill", "a,b", "--cluster", healed]) == 0
    assert "killed a,b; to start it again: actors fault restart a,b" in capsys.readouterr().err
    after = restart("a,b,c", healed)
    assert all(after[name]["id"] == before[name]["id"] for name in "abc")
    assert not {node["pid"] for node in after.values()} & {node["pid"] for node in before.values()}


def test_who_was_kept_apart_still_is_after_a_restart(healed: str, capsys: Capture) -> None:
    assert main(["fault", "partition", "c", "a", "--cluster", healed]) == 0
    restart("c", healed)
    nodes = nodes_of(healed, capsys)
    away = {node: troubles_of(healed, node).away for node in "abc"}
    assert [(one.peer, list(one.addresses)) for one in away["a"]] == [(nodes["c"]["id"], nodes["c"]["addresses"])]
    assert [(one.peer, list(one.addresses)) for one in away["c"]] == [(nodes["a"]["id"], nodes["a"]["addresses"])]
    assert away["b"] == ()
    ready = {"ab", "ba", "bc", "cb"}
    until(healed, lambda proxies: {proxy.node + proxy.peer for proxy in proxies if proxy.state == "ready"} == ready)
    ask = ["ask", "a/echo", "echo.ping", '{"n": 1}', "--from", "c", "--cluster", healed, "--expiry", "0.5"]
    assert main(ask) == 4


def test_a_frozen_node_answers_nobody_until_it_is_healed(
    healed: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.control.gathering.PATIENCE", 0.5)
    assert main(["fault", "freeze", "b", "--cluster", healed, "--json"]) == 0
    frozen = data_of(capsys)["frozen"]
    assert main(["ask", "b/echo", "echo.ping", '{"n": 1}', "--from", "a", "--cluster", healed]) == 3
    assert "node b does not say what 'echo' understands" in capsys.readouterr().err
    assert main(["fault", "partition", "a,b", "c", "--cluster", healed, "--json"]) == 6
    assert data_of(capsys)["silent"] == {"b": "no answer within 0.5 s"}
    monkeypatch.undo()
    assert main(["fault", "heal", "--cluster", healed]) == 0
    assert nodes_of(healed, capsys)["b"]["pid"] == frozen["b"]


def test_a_node_that_is_frozen_for_a_while_goes_on_by_itself(healed: str, capsys: Capture) -> None:
    assert main(["fault", "freeze", "a,b", "--for", "0.3", "--cluster", healed]) == 0
    assert "frozen for 0.3 s: a,b\ngoes on: a,b\n" in capsys.readouterr().err
    assert nodes_of(healed, capsys).keys() == {"a", "b", "c"}


def test_a_node_does_not_stay_frozen_when_the_command_is_interrupted(healed: str, capsys: Capture) -> None:
    command = [sys.executable, "-m", "actors", "fault", "freeze", "b", "--for", "1000", "--cluster", healed]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as freezing:
        assert freezing.stderr is not None
        assert freezing.stderr.readline() == b"frozen for 1000 s: b\n"
        freezing.send_signal(signal.SIGINT)
        assert freezing.wait(PATIENCE) == 130
    assert nodes_of(healed, capsys).keys() == {"a", "b", "c"}


# -- wrong words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cut", "a", "z"], "there is a, b, c"),
        (["cut", "a", "a"], "a cannot be on both sides"),
        (["cut", "a"], "actors fault --help"),
        (["partition", "a,b,c"], "nobody is left for the other side"),
        (["partition", "a,b", "b,c"], "b cannot be on both sides"),
        (["partition", "a,,b"], "such as a,b"),
        (["partition", "a,a", "b"], "each once"),
        (["slow", "a"], "--latency SECONDS, --rate KIB"),
        (["slow", "a", "--latency", "0"], "above 0"),
        (["slow", "a", "--rate", "nan"], "above 0"),
        (["freeze", "a", "--for", "-1"], "above 0"),
        (["kill", "z"], "there is no node 'z'"),
        (["restart", "z"], "there is no node 'z'"),
        (["melt", "a"], "actors fault --help"),
    ],
)
def test_wrong_arguments_are_told_in_words(cluster: str, capsys: Capture, arguments: list[str], words: str) -> None:
    assert main(["fault", *arguments, "--cluster", cluster]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("arguments", [["cut", "a", "b"], ["heal"], ["kill", "a"], ["restart", "a"]])
def test_without_a_cluster_there_is_nothing_to_harm(cluster: str, capsys: Capture, arguments: list[str]) -> None:
    assert main(["fault", *arguments, "--cluster", "nowhere"]) == 3
    assert "no cluster 'nowhere' runs here" in capsys.readouterr().err


def test_what_is_cut_already_cannot_be_cut(healed: str, capsys: Capture) -> None:
    assert main(["fault", "partition", "a", "b", "--cluster", healed]) == 0
    assert main(["fault", "cut", "a", "b", "--cluster", healed, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "not_connected"


# -- other clusters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_node_that_was_started_again_ends_with_the_one_that_started_the_cluster(
    signum: signal.Signals, runtime_directory: Path, capsys: Capture
) -> None:
    with running_up("2", "--cluster", "held") as up:
        restart("b", "held")
        pids = [node["pid"] for node in nodes_of("held", capsys).values()]
        until("held", linked, "ab")
        up.send_signal(signum)
        assert up.wait(PATIENCE) == (143 if signum == signal.SIGTERM else -signum)
        for pid in pids:
            ended(pid)
    assert not (runtime_directory / "held").exists()


def test_a_frozen_node_that_was_started_again_does_not_outlive_its_cluster(
    runtime_directory: Path, capsys: Capture
) -> None:
    with running_up("2", "--cluster", "held") as up:
        restart("b", "held")
        pids = [node["pid"] for node in nodes_of("held", capsys).values()]
        assert main(["fault", "freeze", "b", "--cluster", "held"]) == 0
        up.send_signal(signal.SIGINT)
        assert up.wait(PATIENCE) == 130
        for pid in pids:
            ended(pid)
    assert not (runtime_directory / "held").exists()


def test_a_cluster_goes_on_while_a_node_runs_that_was_started_again(capsys: Capture) -> None:
    with running_up("2", "--cluster", "held") as up:
        restart("b", "held")
        assert main(["fault", "kill", "a", "--cluster", "held"]) == 0
        assert nodes_of("held", capsys).keys() == {"b"}
        assert main(["down", "--cluster", "held"]) == 0
        assert up.wait(PATIENCE) == 0


def test_nodes_in_one_process_are_kept_apart_but_not_killed(capsys: Capture) -> None:
    with running_up("2", "--transport", "memory", "--cluster", "held"):
        assert main(["fault", "partition", "a", "--cluster", "held"]) == 0
        until("held", lambda proxies: not any(proxy.state == "ready" for proxy in proxies), "ab")
        assert main(["fault", "heal", "--cluster", "held"]) == 0
        until("held", linked, "ab")
        capsys.readouterr()
        for fault in (["kill", "a"], ["freeze", "a"]):
            assert main(["fault", *fault, "--cluster", "held"]) == 5
            assert "node a has no process of its own" in capsys.readouterr().err
        assert main(["down", "--cluster", "held"]) == 0


def test_a_node_that_is_none_of_a_local_cluster_takes_no_faults(capsys: Capture) -> None:
    command = [sys.executable, "-m", "actors", "run", "--name", "solo", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        try:
            assert running.stdout is not None
            running.stdout.readline()
            for fault in (["slow", "solo", "--latency", "1"], ["heal"], ["kill", "solo"], ["freeze", "solo"]):
                assert main(["fault", *fault, "--cluster", "run", "--json"]) == 5
                assert json.loads(capsys.readouterr().out)["error"]["code"] == "no_faults"
            os.kill(running.pid, signal.SIGTERM)
            assert running.wait(PATIENCE) == 0
        finally:
            running.kill()
