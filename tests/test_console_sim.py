"""`actors sim`: many runs by several processes, one run again, and the fewest faults of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import trio
from commands import Capture, envelope

from actors.console.exits import UsageError
from actors.console.main import main
from actors.console.sim_choices import LAST_SEED, checked_faults, checked_scenarios, checked_seeds
from actors.console.sim_figures import Answer, Errand, Tally, deal, replay_line
from actors.console.sim_worker import done
from actors.console.sim_workers import search
from actors.testing.history.eventlog import own_version, read_log
from actors.testing.scenarios import SCENARIOS

TESTS = Path(__file__).parent
LOAD = ("--load", "sim_scenarios")


@pytest.fixture(autouse=True)
def own_scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fake ones only, here and in the processes that are started from here; in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(TESTS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (TESTS.parent, TESTS))))
    monkeypatch.setenv("TERM", "dumb")
    before = dict(SCENARIOS)
    SCENARIOS.clear()
    sys.modules.pop("sim_scenarios", None)
    yield
    SCENARIOS.clear()
    SCENARIOS.update(before)
    sys.modules.pop("sim_scenarios", None)


def data_of(capture: Capture, *arguments: str, code: int = 0) -> dict[str, Any]:
    assert main(["sim", *arguments, *LOAD, "--json"]) == code
    found = envelope(capture)
    assert found["ok"] is (code == 0)
    data: dict[str, Any] = found["data"]
    return data


@pytest.fixture
def loaded(capsys: Capture) -> None:
    main(["sim", "ls", *LOAD])
    capsys.readouterr()


# -- ls and help ------------------------------------------------------------------------------------------


def test_ls_shows_each_scenario_with_its_rules_and_its_line(capsys: Capture) -> None:
    assert main(["sim", "ls", *LOAD]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["SCENARIO", "RULES", "ABOUT"]
    assert rows[1].split(maxsplit=3) == ["fake-calm", "S1", "K2", "Two nodes, and nothing happens."]
    assert [row.split()[0] for row in rows] == sorted(SCENARIOS)


def test_ls_json_lists_them(capsys: Capture) -> None:
    scenarios = data_of(capsys, "ls")["scenarios"]
    assert scenarios[1] == {"name": "fake-calm", "rules": "S1 K2", "about": "Two nodes, and nothing happens."}


@pytest.mark.parametrize("command", ["run", "replay", "shrink", "ls"])
def test_every_command_has_help_and_loads_nothing_heavy_for_it(command: str) -> None:
    code = f"""if True:
        import sys
        from actors.console.main import main
        main(["sim", "{command}", "--help"])
        print(*{{"trio", "actors.testing", "cryptography"}} & sys.modules.keys(), file=sys.stderr)
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"Usage: actors sim {command}" in ran.stdout
    assert ran.stderr.split() == []


# -- run --------------------------------------------------------------------------------------------------


def test_run_gives_the_figures_of_the_issue(capsys: Capture) -> None:
    data = data_of(capsys, "run", "fake-calm", "--seeds", "6", "--jobs", "2")
    assert data.keys() >= {"seeds", "violations", "seeds_per_second", "virtual_seconds", "trace_hash"}
    assert (data["seeds"], data["violations"], data["failures"]) == (6, 0, [])
    assert data["seeds_per_second"] > 0
    assert data["scenarios"]["fake-calm"]["seeds"] == 6


def test_the_trace_hash_is_that_of_the_seeds_however_many_workers_there_are(capsys: Capture) -> None:
    one, two, others = (
        data_of(capsys, "run", "fake-calm", "--seeds", "7", *options.split())["trace_hash"]
        for options in ("--jobs 1", "--jobs 2", "--jobs 1 --from 1")
    )
    assert one == two != others


def test_run_without_json_is_a_table_and_a_line(capsys: Capture) -> None:
    assert main(["sim", "run", "fake-calm", "--seeds", "3", "--jobs", "1", *LOAD]) == 0
    printed = capsys.readouterr()
    assert [line.split() for line in printed.out.splitlines()] == [
        ["SCENARIO", "SEEDS", "FAILED", "VIRTUAL", "S"],
        ["fake-calm", "3", "0", *printed.out.split()[-1:]],
    ]
    assert printed.err.startswith("3 seeds: 0 violations; ")


@pytest.mark.usefixtures("loaded")
def test_all_scenarios_share_the_seeds(capsys: Capture) -> None:
    for name in SCENARIOS.keys() - {"fake-calm", "fake-leak"}:
        del SCENARIOS[name]
    data = data_of(capsys, "run", "all", "--seeds", "3", "--jobs", "1")
    assert {name: share["seeds"] for name, share in data["scenarios"].items()} == {"fake-calm": 2, "fake-leak": 1}


