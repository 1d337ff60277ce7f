"""`scripts/soak`: long searches that can be interrupted and go on."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

soak: Any = importlib.import_module("scripts.soak")

TESTS = Path(__file__).parent
COMMAND = [str(TESTS.parent / "scripts" / "soak"), "--load", "sim_scenarios", "--jobs", "1"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHECK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False)


def lines(file: str = "soak.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def test_a_soak_writes_its_slices_and_goes_on_where_it_ended() -> None:
    once = ("--only", "fake-calm", "--only", "fake-cuts", "--for", "0.01")
    assert run(*once).returncode == 0
    first, summary = lines()
    assert (first["kind"], first["first"], first["seeds"], first["violations"]) == ("slice", 0, 2 * first["next"], 0)
    assert first.keys() >= {"at", "version", "jobs", "seeds_per_second", "virtual_seconds", "trace_hash", "seconds"}
    assert (summary["kind"], summary["slices"], summary["failures"]) == ("summary", 1, 0)
    with Path("soak.jsonl").open("a") as file:
        file.write('{"kind":"slice","fir')  # a power cut
    ran = run(*once, "--from", "2")
    assert ran.returncode == 1
    text = Path("soak.jsonl").read_text().splitlines()
    assert text[2] == '{"kind":"slice","fir'
    failure, second, _ = map(json.loads, text[3:])
    assert second["first"] == 2
    assert (failure["kind"], failure["scenario"], failure["seed"]) == ("failure", "fake-cuts", 2)
    assert (failure["without"], len(failure["faults"])) == ([0, 2, 4], 2)
    assert failure["replay"] == "actors sim replay fake-cuts 2 --without 0,2,4 --load sim_scenarios"
    assert failure["replay"] in ran.stderr
    assert soak.next_seed(Path("soak.jsonl").read_bytes()) == second["next"] > 2


def test_what_was_found_by_ctrl_c_is_in_the_file() -> None:
    command = [*COMMAND, "--only", "fake-cuts", "--only", "fake-hang", "--from", "2", "--for", "1h", "own.jsonl"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            assert running.stderr.readline() == "hanging\n"
            running.send_signal(signal.SIGINT)
            _, rest = running.communicate(timeout=60)
            assert running.returncode == 130
        finally:
            running.kill()
    assert "Traceback" not in rest
    failure, summary = lines("own.jsonl")
    assert (failure["scenario"], failure["seed"], failure["without"]) == ("fake-cuts", 2, [])
    assert (summary["slices"], summary["failures"], summary["next"]) == (0, 1, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--for", "1x"], "'1x' is no time; write 90s, 30m or 8h"),
        (["--jobs", "0"], "--jobs 0: a number from 1"),
        (["--from", "-1"], "--from -1: a number from 0"),
        (["--only", "chaso"], "there is no scenario 'chaso'; did you mean chaos?"),
    ],
)
def test_bad_input_ends_with_2_and_touches_no_file(
    capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert soak.main(options) == 2
    assert words in capsys.readouterr().err
    assert not Path("soak.jsonl").exists()


def test_a_file_that_cannot_be_written_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["none/soak.jsonl"]) == 1
    assert "No such file or directory: 'none/soak.jsonl'" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("30m", 1800), ("8h", 28_800)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert soak.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "m", "1d", "1e3", "nan", "inf", "9" * 400])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        soak.seconds_of(text)


@pytest.mark.parametrize(
    ("data", "seed"),
    [
        (b"", 0),
        (b'{"kind":"summary"}\n', 0),
        (b"\xff\n{", 0),
    ],
)
def test_without_a_slice_a_soak_begins_at_0(data: bytes, seed: int) -> None:
    assert soak.next_seed(data) == seed


def test_rounds_are_whole_and_end_after_their_time() -> None:
    async def main() -> None:
        rounds = soak.Rounds(("x", "y"), 7, until=2.5)
        dealt = []
        for errand in rounds:
            dealt.append((errand.scenario, errand.seed))
            await trio.sleep(1)
        assert dealt == [("x", 7), ("y", 7), ("x", 8), ("y", 8)]
        assert rounds.next == 9
        assert [errand.seed for errand in soak.Rounds(("x", "y"), 7, until=0.0)] == [7, 7]

    trio.run(main, clock=MockClock(autojump_threshold=0))
