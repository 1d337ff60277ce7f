"""A recorded event log in the console: files to moments, moments to what was known, and a cursor over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Capture, data_of
from hypothesis import given
from hypothesis import strategies as st
from terminal import ACTORS, open_terminal

from actors.console.main import main
from actors.console.ui.actions import Able
from actors.console.ui.desk import Desk, Go
from actors.console.ui.past import LogError, Past, read_past
from actors.console.ui.picture import look, sight
from actors.console.ui.places import CLUSTER, Place
from actors.console.ui.player import Player
from actors.console.ui.replay import Replay
from actors.console.ui.views.frame import frame

A, B = "a" * 52, "b" * 52


def line(time: float, node: str, event: str, **data: Any) -> bytes:
    return json.dumps({"time": 1e9 + time, "node": node, "event": event, "at": 77.0 + time, **data}).encode()


def phase(time: float, node: str, peer: str, old: str, new: str, why: str = "") -> bytes:
    return line(time, node, "proxy-changed", peer=peer, old=old, new=new, why=why)


LOG = b"\n".join(
    [
        line(0, "a", "engine-started", engine=f"{A}/echo"),
        line(0.5, "b", "engine-started", engine=f"{B}/echo"),
        phase(1, "a", B, "idle", "dialing", "permanent"),
        phase(2, "a", B, "handshaking", "ready", "dialed"),
        line(2, "a", "connected", peer=B, transport="tcp", why="dialed"),
        line(3, "b", "engine-crashed", engine=f"{B}/echo", error="ValueError: oh", tag="ping"),
        line(3, "b", "engine-restarted", engine=f"{B}/echo", restarts=1),
        phase(10, "a", B, "ready", "backoff", "reset by the peer"),
        line(12, "a", "dead-letter", to=f"{B}/x", sender=f"{A}/me", tag="add", outcome="lost (x): y", head="kQE="),
        phase(20, "a", B, "backoff", "ready", "dialed"),
    ]
) + b"\n"  # fmt: skip


def at(seconds: float, place: Place = CLUSTER, data: bytes = LOG) -> Replay:
    replay = Replay(read_past(data, "log"))
    replay.seek(seconds, place)
    return replay


def text(replay: Replay, place: Place = CLUSTER, width: int = 100, height: int = 30) -> str:
    desk = Desk(able=Able(readonly=True, replay=True), stack=[CLUSTER, place][place == CLUSTER :])
    picture = look(replay.watch, replay.problems, desk, replay.at, "‖ 1x")
    return "\n".join(one.plain.rstrip() for one in frame(picture, width, height, ""))


# -- files ------------------------------------------------------------------------------------------------


def test_a_log_of_a_cluster_is_moments_since_its_first_line() -> None:
    past = read_past(LOG, "log")
    assert (past.kind, past.end, past.note) == ("cluster", 20.0, "")
    assert [moment.at for moment in past.moments[:3]] == [0.0, 0.5, 1.0]


def test_without_times_of_hearing_each_nodes_clock_begins_where_its_first_event_stands() -> None:
    lines = [("a", 100.0), ("a", 101.0), ("b", 7000.0), ("b", 7002.0), ("a", 101.5)]
    data = b"\n".join(json.dumps({"node": n, "event": "connected", "at": t}).encode() for n, t in lines)
    assert [moment.at for moment in read_past(data, "log").moments] == [0.0, 1.0, 1.0, 3.0, 3.0]


def test_a_last_line_that_is_cut_off_is_left_out_and_said_so() -> None:
    past = read_past(LOG[:-20], "log")
    assert len(past.moments) == 9
    assert "cut off" in past.note
    assert read_past(LOG.rstrip(), "log").note == "", "only its end is missing"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "log is empty"),
        (b"\n\n", "log is empty"),
        (b"hello\nworld\n", "no event log: its first line is no event"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "no event log"),
        (b'{"some": "thing"}\n', "no event log: its first line is no event"),
        (b'{"node": "a", "at": 1}\n', "no event log: its first line is no event"),
        (b'{"node": "a", "at"', "no line of it is whole"),
        (LOG + b"oh\n" + LOG, "log: line 11 is no event"),
        (b'{"schema":"actors-sim/v1"}\n{"at": 1, "node": "a"}\n', "line 2 is no record of a simulation"),
        (b"[1, 2]\n", "no event log"),
    ],
)
def test_another_file_is_refused_with_the_line(data: bytes, words: str) -> None:
    with pytest.raises(LogError, match=words):
        read_past(data, "log")


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    for prefix in (b"", LOG):
        try:
            past = read_past(prefix + data, "log")
        except LogError:
            continue
        Replay(past).seek(past.end, CLUSTER)


# -- what was known ---------------------------------------------------------------------------------------


def test_at_each_moment_it_shows_what_was_known_then() -> None:
    assert "a     ● running    0/1" in text(at(1.5))
    assert "a     ● running    1/1" in text(at(5))
    assert "a     ● running    0/1" in text(at(15))
    assert "a     ● running    1/1" in text(at(20))


def test_going_back_it_is_as_if_nothing_had_happened_since() -> None:
    replay, there = at(20), at(5)
    replay.seek(5, CLUSTER)
    assert text(replay) == text(there)
    replay.seek(0.2, CLUSTER)
    assert "b " not in text(replay).split("PROBLEMS")[0]


def test_problems_know_since_when() -> None:
    problems = {problem.finding.code: at(19).at - problem.since for problem in at(19).problems}
    assert problems.keys() >= {"unreachable", "crashed", "dead_letters"}
    assert 8 <= problems["unreachable"] <= 9
    assert at(20).problems != at(19).problems


def test_the_link_page_has_its_path_and_only_figures_that_the_log_tells() -> None:
    place = Place("link", node="a", peer=B)
    words = text(at(15, place), place)
    assert "LINK a → b" in words
    assert "✖ backoff 5 s ago" in words
    assert "reset by the peer" in words
    assert "accepted" not in words
    assert "ADDRESSES" not in words


def test_other_pages_have_engines_letters_and_events() -> None:
    assert "b     echo    ● running        -        1         1" in text(at(5), Place("engines"))
    letters = Place("letters")
    assert "add from a/me to b/x: lost (x): y" in text(at(15, letters), letters)
    assert "engine-crashed b/echo" in text(at(5), Place("events"))


def test_nothing_is_made_up_of_what_the_log_does_not_tell() -> None:
    words = text(at(5))
    assert "LEDGER the log does not tell which messages arrived" in words
    assert "outbox" not in words
    assert "sent/s" in words
    assert " 0 " not in words.splitlines()[2]


def test_a_log_of_a_simulation_tells_of_messages_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert main(["sim", "replay", "moves", "27", "--log", str(log)]) == 0
    past = read_past(log.read_bytes(), "log")
    assert (past.kind, past.name) == ("simulation", "moves 27")
    replay = Replay(past)
    replay.seek(2.8, CLUSTER)
    words = text(replay)
    assert "✖ node_down     b  it was killed" in words
    ledger = replay.watch.ledger()
    assert ledger.balanced
    assert ledger.accepted > 0
    replay.seek(past.end, CLUSTER)
    assert replay.watch.ledger().accepted == replay.watch.ledger().delivered > 100


# -- the cursor -------------------------------------------------------------------------------------------


def test_it_plays_at_its_speed_and_stops_at_the_end() -> None:
    player = Player(20.0, [1.0, 2.0])
    player.pass_time(2.0)
    player.turn("faster")
    player.pass_time(2.0)
    assert (player.at, player.playing) == (6.0, True)
    player.pass_time(100.0)
    assert (player.at, player.playing) == (20.0, False)
    player.turn("play")
    assert (player.at, player.playing) == (0.0, True), "again, from the beginning"


def test_steps_go_from_event_to_event_and_stand_still_there() -> None:
    player = Player(20.0, [1.0, 2.0, 2.0, 10.0])
    stops = []
    for _ in range(5):
        player.turn("step")
        stops.append(player.at)
    assert stops == [1.0, 2.0, 10.0, 20.0, 20.0]
    assert not player.playing
    player.turn("step-back")
    player.turn("step-back")
    assert player.at == 2.0
    for _ in range(5):
        player.turn("step-back")
    assert player.at == 0.0


def test_it_is_set_within_the_log_only() -> None:
    player = Player(20.0, [])
    player.turn("forward")
    assert player.at == 10.0
    player.turn("forward")
    player.turn("forward")
    assert player.at == 20.0
    player.turn("at", -3.0)
    assert player.at == 0.0
    for _ in range(99):
        player.turn("slower")
    player.pass_time(1.0)
    assert player.words.startswith("‖ 1/64x  0:00.0 of 0:20.0")


def test_keys_move_the_cursor_and_nothing_else_can_be_changed() -> None:
    replay = at(5)
    desk = Desk(able=Able(readonly=True, replay=True))

    def press(*keys: str) -> object:
        effect: object = None
        for key in keys:
            effect = desk.press(key, sight(look(replay.watch, replay.problems, desk, replay.at)))
        return effect

    assert press("p") == Go("play")
    assert press(".") == Go("step")
    assert press(",") == Go("step-back")
    assert (press("]"), press("["), press("+"), press("-")) == (Go("forward"), Go("rewind"), Go("faster"), Go("slower"))
    assert press(":", *"at 1:30.5", "enter") == Go("at", 90.5)
    assert press(":", *"at noon", "enter") is None
    assert press("x") is press("r") is press("P") is None
    ordinary = Desk()
    assert ordinary.press(".", sight(look(replay.watch, (), ordinary, 0.0))) is None


# -- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LOG)
    return path


def test_one_frame_of_a_log_needs_neither_cluster_nor_terminal(log: Path, capsys: Capture) -> None:
    assert main(["ui", "--once", "--replay", str(log), "--at", "5"]) == 0
    out = capsys.readouterr().out
    assert "0:05.0 of 0:20.0" in out
    assert "a     ● running    1/1" in out
    assert main(["ui", "--once", "--json", "--replay", str(log), "--at", "15"]) == 0
    assert [problem["code"] for problem in data_of(capsys)["problems"]][:1] == ["crashed"]


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda path: path.write_bytes(b"hello\n"), 2, "is no event log"),
        (lambda path: path.write_bytes(b""), 2, "is empty"),
        (lambda path: path.mkdir(), 78, "cannot be read"),
        (lambda path: None, 78, "cannot be read"),
    ],
)
def test_a_file_that_is_no_log_ends_with_a_line(
    tmp_path: Path, capsys: Capture, make: Any, code: int, words: str
) -> None:
    make(tmp_path / "log")
    assert main(["ui", "--once", "--replay", str(tmp_path / "log")]) == code
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


def test_a_moment_without_a_log_is_a_mistake(capsys: Capture) -> None:
    assert main(["ui", "--once", "--at", "3"]) == 2
    assert "--at goes with --replay" in capsys.readouterr().err


@pytest.mark.slow
def test_in_a_terminal_the_log_plays_steps_and_is_set(log: Path) -> None:
    with open_terminal(*ACTORS, "ui", "--replay", str(log)) as terminal:
        terminal.wait_for(r"▶ 1x  0:0\d\.\d of 0:20\.0")
        terminal.type("p")
        terminal.wait_for(r"‖ 1x")
        terminal.type(":", *"at 15", "\r")
        terminal.wait_for(r"‖ 1x  0:15\.0 of 0:20\.0  ━━━━━━━━──")
        terminal.wait_for(r"✖ unreachable +a → b +reset by the peer")
        terminal.type(".")
        terminal.wait_for(r"0:20\.0 of 0:20\.0")
        terminal.wait_for(r"a +● running +1/1")
        terminal.type(",", ",", ",")
        terminal.wait_for(r"0:03\.0 of 0:20\.0")
        terminal.type("[", "+")
        terminal.wait_for(r"‖ 2x  0:00\.0 of")
        terminal.type("4", "?")
        terminal.wait_for("to the next event")
        terminal.type("q", "q")
        assert terminal.wait_ended() == 0
        assert terminal.restored


def test_the_past_of_another_version_of_the_simulator_is_shown_all_the_same() -> None:
    data = b'{"schema":"actors-sim/v1","scenario":"x","seed":1}\n{"type":"Began","at":1,"node":"a","run":1,"id":"i"}\n'
    assert read_past(data, "log") == Past("x 1", "simulation", read_past(data, "log").moments, "")
