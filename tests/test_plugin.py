"""The plugin for pytest, in test runs of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import trio

import actors.cluster
import actors.testing.plugin
import actors.testing.virtual.real  # all that the runs import is kept between them  # noqa: F401
from actors.testing.nodes import LATENCY, open_seeded_cluster
from actors.testing.virtual.runner import run_virtual

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
INSTALLED = any(each.value == "actors.testing.plugin" for each in entry_points(group="pytest11"))
LOAD = () if INSTALLED else ("-p", "actors.testing.plugin")

ENGINES = """
import time

import pytest
import trio
from actors import Engine, Request, on

class Add(Request[int]):
    n: int

class Counter(Engine):
    total: int = 0

    @on(Add)
    def add(self, msg: Add) -> int:
        self.total += msg.n
        return self.total

class Timed(Engine):
    @on(Add)
    def add(self, msg: Add) -> int:
        return int(time.time())
"""


class Runs:
    """pytest, run on a file of tests that begins with `ENGINES`."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.mode("true")

    def mode(self, trio_mode: str) -> None:
        self._pytester.makeini(f"[pytest]\ntrio_mode = {trio_mode}\naddopts = --strict-markers -p no:cacheprovider\n")

    def conftest(self, source: str) -> None:
        self._pytester.makeconftest(source)

    def run(self, source: str, *options: str) -> pytest.RunResult:
        self._pytester.makepyfile(test_it=ENGINES + source)
        return self._pytester.runpytest_inprocess(*LOAD, *options)

    def passes(self, source: str, *options: str, count: int = 1) -> str:
        """What was printed, of tests that all pass."""
        ran = self.run(source, "-s", *options)
        ran.assert_outcomes(passed=count)
        return ran.stdout.str()

    def fails(self, source: str, *options: str, **outcomes: int) -> str:
        """What was printed, of tests that do not all pass; by default one that fails."""
        ran = self.run(source, *options)
        ran.assert_outcomes(**(outcomes or {"failed": 1}))
        return ran.stdout.str()


@pytest.fixture
def runs(pytester: pytest.Pytester) -> Runs:
    return Runs(pytester)


# -- cluster ----------------------------------------------------------------------------------------------

HOURS = """
async def test_hours_pass(cluster):
    a, b, c = cluster
    counter = b.spawn(Counter(), "counter")
    for hour in range(3):
        assert await a.ask(counter, Add(1)) == 2 * hour + 1
        assert await c.ask(counter, Add(1)) == 2 * hour + 2
        await trio.sleep(3600)
    assert 3 * 3600 < trio.current_time() < 3 * 3600 + 1
"""


@pytest.mark.parametrize("mode", ["true", "false"])
@pytest.mark.parametrize("marked", ["", "@pytest.mark.trio", "@pytest.mark.trio(run=trio.run)"])
def test_three_nodes_are_there_under_virtual_time(runs: Runs, mode: str, marked: str) -> None:
    runs.mode(mode)
    runs.passes(HOURS.replace("async def", f"{marked}\nasync def"))


def test_the_marker_says_how_many_nodes_and_how_they_are_linked(runs: Runs) -> None:
    runs.passes(
        """
        @pytest.mark.cluster(2)
        async def test_two(cluster):
            a, b = cluster
            assert (a.name, b.name) == ("a", "b")
            assert not a.is_connected(b.id)

        @pytest.mark.cluster(permanent=True)
        async def test_linked(cluster):
            assert [n.is_connected(m.id) for n in cluster for m in cluster if n is not m] == [True] * 6
            assert {proxy.permanence for node in cluster for proxy in node.proxies()} == {"permanent"}

        @pytest.mark.cluster(2, names=["left", "right"])
        class TestNamed:
            async def test_named(self, cluster):
                assert [node.name for node in cluster] == ["left", "right"]

        @pytest.mark.cluster(30)
        async def test_many(cluster):
            assert len({node.name for node in cluster}) == len({node.id for node in cluster}) == 30
        """.replace("\n        ", "\n"),
        count=4,
    )


@pytest.mark.parametrize("arguments", ["2, 3", "'two'", "nodes=2", "True, topology='ring'"])
def test_a_marker_that_makes_no_sense_is_refused_with_words(runs: Runs, arguments: str) -> None:
    printed = runs.fails(f"@pytest.mark.cluster({arguments})\nasync def test_it(cluster): ...", errors=1)
    assert "cannot be used; the marker is cluster(n=3, *, permanent=False, names=None, allow=())" in printed


