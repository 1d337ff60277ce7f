"""`@simulate`: a user's test from many seeds, the faults beside it, and what is said when it fails."""

from __future__ import annotations

import inspect
import random
import re
import time
import traceback
from collections.abc import Awaitable, Callable
from importlib.metadata import entry_points
from typing import Any

import pytest
import trio

from actors.engine import Engine, on
from actors.errors import ConfigError, DefinitionError, Lost
from actors.identity import EngineID
from actors.messages import Message, Request
from actors.node import Node
from actors.testing.cluster.simulation import NotRunning, Simulation
from actors.testing.faults import GENTLE, KINDS, Bounce, Crash, Cut, Fault, Flap, Partition, Stall, WallJump
from actors.testing.history.records import Bytes
from actors.testing.history.records import Fault as Inflicted
from actors.testing.seeds.chosen import choose
from actors.testing.seeds.simulate import SimulationFailed, simulate
from actors.testing.seeds.storm import LONGEST, MOST, OVER, Moment, shortened
from actors.testing.virtual.real import NotSimulated

pytest_plugins = ["pytester"]

Body = Callable[[Simulation], Awaitable[object]]


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACTORS_SEED", "ACTORS_SEEDS", "ACTORS_WITHOUT"):
        monkeypatch.delenv(name, raising=False)


class Order(Message):
    n: int


class Count(Request[int]):
    pass


class Shop(Engine):
    seen: int = 0

    @on(Order)
    def order(self, msg: Order) -> None:
        self.seen += 1

    @on(Count)
    def count(self, msg: Count) -> int:
        return self.seen


def engines(node: Node) -> None:
    node.spawn(Shop(), "shop")


def failure(body: Body, seeds: int = 1, **options: Any) -> SimulationFailed:
    """How this body fails."""
    with pytest.raises(SimulationFailed) as error:
        simulate(seeds, **options)(body)()
    return error.value


# -- a test that goes through -----------------------------------------------------------------------------


@simulate(seeds=12)
async def test_no_order_is_lost(sim: Simulation) -> None:
    a, _ = await sim.start("a", "b", setup=engines)
    await sim.link("a", "b")
    for n in range(50):
        await a.tell(sim.to("b", "shop"), Order(n))
    await sim.settle()
    assert await a.ask(sim.to("b", "shop"), Count()) == 50


@simulate(seeds=10, faults=("cut", "crash"))
async def test_with_crashes_a_test_asks_for_the_present_run(sim: Simulation) -> None:
    await sim.start("a", "b", setup=engines)
    await sim.link("a", "b")
    await sim.settle()
    assert sim.running == ["a", "b"]
    assert await sim["a"].ask(sim.to("b", "shop"), Count()) == 0


@pytest.mark.parametrize("many", [1, 4])
@simulate(seeds=2, faults=())
async def test_fixtures_and_parameters_stand_beside_sim(
    sim: Simulation, many: int, tmp_path: object, request: pytest.FixtureRequest
) -> None:
    assert many in (1, 4)
    assert tmp_path
    assert str(many) in request.node.name


class TestInAClass:
    @simulate(seeds=2, faults=())
    async def test_a_method_is_a_test(self, sim: Simulation) -> None:
        assert isinstance(self, TestInAClass)


def test_each_seed_is_run_once() -> None:
    seeds = []

    @simulate(seeds=5)
    async def body(sim: Simulation) -> None:
        seeds.append(sim.seed)

    body()
    assert seeds == [0, 1, 2, 3, 4]


def test_pytest_sees_an_ordinary_function_without_sim() -> None:
    @simulate()
    async def test_x(sim: Simulation, tmp_path: object) -> None:
        """What it is about."""

    assert list(inspect.signature(test_x).parameters) == ["tmp_path", "request"]
    assert not inspect.iscoroutinefunction(test_x)
    assert test_x.__doc__ == "What it is about."


def test_chance_is_the_seeds() -> None:
    drawn: list[float] = []

    @simulate(seeds=3, faults=())
    async def body(sim: Simulation) -> None:
        drawn.append(random.random())

    body()
    body()
    assert drawn[:3] == drawn[3:]
    assert len(set(drawn)) == 3


def test_fault_points_get_their_chances() -> None:
    @simulate(seeds=1, chances={"some.point": 0.25})
    async def body(sim: Simulation) -> None:
        assert sim.chances == {"some.point": 0.25}

    body()


# -- one that fails ---------------------------------------------------------------------------------------


