"""How long things took lately, in buckets."""

from __future__ import annotations

import sys
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from actors.recent import SPAN, Recent

seconds = st.floats(0, 3600, allow_nan=False)


@given(st.lists(seconds, min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_never_less_than_what_was_and_at_most_an_eighth_more(values: list[float], share: float) -> None:
    recent = Recent()
    for value in values:
        recent.add(value, now=1.0)
    exact = sorted(values)[ceil(share * len(values)) - 1]
    told = recent.percentile(share, now=1.0)
    assert told is not None
    assert exact <= told <= exact * 1.126 + 2e-6


def test_many_at_once_weigh_as_many() -> None:
    recent = Recent()
    recent.add(0.001, now=0.0, count=98)
    recent.add(1.0, now=0.0, count=2)
    half, most = recent.percentile(0.5, now=0.0), recent.percentile(0.99, now=0.0)
    assert half is not None
    assert most is not None
    assert half < 0.0012 < 1.0 <= most


def test_what_is_long_ago_is_forgotten() -> None:
    recent = Recent()
    recent.add(1.0, now=0.0)
    recent.add(0.001, now=SPAN)
    assert recent.percentile(1.0, now=SPAN) == recent.percentile(1.0, now=2 * SPAN - 1) is not None
    told = recent.percentile(1.0, now=2 * SPAN)
    assert told is not None
    assert told < 0.002, "only the second one is left"
    assert recent.percentile(1.0, now=4 * SPAN) is None
    assert Recent().percentile(0.5, now=0.0) is None


def test_after_a_long_silence_nothing_of_before_is_told() -> None:
    recent = Recent()
    recent.add(1.0, now=0.0)
    recent.add(0.001, now=10 * SPAN)
    told = recent.percentile(1.0, now=10 * SPAN)
    assert told is not None
    assert told < 0.002


def test_its_memory_is_bounded_whatever_comes() -> None:
    recent = Recent()
    for exponent in range(200):
        recent.add(2.0**exponent / 1e9, now=0.0)
    assert sys.getsizeof(recent._counts) < 4000


def test_a_clock_that_stands_still_or_steps_back_harms_nothing() -> None:
    recent = Recent()
    recent.add(-0.5, now=1.0)
    assert recent.percentile(1.0, now=1.0) == 1e-06