@pytest.mark.parametrize("arguments", ["0", "2, names=['a']", "2, names=['a', 'a']"])
def test_a_cluster_without_names_for_all_is_refused(runs: Runs, arguments: str) -> None:
    printed = runs.fails(f"@pytest.mark.cluster({arguments})\nasync def test_it(cluster): ...")
    assert "needs as many names, each its own" in printed


def test_another_fixture_may_build_on_the_cluster(runs: Runs) -> None:
    runs.passes(
        """
@pytest.fixture
async def counter(cluster):
    return cluster[1].spawn(Counter(), "counter")

async def test_it(counter, cluster, autojump_clock):
    assert trio.lowlevel.current_clock() is autojump_clock
    assert await cluster[0].ask(counter, Add(1)) == 1
    await trio.sleep(3600)
"""
    )


def test_local_messages_go_through_the_codec_and_nothing_of_this_process_shows(runs: Runs) -> None:
    runs.passes(
        """
got = []

class Keeper(Engine):
    @on(Add)
    def add(self, msg: Add) -> int:
        got.append(msg)
        return 0

async def test_it(cluster):
    sent = Add(5)
    await cluster[0].ask(cluster[0].spawn(Keeper(), "keeper"), sent)
    assert got == [sent] and got[0] is not sent
    assert cluster[0].snapshot().pid == 0
"""
    )


def test_a_test_that_hangs_fails(runs: Runs) -> None:
    printed = runs.fails("async def test_it(cluster):\n    await trio.sleep_forever()")
    assert "SimulationHung: still not over after 86400 virtual seconds" in printed


def test_a_test_may_skip_itself(runs: Runs) -> None:
    runs.fails("async def test_it(cluster):\n    pytest.skip('not today')", skipped=1)


def test_an_engine_that_uses_real_time_is_told(runs: Runs) -> None:
    source = """
async def test_it(cluster):
    a, b, c = cluster
    with pytest.raises(Exception):
        await a.ask(b.spawn(Timed(), "clock"), Add(1))
"""
    printed = runs.fails(source)
    assert re.search(
        r"NotSimulated: engine clock \(Timed\) of node b called time.time\(\) in test_it.py line 21", printed
    )
    runs.passes(
        "@pytest.mark.cluster(allow=['time.time'])" + source.replace("with pytest.raises(Exception):", "if True:")
    )


def test_a_test_without_the_fixture_is_left_alone(runs: Runs) -> None:
    runs.passes("async def test_it():\n    assert time.time() > 0 and trio.current_time() > 0")


# -- clusters of others -----------------------------------------------------------------------------------


def test_a_projects_own_fixture_of_this_name_is_left_alone(runs: Runs) -> None:
    runs.conftest("import pytest\n@pytest.fixture\ndef cluster(): return 'mine'")
    runs.passes(
        """
from trio.testing import MockClock

def test_plain(cluster):
    assert cluster == "mine"

async def test_in_real_time(cluster):
    assert cluster == "mine" and not isinstance(trio.lowlevel.current_clock(), MockClock)
""",
        count=2,
    )


def test_a_projects_own_fixture_may_build_on_ours(runs: Runs) -> None:
    runs.conftest("import pytest\n@pytest.fixture\nasync def cluster(cluster): return cluster[:2]")
    runs.passes("async def test_it(cluster):\n    a, b = cluster\n    await trio.sleep(3600)")


# -- what a test needs ------------------------------------------------------------------------------------


def test_without_pytest_trio_a_test_is_told_what_is_missing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\naddopts = --strict-markers\n")
    pytester.makepyfile(ENGINES + HOURS)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    ran = pytester.runpytest_subprocess(*LOAD, "-p", "no:trio")  # the marks that are known outlive a run in a process
    ran.assert_outcomes(errors=1)
    assert "the fixture `cluster` needs pytest-trio; install it" in ran.stdout.str()


def test_a_test_that_is_not_async_is_told_so(runs: Runs) -> None:
    printed = runs.fails("def test_it(cluster): ...", errors=1)
    assert "test_it uses the fixture `cluster` and must be an `async def`" in printed


def test_a_test_with_examples_is_told_what_to_do(runs: Runs) -> None:
    printed = runs.fails(
        """
from hypothesis import given, strategies as st

@given(n=st.integers())
async def test_it(cluster, n): ...
""",
        errors=1,
    )
    assert "once for all examples of @given; open one in each of them" in printed


# -- seeds ------------------------------------------------------------------------------------------------

DRAWS = """
import random, secrets, uuid

async def test_it(cluster, seed):
    a, b, c = cluster
    order = []
    async def turn(n):
        await trio.sleep(1)
        order.append(n)
    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(turn, n)
    await a.ask(b.spawn(Counter(), "counter"), Add(1))
    print()
    print("DRAWN seed", seed)
    print("DRAWN order", order)
    print("DRAWN chance", random.random())
    print("DRAWN secret", secrets.token_hex(4), uuid.uuid4().hex)
    print("DRAWN keys", [node.id.short for node in cluster])
    print("DRAWN incarnations", [node._network.incarnation.random for node in cluster])
    print("DRAWN time", trio.current_time())
"""