def test_a_violation_ends_with_1_and_the_line_that_repeats_it(capsys: Capture) -> None:
    assert main(["sim", "run", "fake-leak", "--seeds", "3", "--jobs", "1", "--json", *LOAD]) == 1
    found = envelope(capsys)
    assert found["error"]["code"] == "violations"
    assert found["error"]["what"] == "1 violation in 1 of 3 runs"
    assert found["error"]["hint"] == "actors sim replay fake-leak 1 --load sim_scenarios"
    (failure,) = found["data"]["failures"]
    assert (failure["scenario"], failure["seed"]) == ("fake-leak", 1)
    assert failure["words"][0].startswith("P8 ")
    assert main(failure["replay"].split()[1:]) == 1


def test_a_scenario_that_does_not_go_through_is_a_failure_too(capsys: Capture) -> None:
    assert main(["sim", "run", "fake-cuts", "--seeds", "4", "--jobs", "1", *LOAD]) == 1
    words = capsys.readouterr().err
    assert "FAILED fake-cuts 2\n  AssertionError: both of them\n  actors sim replay fake-cuts 2" in words
    assert "4 seeds: 2 violations in 2 of them" in words


def test_a_worker_that_dies_is_that_runs_failure_and_another_takes_its_place(capsys: Capture) -> None:
    data = data_of(capsys, "run", "fake-death", "--seeds", "4", "--jobs", "2", code=1)
    assert data["seeds"] == 4
    (failure,) = data["failures"]
    assert failure["seed"] == 1
    assert failure["words"] == ["its worker process ended with signal SIGKILL"]


def test_a_failure_of_the_simulator_is_that_runs_failure(capsys: Capture) -> None:
    data = data_of(capsys, "run", "fake-blunder", "--seeds", "2", "--jobs", "1", code=1)
    assert [failure["seed"] for failure in data["failures"]] == [0, 1]
    assert "the simulator failed: ValueError" in data["failures"][0]["words"][0]


def test_a_run_that_hangs_is_given_up() -> None:
    answers: list[Answer] = []
    errands = (Errand(number, "fake-hang", seed) for number, seed in enumerate((1, 0)))
    trio.run(partial(search, errands, answers.append, jobs=1, load=["sim_scenarios"], patience=2.0))
    assert [answer.words for answer in answers] == [("it was not over after 2 s of real time, and was killed",), ()]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_however_it_ends_its_workers_end_with_it(signum: int, code: int) -> None:
    command = [sys.executable, "-m", "actors", "sim", "run", "fake-hang", "--from", "1", "--seeds", "1", *LOAD]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            assert running.stderr.readline() == "hanging\n"
            running.send_signal(signum)
            _, rest = running.communicate(timeout=60)  # until all that write to it have ended, workers among them
            assert running.returncode == code
        finally:
            running.kill()
    assert "Traceback" not in rest


def test_a_worker_that_cannot_start_is_an_error(tmp_path: Path, capsys: Capture) -> None:
    source = 'import sys\nfrom sim_scenarios import *\nif "sim_worker" in sys.argv[0]:\n    sys.exit(3)\n'
    (tmp_path / "sim_picky.py").write_text(source)
    try:
        assert main(["sim", "run", "fake-calm", "--load", "sim_picky", "--json"]) == 1
    finally:
        sys.modules.pop("sim_picky", None)
    assert envelope(capsys)["error"]["code"] == "worker"


# -- replay -----------------------------------------------------------------------------------------------


