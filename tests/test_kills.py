"""`scripts/kills`: a small form of it with real processes, and its verdict over what must not happen."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

kills: Any = importlib.import_module("scripts.kills_verdict")

COMMAND = str(Path(__file__).parents[1] / "scripts" / "kills")
D, L, N, O = kills.Fate.DELIVERED, kills.Fate.LOST, kills.Fate.NOTHING, kills.Fate.OTHER  # noqa: E741


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECK_PYTHON", sys.executable)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *options], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_nothing_is_written_twice_or_out_of_order_and_every_tell_has_one_outcome(tmp_path: Path) -> None:
    ran = run("--tells", "20000", "--kills", "3", "--cuts", "10", "--seed", "1", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)["data"]
    assert (found["seed"], found["kills"], found["cuts"]) == (1, 3, 10)
    assert found["cuts_in_flight"] > 0
    verdict = found["verdict"]
    assert verdict["told"] == verdict["delivered"] + verdict["lost"] == 20000
    assert verdict["written"] == verdict["delivered"] - verdict["in_mailboxes"] + verdict["lost_written"]
    assert list((tmp_path / "actors").iterdir()) == []


@pytest.mark.slow
def test_without_faults_everything_is_written_and_words_say_so() -> None:
    ran = run("--tells", "500", "--kills", "0", "--cuts", "0")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == "every promise holds\n"
    figures = dict(line.rsplit(maxsplit=1) for line in ran.stdout.splitlines()[1:])
    assert (figures["told"], figures["written"], figures["lost"], figures["in mailboxes"]) == ("500", "500", "0", "0")


@pytest.mark.parametrize("options", [["--tells", "0"], ["--kills", "-1"], ["--cuts", "many"], ["--what"]])
def test_wrong_options_are_told_in_words(options: list[str]) -> None:
    ran = run(*options)
    assert ran.returncode == 2
    assert "usage: scripts/kills" in ran.stderr
    assert "Traceback" not in ran.stderr


# -- the verdict ------------------------------------------------------------------------------------------


def verdict(fates: list[int], lines: list[tuple[int, int]], lives: int = 1, several: int = 0) -> Any:
    return kills.judge(fates, several, lines, lives)


def test_what_was_delivered_and_written_in_order_is_as_it_should_be() -> None:
    found = verdict([D, D, D], [(0, 0), (0, 1), (0, 2)])
    assert found.broken == {}
    assert (found.told, found.written, found.delivered) == (3, 3, 3)


def test_what_was_lost_may_be_written_or_not() -> None:
    found = verdict([D, L, L, D], [(0, 0), (0, 1), (1, 3)], lives=2)
    assert found.broken == {}
    assert (found.lost, found.lost_written, found.in_mailboxes) == (2, 1, 0)


@pytest.mark.parametrize(
    ("lines", "lives"),
    [
        ([(0, 0), (0, 1), (1, 3)], 2),  # between two lives
        ([(1, 2), (1, 3)], 2),  # before the first life that wrote
        ([(0, 0), (0, 1)], 2),  # after the last
        ([], 2),
    ],
)
def test_what_lay_in_the_mailbox_of_a_killed_process_is_accounted_for(lines: list[tuple[int, int]], lives: int) -> None:
    found = verdict([D] * 4, lines, lives)
    assert found.broken == {}
    assert found.in_mailboxes == 4 - len(lines) == found.most_in_a_mailbox


def test_one_kill_takes_no_more_than_one_mailbox() -> None:
    many = [D] * (kills.MAILBOX + 1)
    assert verdict(many, [], lives=2).broken == {"unaccounted": 1}
    assert verdict(many, [], lives=3).broken == {}
    assert verdict(many, [(0, 0)], lives=2).broken == {}


@pytest.mark.parametrize(
    ("fates", "lines", "lives", "broken"),
    [
        ([D, D], [(0, 0)], 1, {"unaccounted": 1}),  # nobody was killed
        ([D, D, D], [(0, 0), (0, 2), (1, 3)], 2, {"unaccounted": 1, "strangers": 1}),
        ([D, D, D], [(0, 0), (0, 2)], 2, {"unaccounted": 1}),  # a mailbox is emptied in order
        ([D, D], [(0, 0), (0, 1), (0, 1)], 1, {"duplicates": 1}),
        ([D, D], [(0, 0), (0, 1), (1, 1)], 2, {"duplicates": 1}),
        ([D, L, D], [(0, 0), (0, 2), (0, 1)], 1, {"reorders": 1}),
        ([D, N], [(0, 0), (0, 1)], 1, {"without_outcome": 1}),
        ([D, O], [(0, 0)], 2, {"other_outcomes": 1}),
        ([D], [(0, 0), (0, 7)], 1, {"strangers": 1}),
    ],
)
def test_what_must_not_happen_is_found(
    fates: list[int], lines: list[tuple[int, int]], lives: int, broken: dict[str, int]
) -> None:
    found = verdict(fates, lines, lives).broken
    assert found == broken


def test_a_tell_with_two_outcomes_is_found() -> None:
    assert verdict([D], [(0, 0)], several=1).broken == {"several_outcomes": 1}
