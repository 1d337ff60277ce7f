"""`actors up --record` and `actors replay`: real nodes, and every file that is none of ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import recorded_app as app
from commands import Capture, data_of, running_up
from recording_words import record, story
from running import NODE

from actors.console.main import main
from actors.identity import EngineID
from actors.recording.files import chunk
from actors.recording.folders import RecordFolderError, new_run, part_path
from actors.runtime import Runtime

ROOT = Path(__file__).parents[1]
PATIENCE = 120
APP = """
from random import randrange
from actors import Engine, EngineID, Message, Request, on

class Add(Request[int]):
    amount: int

class Order(Message):
    name: str

class Pass(Message):
    to: EngineID
    count: int

class Counter(Engine):
    total: int = 0
    seen: int = 0
    names: set[str] = set()

    @on(Add)
    def add(self, msg: Add) -> int:
        self.seen += 1
        self.total += msg.amount + randrange(3)
        self.names |= {str(n) for n in range(self.seen % 7)}
        if self.seen == 1000:
            raise ValueError(f"{self.total}, {' '.join(self.names)}")
        return self.total

class Relay(Engine):
    @on(Pass)
    async def relay(self, msg: Pass) -> None:
        for n in range(msg.count):
            if n < 20:
                await self.ask(msg.to, Add(n))
            else:
                self.tell(msg.to, Add(n))

def setup(node):
    node.spawn(Counter(), "counter")
    node.spawn(Relay(), "relay")
"""


# -- real nodes -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "folder_app.py").write_text(APP)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def actors(*arguments: str, said: str = "", seed: str = "") -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONHASHSEED": seed} if seed else os.environ
    command = [sys.executable, "-m", "actors", *arguments]
    return subprocess.run(
        command, input=said, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def node_ids() -> dict[str, str]:
    """Of the nodes that run, by their names."""
    nodes = json.loads(actors("ls", "nodes", "--json").stdout)["data"]["nodes"]
    return {node["name"]: node["id"] for node in nodes}


@pytest.mark.slow
def test_a_replay_of_three_recorded_nodes_stops_at_the_thousandth_message_twice_the_same(folder: Path) -> None:
    with running_up("3", "--record", "kept", "--app", "folder_app:setup") as up:
        ids = node_ids()
        for source, count in (("a", 600), ("c", 600)):
            order = json.dumps({"to": f"{ids['b']}/counter", "count": count})
            told = actors("ask", f"{source}/relay", "pass", order)
            assert told.returncode == (0 if source == "a" else told.returncode), told.stderr
        up.terminate()
        assert up.wait(PATIENCE) == 143

    first = actors("replay", "kept", "--node", "b", seed="1")
    second = actors("replay", "kept", "--node", "b", "--to-crash")
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert "message 1000 of counter, from " in first.stdout
    assert "Add(amount=" in first.stdout
    assert re.search(r'folder_app.py", line \d+, in add\n    raise ValueError', first.stdout)
    assert first.stdout.rstrip().endswith("crashed, as it was recorded")

    listed = json.loads(actors("replay", "kept", "--json").stdout)["data"]["nodes"]
    assert [node["node"] for node in listed] == ["a", "b", "c"]
    b = listed[1]
    assert b["closed"]
    assert b["arrived"] >= 1000
    assert b["header"]["hash_seed"].isdecimal()
    counter = next(engine for engine in b["engines"] if engine["engine"] == "counter")
    assert counter["crashes"] == [1000]
    assert listed[0]["commands"] >= 1
    events = [json.loads(line) for line in Path("kept/b/1/events.jsonl").read_text().splitlines()]
    assert {"engine-crashed", "connected"} <= {event["event"] for event in events}
    assert {event["node"] for event in events} == {"b"}

    of_relay = ("replay", "kept", "--node", "a", "--engine", "relay")
    relay = actors(*of_relay)
    assert relay.returncode == 0, relay.stdout + relay.stderr
    debugged = actors("replay", "kept", "--node", "b", "--debug", said="p msg.amount, self.seen\nq\n")
    assert "(Pdb) (399, 1000)" in debugged.stdout
    before = actors("replay", "kept", "--node", "b", "--to", "7", "--debug", said="p self.seen\nn\np self.seen\nc\n")
    assert "(Pdb) 6\n" in before.stdout
    assert "(Pdb) 7\n" in before.stdout
    waiting = actors(
        "replay", "kept", "--node", "a", "--engine", "relay", "--to", "1", "--debug", said="n\nn\np n\nc\n"
    )
    assert "(Pdb) 0\n" in waiting.stdout
    assert waiting.returncode == 0, waiting.stdout + waiting.stderr


@pytest.mark.slow
def test_a_node_that_hangs_and_is_killed_is_replayed_up_to_the_message_that_it_hangs_at(folder: Path) -> None:
    hanging = APP.replace("raise ValueError", "threading.Event().wait(),")
    (folder / "folder_app.py").write_text(f"import threading\n{hanging}")

    def looked() -> tuple[bool, dict[str, Any]]:
        """Whether the record of b has its end, and what it has of the counter."""
        b = json.loads(actors("replay", "kept", "--json").stdout)["data"]["nodes"][1]
        return b["closed"], next(engine for engine in b["engines"] if engine["engine"] == "counter")

    with running_up("2", "--record", "kept", "--app", "folder_app:setup") as up:
        ids = node_ids()
        order = json.dumps({"to": f"{ids['b']}/counter", "count": 1100})
        actors("tell", "a/relay", "pass", order)
        assert any(looked()[1]["messages"] == 1000 for _ in range(30))  # what came in is there at once, or nearly
        assert actors("fault", "kill", "b").returncode == 0
        up.terminate()
        up.wait(PATIENCE)
    closed, counter = looked()
    assert (closed, counter["messages"], counter["crashes"]) == (False, 1000, [])
    ended = actors("replay", "kept", "--node", "b", "--to", "999")
    assert ended.returncode == 0, ended.stderr
    assert "the record ends early, as of a node that was killed" in ended.stderr
    assert "message 999 of counter" in ended.stdout


# -- what cannot be used --------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The record of an engine that handled thirty messages."""

    async def scenario(runtime: Runtime) -> None:
        counter = runtime.spawn(app.Counter(), "counter")
        for n in range(30):
            await runtime.ask(counter, app.Add(n))

    record(tmp_path / "kept", scenario)
    return tmp_path / "kept"