async def needs_two(sim: Simulation) -> None:
    """Fails if the faults 1 and 3 are inflicted, from seed 2 on."""
    await sim.start("a", "b")
    hit = [await sim.inflict(Cut("a", "b")) for _ in range(5)]
    assert sim.seed < 2 or not (hit[1] and hit[3]), "both of them"


def test_a_failure_has_everything_that_is_needed() -> None:
    failed = failure(needs_two, seeds=9, faults=())
    text = str(failed)
    assert text.startswith("seed 2 fails, after 0.000 virtual seconds (trace ")
    assert "Why:\n    AssertionError: both of them" in text
    assert (
        "The fewest faults that still fail, 2 of 5:\n      1  at 0.0000  Cut(one='a', other='b', noticed_by='')\n"
        in text
    )
    assert re.search(r"Replay:\n    ACTORS_SEED=2 ACTORS_WITHOUT=0,2,4 pytest \S+test_simulate.py::", text)
    assert "What happened (Mermaid):\n    sequenceDiagram\n        participant n1 as a\n" in text
    assert text.count("FAULT Cut") == 2
    assert failed.failure.remark == ""


def test_the_original_error_is_the_cause_and_its_traceback_is_the_tests_own() -> None:
    cause = failure(needs_two, seeds=9, faults=()).__cause__
    assert isinstance(cause, AssertionError)
    frames = traceback.extract_tb(cause.__traceback__)
    assert [frame.name for frame in frames] == ["needs_two"]


def test_the_replay_runs_that_seed_without_those_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    first = failure(needs_two, seeds=9, faults=())
    monkeypatch.setenv("ACTORS_SEED", "2")
    monkeypatch.setenv("ACTORS_WITHOUT", "0,2,4")
    again = failure(needs_two, faults=())
    assert again.failure.trace_hash == first.failure.trace_hash
    assert again.failure.replay == first.failure.replay
    monkeypatch.setenv("ACTORS_WITHOUT", "0")
    assert failure(needs_two, faults=()).failure.without == {0}
    monkeypatch.setenv("ACTORS_WITHOUT", "0,1")
    simulate(faults=())(needs_two)()


def test_the_environment_gives_another_number_of_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_SEEDS", "2")
    simulate(seeds=9, faults=())(needs_two)()


def test_a_failure_without_any_fault_says_so() -> None:
    async def body(sim: Simulation) -> None:
        await sim.start("a", "b")
        await sim.inflict(Cut("a", "b"))
        assert sim.seed == 1000

    text = str(failure(body, faults=()))
    assert "It needs no fault: it fails without any of the 1 that were drawn." in text
    assert "ACTORS_WITHOUT=0 pytest" in text
    assert "FAULT" not in text


def test_a_failure_where_none_was_drawn_says_so() -> None:
    async def body(sim: Simulation) -> None:
        raise KeyError("x")

    text = str(failure(body))
    assert "KeyError: 'x'" in text
    assert "It needs no fault: none was drawn." in text


def test_an_error_beside_the_test_is_a_failure_with_its_cause() -> None:
    async def body(sim: Simulation) -> None:
        async def beside() -> None:
            raise KeyError("x")

        sim.start_soon(beside)
        await trio.sleep(1)

    failed = failure(body, faults=())
    assert "KeyError: 'x'" in str(failed)
    assert isinstance(failed.__cause__, ExceptionGroup)


def test_a_broken_promise_fails_a_test_that_went_through() -> None:
    async def body(sim: Simulation) -> None:
        await sim.start("a")
        sim.record(Bytes(sim.now(), "a", 1, "", "out", False))

    failed = failure(body, faults=())
    assert "Why:\n    P8 " in str(failed)
    assert "please report it" in str(failed)
    assert "VIOLATION of P8" in str(failed)
    assert failed.__cause__ is None


def test_a_failure_that_does_not_come_again_says_so() -> None:
    runs: list[int] = []

    async def body(sim: Simulation) -> None:
        runs.append(sim.seed)
        assert len(runs) != 3

    failed = failure(body, seeds=5, faults=())
    assert failed.failure.seed == 2
    assert "did not come out the same" in str(failed)
    assert isinstance(failed.__cause__, AssertionError)


@pytest.mark.parametrize("name_of", [lambda run: f"n{run}", lambda run: "first" if run == 3 else "later"])
def test_a_fixture_that_remembers_is_found_out(name_of: Callable[[int], str]) -> None:
    runs: list[int] = []

    async def body(sim: Simulation) -> None:
        runs.append(sim.seed)
        await sim.start(name_of(len(runs)))
        assert sim.seed < 2

    assert "did not come out the same" in str(failure(body, seeds=5, faults=()))