def test_a_replay_says_what_the_run_came_to_and_writes_its_log(capsys: Capture) -> None:
    assert main(["sim", "replay", "fake-cuts", "1", *LOAD]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "scenario    fake-cuts 1"
    assert lines[1].startswith("trace hash  ")
    assert "faults      0 at 0.0000  Cut(one='a', other='b', noticed_by='')" in lines
    assert "violations  none" in lines
    assert "event log   fake-cuts-1.events.jsonl" in lines
    header, history = read_log(Path("fake-cuts-1.events.jsonl"))
    assert (header.scenario, header.seed, header.version) == ("fake-cuts", 1, own_version())
    assert header.trace_hash == lines[1].split()[-1]
    assert len(history) == int(next(line for line in lines if line.startswith("records")).split()[1])


def test_a_replay_has_the_same_trace_hash_in_every_process(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    hashes = {data_of(capsys, "replay", "fake-calm", "3")["trace_hash"]}
    for number in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", number)
        command = [sys.executable, "-m", "actors", "sim", "replay", "fake-calm", "3", "--json", *LOAD]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        hashes.add(json.loads(ran.stdout)["data"]["trace_hash"])
    assert len(hashes) == 1


def test_a_replay_of_a_failure_ends_with_1_and_draws_it(capsys: Capture) -> None:
    options = ("--log", "own.jsonl", "--diagram", "own.mmd")
    assert main(["sim", "replay", "fake-leak", "1", "--json", *options, *LOAD]) == 1
    found = envelope(capsys)
    assert found["error"]["what"] == "fake-leak 1: 1 violation"
    data = found["data"]
    assert [each["promise"] for each in data["violations"]] == ["P8"]
    assert (data["log"], data["diagram"]) == ("own.jsonl", "own.mmd")
    assert Path("own.mmd").read_text().startswith("sequenceDiagram\n")
    assert read_log(Path("own.jsonl"))[0].seed == 1


def test_faults_can_be_left_out(capsys: Capture) -> None:
    assert main(["sim", "replay", "fake-cuts", "2", *LOAD]) == 1
    assert "error       AssertionError: both of them" in capsys.readouterr().out
    data = data_of(capsys, "replay", "fake-cuts", "2", "--without", "0,1")
    assert [fault["number"] for fault in data["faults"] if fault["at"] is None] == [0, 1]
    assert data["replay"] == "actors sim replay fake-cuts 2 --without 0,1 --load sim_scenarios"


def test_a_fault_that_there_is_not_is_told(capsys: Capture) -> None:
    assert main(["sim", "replay", "fake-cuts", "1", "--without", "3,5,9", *LOAD]) == 0
    assert capsys.readouterr().err == "there is no fault 5, 9; there are 5, from 0\n"


def test_another_hash_than_expected_is_a_failure(capsys: Capture) -> None:
    right = data_of(capsys, "replay", "fake-calm", "1")["trace_hash"]
    assert main(["sim", "replay", "fake-calm", "1", "--expect", right, *LOAD]) == 0
    assert main(["sim", "replay", "fake-calm", "1", "--expect", "0123", *LOAD]) == 1
    printed = capsys.readouterr()
    assert f"the trace hash is {right}, not 0123" in printed.err
    assert f"trace hash  {right}" in printed.out


def test_a_log_is_replayed_and_must_have_its_hash(capsys: Capture) -> None:
    first = data_of(capsys, "replay", "fake-cuts", "2", "--without", "1")
    again = data_of(capsys, "replay", first["log"])
    assert again == first | {"expected": first["trace_hash"]}
    log = Path(first["log"])
    log.write_text(log.read_text().replace(first["trace_hash"], "0" * 16))
    assert main(["sim", "replay", first["log"], *LOAD]) == 1
    assert "not 0000000000000000" in capsys.readouterr().err


def test_a_log_of_another_version_is_refused(capsys: Capture) -> None:
    log = Path(data_of(capsys, "replay", "fake-calm", "2")["log"])
    log.write_text(log.read_text().replace(f'"version":"{own_version()}"', '"version":"0.0.1"'))
    assert main(["sim", "replay", str(log), *LOAD]) == 2
    words = capsys.readouterr().err
    assert "was written by trio-actors 0.0.1; this is" in words
    assert "event_log" in words


# -- shrink -----------------------------------------------------------------------------------------------


def test_shrink_finds_the_fewest_faults(capsys: Capture) -> None:
    data = data_of(capsys, "shrink", "fake-cuts", "7", "--diagram", "small.mmd", code=1)
    assert data["without"] == [0, 2, 4]
    assert [fault["number"] for fault in data["faults"] if fault["at"] is not None] == [1, 3]
    assert data["log"] is None
    assert Path("small.mmd").read_text().count("FAULT") == 2
    assert main(data["replay"].split()[1:]) == 1


def test_there_is_nothing_to_shrink_in_a_seed_that_does_not_fail(capsys: Capture) -> None:
    assert data_of(capsys, "shrink", "fake-cuts", "1")["violations"] == []


# -- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("run fake-clam", 2, "did you mean fake-calm?"),
        ("run all --seeds 0", 2, "--seeds 0: a number from 1"),
        ("run all --jobs 0", 2, "--jobs 0: a number from 1"),
        ("run all --jobs 1000", 2, "--jobs 1000: a number from 1 to 256"),
        ("run all --from=-1", 2, "--from -1: a number from 0"),
        (f"run fake-calm --from {LAST_SEED} --seeds 2", 2, f"the last seed is {LAST_SEED}"),
        ("run all --seeds x", 2, "--seeds"),
        ("run", 2, "SCENARIO"),
        ("rum all", 2, 'Did you mean "run"?'),
        ("replay fake-clam 1", 2, "did you mean fake-calm?"),
        ("replay fake-calm", 2, "which seed of fake-calm?"),
        ("replay fake-calm -- -1", 2, "seed -1: a number from 0"),
        (f"replay fake-calm {LAST_SEED + 1}", 2, f"to {LAST_SEED}"),
        ("replay none.events.jsonl", 2, "there is no scenario 'none.events.jsonl'"),
        ("replay fake-calm 1 --without 1;2", 2, "numbers of faults"),
        ("replay fake-calm 1 --log none/x", 78, "--log none/x: No such file"),
        ("replay fake-calm 1 --diagram none/x", 78, "--diagram none/x: No such file"),
        ("shrink fake-clam 1", 2, "did you mean fake-calm?"),
        ("shrink fake-calm", 2, "SEED"),
        ("ls --load sim_scenario", 78, "there is no module sim_scenario"),
    ],
)
def test_bad_input_is_told(capsys: Capture, arguments: str, code: int, words: str) -> None:
    command, *rest = arguments.split()
    assert main(["sim", command, *LOAD, *rest]) == code
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""
    assert "Traceback" not in printed.err


