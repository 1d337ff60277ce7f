"""What a node process logs: lines for people or JSON objects, with the same fields in every record."""

from __future__ import annotations

import io
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from running import NODE, PEER

from actors.config import load_config
from actors.errors import ConfigError
from actors.events import (
    Connected,
    DeadLetter,
    DialFailed,
    EngineFailed,
    EngineStarted,
    Event,
    HostileConnection,
    ProxyChanged,
)
from actors.identity import EngineID
from actors.logs import FIELDS, Level, log_event, open_logs
from actors.runtime.handling import Handling

ENGINE = EngineID(NODE, "add")


@contextmanager
def written(monkeypatch: pytest.MonkeyPatch, level: Level | None, *, json: bool) -> Iterator[io.StringIO]:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    with open_logs("a", level, json=json):
        yield stderr


def objects(stderr: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr.getvalue().splitlines()]


def test_each_event_is_a_record_with_code_node_peer_and_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = [
        DialFailed(1.0, PEER, "tcp://x:1", "connection refused"),
        DeadLetter(1.0, EngineID(PEER, "b"), ENGINE, "tag", "lost (peer_restarted): perhaps sent", b"\x91"),
        EngineFailed(1.0, ENGINE, "ValueError: oh"),
        Connected(1.0, PEER, "tcp", "dialed"),
        ProxyChanged(1.0, PEER, "ready", "backoff", "reset"),
        HostileConnection(1.0, "tcp://y:1", "no handshake"),
        EngineStarted(1.0, ENGINE),
    ]
    with written(monkeypatch, "info", json=True) as stderr:
        for event in events:
            log_event(event)
    told = objects(stderr)
    peer = str(PEER)
    assert [(one["level"], one["event"], one["code"], one["peer"], one["engine"]) for one in told] == [
        ("warning", "dial-failed", "unreachable", peer, None),
        ("warning", "dead-letter", "lost", peer, "b"),
        ("error", "engine-failed", "crashed", None, "add"),
        ("info", "connected", None, peer, None),
        ("warning", "proxy-changed", "unreachable", peer, None),
        ("warning", "hostile-connection", "protocol", None, None),
    ]
    assert {one["node"] for one in told} == {"a"}
    assert {one["logger"] for one in told} == {"actors.events"}
    assert all(one["time"].endswith("+00:00") for one in told)


def test_records_of_others_have_the_fields_too_and_an_engines_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with written(monkeypatch, "warning", json=True) as stderr, Handling("mine"):
        logging.getLogger("somebody.else").warning("so %s\nand so", "what")
        logging.getLogger("somebody.else").info("too little")
    (told,) = objects(stderr)
    assert told.keys() == {"time", "level", "logger", "message", *FIELDS}
    assert (told["message"], told["engine"], told["node"], told["peer"]) == ("so what\nand so", "mine", "a", None)


def test_an_exception_is_in_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    with written(monkeypatch, "error", json=True) as stderr:
        try:
            raise ValueError("oh")
        except ValueError:
            logging.getLogger("x").exception("it failed")
    (told,) = objects(stderr)
    assert told["traceback"].endswith("ValueError: oh")


def test_as_text_it_is_a_line_that_cannot_steer_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with written(monkeypatch, "info", json=False) as stderr:
        log_event(DialFailed(1.0, PEER, "tcp://x:1", "\x1b[2Jrefused\nby nobody"))
    (line,) = stderr.getvalue().splitlines()
    assert f"WARNING actors.events a: dial-failed peer={PEER.short} address=tcp://x:1 why=" in line
    assert "\x1b" not in line


def test_afterwards_logging_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with written(monkeypatch, "debug", json=True):
        assert root.level == logging.DEBUG
    assert (root.level, list(root.handlers)) == before
    with written(monkeypatch, None, json=True):
        assert (root.level, list(root.handlers)) == before


def test_level_and_form_are_settings_like_others() -> None:
    config = load_config(None, environ={"ACTORS_LOG_LEVEL": "info", "ACTORS_LOG_JSON": "true"})
    assert (config.log_level, config.log_json) == ("info", True)
    with pytest.raises(ConfigError, match="--log-level"):
        load_config(None, flags={"log_level": "loud"})


APP = """
from actors import Engine, Message, on

class Boom(Message, tag="boom"):
    n: int

class Fragile(Engine):
    @on(Boom)
    def boom(self, msg: Boom) -> None:
        raise ValueError(f"oh {msg.n}")
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--log-json", "--log-level", "info"]])
def test_a_node_process_logs_a_crash_with_its_traceback(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[1]}")
    (tmp_path / "fragile.py").write_text(APP)
    command = [sys.executable, "-m", "actors", "run", "--name", "a", "--engines", "fragile:Fragile", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as node:
        assert node.stdout is not None
        assert node.stdout.readline().startswith(b"{")
        tell = [sys.executable, "-m", "actors", "ask", "a/fragile", "boom", '{"n": 7}', "--cluster", "run"]
        subprocess.run(tell, capture_output=True, timeout=60, check=False)
        node.send_signal(signal.SIGTERM)
        _, err = node.communicate(timeout=60)
    assert node.returncode == 0
    if not options:
        assert "ERROR actors.runtime a/" in err.decode()
        assert "ValueError: oh 7" in err.decode()
        return
    told = [json.loads(line) for line in err.splitlines()]
    (crash,) = [one for one in told if one["event"] == "engine-crashed"]
    assert (crash["code"], crash["node"], crash["level"]) == ("crashed", "a", "error")
    assert "ValueError: oh 7" in crash["traceback"]
    assert [one["engine"] for one in told if one["event"] == "engine-restarted"] == [crash["engine"]]
