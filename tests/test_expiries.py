"""Which runs of messages have run out of time, and when to look for them."""

from __future__ import annotations

from math import inf

from actors.net.messages import Kind
from actors.net.session.expiries import Expiries, expires_at
from actors.net.session.runs import Lane, Run, Target

LANE = Lane(1, "a", Target("b"))


def run(deadline: float) -> Run:
    return Run(LANE, Kind.TELL, deadline, [b"x"])


def test_a_run_is_due_when_the_step_of_its_deadline_is_over_and_only_once() -> None:
    expiries, soon, late = Expiries(), run(1.0), run(2.0)
    expiries.watch(late)
    expiries.watch(soon)
    assert expiries.next() == expires_at(1.0)
    assert not [*expiries.due(1.0)], "it may still be handled in that moment"
    assert [*expiries.due(expires_at(1.0))] == [soon]
    assert [*expiries.due(expires_at(2.0))] == [late]
    assert not [*expiries.due(inf)]
    assert expiries.next() == inf


def test_what_is_due_together_comes_by_its_deadline() -> None:
    expiries = Expiries()
    runs = [run(seconds) for seconds in (3.0, 1.0, 2.0)]
    for each in runs:
        expiries.watch(each)
    assert [each.deadline for each in expiries.due(10.0)] == [1.0, 2.0, 3.0]


def test_a_run_that_has_its_outcome_is_not_due_and_leaves_nothing() -> None:
    expiries, gone, other = Expiries(), run(1.0), run(1.0)
    expiries.watch(gone)
    expiries.watch(other)
    expiries.unwatch(gone)
    expiries.unwatch(gone)
    assert [*expiries.due(2.0)] == [other]
    expiries.watch(gone)
    expiries.unwatch(gone)
    assert not expiries


def test_what_may_wait_for_ever_is_never_due() -> None:
    expiries, patient = Expiries(), run(inf)
    expiries.watch(patient)
    expiries.unwatch(patient)
    assert not expiries
