"""`actors pipe` with real processes and real sockets."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PATIENCE = 60
"""Seconds after which a run has failed; on an idle machine each takes a few."""


@pytest.fixture(autouse=True)
def own_runtime_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """And a look, at the end, whether anything was left in it."""
    directory = tmp_path_factory.mktemp("x")  # short: sockets have their paths in it
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    monkeypatch.setenv("TMPDIR", str(directory))
    yield
    left = [path for path in directory.rglob("*") if path != directory / "actors"]
    assert not left


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "actors", "pipe", *arguments]


def run(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(*arguments), input=data, capture_output=True, timeout=PATIENCE, check=False)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def report_of(file: Path) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(file.read_bytes())
    assert envelope["schema"] == "actors/v1"
    return envelope


def test_lines_come_out_in_order_while_the_connection_is_cut(tmp_path: Path) -> None:
    data, report = b"".join(b"%d\n" % n for n in range(20_000)), tmp_path / "r.json"
    done = run(data, "--nodes", "3", "--lines", "--cuts", "3", "--seed", "1", "--report", str(report))
    assert done.returncode == 0, done.stderr
    assert digest(done.stdout) == digest(data)
    figures = report_of(report)["data"]
    assert figures["messages"] == figures["delivered"] == 20_000
    assert figures["bytes"] == figures["written"] == len(data)
    assert (figures["expired"], figures["lost"], figures["refused"], figures["in_flight"]) == (0, 0, 0, 0)
    assert figures["reconnects"] == 3
    assert set(figures["pids"]) == {"a", "b", "c"}
    for proxy in figures["proxies"]:
        told = proxy["ledger"]
        ended = sum(told[outcome] for outcome in ("delivered", "sent", "expired", "lost", "refused"))
        assert told["accepted"] == ended + told["in_flight"]


def test_any_bytes_come_out_as_they_went_in(tmp_path: Path) -> None:
    data, report = random.Random(1).randbytes(5_000_000), tmp_path / "r.json"
    done = run(data, "--cuts", "2", "--report", str(report))
    assert done.returncode == 0, done.stderr
    assert digest(done.stdout) == digest(data)
    figures = report_of(report)["data"]
    assert figures["reconnects"] == 2
    assert figures["messages"] >= len(data) // 65_536


def test_nothing_in_is_nothing_out_and_json_goes_to_stderr() -> None:
    done = run(b"", "--json")
    assert done.returncode == 0
    assert done.stdout == b""
    assert json.loads(done.stderr)["data"]["messages"] == 0


def test_a_reader_that_has_seen_enough_ends_it_without_words() -> None:
    with running() as piping:
        assert piping.stdout is not None
        piping.stdout.close()
        piping.stdout = None
        code, words = ended(piping, b"second\n")
    assert words == ""
    assert code == 141


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_of_it(tmp_path: Path, signum: signal.Signals, code: int) -> None:
    report = tmp_path / "r.json"
    with running("--report", str(report)) as piping:
        piping.send_signal(signum)
        assert ended(piping) == (code, f"actors: ended by {signum.name}\n")
    assert report_of(report)["error"]["code"] == "interrupted"


def test_a_node_that_is_killed_ends_it_with_1(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with running("--report", str(report)) as piping:
        os.kill(pid_of("b"), signal.SIGKILL)
        code, words = ended(piping)
    assert code == 1
    assert "node b ended (signal 9)" in words
    assert "Traceback" not in words
    assert report_of(report)["ok"] is False


def test_a_report_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    done = run(b"x\n", "--report", str(tmp_path / "none" / "r.json"))
    assert done.returncode == 78
    assert done.stdout == b""
    assert b"r.json" in done.stderr


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A stream that has begun, and whose input does not end."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(*arguments), stdin=pipe, stdout=pipe, stderr=pipe) as piping:
        try:
            assert piping.stdin is not None
            assert piping.stdout is not None
            piping.stdin.write(b"first\n")
            piping.stdin.flush()
            assert piping.stdout.readline() == b"first\n"
            yield piping
        finally:
            piping.kill()


def ended(piping: subprocess.Popen[bytes], data: bytes = b"") -> tuple[int, str]:
    """The exit code and the words of a stream that ends by itself, perhaps after some more input."""
    assert piping.stdin is not None
    piping.stdin.write(data)
    piping.stdin.flush()
    stdin, piping.stdin = piping.stdin, None  # it stays open
    try:
        _, words = piping.communicate(timeout=PATIENCE)
    finally:
        stdin.close()
    return piping.returncode, words.decode()


def pid_of(name: str) -> int:
    listed = subprocess.run(
        [sys.executable, "-m", "actors", "ls", "nodes", "--json"], capture_output=True, timeout=PATIENCE, check=True
    )
    nodes = json.loads(listed.stdout)["data"]["nodes"]
    return int(next(node["pid"] for node in nodes if node["name"] == name))