def test_whoever_uses_a_node_that_crashed_gets_a_hint() -> None:
    async def body(sim: Simulation) -> None:
        await sim.start("a", "b")
        await sim.inflict(Crash("b", 5.0))
        assert sim["b"]

    failed = failure(body, faults=())
    assert isinstance(failed.__cause__, NotRunning)
    assert "A fault has ended a run of b: what `sim.start` returned for it is over." in str(failed)


class Timed(Engine):
    @on(Count)
    def count(self, msg: Count) -> int:
        return int(time.time())


def test_an_engine_that_uses_real_time_is_told_by_name() -> None:
    @simulate(seeds=9)
    async def body(sim: Simulation) -> None:
        (a,) = await sim.start("a", setup=lambda node: node.spawn(Timed(), "timed"))
        await a.ask(sim.to("a", "timed"), Count())

    with pytest.raises(NotSimulated, match=r"engine timed \(Timed\) of node a called time\.time\(\)") as error:
        body()
    assert "with seed 0; again: ACTORS_SEED=0 pytest " in error.value.__notes__[0]


def test_a_real_function_that_is_allowed_may_be_used() -> None:
    @simulate(seeds=1, allow=("time.time()", "time.time"))
    async def body(sim: Simulation) -> None:
        (a,) = await sim.start("a", setup=lambda node: node.spawn(Timed(), "timed"))
        assert await a.ask(sim.to("a", "timed"), Count()) > 0

    body()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), pytest.skip.Exception("not now")])
def test_what_is_no_failure_goes_through_as_it_is(error: BaseException) -> None:
    @simulate(seeds=9)
    async def body(sim: Simulation) -> None:
        await sim.start("a")
        raise error

    with pytest.raises(type(error)) as raised:
        body()
    assert raised.value is error


def test_pytests_own_way_to_fail_is_a_failure() -> None:
    async def body(sim: Simulation) -> None:
        pytest.fail("because")

    failed = failure(body)
    assert "because" in str(failed)
    assert isinstance(failed.__cause__, pytest.fail.Exception)


# -- under pytest -----------------------------------------------------------------------------------------

SUITE = """
import pytest
from actors.testing.faults import Cut
from actors.testing.seeds.simulate import simulate

class TestShop:
    @pytest.mark.parametrize("which", ["a b"])
    @simulate(seeds=9, faults=())
    async def test_it(self, sim, which):
        await sim.start("a", "b")
        hit = [await sim.inflict(Cut("a", "b")) for _ in range(3)]
        assert sim.seed < 4 or not hit[1]

@simulate()
async def test_skipped(sim):
    pytest.skip("not now")
"""


def test_the_line_of_a_report_replays_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=SUITE)
    pytester.makeini("[pytest]\ntrio_mode = true\n")
    options = ["-p", "no:cacheprovider"]
    if not any(each.value == "actors.testing.plugin" for each in entry_points(group="pytest11")):
        options += ["-p", "actors.testing.plugin"]
    ran = pytester.runpytest_inprocess(*options)
    ran.assert_outcomes(failed=1, skipped=1)
    line = "pytest 'test_it.py::TestShop::test_it[a b]' --actors-seed 4 --actors-without 0,2"
    ran.stdout.fnmatch_lines(["*assert (4 < 4 or not True)", f"*{line.replace('[', '[[]')}"])
    again = pytester.runpytest_inprocess(*options, "test_it.py", "--actors-seed", "4", "--actors-without", "0,2")
    again.assert_outcomes(failed=1, skipped=1)
    pytester.runpytest_inprocess(*options, "--actors-seed=4", "--actors-without=1").assert_outcomes(passed=1, skipped=1)
    pytester.runpytest_inprocess(*options, "--actors-seeds=4").assert_outcomes(passed=1, skipped=1)


# -- the faults beside a test -----------------------------------------------------------------------------


def inflicted(
    seed: int, *, without: str = "", monkeypatch: pytest.MonkeyPatch, **options: Any
) -> list[tuple[float, str]]:
    """When and what struck a cluster that waits for all of it."""
    monkeypatch.setenv("ACTORS_SEED", str(seed))
    monkeypatch.setenv("ACTORS_WITHOUT", without)
    found: list[tuple[float, str]] = []

    @simulate(**options)
    async def body(sim: Simulation) -> None:
        await sim.start("a", "b", "c")
        await sim.link("a", "b")
        await sim.settle()
        found.extend((record.at, record.what) for record in sim.history if isinstance(record, Inflicted))

    body()
    return found