def test_a_file_that_is_no_log_is_refused(capsys: Capture) -> None:
    Path("notes").write_text("hello\n")
    assert main(["sim", "replay", "notes", *LOAD]) == 2
    assert "notes is no event log" in capsys.readouterr().err


# -- the parts --------------------------------------------------------------------------------------------


def test_seeds_are_dealt_over_the_scenarios_in_turn() -> None:
    dealt = [(errand.number, errand.scenario, errand.seed) for errand in deal(["x", "y"], 5, 5)]
    assert dealt == [(0, "x", 5), (1, "y", 5), (2, "x", 6), (3, "y", 6), (4, "x", 7)]
    assert len(list(islice(deal(["x"], 0), 1000))) == 1000


@pytest.mark.parametrize(
    ("count", "first", "scenarios", "fine"),
    [
        (1, LAST_SEED, 1, True),
        (3, LAST_SEED, 3, True),
        (4, LAST_SEED, 3, False),
        (2, LAST_SEED, 1, False),
        (0, 0, 1, False),
    ],
)
def test_no_seed_is_above_the_last(count: int, first: int, scenarios: int, fine: bool) -> None:
    if fine:
        assert checked_seeds(count, first, scenarios) == count
        assert max(errand.seed for errand in deal(["x"] * scenarios, first, count)) <= LAST_SEED
    else:
        with pytest.raises(UsageError):
            checked_seeds(count, first, scenarios)


def test_all_means_all_in_the_order_of_their_names() -> None:
    assert checked_scenarios("all", ["b", "a"]) == ("a", "b")
    assert checked_scenarios("b", ["b", "a"]) == ("b",)


@pytest.mark.parametrize(("text", "numbers"), [("", set()), ("3", {3}), ("1, 4,7", {1, 4, 7})])
def test_numbers_of_faults_are_read(text: str, numbers: set[int]) -> None:
    assert checked_faults("--without", text) == numbers


@pytest.mark.parametrize("text", [",", "1,", "-1", "a", "1.5", "²"])
def test_what_are_no_numbers_of_faults_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        checked_faults("--without", text)


def answer(number: int, *words: str, **fields: Any) -> Answer:
    return Answer(number=number, scenario="x", seed=number, trace_hash=str(number), words=words, **fields)


def test_answers_are_counted_in_the_order_of_their_errands() -> None:
    forward, backward = Tally(), Tally()
    for number in range(4):
        forward.add(answer(number, virtual_seconds=1.0))
    assert [len(backward.add(answer(number, virtual_seconds=1.0))) for number in (3, 1, 0, 2)] == [0, 0, 2, 2]
    assert forward.figures(2.0) == backward.figures(2.0)
    assert forward.figures(2.0).seeds_per_second == 2.0
    assert forward.figures(2.0).virtual_seconds == 4.0


def test_a_failure_without_a_violation_counts_as_one() -> None:
    tally = Tally(["mine"])
    tally.add(answer(0, "P1", "P2", violations=2))
    tally.add(answer(1, "AssertionError: x"))
    figures = tally.figures(0.0)
    assert (figures.violations, figures.scenarios["x"].failures, figures.seeds_per_second) == (3, 2, 0.0)
    assert [failure.replay for failure in figures.failures] == [
        f"actors sim replay x {seed} --load mine" for seed in (0, 1)
    ]


def test_the_replay_line_names_all_that_is_needed() -> None:
    assert replay_line("x", 3) == "actors sim replay x 3"
    assert replay_line("x", 3, (4, 1), ("m", "n")) == "actors sim replay x 3 --without 1,4 --load m --load n"


@pytest.mark.usefixtures("loaded")
def test_a_worker_shrinks_what_it_is_told_to() -> None:
    plain, small = (done(Errand(0, "fake-cuts", 2, shrink)) for shrink in (False, True))
    assert (len(plain.faults), plain.without) == (5, ())
    assert (len(small.faults), small.without) == (2, (0, 2, 4))
    assert plain.words == small.words == ("AssertionError: both of them",)
    assert done(Errand(0, "fake-cuts", 0)).words == ()
    assert done(Errand(0, "fake-cuts", 0, True)).words == ("the simulator failed: ValueError: seed 0 does not fail",)
