"""`actors doctor`: each thing that can be wrong is named with what to do, and nothing is changed by looking."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from commands import Capture
from terminal import ACTORS, open_terminal

from actors.config import UNLIMITED, Limits, NodeConfig
from actors.console import doctor_machine
from actors.console.doctor_machine import LEAST, backlog, clock, extras, files, packages, python
from actors.console.doctor_node import node
from actors.console.doctor_words import (
    BASE,
    FIRST,
    LINK,
    RECORD,
    UNPROVEN,
    UNSENT,
    Finding,
    Verdict,
    files_needed,
    judge_memory,
    lines,
    memory_of,
)
from actors.console.main import main
from actors.control.server import MAX_CLIENTS
from actors.identity import NodeKey
from actors.keyfile import create_key
from actors.net.proving.adverts import NodeAdvert
from actors.state import PeerRecord, StateDir

OK, WARNING, PROBLEM = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM
ADVERT = NodeAdvert.sign(NodeKey.generate(), [("tcp://127.0.0.1:4000", 1)], version=1, created=1)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.chdir(tmp_path)


def found(name: str, **settings: Any) -> Finding:
    """The one finding of this name about a node with these settings."""
    (finding,) = [finding for finding in node(NodeConfig(**settings)) if finding.name == name]
    return finding


# -- addresses ----------------------------------------------------------------------------------------------


def test_a_port_is_free_or_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        finding = found("address", listen=(url,))
        assert (finding.verdict, finding.what) == (PROBLEM, f"{url}: in use")
        assert f"sport = :{taken.getsockname()[1]}" in finding.do
    assert (found("address", listen=(url,)).verdict, found("address", listen=(url,)).what) == (OK, f"{url}: free")
    assert found("address", listen=("tcp://127.0.0.1:0",)).what == "tcp://127.0.0.1:0: any free port"


@pytest.mark.parametrize(
    ("url", "what", "do"),
    [
        ("tcp://0.0.0.0:0", "plain, and not on this machine alone", "insecure = true"),
        ("tcp://127.0.0.1", "not an address", "tcp://127.0.0.1:4000"),
        ("memory://a", "has no transport for it", "tcp://"),
    ],
)
def test_an_address_that_a_node_would_not_take_is_a_problem(url: str, what: str, do: str) -> None:
    finding = found("address", listen=(url,))
    assert finding.verdict is PROBLEM
    assert what in finding.what
    assert do in finding.do


def test_beyond_this_machine_is_said_also_where_it_is_allowed() -> None:
    finding = found("address", listen=("tcp://0.0.0.0:0",), insecure=True)
    assert (finding.verdict, finding.what.partition("; ")[2]) == (OK, "plain beyond this machine, as insecure allows")
    elsewhere = found("address", listen=("tcp://192.0.2.1:4000",), insecure=True)
    assert (elsewhere.verdict, "not an address of this machine" in elsewhere.what) == (PROBLEM, True)


# -- key, state, adverts, control ---------------------------------------------------------------------------


def test_a_good_key_is_named_by_its_node_and_nothing_of_it_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "a"
    key = create_key(path)
    finding = found("key", key=path)
    assert (finding.verdict, finding.what) == (OK, f"{path} is that of {key.id.short}…, mode 0600")
    assert path.read_text().split()[1][:12] not in finding.what


def test_a_key_that_is_open_damaged_or_missing_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "a"
    missing = found("key", key=path)
    assert (missing.verdict, missing.do) == (PROBLEM, f"make one: actors keygen {path}")
    create_key(path)
    path.chmod(0o644)
    opened = found("key", key=path)
    assert (opened.verdict, opened.do) == (PROBLEM, f"run: chmod 600 {path}")
    path.write_text("nonsense")
    path.chmod(0o600)
    assert found("key", key=path).verdict is PROBLEM


def test_a_folder_in_which_others_can_replace_the_key_is_a_warning(tmp_path: Path) -> None:
    create_key(tmp_path / "keys" / "a")
    (tmp_path / "keys").chmod(0o777)
    finding = found("key", key=tmp_path / "keys" / "a")
    assert (finding.verdict, finding.do) == (WARNING, f"chmod go-w {tmp_path / 'keys'}")


def test_a_state_folder_is_looked_at_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "state"
    assert found("state").what == "no folder: nothing is remembered over a restart"
    assert (found("state", state_dir=path).verdict, found("key", state_dir=path).verdict) == (OK, OK)
    assert not path.exists()
    state = StateDir(path)
    state.store_peer(ADVERT.id, PeerRecord(advert=ADVERT.data))
    before = sorted(path.rglob("*"))
    assert found("state", state_dir=path).what == f"{path}: 1 peers remembered, mode 0700"
    assert sorted(path.rglob("*")) == before


def test_a_state_folder_that_others_may_use_or_that_is_damaged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state"
    StateDir(path)
    path.chmod(0o755)
    assert (found("state", state_dir=path).verdict, found("state", state_dir=path).do) == (WARNING, f"chmod 700 {path}")
    path.chmod(0o777)
    finding = found("state", state_dir=path)
    assert (finding.verdict, finding.do) == (PROBLEM, f"chown {os.geteuid()} {path} && chmod 700 {path}")
    path.chmod(0o700)
    (path / "peers" / str(ADVERT.id)).write_text("nonsense")
    assert "is not the record of a peer" in found("state", state_dir=path).what
    (tmp_path / "file").touch()
    assert found("state", state_dir=tmp_path / "file").verdict is PROBLEM


def test_whom_a_node_deals_with_is_said_and_whether_that_is_whom_it_is_to_link_to() -> None:
    assert found("policy").what == "deals with everybody; 10000 peers at a time"
    limits = Limits(links=5, links_kept=2)
    some = found("policy", allow=("192.0.2.0/24",), deny=(str(ADVERT.id),), limits=limits)
    words = "deals with the 1 entries of allow but the 1 of deny; 5 peers at a time, 2 of them only for permanent links"
    assert (some.verdict, some.what) == (OK, words)
    denied = found("policy", peers=(str(ADVERT),), deny=(str(ADVERT.id),))
    assert (denied.verdict, denied.what) == (WARNING, f"deny forbids what peers asks for: {ADVERT.id.short}")
    other = str(NodeKey.from_seed(b"o" * 32).id)
    full = found("policy", peers=(str(ADVERT), other), limits=Limits(links=1))
    assert (full.verdict, full.what) == (WARNING, "2 permanent peers, and places for 1")


def test_a_peer_that_is_named_by_its_node_id_alone_has_to_be_known(tmp_path: Path) -> None:
    peer = (str(ADVERT.id),)
    assert found("adverts", peers=peer).verdict is WARNING
    StateDir(tmp_path / "state").store_peer(ADVERT.id, PeerRecord(ADVERT.data))
    assert found("adverts", peers=peer, state_dir=tmp_path / "state").verdict is OK
    (tmp_path / "friends").write_text(f"{ADVERT}\n")
    assert found("adverts", peers=peer, adverts=(tmp_path / "friends",)).verdict is OK


def test_adverts_are_read(tmp_path: Path) -> None:
    (tmp_path / "friends").write_text(f"# ours\n{ADVERT}\n")
    finding = found("adverts", peers=(str(ADVERT),), adverts=(tmp_path / "friends",))
    assert (finding.verdict, finding.what) == (OK, "2 read, each signed by its node; 1 permanent peers")
    assert found("adverts", peers=(str(ADVERT)[:-2],)).verdict is PROBLEM
    assert "cannot be read" in found("adverts", adverts=(tmp_path / "none",)).what


def test_a_runtime_directory_that_others_may_use_or_that_is_too_deep_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found("control").verdict is OK
    (tmp_path / "run" / "actors").chmod(0o755)
    assert (found("control").verdict, found("control").do) == (PROBLEM, f"chmod 700 {tmp_path / 'run' / 'actors'}")
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    assert "a socket's path at most" in found("control").what


# -- the machine --------------------------------------------------------------------------------------------


def test_this_machine_has_what_the_project_asks_for() -> None:
    assert python().verdict is OK
    assert packages().verdict is OK
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    asked = dict(re.split(">=", each.partition(",")[0]) for each in tomllib.loads(text)["project"]["dependencies"])
    assert {name: ".".join(map(str, least)) for name, least in LEAST.items()} == asked


def test_a_missing_or_old_package_is_a_problem_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "LEAST", {"msgspec": (99,), "no-such-package": (1, 2)})
    finding = packages()
    assert (finding.verdict, finding.do) == (PROBLEM, "pip install 'msgspec>=99' 'no-such-package>=1.2'")
    assert "no-such-package missing" in finding.what


def test_an_extra_is_a_problem_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "EXTRAS", {"quic": ("no-such-package", "quic:// addresses")})
    (unused,), (needed,) = extras(NodeConfig()), extras(NodeConfig(listen=("quic://127.0.0.1:0",)))
    assert (unused.verdict, needed.verdict, needed.do) == (OK, PROBLEM, "pip install 'trio-actors[quic]'")
    assert "pip install 'trio-actors[quic]'" in unused.what
    monkeypatch.setattr(doctor_machine, "EXTRAS", {"quic": ("trio", "")})
    (there,) = extras(NodeConfig())
    assert there.what.startswith("quic: trio 0")


def test_a_clock_that_cannot_be_right_is_a_warning() -> None:
    assert clock(datetime(2026, 5, 1, tzinfo=UTC), 1e-9).verdict is OK
    assert clock(datetime(1970, 1, 1, tzinfo=UTC), 1e-9).verdict is WARNING
    assert clock(datetime(2026, 5, 1, tzinfo=UTC), 0.0156).verdict is WARNING


def test_the_limit_of_open_files_is_held_against_the_peers() -> None:
    config = NodeConfig(peers=("x",) * 500)
    needed = files_needed(config, clients=MAX_CLIENTS)
    assert needed == 1000 + 256 + MAX_CLIENTS + 1 + 64
    assert files(config, needed).verdict is OK
    short = files(config, needed - 1)
    assert (short.verdict, short.do) == (WARNING, "ulimit -n 2048")
    assert files(config, resource.RLIM_INFINITY).verdict is OK
    assert files(NodeConfig(limits=Limits(unproven=UNLIMITED)), 1024).verdict is WARNING


def test_a_short_backlog_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "_SOMAXCONN", tmp_path / "somaxconn")
    assert list(backlog(NodeConfig())) == []
    (tmp_path / "somaxconn").write_text("128\n")
    (short,) = backlog(NodeConfig())
    assert (short.verdict, short.do) == (WARNING, "sysctl -w net.core.somaxconn=256")
    (enough,) = backlog(NodeConfig(limits=Limits(unproven=100)))
    assert enough.verdict is OK


# -- the memory formula -------------------------------------------------------------------------------------


def test_the_formula_adds_up_with_the_numbers_of_the_settings() -> None:
    limits = Limits(outbox_bytes=1 << 20, mailbox_bytes=2 << 20, frame_bytes=128 << 10, unproven=10, peers=100)
    memory = memory_of(NodeConfig(peers=("x", "y"), engines=("m:E",), limits=limits), own_engines=3)
    assert memory.per_peer == (1 << 20) + LINK + UNSENT + (256 << 10) + 4 * FIRST
    assert (memory.per_engine, memory.unproven, memory.book) == (2 << 20, 10 * UNPROVEN, 100 * RECORD)
    assert memory.total == BASE + 2 * memory.per_peer + 4 * (2 << 20) + 10 * UNPROVEN + 100 * RECORD


def test_an_outbox_is_bounded_by_its_messages_too() -> None:
    few = memory_of(NodeConfig(limits=Limits(outbox_messages=4)), own_engines=0)
    many = memory_of(NodeConfig(limits=Limits(outbox_bytes=4 * 2048)), own_engines=0)
    assert few.per_peer == many.per_peer


@pytest.mark.parametrize("limit", ["mailbox_bytes", "unproven", "peers"])
def test_what_is_unlimited_has_no_sum(limit: str) -> None:
    memory = memory_of(NodeConfig(limits=Limits(**{limit: UNLIMITED})), own_engines=3)
    assert memory.total is None
    assert judge_memory(memory, 1 << 40).verdict is WARNING


def test_more_than_there_is_is_a_warning() -> None:
    memory = memory_of(NodeConfig(), own_engines=3)
    assert memory.total is not None
    assert judge_memory(memory, memory.total).verdict is OK
    assert judge_memory(memory, None).verdict is OK
    over = judge_memory(memory, memory.total - 1)
    assert (over.verdict, "lower limits" in over.do) == (WARNING, True)


# -- the command --------------------------------------------------------------------------------------------


def test_a_node_that_would_run_well_ends_with_0_and_a_line_for_each_look(capsys: Capture) -> None:
    assert main(["doctor"]) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    names = {line.split()[1] for line in captured.out.splitlines() if not line.startswith(" ")}
    assert {"settings", "python", "packages", "extra", "clock", "files", "memory", "address", "key", "state"} <= names
    assert captured.err.endswith(" 0 problems\n")


def test_problems_end_with_6_and_all_else_is_looked_at_all_the_same(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run")
    Path("node.toml").write_text('key = "none"\nlisten = ["tcp://0.0.0.0:0"]\n')
    assert main(["doctor", "-c", "node.toml"]) == 6
    printed = capsys.readouterr().out
    assert "-> make one: actors keygen none\n" in printed
    assert printed.count("problem ") == 2
    assert max(map(len, printed.splitlines())) <= 80


def test_settings_that_cannot_be_used_are_a_problem_among_others(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "node.toml"
    file.write_text("lisen = 1")
    assert main(["doctor", "-c", str(file), "--json"]) == 6
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["error"]["code"], said["error"]["what"]) == (False, "doctor", "1 problem")
    assert said["data"]["findings"][0]["do"] == "did you mean 'listen'?"
    assert len(said["data"]["findings"]) > 8


def test_json_is_one_envelope_with_findings_and_the_formula(capsys: Capture) -> None:
    assert main(["doctor", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"]
    assert {finding["verdict"] for finding in said["data"]["findings"]} <= {"ok", "warning"}
    memory = said["data"]["memory"]
    parts = memory["base"] + memory["peers"] * memory["per_peer"] + memory["engines"] * memory["per_engine"]
    assert parts + memory["unproven"] + memory["book"] == memory["total"]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    finding = Finding("address", PROBLEM, "word " * 40, "do " * 40)
    assert max(map(len, lines(finding, width))) <= width


def test_a_long_path_is_kept_whole() -> None:
    path = "/a/long" * 20
    assert any(line.endswith(f" {path}") for line in lines(Finding("key", PROBLEM, "open", f"chmod 600 {path}"), 80))


@pytest.mark.slow
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_on_a_terminal_what_is_wrong_has_a_colour_unless_there_is_no_color(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    (tmp_path / "node.toml").write_text('listen = ["tcp://0.0.0.0:0"]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("NO_COLOR", no_color)
    with open_terminal(*ACTORS, "doctor", "-c", "node.toml", words=tmp_path / "words") as terminal:
        assert terminal.wait_ended() == 6
        printed = terminal.raw.decode()
    assert "plain, and not on this machine" in printed
    assert ("\x1b[" in printed) is coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines()
    assert max(len(line) for line in plain if str(tmp_path) not in line) <= 80  # a long path is kept whole
