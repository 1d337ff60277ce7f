"""The dashboard in a real terminal: with nodes that are real, and with nodes that are only control sockets."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import trio
from console_fakes import FakeNode, fails, serving
from terminal import ACTORS, ENTER, LEAVE, Terminal, open_terminal

from actors.cluster.links import Topology
from actors.cluster.processes import introduce, link
from actors.console.main import main
from actors.control.client import open_control
from actors.control.sockets import cluster_directory

pytestmark = pytest.mark.slow
UI = (*ACTORS, "ui")
ESC, CTRL_C, CTRL_Z = "\x1b", "\x03", "\x1a"


@pytest.fixture(autouse=True)
def own_runtime_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("x")))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))


# -- real nodes -------------------------------------------------------------------------------------------


class Nodes:
    """Node processes with keys, so that one that was killed can come again as itself."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._addresses: dict[str, str] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        key = self._folder / f"{name}.key"
        if not key.exists():
            assert main(["keygen", str(key)]) == 0
        control, listen = cluster_directory("local") / f"{name}.sock", self._addresses.get(name, "tcp://127.0.0.1:0")
        command = [*ACTORS, "run", "--name", name, "--key", str(key), "--control", str(control), "--listen", listen]
        command += ["--app", "actors.console.engines:setup", "--json"]
        process = self._stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
        self._stack.callback(process.kill)
        assert process.stdout is not None
        ready = msgspec.json.decode(process.stdout.readline())
        self._addresses[name] = ready["data"]["node"]["addresses"][0]
        self.processes[name] = process

    async def link(self, topology: Topology = "mesh") -> None:
        async with trio.open_nursery() as nursery:
            async with (
                open_control(cluster_directory("local") / "a.sock") as a,
                open_control(cluster_directory("local") / "b.sock") as b,
                open_control(cluster_directory("local") / "c.sock") as c,
            ):
                await introduce([a, b, c])
                await link([a, b, c], topology)
            nursery.cancel_scope.cancel()


@pytest.fixture
def three_nodes(tmp_path: Path) -> Iterator[Nodes]:
    with ExitStack() as stack:
        nodes = Nodes(stack, tmp_path)
        for name in "abc":
            nodes.start(name)
        trio.run(nodes.link)
        yield nodes


@pytest.fixture
def local_cluster() -> Iterator[None]:
    # In a process of its own, as the nodes are to outlive it.
    subprocess.run([*ACTORS, "up", "3", "--detach"], check=True, capture_output=True, timeout=60)
    yield
    assert main(["down"]) == 0


@pytest.mark.usefixtures("local_cluster")
def test_a_killed_node_is_read_of_in_the_problems_and_started_again_by_the_number_of_the_suggestion() -> None:
    with open_terminal(*UI) as terminal:
        terminal.wait_for("PROBLEMS none")
        terminal.type("j", "j", "x")
        terminal.wait_for("1 kill c")
        terminal.type("1")
        terminal.wait_for("run +actors fault kill c +y yes  n no")
        terminal.type("y")
        terminal.wait_for(r"✖ node_down +c +its process is gone")

        terminal.type("\t", "\r")
        terminal.wait_for(r"1  start c again +actors fault restart c")
        terminal.type("1", "y")
        terminal.wait_for(r"done: actors fault restart c")
        terminal.wait_for(r"a → c +● ready")

        terminal.type("/", *"a c ready", "\r", "\r")
        terminal.wait_for(r"LINK a → c")
        terminal.wait_for(r"lost 0")
        terminal.type("q")
        assert terminal.wait_ended() == 0
        assert terminal.restored


def test_a_killed_node_that_comes_back_is_dialed_at_once_by_the_suggested_command(three_nodes: Nodes) -> None:
    with open_terminal(*UI) as terminal:
        terminal.wait_for(r"PROBLEMS none")
        terminal.wait_for(r"a +● running +2/2")
        assert main(["send", "c/sink", "sink.drop", '{"data": "hello"}', "--from", "a"]) == 0

        three_nodes.processes["c"].kill()
        terminal.wait_for(r"✖ node_down +c +its process is gone")
        terminal.type("\t", "\r")
        terminal.wait_for(r"NODE c")
        terminal.wait_for(r"2  let a dial c now +actors proxy a \w{8} --dial-now")
        terminal.wait_for(r"a → c +✖ backoff[^\n]+again in ([89]|\d\d) s")

        three_nodes.start("c")
        terminal.type("2")
        terminal.wait_for(r"run +actors proxy a \w{8} --dial-now +y yes  n no")
        terminal.type("y")
        terminal.wait_for(r"done: actors proxy a \w{8} --dial-now")
        terminal.wait_for(r"a → c +● ready")

        terminal.type("/", *"a c ready", "\r", "\r")
        terminal.wait_for(r"LINK a → c")
        terminal.wait_for(r"lost 0")
        terminal.type("4", "/", *"dial now", "\r")
        terminal.wait_for(r"a proxy-changed c backoff → dialing: dial now")
        terminal.type("q")
        assert terminal.wait_ended() == 0
        assert terminal.restored


