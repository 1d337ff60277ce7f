"""What follows when a life of an engine ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.engine import Policy
from actors.runtime.supervision import Supervision, Verdict


@pytest.mark.parametrize(
    ("policy", "crashed", "verdict"),
    [
        (Policy.PERMANENT, True, Verdict.RESTART),
        (Policy.PERMANENT, False, Verdict.RESTART),
        (Policy.TRANSIENT, True, Verdict.RESTART),
        (Policy.TRANSIENT, False, Verdict.END),
        (Policy.TEMPORARY, True, Verdict.FAIL),
        (Policy.TEMPORARY, False, Verdict.END),
    ],
)
def test_the_policy_decides_about_the_first_end(policy: Policy, crashed: bool, verdict: Verdict) -> None:
    assert Supervision(policy).judge(0.0, crashed=crashed) is verdict


def test_the_fourth_crash_within_five_seconds_is_a_failure() -> None:
    supervision = Supervision(Policy.PERMANENT)
    assert [supervision.judge(at, crashed=True) for at in (0.0, 1.0, 2.0)] == [Verdict.RESTART] * 3
    assert repr(supervision) == "<Supervision permanent: 3 of 3 restarts in 5 s>"
    assert supervision.judge(4.9, crashed=True) is Verdict.FAIL


def test_restarts_that_lie_further_back_do_not_count() -> None:
    supervision = Supervision(Policy.PERMANENT)
    for at in (0.0, 1.0, 2.0, 5.0, 6.0, 7.0, 10.0):
        assert supervision.judge(at, crashed=True) is Verdict.RESTART


@given(st.integers(0, 4), st.floats(0.1, 10), st.lists(st.floats(0, 3)))
def test_never_more_restarts_in_any_window_than_the_policy_allows(most: int, within: float, gaps: list[float]) -> None:
    supervision, now, granted = Supervision(Policy("permanent", most, within)), 0.0, list[float]()
    for gap in gaps:
        now += gap
        recent = [at for at in granted if at > now - within]
        verdict = supervision.judge(now, crashed=True)
        assert verdict is (Verdict.RESTART if len(recent) < most else Verdict.FAIL)
        if verdict is Verdict.RESTART:
            granted.append(now)
