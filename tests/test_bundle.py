"""`actors debug bundle`: what a maintainer needs is in it, and what is nobody's business is not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from commands import Capture, data_of

from actors.console.main import main
from actors.console.redacting import Redactor
from actors.identity import NodeKey

ROOT = Path(__file__).parents[1]
SEED = bytes(range(100, 132))
PATIENCE = 120


# -- words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "without"),
    [
        ("key actors-secret-key-1 mrsgmz3infqwyzlomnswc43t nodeid", "mrsgmz3infqwyzlomnswc43t"),
        ("actors-secret-key-1mrsgmz3infqwyzlomnswc43tafhe3erm", "mrsgmz"),
        ("actors-secret-key-1\n mrsgmz3infqwyzlomnswc43t", "mrsgmz"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\ndef\n-----END RSA PRIVATE KEY-----", "MIIabc"),
        ("-----BEGIN PRIVATE KEY-----\nMIIabc\nand no end", "MIIabc"),
        ("proxy http://joe:hunter2@example.org/", "hunter2"),
        ('{"password": "hunter2"}', "hunter2"),
        ("PASSWORD=hunter2 api_key: hunter2", "hunter2"),
        ("peer advert1:AbC-_9xyz here", "AbC-_9xyz"),
        ("/srv/joe/app.py, line 3", "joe"),
    ],
)
def test_secrets_are_taken_out_of_words(words: str, without: str) -> None:
    assert without in words
    assert without not in Redactor("/srv/joe").text(words)


def test_what_is_no_secret_stays() -> None:
    key = NodeKey.from_seed(SEED)
    words = f"node {key.id} at tcp://10.1.2.3:4001 after 12:30:45, /srv/joey/x: 'b/counter' crashed in add"
    assert Redactor("/srv/joe").text(words) == words


def test_hosts_get_names_that_are_the_same_within_one_bundle() -> None:
    one, other = Redactor("", b"1"), Redactor("", b"2")
    words = one.text("tcp://10.1.2.3:4001 quic://[fe80::1]:9 wss://db.example.org:1/x 10.1.2.3 fe80::1 12:30:45")
    hosts = re.findall(r"host-[0-9a-f]{8}", words)
    assert len(hosts) == 5
    assert (hosts[0], hosts[1]) == (hosts[3], hosts[4])
    assert re.sub("host-[0-9a-f]{8}", "H", words) == "tcp://H:4001 quic://H:9 wss://H:1/x H H 12:30:45"
    assert hosts[0] not in other.text("10.1.2.3")
    local = "tcp://127.0.0.1:0 quic://[::1]:3 localhost"
    assert one.text(local) == local
    assert one.text(words) == words


def test_data_is_redacted_wherever_a_text_is() -> None:
    value = {"/srv/joe": ["/srv/joe/a", {"n": 1, "x": None, "t": ("/srv/joe",)}]}
    assert Redactor("/srv/joe").data(value) == {"~": ["~/a", {"n": 1, "x": None, "t": ["~"]}]}


# -- bundles --------------------------------------------------------------------------------------------------


def unpacked(path: Path, where: Path) -> dict[str, bytes]:
    """The files of a bundle, by their places."""
    with tarfile.open(path) as tar:
        assert {(entry.uname, entry.uid, entry.mode) for entry in tar} == {("", 0, 0o600)}
        tar.extractall(where, filter="data")
    (top,) = where.iterdir()
    return {str(file.relative_to(top)): file.read_bytes() for file in top.rglob("*") if file.is_file()}


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_cluster_there_are_still_versions_and_the_doctor(alone: Path, capsys: Capture) -> None:
    (alone / "a.toml").write_text('name = "a"\nkey = "a.key"\n')
    (alone / "words.log").write_text("x\n" * 40_000 + "actors-secret-key-1 mrsgmz3infqwyzlomnswc43t\nthe end\n")
    arguments = ["debug", "bundle", "--out", "b.tar.gz", "-c", "a.toml", "--log", "words.log", "--json"]
    assert main(arguments) == 6
    data = data_of(capsys)
    assert data["file"] == "b.tar.gz"
    assert "no cluster" in data["silent"]["cluster"]
    assert Path("b.tar.gz").stat().st_mode & 0o777 == 0o600
    files = unpacked(alone / "b.tar.gz", alone / "out")
    assert sorted(files) == data["contents"]
    assert json.loads(files["versions.json"])["packages"]["trio"][0].isdigit()
    assert json.loads(files["settings/a.json"])["key"].endswith("a.key")
    assert json.loads(files["doctor.json"])[0]["findings"]
    log = files["logs/1-words.log"]
    assert len(log) < 70_000
    assert log.endswith(b"the end\n")
    assert b"mrsgmz" not in log
    assert str(alone).encode() not in b"".join(files.values())


def test_a_bundle_overwrites_nothing_and_says_what_it_cannot_read(alone: Path, capsys: Capture) -> None:
    Path("there").write_text("mine")
    assert main(["debug", "bundle", "--out", "there"]) == 78
    assert "exists already" in capsys.readouterr().err
    assert Path("there").read_text() == "mine"
    assert main(["debug", "bundle", "--out", "none/there"]) == 78
    assert "cannot be written" in capsys.readouterr().err
    assert main(["debug", "bundle", "--log", "none"]) == 78
    assert "the log none cannot be read" in capsys.readouterr().err


@pytest.mark.slow
def test_a_running_cluster_is_in_its_bundle(alone: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}

    def actors(*arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "actors", *arguments]
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert ran.returncode == code, ran.stderr
        return ran.stdout

    actors("up", "2", "--detach", "--app", "cluster_app:setup")
    try:
        actors("ask", "b/counter", "fail", "{}", "--from", "a", code=1)
        actors("tell", "b/nobody", "counter.add", '{"amount": 4711471147}', "--from", "a", code=2)
        actors("debug", "bundle", "--out", "b.tar.gz", "--hash-addresses")
    finally:
        actors("down")
    files = unpacked(alone / "b.tar.gz", alone / "out")
    kinds = ("node", "engines", "proxies", "links", "events", "dead-letters")
    assert {f"nodes/{name}/{kind}.json" for name in "ab" for kind in kinds} < set(files)
    assert "engine-crashed" in {event["event"] for event in json.loads(files["nodes/b/events.json"])}
    assert json.loads(files["nodes/a/proxies.json"])[0]["state"] == "ready"
    assert json.loads(files["settings/started-a.json"])["app"] == "cluster_app:setup"
    assert b"as it should" in files["nodes/b/events.json"]