def part(kept: Path) -> Path:
    return part_path(kept / "b" / "1", 1)


def fails(capture: Capture, *arguments: object, code: int = 2) -> str:
    """What a replay says that cannot be."""
    assert main(["replay", *map(str, arguments)]) == code
    said = capture.readouterr().err
    assert "Traceback" not in said
    assert "hint  " in said
    return said


def test_a_replay_goes_to_the_end_where_nothing_crashed(kept: Path, capsys: Capture) -> None:
    assert main(["replay", str(kept), "--node", "b", "--json"]) == 0
    data = data_of(capsys)
    assert (data["played"], data["stopped"], data["last"][-1]["number"]) == (30, False, 30)
    assert "no handler crashed in this record: counter has 1 to 30" in fails(capsys, kept, "--node", "b", "--to-crash")


def test_a_record_that_was_cut_off_is_replayed_as_far_as_it_goes(kept: Path, capsys: Capture) -> None:
    data = part(kept).read_bytes()
    line = data.index(b"\n") + 1
    size = int.from_bytes(data[line : line + 4], "little")
    rest = [*_records_in(kept)]
    part(kept).write_bytes(data[:line] + chunk(rest[:40]) + chunk(rest[40:])[:50])
    assert size > 50
    assert main(["replay", str(kept), "--node", "b"]) == 0
    printed = capsys.readouterr()
    assert "as of a node that was killed, or still runs: 000001.rec is cut off at byte" in printed.err
    assert "messages handled again, each as it was recorded" in printed.out
    played = int(printed.out.splitlines()[1].split()[0])
    assert 0 < played < 30
    assert printed.out.rstrip().endswith("still at work when the record ends")
    assert f"there is no message 30 of it: counter has 1 to {played}" in fails(capsys, kept, "--node", "b", "--to", 30)


