"""The simulation itself: the same from the same seed, everywhere; nodes that crash and come back; faults left out."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import trio

from actors.testing.cluster.simulation import NotRunning, NotSettled, Simulation
from actors.testing.faults import KINDS, Crash, Cut, draw
from actors.testing.history.records import Ended, Entered, Fault, Settled
from actors.testing.scenarios import SCENARIOS
from actors.testing.scenarios.cast import Item, cast
from actors.testing.seeds.search import Result, run, shrink

HASHES = """
from actors.testing.scenarios import SCENARIOS
from actors.testing.seeds.search import run
print(*(run(SCENARIOS[name].body, seed).trace_hash for name in ("cuts", "chaos") for seed in range(4)))
"""


def test_a_seed_gives_the_same_run_in_another_process_whatever_its_hash_seed() -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", HASHES],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "4711")
    }
    assert len(hashes) == 1
    assert len(set(hashes.pop().split())) == 8, "and no two seeds the same"


async def ten_items(sim: Simulation) -> None:
    await sim.start("a", "b", setup=cast(sim))
    await sim.link("a", "b")
    for n in range(10):
        await sim["a"].tell(sim.to("b", "sink"), Item(n))
        await sim.inflict(Cut("a", "b"))
        await trio.sleep(0.1)
    await sim.settle()


def entered(result: Result) -> list[str]:
    return [record.content for record in result.history if isinstance(record, Entered)]


def test_every_message_is_in_the_history_once_with_its_outcome() -> None:
    result = run(ten_items, 1)
    assert not result.failed, result.words
    assert len(entered(result)) == len(set(entered(result))) == 10
    assert [record.outcome for record in result.history if isinstance(record, Settled)] == ["delivered"] * 10
    assert len(result.faults) == 10


def test_a_fault_that_is_left_out_keeps_its_number_and_does_not_happen() -> None:
    result = run(ten_items, 1, without={0, 1, 5})
    assert not result.failed, result.words
    assert len(result.faults) == 10
    assert sum(isinstance(record, Fault) for record in result.history) == 7


async def breaks_at_the_second_crash(sim: Simulation) -> None:
    await sim.start("a", "b", setup=cast(sim))
    crashes = 0
    for n in range(12):
        fault = Crash("b", 0.1) if n in (3, 8) else Cut("a", "b")
        crashes += await sim.inflict(fault) and isinstance(fault, Crash)
        await trio.sleep(1)
    assert crashes < 2, "the second crash was one too many"


def test_a_failure_is_shrunk_to_the_faults_that_it_needs() -> None:
    result, without = shrink(breaks_at_the_second_crash, 5)
    assert "one too many" in result.words
    assert set(range(12)) - without == {3, 8}


def test_a_seed_that_does_not_fail_cannot_be_shrunk() -> None:
    with pytest.raises(ValueError, match="seed 5 does not fail"):
        shrink(ten_items, 5)


async def crash_and_restart(sim: Simulation) -> None:
    await sim.start("a", "b", setup=cast(sim))
    await sim.link("a", "b")
    before = sim["b"]
    await sim.crash("b", silently=sim.rng.random() < 0.5)
    with pytest.raises(NotRunning, match=r"node 'b' does not run; there are a"):
        sim["b"]
    await sim.restart("b")
    assert sim["b"] is not before
    assert sim["b"]._network.incarnation > before._network.incarnation
    await sim.settle()
    await trio.sleep(60)  # a silent crash is noticed by a missing heartbeat
    assert await sim.send("a", sim.to("b", "sink"), Item(1)) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_node_that_crashed_runs_again_with_a_new_incarnation_and_its_engines(seed: int) -> None:
    result = run(crash_and_restart, seed)
    assert not result.failed, result.words
    assert [record.how for record in result.history if isinstance(record, Ended)] == ["killed", "stopped", "stopped"]


async def never_settles(sim: Simulation) -> None:
    await sim.start("a", "b", know=("b",))
    sim.network.lay("a", "b", latency=1e6)
    await sim.link("a", "b", wait=False)
    with pytest.raises(NotSettled, match=r"every permanent link up again; a -> b permanent dialing"):
        await sim.settle()


def test_what_does_not_settle_is_told_with_the_state_of_every_proxy() -> None:
    run(never_settles, 0)


def test_every_kind_of_fault_can_be_drawn_inflicted_and_healed() -> None:
    async def all_kinds(sim: Simulation) -> None:
        await sim.start("a", "b", "c", setup=cast(sim))
        await sim.link("a", "b")
        for timed in draw(sim.rng, ("a", "b", "c"), KINDS, count=40, over=60.0):
            await trio.sleep(timed.after)
            assert eval(str(timed.fault), vars(sys.modules["actors.testing.faults"])) == timed.fault
            await sim.inflict(timed.fault)
        await sim.settle()
        assert sim.network.is_healed

    for seed in range(5):
        result = run(all_kinds, seed)
        assert not result.failed, result.words


def test_the_scenarios_have_a_line_each() -> None:
    assert all(each.about.endswith(".") and len(each.about) < 120 for each in SCENARIOS.values())
