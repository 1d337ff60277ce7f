"""When the next attempt is due: exact figures with the dice held still, bounds with them thrown."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import ConfigError
from actors.net.connecting.backoff import Backoff, BackoffCfg

EVEN = 0.5
"""The throw that gives the base itself."""


def failing(backoff: Backoff, attempts: int, *, now: float = 0.0, random: float = EVEN) -> list[float]:
    """The delays between the starts of attempts that all fail at once."""
    delays = []
    for _ in range(attempts):
        backoff.attempt(now)
        due = backoff.ended(now, random)
        delays.append(due - now)
        now = due
    return delays


def test_delays_grow_by_their_factor_up_to_the_cap() -> None:
    delays = failing(Backoff(), 14)
    assert delays[:4] == pytest.approx([0.2, 0.32, 0.512, 0.8192])
    assert all(later == pytest.approx(min(1.6 * sooner, 30)) for sooner, later in pairwise(delays))
    assert delays[-1] == pytest.approx(30)


@given(st.floats(0, 1, exclude_max=True))
def test_the_dice_move_a_delay_by_a_fifth_at_most(random: float) -> None:
    for even, thrown in zip(failing(Backoff(), 14), failing(Backoff(), 14, random=random), strict=True):
        assert 0.8 * even - 1e-9 <= thrown <= 1.2 * even + 1e-9


def test_the_dice_reach_both_ends_of_the_spread() -> None:
    assert failing(Backoff(), 1, random=0.0) == pytest.approx([0.16])
    assert failing(Backoff(), 1, random=math.nextafter(1, 0)) == pytest.approx([0.24])


def test_a_thousand_failures_overflow_nothing() -> None:
    assert failing(Backoff(), 1000)[-1] == pytest.approx(30)


def test_a_delay_is_counted_from_the_start_of_the_attempt() -> None:
    backoff = Backoff(BackoffCfg(first=8))
    backoff.attempt(100)
    assert backoff.ended(105, EVEN) == 108
    backoff.attempt(108)
    assert backoff.ended(150, EVEN) == 150, "a slow failure has waited long enough"


def test_nothing_is_due_while_an_attempt_or_a_connection_is_up() -> None:
    backoff = Backoff()
    assert backoff.due is None
    backoff.attempt(0)
    assert backoff.due is None
    backoff.ended(0, EVEN)
    assert backoff.due == pytest.approx(0.2)
    backoff.attempt(0.2)
    assert backoff.due is None
    backoff.ended(0.2, EVEN)
    backoff.proven(0.3)
    assert backoff.due is None


def test_a_short_connection_does_not_start_the_delays_anew() -> None:
    backoff = Backoff()
    failing(backoff, 5)
    backoff.attempt(100)
    backoff.proven(100.1)
    due = backoff.ended(109.9, EVEN)
    assert due == 109.9, "counted from the attempt's start"
    assert backoff.failures == 6
    backoff.attempt(due)
    assert backoff.ended(due, EVEN) - due == pytest.approx(0.2 * 1.6**6)


def test_a_steady_connection_starts_the_delays_anew_from_its_end() -> None:
    backoff = Backoff()
    failing(backoff, 5)
    backoff.attempt(100)
    backoff.proven(100.1)
    assert backoff.ended(110.1, EVEN) == pytest.approx(110.3)
    assert backoff.failures == 1


def test_a_lost_connection_of_the_peers_counts_from_its_start() -> None:
    backoff = Backoff(BackoffCfg(first=8))
    backoff.proven(50)
    assert backoff.ended(53, EVEN) == 58
    backoff.proven(100)
    assert backoff.ended(101, EVEN) == pytest.approx(112.8), "whatever was attempted before it"


def test_a_connection_that_is_lost_while_our_dial_goes_on_is_not_taken_for_a_steady_one() -> None:
    backoff = Backoff()
    backoff.attempt(0)
    backoff.proven(1)
    backoff.down(2)
    assert backoff.ended(20, EVEN) == 20
    assert backoff.failures == 1
    backoff.attempt(20)
    assert backoff.ended(20, EVEN) == pytest.approx(20.32), "the delays go on growing"


def test_a_second_connection_does_not_restart_the_clock_of_the_first() -> None:
    backoff = Backoff()
    failing(backoff, 5)
    backoff.proven(100)
    backoff.proven(109)
    backoff.ended(110, EVEN)
    assert backoff.failures == 1


def test_retry_after_is_a_floor_and_not_an_appointment() -> None:
    backoff = Backoff()
    backoff.attempt(0)
    backoff.told(0.1, 5.0, signed=False)
    assert backoff.ended(0.1, EVEN) == 5.1
    patient = Backoff(BackoffCfg(first=8))
    patient.attempt(0)
    patient.told(0.1, 5.0, signed=False)
    assert patient.ended(0.1, EVEN) == 8


def test_the_greater_of_two_floors_stands() -> None:
    backoff = Backoff()
    backoff.attempt(0)
    backoff.told(0, 5.0, signed=False)
    backoff.told(0, 1.0, signed=False)
    assert backoff.ended(0, EVEN) == 5


@pytest.mark.parametrize(("signed", "most"), [(False, 30.0), (True, 600.0)])
@pytest.mark.parametrize("told", [1e9, math.inf])
def test_a_huge_retry_after_is_capped(signed: bool, most: float, told: float) -> None:
    backoff = Backoff()
    backoff.attempt(0)
    backoff.told(0, told, signed=signed)
    assert backoff.ended(0, EVEN) == most


@pytest.mark.parametrize("told", [0.0, -5.0, -math.inf, math.nan])
def test_a_retry_after_that_makes_no_sense_is_nothing(told: float) -> None:
    backoff = Backoff()
    backoff.attempt(0)
    backoff.told(0, told, signed=True)
    assert backoff.ended(0, EVEN) == pytest.approx(0.2)


def test_waking_dials_at_once_but_not_before_the_peers_floor() -> None:
    backoff = Backoff()
    failing(backoff, 12)
    assert backoff.wake(100) == 100
    backoff.told(100, 7, signed=False)
    assert backoff.wake(101) == 107
    assert backoff.due == 107


def test_waking_never_makes_the_next_attempt_later() -> None:
    backoff = Backoff(BackoffCfg(first=8))
    backoff.attempt(0)
    due = backoff.ended(0, EVEN)
    assert backoff.wake(20) == 20 > due
    assert backoff.wake(3) == 3


def test_a_parked_proxy_waits_for_no_time_and_wakes() -> None:
    backoff = Backoff(BackoffCfg(first=8))
    backoff.attempt(0)
    backoff.ended(0, EVEN)
    backoff.park()
    assert (backoff.due, backoff.failures) == (None, 2)
    assert backoff.wake(50) == 50


def test_what_ended_in_a_denial_does_not_count_for_the_next_connection() -> None:
    backoff = Backoff(BackoffCfg(first=8))
    backoff.attempt(0)
    backoff.proven(1)
    backoff.park()
    backoff.proven(50)
    assert backoff.ended(53, EVEN) == 58


times = st.floats(0, 60, allow_nan=False)


@given(st.lists(st.tuples(times, times, st.floats(0, 1, exclude_max=True)), max_size=40))
def test_the_next_attempt_is_never_in_the_past_nor_later_than_the_cap_allows(
    attempts: list[tuple[float, float, float]],
) -> None:
    backoff, now = Backoff(), 0.0
    for dialing, up, random in attempts:
        start = now
        backoff.attempt(now)
        now += dialing
        if up:
            backoff.proven(now)
            now += up
        due = backoff.ended(now, random)
        assert now <= due <= max(now + 0.25, start + 1.2 * 30 + 1e-9)
        now = due


@pytest.mark.parametrize(
    "cfg",
    [{"first": 1.0, "factor": 1.0, "spread": 0.0, "cap": 1.0, "steady": 0.0, "signed_cap": 0.0}],
)
def test_delays_may_stand_still(cfg: dict[str, float]) -> None:
    assert failing(Backoff(BackoffCfg(**cfg)), 3) == [1, 1, 1]


@pytest.mark.parametrize(
    "cfg",
    [
        {"first": 0.0},
        {"first": 40.0},
        {"factor": 0.9},
        {"spread": 1.0},
        {"spread": -0.1},
        {"steady": -1.0},
        {"signed_cap": -1.0},
    ],
)
def test_delays_that_cannot_work_are_refused(cfg: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        BackoffCfg(**cfg)


# -- one of a crowd (L7) ----------------------------------------------------------------------------------------


def one_of_a_crowd(within: float = 4.0, cfg: BackoffCfg | None = None) -> Backoff:
    """It was told so, and has just lost a connection of a minute."""
    backoff = Backoff(cfg)
    backoff.proven(0)
    backoff.disperse(within)
    return backoff


@pytest.mark.parametrize(("random", "first", "second"), [(0.0, 0.16, 4.0), (0.5, 2.16, 6.0), (1.0, 4.16, 8.0)])
def test_one_of_a_crowd_draws_from_all_the_time_that_it_was_told(random: float, first: float, second: float) -> None:
    backoff = one_of_a_crowd()
    assert backoff.ended(60, random) == pytest.approx(60 + first)
    backoff.attempt(70)
    assert backoff.ended(70, random) == pytest.approx(70 + second), "after the first dials of all others"


def test_the_delays_of_a_crowd_grow_beyond_what_it_was_told_and_not_beyond_the_longest() -> None:
    backoff = one_of_a_crowd(1e9)
    backoff.ended(60, EVEN)
    assert failing(backoff, 14, now=100, random=0.0)[-1] == pytest.approx(0.8 * 30)
    assert failing(backoff, 1, now=900, random=1.0) == pytest.approx([1.2 * 30])


def test_a_crowd_does_not_come_at_once_after_a_short_connection_either() -> None:
    backoff = Backoff()
    failing(backoff, 5)
    backoff.proven(100)
    backoff.disperse(4)
    assert backoff.ended(109, EVEN) == 111


def test_a_crowd_that_was_asked_to_wait_disperses_after_that() -> None:
    backoff = one_of_a_crowd()
    backoff.told(59, 10, signed=True)
    assert backoff.ended(60, EVEN) == 71


def test_of_a_crowd_half_the_cap_is_believed() -> None:
    backoff = one_of_a_crowd(math.inf, BackoffCfg(cap=10))
    assert backoff.ended(60, 1.0) == pytest.approx(65.16)


def test_what_was_told_of_a_crowd_holds_until_the_next_connection() -> None:
    backoff = one_of_a_crowd()
    backoff.ended(60, EVEN)
    backoff.proven(100)
    assert backoff.ended(200, EVEN) == pytest.approx(200.2)