def _records_in(kept: Path) -> Iterator[bytes]:
    """Each record's own bytes."""
    import msgspec

    data = part(kept).read_bytes()
    place = data.index(b"\n") + 1
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "little")
        yield from map(bytes, msgspec.msgpack.decode(data[place + 8 : place + 8 + size], type=list[msgspec.Raw]))
        place += 8 + size


@pytest.mark.parametrize("length", [0, 1, 40, 200])
def test_a_record_without_its_beginning_is_none(kept: Path, capsys: Capture, length: int) -> None:
    part(kept).write_bytes(part(kept).read_bytes()[:length])
    said = fails(capsys, kept, "--node", "b")
    assert "is no record: it does not begin with a header" in said or "its header cannot be read" in said


def test_any_byte_that_was_changed_is_found(kept: Path, capsys: Capture) -> None:
    data = bytearray(part(kept).read_bytes())
    line = data.index(b"\n") + 1
    for place in range(line + 8, len(data), 97):
        changed = data.copy()
        changed[place] ^= 0x10
        part(kept).write_bytes(changed)
        assert "is damaged at byte" in fails(capsys, kept, "--node", "b")


def test_a_checksum_that_fits_does_not_make_a_record_of_anything(kept: Path, capsys: Capture) -> None:
    line = part(kept).read_bytes().partition(b"\n")[0] + b"\n"
    for payload in (b"\xc0", b"\x93\x01\x02\x03", b"\x92\x04\xff", b"\x93\x63\x01\x01", b"\x9e" + b"\x00" * 14):
        part(kept).write_bytes(line + chunk([payload]))
        assert "is damaged at byte" in fails(capsys, kept, "--node", "b")


def test_a_record_of_another_version_says_so(kept: Path, capsys: Capture) -> None:
    part(kept).write_bytes(part(kept).read_bytes().replace(b"actors-record/v1", b"actors-record/v9", 1))
    assert "is of the format 'actors-record/v9'; this version reads actors-record/v1" in fails(
        capsys, kept, "--node", "b"
    )


def test_a_record_that_misses_a_part_says_so(tmp_path: Path, capsys: Capture) -> None:
    async def scenario(runtime: Runtime) -> None:
        counter = runtime.spawn(app.Counter(), "counter")
        for n in range(1800):
            await runtime.send(counter, app.Add(n))

    record(tmp_path / "kept", scenario, largest=150_000)
    part_path(tmp_path / "kept" / "b" / "1", 2).unlink()
    assert "part 2 is missing" in fails(capsys, tmp_path / "kept", "--node", "b")


def _changed(kept: Path, was: bytes, now: bytes) -> None:
    """The record, with other names in it."""
    line = part(kept).read_bytes().partition(b"\n")[0] + b"\n"
    part(kept).write_bytes(line + chunk([data.replace(was, now) for data in _records_in(kept)]))


@pytest.mark.parametrize(
    ("was", "now", "words", "code"),
    [
        (b"recorded_app:Counter", b"recorded_app:Counted", "there is no engine Counted in recorded_app now", 2),
        (b"recorded_app:Counter", b"recorded_app:CRASHES", "there is no engine CRASHES in recorded_app now", 2),
        (b"recorded_app:Counter", b"recorded_gap:Counter", "there is no module recorded_gap", 78),
        (b"recorded_app:Add", b"recorded_app:Sub", "Counter has no action for recorded_app:Sub now", 2),
        (b"\xa5total\x00", b"\xa5taler\x00", "Counter has other fields now than when it was recorded: taler, total", 2),
        (b"\xa5total\x00", b"\xa5total\xc0", "the state of Counter does not fit the class: total", 2),
        (b"\xa3add", b"\xa3sub", "a message recorded_app:Add does not fit its class as it is now", 2),
    ],
)
def test_a_record_of_another_app_says_what_is_not_there(
    kept: Path, capsys: Capture, was: bytes, now: bytes, words: str, code: int
) -> None:
    _changed(kept, was, now)
    assert words in fails(capsys, kept, "--node", "b", code=code)


