"""When a stream is cut."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from actors.console.cuts import Cuts, NoCuts, RandomCuts, TimedCuts


def run(plan: RandomCuts, messages: int, *, missed: set[int] = frozenset()) -> list[int]:  # type: ignore[assignment]
    """The positions at which a source of so many messages cuts; at those `missed` nothing is in flight."""
    positions, sighted = [], False
    for position in range(1, messages + 1):
        left = messages - position
        if not sighted and left <= plan.ahead:
            sighted = True
            plan.end_in_sight(position - 1, left + 1)
        while plan.due(position, 0.0) and position not in missed:
            plan.made(position, 0.0)
            positions.append(position)
    return positions


@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 5_000), st.sampled_from([2_000, 200_000]))
def test_every_cut_is_made_whatever_the_length(seed: int, count: int, messages: int, typical: int) -> None:
    plan = RandomCuts(count, Random(seed), typical)
    assert len(run(plan, messages)) == count == plan.made_so_far


@given(st.integers(0, 2**32), st.integers(1, 20), st.sets(st.integers(1, 990)))
def test_a_cut_that_found_nothing_in_flight_is_made_later(seed: int, count: int, missed: set[int]) -> None:
    assert len(run(RandomCuts(count, Random(seed), 2_000), 1_000, missed=missed)) == count


def test_the_seed_decides_the_positions() -> None:
    one, same, other = (run(RandomCuts(20, Random(seed), 2_000), 3_000) for seed in (1, 1, 2))
    assert one == same != other


def test_the_cuts_lie_apart_in_a_stream_of_typical_length() -> None:
    positions = run(RandomCuts(20, Random(1), 200_000), 300_000)
    assert len(set(positions)) == 20
    assert positions[-1] - positions[0] > 100_000


def test_an_empty_stream_has_no_cut() -> None:
    plan = RandomCuts(3, Random(1), 2_000)
    plan.end_in_sight(0, 0)
    assert not plan.due(0, 0.0)


def test_nothing_is_held_back_once_all_cuts_were_made() -> None:
    plan = RandomCuts(1, Random(1), 2_000)
    assert plan.ahead > 0
    plan.made(1, 0.0)
    assert plan.ahead == 0


def test_timed_cuts_come_after_their_time_and_never_in_a_burst() -> None:
    plan = TimedCuts(2.0, start=10.0)
    assert not plan.due(1, 11.9)
    assert plan.due(1, 17.0)
    plan.made(1, 17.0)
    assert not plan.due(1, 18.9)
    assert plan.due(1, 19.0)
    assert plan.made_so_far == 1


def test_no_cuts_is_a_plan_too() -> None:
    plan: Cuts = NoCuts()
    plan.end_in_sight(1, 1)
    assert not plan.due(10**9, 1e9)
    assert plan.ahead == 0