def test_the_first_seed_is_calm_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inflicted(0, monkeypatch=monkeypatch) == []
    several = [len(inflicted(seed, monkeypatch=monkeypatch)) for seed in range(1, 13)]
    assert set(several) <= set(range(1, MOST + 1))
    assert len(set(several)) > 3


def test_faults_are_the_seeds_and_of_the_kinds_that_were_named(monkeypatch: pytest.MonkeyPatch) -> None:
    first, again, other = (inflicted(seed, monkeypatch=monkeypatch, faults=("cut",)) for seed in (1, 1, 2))
    assert first == again != other
    assert all(what.startswith("Cut(") for _, what in [*first, *other])


def test_faults_strike_within_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [at for seed in range(1, 6) for at, _ in inflicted(seed, monkeypatch=monkeypatch)]
    assert max(times) <= OVER
    assert min(times) < 0.2
    times = [at for seed in range(1, 4) for at, _ in inflicted(seed, monkeypatch=monkeypatch, over=3600.0)]
    assert 60 < max(times) <= 3600


def test_a_fault_that_is_left_out_changes_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    seed, all_of_them = next(
        (seed, found)
        for seed in range(1, 20)
        if len(found := inflicted(seed, monkeypatch=monkeypatch, faults=("cut",))) > 2
    )
    (_, dropped), *others = (what for what in all_of_them)
    kept = inflicted(seed, without="0", monkeypatch=monkeypatch, faults=("cut",))
    assert sorted(what for _, what in kept) == sorted(what for _, what in others)
    assert dropped


def test_no_fault_strikes_after_settle() -> None:
    @simulate(seeds=12)
    async def body(sim: Simulation) -> None:
        await sim.start("a", "b")
        await sim.settle()
        before = len(sim.faults)
        assert sim.seed == 0 or before
        await trio.sleep(2 * OVER)
        assert len(sim.faults) == before

    body()


@pytest.mark.parametrize("fault", [Bounce("b", 3.0), Crash("b", 3.0)])
@pytest.mark.parametrize("later", [0.0, 0.001])
@simulate(seeds=1)
async def test_after_settle_nodes_run_and_both_ends_know_of_their_link(
    sim: Simulation, fault: Fault, later: float
) -> None:
    await sim.start("a", "b")
    await sim.link("a", "b")
    await sim.inflict(fault)
    await trio.sleep(later)
    await sim.settle()
    for _ in range(20):
        assert sim.running == ["a", "b"]
        assert sim.is_up("a", "b")
        assert sim.is_up("b", "a")
        await trio.sleep(0.5)


def test_none_strikes_after_heal() -> None:
    @simulate(seeds=12)
    async def body(sim: Simulation) -> None:
        await sim.start("a", "b")
        await sim.heal()
        await trio.sleep(2 * OVER)
        assert sim.faults == []

    body()


def test_none_strikes_while_nodes_stop_at_the_end_of_a_test() -> None:
    sims: list[Simulation] = []

    @simulate(seeds=12)
    async def body(sim: Simulation) -> None:
        sims.append(sim)
        a, _ = await sim.start("a", "b", setup=engines)
        await sim.link("a", "b")
        sim.network.partition("a", "b")
        struck.append(len(sim.faults))
        await a.tell(sim.to("b", "shop"), Order(1))

    struck: list[int] = []
    body()
    assert max(sim.history[-1].at for sim in sims) > OVER
    assert [len(sim.faults) for sim in sims] == struck


def test_a_fault_may_strike_while_something_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.testing.seeds.storm._moment", lambda *_: Moment(5, 0.0))
    times = {at for seed in range(1, 5) for at, _ in inflicted(seed, monkeypatch=monkeypatch, faults=("cut",))}
    assert 0 < max(times) < 1


def test_what_strikes_changes_nothing_that_the_test_draws() -> None:
    drawn: list[float] = []

    async def body(sim: Simulation) -> None:
        await sim.start("a", "b")
        await sim.settle()
        drawn.append(sim.rng.random())

    simulate(6, faults=("cut",))(body)()
    simulate(6, faults=())(body)()
    assert drawn[:6] == drawn[6:]


