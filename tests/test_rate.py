"""How many handshakes a second (PROTOCOL H9)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.net.proving.rate import Rate


def test_a_burst_of_a_tenth_of_a_second_need_not_wait() -> None:
    rate = Rate(100)
    assert [rate.wait(5.0) for _ in range(10)] == [0.0] * 10
    assert 0 < rate.wait(5.0) <= 0.01


def test_who_waits_as_long_as_it_is_told_gets_its_turn() -> None:
    rate, now = Rate(100), 0.0
    for _ in range(10):
        rate.wait(now)
    for _ in range(200):
        now += rate.wait(now)
        assert rate.wait(now) == 0.0


def test_a_slow_rate_gives_one_turn_at_a_time() -> None:
    rate = Rate(0.5)
    assert rate.wait(0.0) == 0.0
    assert rate.wait(0.0) == 2.0
    assert rate.wait(2.0) == 0.0


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    rate = Rate(1)
    assert rate.wait(10.0) == 0.0
    assert rate.wait(9.0) > 0
    assert rate.wait(9.0) > 0


@given(st.floats(1, 1000), st.lists(st.floats(0, 0.5), max_size=200))
def test_in_any_time_no_more_turns_are_given_than_the_rate_says(per_second: float, gaps: list[float]) -> None:
    rate, now, turns = Rate(per_second), 0.0, 0
    for gap in gaps:
        now += gap
        turns += rate.wait(now) == 0.0
    assert turns <= max(1.0, per_second / 10) + now * per_second + 1e-6


def test_a_turn_that_is_given_back_is_there_again_and_no_more_than_that() -> None:
    rate = Rate(10)
    assert rate.wait(0.0) == 0.0
    rate.give_back()
    assert rate.wait(0.0) == 0.0
    rate.give_back()
    rate.give_back()
    assert [rate.wait(0.0) > 0 for _ in range(2)] == [False, True]
