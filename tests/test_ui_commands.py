"""`actors ui --once`, `--svg` and `actors events`, against nodes that are only control sockets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from commands import Capture, data_of
from console_fakes import FakeNode, fails, proxy_snapshot, serving

from actors.console.main import main
from actors.control.messages import ProxiesAre
from actors.control.sockets import cluster_directory

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def own_runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture
def nodes() -> Iterator[dict[str, FakeNode]]:
    with serving("ab") as nodes:
        yield nodes


# -- one frame --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nodes")
def test_once_prints_a_frame_without_a_terminal(capsys: Capture) -> None:
    assert main(["ui", "--once"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert re.search(r"a +● running +2/2", printed)
    assert "LEDGER accepted 6 = delivered 4" in printed


@pytest.mark.usefixtures("nodes")
def test_a_node_that_was_started_here_and_runs_no_more_is_told_of(capsys: Capture) -> None:
    (cluster_directory("local") / "c.start").write_text("{}")
    assert main(["ui", "--once"]) == 6
    printed = capsys.readouterr().out
    assert re.search(r"c +✖ down", printed)
    assert re.search(r"✖ node_down +c +it has stopped", printed)


@pytest.mark.usefixtures("nodes")
def test_a_frame_has_no_cursor_for_nobody_moves_one(capsys: Capture) -> None:
    assert main(["ui", "--once"]) == 0
    assert "▸" not in capsys.readouterr().out


@pytest.mark.usefixtures("nodes")
def test_it_can_look_on_for_a_while_before(capsys: Capture) -> None:
    assert main(["ui", "--once", "--for", "0.2"]) == 0
    assert main(["ui", "--for", "3"]) == 2
    assert main(["ui", "--once", "--for", "-1"]) == 2
    assert "--for" in capsys.readouterr().err


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    ("page", "words"),
    [("links", "a → b"), ("engines", "echo"), ("events", "nothing has happened"), ("letters", "DEAD LETTERS")],
)
def test_once_prints_any_page(capsys: Capture, page: str, words: str) -> None:
    assert main(["ui", "--once", "--page", page]) == 0
    assert words in capsys.readouterr().out


def test_once_as_data_has_nodes_links_problems_and_the_ledger(nodes: dict[str, FakeNode], capsys: Capture) -> None:
    broken = proxy_snapshot("a", "b", state="backoff", failures=2, why="tcp://x: refused", retry_in=3.0)
    nodes["a"].answers["proxies"] = lambda _: ProxiesAre(proxies=(broken,))
    assert main(["ui", "--once", "--json"]) == 0
    data = data_of(capsys)
    assert [node["name"] for node in data["nodes"]] == ["a", "b"]
    assert [link["state"] for link in data["links"]] == ["backoff", "ready"]
    (problem,) = data["problems"]
    assert (problem["code"], problem["where"]) == ("unreachable", "a → b")
    assert data["ledger"]["accepted"] == 6
    assert data["balanced"] is True


def test_once_is_partial_when_a_node_does_not_answer(nodes: dict[str, FakeNode], capsys: Capture) -> None:
    nodes["b"].answers["node"] = fails("bug", "no idea")
    assert main(["ui", "--once"]) == 6
    assert re.search(r"node_down +b +no idea", capsys.readouterr().out)
    nodes["a"].answers["node"] = fails("bug", "no idea")
    assert main(["ui", "--once"]) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket away")
def test_a_socket_of_another_user_is_named_and_not_used(nodes: dict[str, FakeNode], capsys: Capture) -> None:
    path = cluster_directory("local") / "b.sock"
    asked = len(nodes["b"].requests)
    os.chown(path, 54321, 54321)
    assert main(["ui", "--once"]) == 6
    printed = capsys.readouterr().out
    assert "⊘ not ours" in printed
    assert re.search(r"configuration +b +its socket belongs to another user", printed)
    assert len(nodes["b"].requests) == asked


@pytest.mark.usefixtures("nodes")
def test_a_picture_is_written_that_needs_nothing_from_elsewhere(tmp_path: Path, capsys: Capture) -> None:
    assert main(["ui", "--svg", str(tmp_path / "ui.svg")]) == 0
    picture = (tmp_path / "ui.svg").read_text()
    assert picture.startswith("<svg")
    assert "PROBLEMS" in picture
    assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
    behind = re.findall(r'<rect fill="(#\w+)"', picture)[0]
    letters = re.findall(r"-r\d+ \{ fill: (#\w+)", picture)
    assert letters.count(behind) <= 1, "only what is reversed is as dark as what is behind it"
    assert "url(" not in re.sub(r"url\(#", "", picture)
    assert main(["ui", "--svg", str(tmp_path / "not" / "there.svg")]) == 78
    assert "cannot be written" in capsys.readouterr().err


def test_without_a_cluster_or_a_terminal_it_says_what_to_do(capsys: Capture) -> None:
    assert main(["ui", "--once"]) == 3
    assert "actors up --detach" in capsys.readouterr().err
    assert main(["ui"]) == 2
    assert "actors ui --once" in capsys.readouterr().err
    assert main(["up", "--ui"]) == 2
    assert "terminal" in capsys.readouterr().err
    assert main(["up", "--ui", "--detach"]) == 2
    assert main(["ui", "--json"]) == 2


@pytest.mark.usefixtures("nodes")
def test_the_script_is_the_command() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "dashboard.py"), "--once"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "LEDGER" in done.stdout


# -- events -----------------------------------------------------------------------------------------------


def test_events_are_filtered_and_called_by_names(capsys: Capture) -> None:
    with two_nodes_that_talk():
        assert main(["events", "--for", "3", "--kind", "proxy-changed", "--node", "a", "--grep", "CLOSED"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines
        assert all(re.match(r"a  \d+\.\d+  proxy-changed  peer=b .*closed", line) for line in lines)


def test_events_are_json_lines() -> None:
    with two_nodes_that_talk():
        follow = [sys.executable, "-m", "actors", "events", "-f", "--json"]
        with subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            event = json.loads(process.stdout.readline())
            assert {"node", "event", "at"} <= event.keys()
            process.terminate()
            assert process.wait(60) == 143


def two_nodes_that_talk() -> ExitStack:
    """A cluster of two whose link is closed, and opened again, all the time."""
    code = """
import trio
from actors.console.launch import APP
from actors.cluster import open_cluster
async def main():
    async with open_cluster(2, processes=True, app=APP, permanent=True, cluster="local") as (a, b):
        print("up", flush=True)
        while True:
            await a.control.proxy("b", "close")
            await trio.sleep(0.3)
trio.run(main)
"""
    stack = ExitStack()
    process = stack.enter_context(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE))
    stack.callback(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return stack


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "for how long"),
        (("-f", "--kind", "connect"), "no event 'connect'"),
        (("-f", "--node", "x"), "no node 'x'"),
        (("--for", "-1"), "above 0"),
    ],
)
@pytest.mark.usefixtures("nodes")
def test_events_that_cannot_be_are_refused(capsys: Capture, arguments: tuple[str, ...], words: str) -> None:
    assert main(["events", *arguments]) == 2
    assert words in capsys.readouterr().err
