"""Many peers of one node (PROTOCOL L7): what they are told, and that they come back dispersed."""

from __future__ import annotations

from bisect import bisect_left
from random import Random

import pytest
import trio
from proxies import bench, virtual

from actors.identity import NodeKey
from actors.net.connecting.backoff import Backoff
from actors.net.connecting.crowd import APART, FEW, GROWN, Crowd
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut
from actors.testing.seeds.search import run

MANY = [NodeKey.from_seed(number.to_bytes(32, "big")).id for number in range(100)]


def told(crowd: Crowd, count: int) -> list[int]:
    """How many there were whenever all had to be told, while so many came."""
    return [number for number, peer in enumerate(MANY[:count], 1) if crowd.join(peer)]


def test_few_are_told_nothing() -> None:
    crowd = Crowd()
    assert told(crowd, FEW - 1) == []
    assert crowd.within == 0


def test_all_are_told_when_they_have_become_half_as_many_again() -> None:
    crowd = Crowd()
    assert told(crowd, 100) == [16, 25, 38, 58, 88]
    assert crowd.within == pytest.approx(100 * APART)


def test_who_comes_twice_counts_once() -> None:
    crowd = Crowd()
    for _ in range(100):
        assert not crowd.join(MANY[0])
    assert crowd.within == 0


def test_all_are_told_that_they_have_become_few_when_the_next_one_comes() -> None:
    crowd = Crowd()
    told(crowd, 90)
    for peer in MANY[30:]:
        crowd.leave(peer)
    assert crowd.join(MANY[0])
    assert crowd.within == pytest.approx(30 * APART)
    for peer in MANY[3:]:
        crowd.leave(peer)
    assert crowd.join(MANY[0])
    assert crowd.within == 0


# -- at once ----------------------------------------------------------------------------------------------------


def most_at_once(dials: list[float]) -> int:
    """The most within a tenth of a second."""
    ordered = sorted(dials)
    return max(bisect_left(ordered, at + 0.1) - number for number, at in enumerate(ordered))


def dials_of(peers: int, *, down: float, random: Random, within: float) -> list[float]:
    """Of so many that lose a node at 0, which comes back `down` later. What they were told may be old."""
    dials = []
    for _ in range(peers):
        backoff = Backoff()
        backoff.proven(-60)
        backoff.disperse(within * random.uniform(1 / GROWN, 1))
        now = backoff.ended(0, random.random())
        dials.append(now)
        while now < down:
            backoff.attempt(now)
            now = backoff.ended(now, random.random())
            dials.append(now)
    return dials


@pytest.mark.parametrize("down", [0.1, 2.0, 10.0])
def test_of_200_peers_no_more_than_a_tenth_dials_in_a_tenth_of_a_second(down: float) -> None:
    for seed in range(5):
        dials = dials_of(200, down=down, random=Random(seed), within=200 * APART)
        assert most_at_once(dials) <= 20
        assert max(dials) < down + 3 * 200 * APART


def test_without_a_word_of_how_many_they_are_they_come_together() -> None:
    assert most_at_once(dials_of(200, down=2.0, random=Random(0), within=0)) > 100


def test_a_crowd_that_loses_its_node_comes_back_over_the_time_that_it_was_told() -> None:
    names = [f"n{number}" for number in range(20)]
    back: list[float] = []

    async def scenario(sim: Simulation) -> None:
        await sim.start("hub", *names)
        for name in names:
            await sim.link(name, "hub")
        await trio.sleep(20)
        sim.network.on_dial.append(lambda at, *_: back.append(at - lost))
        lost = sim.now()
        for name in names:
            await sim.inflict(Cut(name, "hub"))
        await trio.sleep(1)
        assert all(sim.is_up(name, "hub") for name in names)

    result = run(scenario, 1)
    assert not result.failed, result.words
    assert len(back) == 20
    assert 0.16 <= min(back) < 0.26
    assert 0.35 < max(back) <= 0.16 + 20 * APART + 0.1


@virtual
async def test_who_is_one_of_few_is_back_at_once() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        await trio.sleep(20)
        nodes.wires.cut("a", "b")
        await nodes.until(lambda: nodes.ready("a", "b"), within=0.25)
