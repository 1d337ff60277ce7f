"""`scripts/bench.py`: what it makes of figures, and what it says when something cannot be measured."""

from __future__ import annotations

import importlib
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import trio

SCRIPTS = Path(__file__).parents[1] / "scripts"
QUICK = ("--pairs", "3", "--size", "0.02", "--patience", "20")

sys.path.insert(0, str(SCRIPTS))
try:
    bench: Any = importlib.import_module("bench")
    rows: Any = importlib.import_module("benchmark.rows")
    results: Any = importlib.import_module("benchmark.results")
    plot: Any = importlib.import_module("benchmark.plot")
    workers: Any = importlib.import_module("benchmark.workers")
    course_of: Any = importlib.import_module("benchmark.course").Course
finally:
    sys.path.remove(str(SCRIPTS))

GOAL = results.Goal(8, 15)
CHEAP = results.Goal(1.5, 1.1, at_most=True)


def result(**fields: Any) -> Any:
    base = {"row": "T1", "what": "local tell", "against": "a channel", "unit": "x", "goal": GOAL}
    return results.Result(**{**base, **fields})


def run(*options: str, of: Any = None) -> int:
    found: int = bench.main([*QUICK, *options], rows.ROWS if of is None else of)
    return found


def contender(name: str, *command: str, **fields: Any) -> Any:
    return rows.Contender(name, command, 10, **fields)


# -- figures ----------------------------------------------------------------------------------------------


def test_what_counts_is_the_median_of_the_ratios() -> None:
    assert result(runs=(9.0, 1.0, 10.0, 9.5, 400.0)).ratio == 9.5
    assert result().ratio is None


@pytest.mark.parametrize(
    ("goal", "ratio", "verdict"),
    [
        (GOAL, 16, "moonshot"),
        (GOAL, 8, "reached"),
        (GOAL, 6, "MISSED by 25%"),
        (CHEAP, 1.1, "moonshot"),
        (CHEAP, 1.5, "reached"),
        (CHEAP, 3, "MISSED by 100%"),
    ],
)
def test_a_verdict_knows_which_way_is_better(goal: Any, ratio: float, verdict: str) -> None:
    assert result(goal=goal, runs=(ratio,)).words[-1] == verdict


def test_the_table_says_why_there_is_no_figure() -> None:
    found = results.table(
        [
            result(runs=(9.0, 10.0)),
            result(row="T6", why="apt-get install erlang-base", skipped=True),
            result(row="T7", why="tractor did not start within 20 s"),
        ]
    ).splitlines()
    assert found[0].split() == ["row", "what", "against", "target", "moonshot", "own", "from..to", "verdict"]
    assert ">= 8x" in found[1]
    assert "9..10" in found[1]
    assert found[2].endswith("skipped: apt-get install erlang-base")
    assert found[3].endswith("FAILED: tractor did not start within 20 s")


def test_json_has_ratio_target_runs_and_unit_of_each_row() -> None:
    found = json.loads(results.as_json([result(runs=(9.0, 10.0, 20.0)), result(row="T6", why="x", skipped=True)], []))
    assert (found["schema"], found["ok"]) == ("actors/v1", True)
    first = found["data"]["T1"]
    assert (first["ratio"], first["target"], first["moonshot"], first["runs"]) == (10.0, 8, 15, [9.0, 10.0, 20.0])
    assert (first["unit"], first["reached"]) == ("x", True)
    assert found["data"]["T6"]["skipped"] == "x"


def test_every_target_of_the_table_has_a_row() -> None:
    assert [row.of for row in rows.TARGETS if "-" not in row.name] == [f"T{number}" for number in range(1, 17)]
    assert all(row.goal for row in rows.TARGETS if row.name not in ("T5-engines", "T14-raw", "T14-node"))


def test_a_row_is_asked_for_with_its_variants() -> None:
    found, unknown = rows.chosen(["t11,F2", "T99"])
    assert [row.name for row in found] == ["T11", "T11-tls", "F2"]
    assert len(unknown) == 1
    assert "t99" in unknown[0]
    assert rows.chosen([]) == (rows.ROWS, [])


def test_the_picture_has_a_bar_for_each_figure_and_a_line_for_each_curve() -> None:
    curve = tuple(results.Point(load, cost) for load, cost in ((1, 1.0), (10, 1.2), (100, 2.0)))
    svg = ET.fromstring(
        plot.picture(
            [
                result(runs=(9.0,), what="a < b & c"),
                result(row="T15", goal=CHEAP, runs=(2.0,), curve=curve),
                result(row="T12", goal=results.Goal(25, 15, at_most=True, unit="KiB"), unit="KiB", runs=(50.0,)),
                result(row="T7", why="not there"),
            ]
        )
    )
    words = [element.text or "" for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert any(word.startswith("T1  a < b & c") for word in words)
    assert not any(word.startswith("T7") for word in words)
    assert len(list(svg.iter("{http://www.w3.org/2000/svg}polyline"))) == 1


# -- processes --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_real_row_is_measured_in_pairs_and_written(tmp_path: Path) -> None:
    assert run("--only", "T3", "--json", str(tmp_path / "b.json"), "--plot", str(tmp_path / "b.svg")) == 0
    found = json.loads((tmp_path / "b.json").read_text())["data"]
    assert list(found) == ["T3"]
    row = found["T3"]
    assert len(row["runs"]) == len(row["own"]) == len(row["other"]) == 3
    assert row["runs"] == pytest.approx([other / own for own, other in zip(row["own"], row["other"], strict=True)])
    ET.parse(tmp_path / "b.svg")


@pytest.mark.slow
def test_what_goes_wrong_is_a_line_and_the_rest_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    channel = rows.CHANNEL
    missing = rows.Need("pip install no-such-library", modules=("no_such_library",))
    planted = (
        rows.Row(name="T1", what="fails", own=channel, other=contender("a floor", "floors", "no-such-floor")),
        rows.Row(name="T2", what="ends", own=channel, other=contender("a peer", "trio_worker"), how=rows.How.COST),
        rows.Row(name="T3", what="skipped", own=channel, other=contender("x", "x", need=missing)),
        rows.Row(name="T4", what="works", own=channel, other=rows.CHANNEL_PING),
    )
    code = run("--only", "T99,T1,T2,T3,T4", "--json", str(tmp_path / "no" / "b.json"), of=planted)
    out, err = capsys.readouterr()
    assert code == 6
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "FAILED: a floor did not start: floors: no such floor: no-such-floor" in lines["T1"]
    assert "FAILED: a peer did not start: it ended without a word" in lines["T2"]
    assert lines["T3"].endswith("skipped: pip install no-such-library")
    assert "FAILED" not in lines["T4"]
    assert "no row is called t99" in err
    assert "b.json cannot be written: No such file or directory" in err


@pytest.mark.slow
def test_a_peer_that_hangs_is_given_up_and_ended() -> None:
    mute = contender("a peer", "floors", "other-end", "tell", "tcp")  # says something else than ready, and waits
    course = course_of(patience=workers.Patience(start=1, answer=1))
    found = trio.run(course.measure, rows.Row(name="T7", what="hangs", own=mute, other=rows.CHANNEL))
    assert found.failed
    assert "did not start within 1 s" in found.why
