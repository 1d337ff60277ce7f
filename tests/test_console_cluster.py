"""`actors up`, `down` and what one does in between, with real nodes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Capture, data_of, running_up

from actors.console.main import main

PATIENCE = 60


@pytest.fixture(autouse=True)
def own_runtime_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path_factory.mktemp("x")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    return directory


@pytest.mark.parametrize(
    ("topology", "pairs"), [("mesh", {"ab", "ac", "bc"}), ("ring", {"ab", "ac", "bc"}), ("star", {"ab", "ac"})]
)
def test_up_in_memory_shows_its_nodes_and_ends_after_its_time(capsys: Capture, topology: str, pairs: set[str]) -> None:
    assert main(["up", "--transport", "memory", "--topology", topology, "--for", "0.01", "--json"]) == 0
    data = data_of(capsys)
    assert [node["name"] for node in data["nodes"]] == ["a", "b", "c"]
    assert {"".join(sorted(proxy["node"] + proxy["peer"])) for proxy in data["proxies"]} == pairs
    assert all(proxy["state"] == "ready" and proxy["permanence"] == "permanent" for proxy in data["proxies"])
    assert data["ready_seconds"] >= 0


def test_up_without_json_prints_a_table_and_what_to_try(capsys: Capture) -> None:
    assert main(["up", "2", "--transport", "memory", "--for", "0.01"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["NAME", "a", "b"]
    assert "actors ask b/echo echo.ping '{\"n\": 1}' --from a" in printed.err


def test_a_cluster_of_that_name_that_runs_already_is_not_touched(capsys: Capture) -> None:
    with running_up("1", "--transport", "memory") as up:
        assert main(["up", "1", "--transport", "memory"]) == 78
        assert "actors down --cluster local" in capsys.readouterr().err
        up.send_signal(signal.SIGTERM)
        assert up.wait(PATIENCE) == 143


def test_nodes_in_memory_cannot_be_left_behind(capsys: Capture) -> None:
    assert main(["up", "--transport", "memory", "--detach"]) == 2
    assert "--detach" in capsys.readouterr().err


@pytest.mark.slow
def test_up_ends_when_its_nodes_are_taken_down_from_elsewhere() -> None:
    with running_up("1") as up:
        assert main(["down"]) == 0
        _, words = up.communicate(timeout=PATIENCE)
        assert up.returncode == 0
    assert words == b"node a has ended (exit code 0)\n"


@pytest.mark.slow
@pytest.mark.parametrize("detach", [True, False])
def test_nodes_are_linked_by_the_transport_that_was_asked_for(capsys: Capture, detach: bool) -> None:
    # In a process of its own, as the nodes may outlive it.
    up = [sys.executable, "-m", "actors", "up", "2", "--transport", "tls", "--json"]
    done = subprocess.run(
        [*up, *(["--detach"] if detach else ["--for", "0.01"])], capture_output=True, timeout=PATIENCE, check=True
    )
    try:
        data = json.loads(done.stdout)["data"]
        assert [proxy["transport"] for proxy in data["proxies"]] == ["tls", "tls"]
    finally:
        assert main(["down"]) == (0 if detach else 3)


@pytest.mark.slow
def test_a_detached_cluster_answers_until_it_is_taken_down(capsys: Capture, own_runtime_directory: Path) -> None:
    # In a process of its own, as the nodes are to outlive it.
    up = [sys.executable, "-m", "actors", "up", "2", "--detach", "--json"]
    done = subprocess.run(up, capture_output=True, timeout=PATIENCE, check=True)
    try:
        assert json.loads(done.stdout)["data"]["detached"] is True
        assert main(["ls", "proxies", "--json"]) == 0
        proxies = data_of(capsys)["proxies"]
        assert [(proxy["node"], proxy["peer"], proxy["state"]) for proxy in proxies] == [
            ("a", "b", "ready"),
            ("b", "a", "ready"),
        ]

        assert main(["ask", "b/echo", "echo.ping", '{"n": 1}', "--from", "a", "--json"]) == 0
        data = data_of(capsys)
        assert data["reply"] == {"n": 1}
        assert (data["path"]["from"], data["path"]["to"], data["path"]["transport"]) == ("a", "b", "tcp")

        assert main(["ask", "a/counter", "counter.relay", '{"to": "b/counter", "amount": 3}', "--json"]) == 0
        assert data_of(capsys)["reply"] == 3
        assert main(["send", "b/sink", "sink.drop", '{"data": "hello"}']) == 0
        assert main(["ask", "b/sink", "sink.count", "--from", "b"]) == 0
        assert json.loads(capsys.readouterr().out) == {"messages": 1, "characters": 5}

        assert main(["ask", "b/counter", "counter.add", '{"amount": 1000}', "--json"]) == 5
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "refused"
        assert main(["ask", "b/echo", "echo.ping", '{"m": 1}']) == 2
        assert main(["ask", "b/echo", "echo.pin"]) == 2
        assert main(["ask", "b/ecko", "echo.ping"]) == 2
        assert "did you mean echo?" in capsys.readouterr().err

        assert main(["proxy", "a", "b", "--ephemeral", "--json"]) == 0
        capsys.readouterr()
    finally:
        assert main(["down", "--json"]) == 0
    assert data_of(capsys)["stopped"] == ["a", "b"]
    assert main(["ls"]) == 3
    assert list((own_runtime_directory / "actors").iterdir()) == []