def test_a_handler_that_was_changed_since_diverges(
    kept: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "CRASHES_AT", 7)
    said = fails(capsys, kept, "--node", "b", code=1)
    assert "message 7 of counter: its handler raised ValueError" in said
    assert "it returned when it was recorded" in said
    assert "replay_diverged" in said


def test_what_is_no_folder_of_records_says_so(tmp_path: Path, kept: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    assert "file is no folder" in fails(capsys, tmp_path / "file")
    assert "empty holds no record of a node" in fails(capsys, tmp_path / "empty", "--node", "b")
    assert "No such file or directory" in fails(capsys, tmp_path / "gone")
    assert "no record of a node 'c'" in fails(capsys, kept, "--node", "c")
    assert "node b has no run 7" in fails(capsys, kept, "--node", "b", "--run", 7)
    assert "has no engine 'other'" in fails(capsys, kept, "--node", "b", "--engine", "other")
    assert "of which node?" in fails(capsys, kept, "--to", 3)
    assert "--to is the number of a message" in fails(capsys, kept, "--node", "b", "--to", 0)
    assert main(["replay", str(kept), "--node", "b", "--debug", "--json"]) == 2
    assert "not both" in capsys.readouterr().out


def test_a_node_that_was_started_again_has_another_run(tmp_path: Path, capsys: Capture) -> None:
    for messages in (3, 5):

        async def scenario(runtime: Runtime, messages: int = messages) -> None:
            counter = runtime.spawn(app.Counter(), "counter")
            for n in range(messages):
                await runtime.ask(counter, app.Add(n))

        record(tmp_path, scenario)
    assert main(["replay", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split()[:4] == ["b", "counter", "Counter", "5"]
    assert "node b has runs 1, 2; this is the last, --run chooses another" in printed.err
    assert main(["replay", str(tmp_path), "--node", "b", "--run", "1", "--json"]) == 0
    assert data_of(capsys)["played"] == 3


def test_a_message_number_needs_an_engine_where_there_are_several(tmp_path: Path, capsys: Capture) -> None:
    async def scenario(runtime: Runtime) -> None:
        for name in ("one", "two"):
            await runtime.ask(runtime.spawn(app.Counter(), name), app.Add(1))

    record(tmp_path, scenario)
    assert "of which engine?" in fails(capsys, tmp_path, "--node", "b", "--to", 1)
    assert main(["replay", str(tmp_path), "--node", "b", "--engine", "two", "--to", "1"]) == 0


def test_a_record_of_another_user_is_not_run(kept: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.geteuid() + 1
    if os.geteuid() == 0:
        os.chown(part(kept), other, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: other)
    assert "belongs to another user" in fails(capsys, kept, "--node", "b")


def test_nothing_is_recorded_in_a_folder_of_another_user_or_where_none_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecordFolderError, match="cannot record in"):
        new_run(tmp_path / "file" / "kept", "b")
    (tmp_path / "theirs").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with pytest.raises(RecordFolderError, match="belongs to another user"):
        new_run(tmp_path / "theirs", "b")


def test_up_says_when_it_cannot_record(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["up", "1", "--transport", "memory", "--record", str(tmp_path / "kept")]) == 2
    assert "--record" in capsys.readouterr().err
    (tmp_path / "file").write_text("x")
    assert main(["up", "1", "--record", str(tmp_path / "file"), "--for", "0.1"]) == 78
    assert "node a cannot start" in (said := capsys.readouterr().err) or "cannot record in" in said


def test_a_story_of_one_engine_is_of_that_engine(kept: Path) -> None:
    assert {turn.role.name for turn in story(kept, "counter").turns} == {"counter"}
    assert story(kept).turns[1].sender == EngineID(NODE, "")
