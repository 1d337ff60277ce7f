"""Words that the command's line could go on with, and shells that ask for them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from commands import Capture
from console_fakes import FakeNode, engine_snapshot, fails, serving
from msgspec.structs import replace
from terminal import open_terminal

from actors.console.candidates import candidates
from actors.console.main import GROUPS, main
from actors.control.messages import ControlReply, Described, EnginesAre, FieldDescription, MessageDescription

PING = MessageDescription(
    type="echo.ping", fields=(FieldDescription(name="n", type="int", required=True),), reply="Pong"
)


@pytest.fixture(autouse=True)
def own_runtime_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("x")))


@pytest.fixture
def nodes() -> Iterator[dict[str, FakeNode]]:
    with serving("ab") as nodes:
        for node in nodes.values():
            engines = EnginesAre(engines=(replace(engine_snapshot("b"), name="router"), engine_snapshot("b")))
            node.answers["engines"] = partial(given, engines)
            node.answers["describe"] = lambda _: Described(engine="echo", messages=(PING,))
        yield nodes


def given(reply: ControlReply, _: dict[str, Any]) -> ControlReply:
    return reply


def found(*words: str) -> list[str]:
    return [one.word for one in candidates(words)]


def test_first_come_the_commands() -> None:
    assert found("") == [name for group in GROUPS.values() for name in group]
    assert found() == found("")
    assert found("ex") == ["explain"]
    assert found("fault", "k") == ["kill"]
    assert found("nonsense", "") == []
    assert found("fault", "nonsense", "") == []


def test_then_options_that_were_not_given_yet() -> None:
    assert "--json" in found("ui", "--")
    assert "--json" not in found("ui", "--json", "--")
    assert found("events", "--node", "a", "--n") == ["--node"], "it may be given again"
    assert found("run", "--lifeline") == [], "some are for machines"


def test_an_options_value_is_one_of_its_choices_however_it_is_written() -> None:
    assert found("ui", "--page", "e") == ["engines", "events"]
    assert found("ui", "--page", "=", "e") == ["engines", "events"]
    assert found("ui", "--page", "=") == ["cluster", "links", "engines", "events", "letters"]
    assert found("ui", "--page=e") == ["--page=engines", "--page=events"]
    assert found("ui", "--page", "links", "--o") == ["--once"]
    assert found("up", "3", "--transport", "t") == ["tcp", "tls"]


def test_files_are_the_shells_business() -> None:
    assert found("ui", "--svg", "") == [":files"]
    assert found("keygen", "some") == [":files"]


def test_names_that_do_not_need_a_cluster() -> None:
    assert found("explain", "node_d") == ["node_down"]
    assert found("events", "--kind", "engine-c") == ["engine-crashed"]
    assert "moves" in found("sim", "run", "m")
    assert found("sim", "run", "moves", "--from", "") == [], "a number"


@pytest.mark.usefixtures("nodes")
def test_nodes_engines_and_messages_are_those_that_run() -> None:
    assert found("proxy", "") == ["a", "b"]
    assert found("events", "--node", "") == ["a", "b"]
    assert found("fault", "partition", "a,") == ["a,b"]
    assert found("ask", "") == ["a/", "b/"]
    assert found("ask", "b/") == ["b/echo"], "the network's own take nothing from outside"
    assert candidates(["ask", "b/echo", ""]) == [("echo.ping", "n: int")]
    assert found("ask", "b/echo", "echo.ping", "") == []
    assert found("ls", "--cluster", "") == ["local"]
    assert found("advert", "--cluster", "local", "") == ["a", "b"]


def test_a_node_that_does_not_know_better_costs_nothing_but_the_candidates(nodes: dict[str, FakeNode]) -> None:
    nodes["b"].answers["engines"] = fails("bug", "no idea")
    assert found("ask", "b/") == []
    assert found("ask", "z/") == []


def test_without_a_cluster_the_shell_is_told_nothing_and_no_error(capfd: Capture) -> None:
    assert main(["_complete", "ask", ""]) == 0
    assert main(["_complete"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("up\t")
    assert err == ""


def test_what_a_node_says_cannot_steer_the_shell(nodes: dict[str, FakeNode], capfd: Capture) -> None:
    evil = replace(engine_snapshot("b"), name="x\ny\t\x1b]0;mine\x07")
    nodes["b"].answers["engines"] = lambda _: EnginesAre(engines=(evil,))
    assert main(["_complete", "ask", "b/"]) == 0
    (line,) = capfd.readouterr().out.splitlines()
    assert line.count("\t") == 1
    assert "\x1b" not in line


# -- in real shells ---------------------------------------------------------------------------------------

SHELLS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i"),
}
SETUP = {
    "bash": 'PS1="> "; eval "$(actors completion bash)"; echo done',
    "zsh": 'PS1="> "; autoload -Uz compinit; compinit -u -D; eval "$(actors completion zsh)"; echo done',
    "fish": "actors completion fish | source; echo done",
}


@pytest.mark.slow
@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command = tmp_path / "actors"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m actors "$@"\n')
    command.chmod(0o755)
    (tmp_path / "picture.svg").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with open_terminal(*SHELLS[shell], width=120) as terminal:
        terminal.type(SETUP[shell], "\r")
        terminal.wait_for(r"(?m)^done")
        terminal.type("actors expl\t")
        terminal.wait_for(r"(?m)actors explain$")
        terminal.type("node_d\t")
        terminal.wait_for(r"actors explain node_down")
        terminal.type("\x15", "actors ask b\t")
        terminal.wait_for(r"(?m)actors ask b/$")
        terminal.type("e\t")
        terminal.wait_for(r"(?m)actors ask b/echo$")
        terminal.type("e\t")
        terminal.wait_for(r"actors ask b/echo echo\.ping")
        terminal.type("\x15", "actors ui --svg pic\t")
        terminal.wait_for(r"actors ui --svg picture\.svg")
        terminal.type("\x15", "exit\r")
        assert terminal.wait_ended() == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_says_where_to_put_it(shell: str, capfd: Capture) -> None:
    assert main(["completion", shell]) == 0
    out, _ = capfd.readouterr()
    assert out.startswith("# In ~/.")
    assert f"actors completion {shell}" in out.splitlines()[0]


def test_another_shell_is_a_mistake_with_a_word(capfd: Capture) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "tcsh" in capfd.readouterr().err
