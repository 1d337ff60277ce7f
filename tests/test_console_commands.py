"""The commands through the real entry point, against nodes that are only control sockets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Capture, envelope
from console_fakes import FakeNode, fails, proxy_snapshot, serving

from actors.console.main import main
from actors.control.messages import ProxiesAre


@pytest.fixture(autouse=True)
def own_runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture
def nodes() -> Iterator[dict[str, FakeNode]]:
    with serving("ab") as nodes:
        yield nodes


# -- ls ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nodes")
def test_ls_nodes_prints_a_line_for_each_node(capsys: Capture) -> None:
    assert main(["ls", "nodes"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["NAME", "ID", "STATE", "ADDRESSES"]
    assert [row.split()[0] for row in rows] == ["a", "b"]


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("nodes", {"name", "id", "state", "addresses", "pid", "statistics"}),
        ("proxies", {"node", "peer", "permanence", "state", "transport", "rtt_ms", "ledger"}),
        ("engines", {"node", "name", "type", "state"}),
    ],
)
def test_ls_json_is_one_envelope_with_a_list(capsys: Capture, kind: str, fields: set[str]) -> None:
    assert main(["ls", kind, "--json"]) == 0
    found = envelope(capsys)
    assert found["ok"] is True
    assert len(found["data"][kind]) == 2
    assert all(fields <= item.keys() for item in found["data"][kind])


def test_ls_shows_the_others_when_one_node_fails(nodes: dict[str, FakeNode], capsys: Capture) -> None:
    nodes["a"].answers["node"] = fails("bug", "no idea")
    assert main(["ls", "nodes", "--json"]) == 6
    data = envelope(capsys)["data"]
    assert [node["name"] for node in data["nodes"]] == ["b"]
    assert data["silent"] == {"a": "no idea"}


def test_ls_without_a_cluster_is_unreachable_and_says_how_to_start_one(capsys: Capture) -> None:
    assert main(["ls"]) == 3
    words = capsys.readouterr()
    assert words.out == ""
    assert "no_cluster" in words.err
    assert "actors up --detach" in words.err


def test_several_clusters_need_a_name(capsys: Capture) -> None:
    with FakeNode("a").served("one"), FakeNode("x").served("two"):
        assert main(["ls"]) == 2
        assert "--cluster one" in capsys.readouterr().err
        assert main(["ls", "--cluster", "two"]) == 0
        assert capsys.readouterr().out.splitlines()[1].startswith("x ")


@pytest.mark.usefixtures("nodes")
def test_the_local_cluster_comes_first() -> None:
    with FakeNode("x").served("another"):
        assert main(["ls"]) == 0


# -- tell, send, ask --------------------------------------------------------------------------------------


def test_ask_prints_the_answer_to_stdout_and_the_path_to_stderr(nodes: dict[str, FakeNode], capsys: Capture) -> None:
    assert main(["ask", "b/echo", "echo.ping", '{"n": 1}', "--from", "a"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"n": 1}
    assert printed.err == "a -> b  tcp  0.4 ms\n"
    assert nodes["a"].requests[-1]["to"] == "b/echo"
    assert nodes["a"].requests[-1]["expiry"] == 30.0


def test_ask_json_has_the_answer_and_the_path(nodes: dict[str, FakeNode], capsys: Capture) -> None:
    assert main(["ask", "b/echo", "echo.ping", '{"n": 1}', "--from", "b", "--expiry", "2.5", "--json"]) == 0
    path = {"from": "a", "to": "b", "transport": "tcp", "rtt_ms": 0.4}
    assert envelope(capsys)["data"] == {"reply": {"n": 1}, "path": path}
    assert nodes["b"].requests[-1]["expiry"] == 2.5


def test_the_first_node_sends_if_none_is_named(nodes: dict[str, FakeNode]) -> None:
    assert main(["ask", "b/echo", "echo.ping"]) == 0
    assert nodes["a"].requests[-1]["fields"] == {}


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(("verb", "outcome"), [("tell", "accepted"), ("send", "delivered")])
def test_tell_and_send_say_what_became_of_it(capsys: Capture, verb: str, outcome: str) -> None:
    assert main([verb, "b/sink", "sink.drop"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"a -> b  tcp  0.4 ms\n{outcome}\n"
    assert main([verb, "b/sink", "sink.drop", "--json"]) == 0
    assert envelope(capsys)["data"]["outcome"] == outcome


@pytest.mark.parametrize(("verb", "outcome"), [("tell", "accepted"), ("send", "sent")])
def test_a_message_may_be_told_and_sent_unreliably(
    nodes: dict[str, FakeNode], capsys: Capture, verb: str, outcome: str
) -> None:
    assert main([verb, "b/sink", "sink.drop", "--unreliable"]) == 0
    assert capsys.readouterr().err == f"a -> b  tcp  0.4 ms\n{outcome}\n"
    assert nodes["a"].requests[-1]["prefs"]["reliability"] == "unreliable"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (fails("expired", "expired before it was sent"), 4),
        (fails("lost", "lost", reason="peer_restarted", maybe_sent=True), 3),
        (fails("refused", "refused", reason="unhandled"), 5),
        (fails("refused", "refused", reason="no_route"), 3),
        (fails("crashed", "the handler crashed"), 1),
        (fails("unknown_engine", "no engine 'ecko' on b", "did you mean echo?"), 2),
        (fails("unknown_field", "echo.ping has no field 'm'", "did you mean n?"), 2),
        (fails("bug", "KeyError"), 70),
    ],
)
def test_a_failed_ask_ends_with_the_code_of_its_outcome(
    nodes: dict[str, FakeNode], capsys: Capture, answer: Any, code: int
) -> None:
    nodes["a"].answers["ask"] = answer
    assert main(["ask", "b/echo", "echo.ping", "--json"]) == code
    found = envelope(capsys)
    assert found["ok"] is False
    assert found["error"].keys() == {"code", "what", "when", "hint"}
    assert found["error"]["hint"]


def test_the_nodes_own_hint_is_passed_on(nodes: dict[str, FakeNode], capsys: Capture) -> None:
    nodes["a"].answers["ask"] = fails("unknown_engine", "no engine 'ecko' on b", "did you mean echo?")
    assert main(["ask", "b/ecko", "echo.ping"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "did you mean echo?" in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.usefixtures("nodes")
def test_an_unknown_sender_is_a_usage_error_with_a_guess(capsys: Capture) -> None:
    assert main(["ask", "b/echo", "echo.ping", "--from", "c"]) == 2
    assert "a, b" in capsys.readouterr().err


@pytest.mark.parametrize("fields", ["{", "[1]", '"text"', '{"a": 1', "[" * 5000])
def test_fields_that_are_no_json_object_are_a_usage_error(capsys: Capture, fields: str) -> None:
    assert main(["ask", "b/echo", "echo.ping", fields]) == 2
    assert "not a JSON object" in capsys.readouterr().err


@pytest.mark.parametrize("expiry", ["0", "-1", "inf", "nan", "soon"])
def test_an_expiry_that_is_no_time_is_a_usage_error(expiry: str) -> None:
    assert main(["tell", "b/sink", "sink.drop", f"--expiry={expiry}"]) == 2


# -- proxy, advert, keygen --------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["permanent", "ephemeral", "dial-now", "close"])
def test_proxy_changes_the_proxy_and_shows_it(nodes: dict[str, FakeNode], capsys: Capture, action: str) -> None:
    nodes["a"].answers["proxies"] = lambda _: ProxiesAre(proxies=(proxy_snapshot("a", "b"), proxy_snapshot("a", "c")))
    assert main(["proxy", "a", "b", f"--{action}", "--json"]) == 0
    assert nodes["a"].requests[0] == {"do": "proxy", "peer": "b", "action": action.replace("-", "_")}
    assert [found["peer"] for found in envelope(capsys)["data"]["proxies"]] == ["b"]


@pytest.mark.parametrize("flags", [[], ["--permanent", "--close"]])
def test_proxy_does_one_thing_at_a_time(flags: list[str]) -> None:
    assert main(["proxy", "a", "b", *flags]) == 2


@pytest.mark.usefixtures("nodes")
def test_advert_prints_one_line_and_nothing_else(capsys: Capture) -> None:
    assert main(["advert", "b"]) == 0
    assert capsys.readouterr().out == "actors-advert-of-b\n"
    assert main(["advert", "--json"]) == 0
    assert envelope(capsys)["data"]["advert"] == "actors-advert-of-a"


def test_keygen_writes_a_private_file_once(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "node.key"
    assert main(["keygen", str(file), "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["data"].keys() == {"file", "id"}
    secret = file.read_text().split()[1]
    assert secret not in printed
    assert file.stat().st_mode & 0o777 == 0o600
    assert main(["keygen", str(file), "--json"]) == 78
    assert envelope(capsys)["error"]["code"] == "key_file"


# -- run --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('nme = "a"', "did you mean 'name'?"),
        ("name = 1", "name"),
        ("=", "not TOML"),
        ('key = "none.key"', "actors keygen"),
        ('app = "no_such_module:setup"', "no_such_module"),
        ('listen = ["carrier-pigeon://loft"]', "carrier-pigeon"),
    ],
)
def test_run_refuses_settings_that_cannot_be_used(tmp_path: Path, capsys: Capture, toml: str, words: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(toml)
    assert main(["run", "-c", str(file)]) == 78
    printed = capsys.readouterr().err
    assert words in printed
    assert "Traceback" not in printed


def test_run_says_that_it_is_ready_and_stops_with_down(tmp_path: Path, capsys: Capture) -> None:
    command = [sys.executable, "-m", "actors", "run", "--name", "solo", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        try:
            assert running.stdout is not None
            assert json.loads(running.stdout.readline())["data"]["node"]["name"] == "solo"
            assert main(["down"]) == 0
            assert running.wait(60) == 0
        finally:
            running.kill()
    assert "stopped solo" in capsys.readouterr().err