def drawn(printed: str) -> list[str]:
    found: list[str] = re.findall("^DRAWN .*", printed, re.MULTILINE)
    assert len(found) == 7
    return found


def test_all_of_a_test_comes_from_its_seed(runs: Runs) -> None:
    first = drawn(runs.passes(DRAWS, "--actors-seed", "7"))
    assert first[0] == "DRAWN seed 7"
    assert drawn(runs.passes(DRAWS, "--actors-seed=7")) == first
    assert not set(drawn(runs.passes(DRAWS, "--actors-seed=8"))) & set(first)


def test_a_cluster_from_a_seed_needs_no_plugin() -> None:
    async def main() -> list[object]:
        async with open_seeded_cluster(2, seed=3) as (a, b):
            await a.connect(b.id)
            return [a.advert.data, a._network.incarnation, b.advert.data, b._network.incarnation, trio.current_time()]

    first = run_virtual(main)
    assert run_virtual(main) == first
    assert isinstance(seconds := first[-1], float)
    assert seconds / LATENCY % 1 > 0


def test_without_a_seed_each_test_draws_one(runs: Runs) -> None:
    source = "@pytest.mark.parametrize('n', range(3))\ndef test_it(seed, n): print('\\nSEED', seed)"
    assert len(set(re.findall(r"SEED \d+", runs.passes(source, count=3)))) == 3


def test_a_test_that_runs_again_draws_another_seed(runs: Runs) -> None:
    runs.conftest(
        """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    runtestprotocol(item, nextitem=nextitem, log=False)
"""
    )
    printed = runs.passes("def test_it(seed): print('\\nSEED', seed)")
    assert len(set(re.findall(r"SEED \d+", printed))) == 2


def test_a_failure_shows_the_seed_and_how_to_run_it_again(runs: Runs) -> None:
    source = DRAWS + "    assert not order\n"
    printed = runs.fails(source)
    (seed, again) = re.search(r"^seed (\d+); again: pytest (.*)$", printed, re.MULTILINE).groups()  # type: ignore[union-attr]
    assert again == f"test_it.py::test_it --actors-seed {seed}"
    assert drawn(runs.fails(source, *again.split())) == drawn(printed)


@pytest.mark.parametrize("source", ["def test_it(seed): assert seed == -1", "async def test_it(cluster): assert 0"])
def test_either_fixture_is_enough_to_see_the_seed(runs: Runs, source: str) -> None:
    assert "trio-actors" in (printed := runs.fails(source))
    assert "\nseed " in printed


def test_a_test_that_passes_or_has_no_seed_shows_none(runs: Runs) -> None:
    assert "\nseed " not in runs.passes("def test_it(seed): ...", "-rA")
    assert "\nseed " not in runs.fails("def test_it(): assert 0")


# -- options ----------------------------------------------------------------------------------------------


def test_simulated_tests_find_the_options(runs: Runs) -> None:
    runs.passes(
        """
from actors.testing.seeds.chosen import choose

def test_it(request):
    chosen = choose(request.config)
    assert (chosen.seed, chosen.seeds, chosen.without) == (3, 50, {1, 4, 7})
""",
        *("--actors-seed=3", "--actors-seeds", "50", "--actors-without", "1,4,7"),
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--actors-seed", "x"], "--actors-seed x: a whole number"),
        (["--actors-seeds", "0"], "--actors-seeds 0: a whole number from 1"),
        (["--actors-without", "1,y", "--actors-seed", "1"], "--actors-without y: a whole number"),
        (["--actors-without", "1"], "give its --actors-seed, too"),
    ],
)
def test_options_that_cannot_be_used_end_the_run(runs: Runs, options: list[str], words: str) -> None:
    ran = runs.run("def test_it(): ...", *options)
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    assert words in ran.stderr.str()


def test_the_marker_and_the_options_are_shown(runs: Runs) -> None:
    assert "@pytest.mark.cluster(n=3" in runs.run("", "--markers").stdout.str()
    shown = runs.run("", "--help").stdout.str()
    assert all(option in shown for option in ("--actors-seed=N", "--actors-seeds=N", "--actors-without=1,4"))


def test_loading_the_plugin_imports_nothing_that_takes_long() -> None:
    program = "import sys, actors.testing.plugin; print({'trio', 'msgspec', 'cryptography'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.stderr) == ("set()", "")