def test_no_fault_of_a_storm_lasts_longer_than_messages_live(monkeypatch: pytest.MonkeyPatch) -> None:
    struck = [
        what for seed in range(1, 9) for _, what in inflicted(seed, monkeypatch=monkeypatch, faults=("partition",))
    ]
    lasted = [float(re.search(r"seconds=([\d.]+)", what)[1]) for what in struck]  # type: ignore[index]
    assert max(lasted) == LONGEST


@pytest.mark.parametrize("names", [(), ("a",)])
def test_kinds_that_need_more_nodes_than_there_are_do_not_strike(names: tuple[str, ...]) -> None:
    @simulate(seeds=12, faults=("cut", "partition", "stall"))
    async def body(sim: Simulation) -> None:
        await sim.start(*names)
        await sim.settle()
        assert all(fault.startswith("Stall(") for fault in sim.faults)

    body()


def test_every_kind_may_be_named() -> None:
    @simulate(seeds=12, faults=KINDS)
    async def body(sim: Simulation) -> None:
        await sim.start("a", "b", setup=engines)
        await sim.link("a", "b")
        await sim.settle()

    body()


@pytest.mark.parametrize(
    ("fault", "shorter"),
    [
        (Cut("a", "b"), Cut("a", "b")),
        (Partition(("a",), 60.0), Partition(("a",), 5.0)),
        (Partition(("a",), 1.0), Partition(("a",), 1.0)),
        (Crash("a", 20.0), Crash("a", 5.0)),
        (Bounce("a", 2.0), Bounce("a", 2.0)),
        (Flap("a", "b", 8, up=1.0, down=1.0), Flap("a", "b", 2, up=1.0, down=1.0)),
        (Flap("a", "b", 8, up=9.0, down=1.0), Flap("a", "b", 1, up=9.0, down=1.0)),
        (Stall(9.0), Stall(5.0)),
        (WallJump("a", 86_400.0), WallJump("a", 86_400.0)),
    ],
)
def test_a_fault_lasts_only_so_long(fault: Fault, shorter: Fault) -> None:
    assert shortened(fault, 5.0) == shorter


# -- mistakes ---------------------------------------------------------------------------------------------


async def fine(sim: Simulation) -> None: ...


async def without_sim() -> None: ...


def not_async(sim: Simulation) -> None: ...


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: simulate(fine), "write @simulate(seeds=200)"),  # type: ignore[arg-type]
        (lambda: simulate(seeds=0), "a number from 1; this is 0"),
        (lambda: simulate(over=0), "over more than 0 seconds"),
        (lambda: simulate(faults=("cutt",)), "no fault is called 'cutt'; did you mean 'cut'?"),
        (lambda: simulate(faults=("xyzzy",)), "no fault is called 'xyzzy'; there are cut, "),
        (lambda: simulate(faults="cut"), "write faults=('cut',)"),
        (lambda: simulate()(without_sim), "without_sim has no parameter `sim`"),
        (lambda: simulate()(not_async), "not_async is none"),  # type: ignore[arg-type]
    ],
)
def test_a_mistake_is_told_where_it_is_written(make: Callable[[], object], words: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(words)):
        make()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"ACTORS_SEED": "x"}, "--actors-seed x: a whole number from 0"),
        ({"ACTORS_SEED": "-1"}, "--actors-seed -1: a whole number from 0"),
        ({"ACTORS_SEED": str(2**63)}, "a whole number from 0 to 9223372036854775807"),
        ({"ACTORS_SEEDS": "0"}, "--actors-seeds 0: a whole number from 1"),
        ({"ACTORS_WITHOUT": "1"}, "give its --actors-seed, too"),
        ({"ACTORS_SEED": "1", "ACTORS_WITHOUT": "1;2"}, "--actors-without 1;2"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        choose(environ=environ)


def test_gentle_kinds_leave_nodes_running() -> None:
    assert not {"crash", "bounce", "corrupt", "stall", "wall-jump"} & set(GENTLE)


def test_over_an_ephemeral_link_a_test_may_lose_messages_and_is_told_why() -> None:
    async def body(sim: Simulation) -> None:
        a, _ = await sim.start("a", "b", setup=engines)
        to: EngineID = sim.to("b", "shop")
        await a.ask(to, Count())
        await sim.inflict(Cut("a", "b", "b"))
        await a.ask(to, Count())

    failed = failure(body, faults=())
    assert isinstance(failed.__cause__, Lost)
    assert "lost (connection_lost), perhaps sent" in str(failed)
    assert "the link is down" in str(failed)