# -- nodes that are only control sockets --------------------------------------------------------------------


@pytest.fixture
def nodes() -> Iterator[dict[str, FakeNode]]:
    with serving("ab") as nodes:
        yield nodes


@pytest.fixture
def terminal(nodes: dict[str, FakeNode]) -> Iterator[Terminal]:
    with open_terminal(*UI) as terminal:
        terminal.wait_for("PROBLEMS none")
        yield terminal


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        ("q", 0, ""),
        (CTRL_C, 130, "actors: ended by SIGINT"),
        (signal.SIGTERM, 143, "actors: ended by SIGTERM"),
    ],
)
def test_the_terminal_is_as_it_was_however_the_dashboard_ends(
    terminal: Terminal, end: str | signal.Signals, code: int, words: str
) -> None:
    assert not terminal.restored
    if isinstance(end, str):
        terminal.type(end)
    else:
        terminal.process.send_signal(end)
    assert terminal.wait_ended() == code
    assert terminal.restored
    after = terminal.raw.rpartition(LEAVE)[2].decode()
    assert after.strip() == words


def test_a_crash_restores_the_terminal_too() -> None:
    code = "from actors.console.ui.terminal import open_terminal\nwith open_terminal(): raise RuntimeError('oh')"
    with open_terminal(sys.executable, "-c", code) as terminal:
        assert terminal.wait_ended() == 1
        assert terminal.raw.count(ENTER) == 1
        assert terminal.restored


def test_suspended_it_gives_the_terminal_back_and_takes_it_again(terminal: Terminal) -> None:
    terminal.type(CTRL_Z)
    terminal.wait_stopped()
    terminal.wait_raw(LEAVE)
    assert terminal.restored
    terminal.screen.reset()
    terminal.process.send_signal(signal.SIGCONT)
    terminal.wait_raw(ENTER, 2)
    terminal.wait_for("PROBLEMS none")
    terminal.type("q")
    assert terminal.wait_ended() == 0
    assert terminal.restored


def test_it_follows_the_size_of_its_window_down_to_one_in_which_nothing_fits(terminal: Terminal) -> None:
    terminal.resize(120, 40)
    terminal.wait_for(r"LEDGER [^\n]*in flight \d+  ✔")
    terminal.resize(20, 5)
    terminal.wait_for("20x5 is too small")
    terminal.resize(80, 24)
    terminal.wait_for("PROBLEMS none")
    terminal.type("q")
    assert terminal.wait_ended() == 0


def test_a_terminal_that_is_closed_ends_it_with_a_line_and_no_traceback(
    nodes: dict[str, FakeNode], tmp_path: Path
) -> None:
    with open_terminal(*UI, words=tmp_path / "words") as terminal:
        terminal.wait_for("PROBLEMS none")
        terminal.hang_up()
        assert terminal.wait_ended() == 1
    words = (tmp_path / "words").read_text()
    assert "the terminal was closed" in words
    assert "terminal_lost" in words
    assert "Traceback" not in words


def test_readonly_it_has_no_key_that_changes_anything(nodes: dict[str, FakeNode]) -> None:
    with open_terminal(*UI, "--readonly") as terminal:
        terminal.wait_for("PROBLEMS none")
        terminal.type("2", "r", "\r")
        terminal.wait_for("LINK a → b")
        assert "WHAT TO DO" not in terminal.text
        terminal.type("?")
        terminal.wait_for("this sheet")
        assert "dial the chosen link" not in terminal.text
        terminal.type("x", "q")
        assert terminal.wait_ended() == 0
    assert all(request["do"] != "proxy" for node in nodes.values() for request in node.requests)


def test_held_still_the_picture_does_not_change_until_it_is_let_go(
    terminal: Terminal, nodes: dict[str, FakeNode]
) -> None:
    terminal.type("p")
    terminal.wait_for("PAUSED")
    asked = len(nodes["b"].requests)
    nodes["b"].answers["node"] = fails("bug", "no idea")
    terminal.wait_until(lambda: re.match("", "") if len(nodes["b"].requests) > asked + 3 else None, "questions")
    assert "PROBLEMS none" in terminal.text
    terminal.type("p")
    terminal.wait_for("node_down +b +no idea")


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "linux"}])
def test_it_is_readable_without_colour_and_with_sixteen(nodes: dict[str, FakeNode], variables: dict[str, str]) -> None:
    command = ["env", *(f"{name}={value}" for name, value in variables.items()), *UI]
    with open_terminal(*command) as terminal:
        terminal.wait_for("PROBLEMS none")
        coloured = re.findall(rb"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])[;m]", terminal.raw)
        assert bool(coloured) == ("NO_COLOR" not in variables)
        assert b"38;" not in terminal.raw
        terminal.type("q")
        assert terminal.wait_ended() == 0


def test_up_shows_the_dashboard_and_ends_with_it() -> None:
    with open_terminal(*ACTORS, "up", "2", "--ui") as terminal:
        terminal.wait_for("b +● running +1/1")
        terminal.type("q")
        assert terminal.wait_ended() == 0
        assert terminal.restored
    assert not list(cluster_directory("local").glob("*.sock"))
