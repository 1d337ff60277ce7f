"""`scripts/hostile`, `scripts/storm` and `scripts/dashboard-cost`: figures beside their targets, in small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loopback import whole_loopback

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.append(str(SCRIPTS))

from figures import Figure, as_json, percentile, table, told  # noqa: E402

HELD, MISSED = Figure(12, "more memory", 7.5, 8, "MiB"), Figure(6, "dials", 23, 10, "%")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("CHECK_PYTHON", sys.executable)


def run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPTS / script, *options], capture_output=True, text=True, check=False, timeout=120)


def figures_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_figure_says_whether_its_target_is_held() -> None:
    assert table([HELD, MISSED]).splitlines() == [
        "row  what         target    measured  verdict",
        "12   more memory  <= 8 MiB  7.5 MiB   held",
        "6    dials        <= 10 %   23 %      MISSED",
    ]
    assert [json.loads(line)["held"] for line in as_json([HELD, MISSED]).splitlines()] == [True, False]


def test_a_missed_target_is_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert told([HELD], json=False) == 0
    assert told([HELD, MISSED], json=True) == 1
    assert "MISSED" not in capsys.readouterr().out


def test_a_percentile_is_not_exceeded_by_its_share() -> None:
    assert percentile([], 0.99) == 0
    assert percentile(range(100), 0.99) == 99
    assert percentile([5, 1, 3], 0.5) == 3


@whole_loopback
@pytest.mark.slow
def test_hostile_people_in_small() -> None:
    done = run("hostile", "--rows", "12,14,15", "--size", "0.02", "--json")
    assert done.returncode == 0, done.stderr
    assert {figure["row"] for figure in figures_of(done)} == {12, 14, 15}


@whole_loopback
@pytest.mark.slow
def test_a_flood_costs_what_the_formula_says() -> None:
    done = run("hostile", "--rows", "20", "--size", "0.01", "--json")
    memory, control = figures_of(done)
    assert memory["held"], memory
    assert "control" in control["what"]  # how late it is depends on what else runs here


@pytest.mark.slow
def test_a_storm_in_small() -> None:
    done = run("storm", "--peers", "5", "--steady", "0", "--down", "0.1", "--json")
    assert done.returncode in (0, 1), done.stderr  # five peers do not disperse
    figures = figures_of(done)
    assert [figure["unit"] for figure in figures] == 2 * ["%", "%", "s", "ms", "ms", "ms"] + ["s", "", "", "", ""]
    assert [figure["measured"] for figure in figures[-4:]] == [0, 0, 0, 0], "exit code, missing, twice, not arrived"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_cost_of_a_dashboard_in_small() -> None:
    done = run("dashboard-cost", "--part", "cost", "--part", "lag", "--seconds", "1", "--json")
    assert done.returncode in (0, 1), done.stderr  # a second on a busy machine says nothing
    assert [figure["unit"] for figure in figures_of(done)] == ["%", "ms"]
    assert figures_of(done)[0]["measured"] > 0


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("hostile", ["--rows", "3"]),
        ("hostile", ["--size", "2"]),
        ("storm", ["--peers", "0"]),
        ("dashboard-cost", ["--seconds", "0"]),
        ("dashboard-cost", ["--part", "nothing"]),
    ],
)
def test_what_cannot_be_is_said(script: str, options: list[str]) -> None:
    done = run(script, *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
