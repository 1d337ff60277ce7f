"""The clock: all deadlines of a node in one task."""

from __future__ import annotations

from functools import partial

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime import Alarm, Clock


async def test_alarms_ring_in_the_order_of_their_deadlines(autojump_clock: trio.testing.MockClock) -> None:
    clock, rung = Clock(), list[tuple[str, float]]()

    def ring(name: str) -> None:
        rung.append((name, clock.now() - start))

    async with trio.open_nursery() as nursery:
        start = clock.now()
        clock.call_at(start + 5, lambda: ring("set before it served"))
        await nursery.start(clock.serve)
        clock.call_at(start + 3, lambda: ring("late"))
        clock.call_at(start + 1, lambda: ring("early"))
        clock.call_at(start - 1, lambda: ring("past"))
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert rung == [("past", 0), ("early", 1), ("late", 3), ("set before it served", 5)]


async def test_alarms_of_one_instant_ring_as_they_were_set(autojump_clock: trio.testing.MockClock) -> None:
    clock, rung = Clock(), list[int]()
    async with trio.open_nursery() as nursery:
        await nursery.start(clock.serve)
        for number in range(20):
            clock.call_at(1.0, partial(rung.append, number))
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert rung == list(range(20))


async def test_an_alarm_may_cancel_another_that_is_due_and_set_new_ones(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock, rung = Clock(), list[str]()
    async with trio.open_nursery() as nursery:
        await nursery.start(clock.serve)

        def first() -> None:
            rung.append("first")
            second.cancel()
            clock.call_at(clock.now(), lambda: rung.append("set by first"))

        clock.call_at(1.0, first)
        second = clock.call_at(1.0, lambda: rung.append("second"))
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert rung == ["first", "set by first"]


async def test_cancelling_is_idempotent_and_harmless_after_it_has_rung(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = Clock()
    async with trio.open_nursery() as nursery:
        await nursery.start(clock.serve)
        alarm, other = clock.call_at(1.0, lambda: None), clock.call_at(2.0, lambda: None)
        await trio.sleep(1.5)
        alarm.cancel()
        assert len(clock) == 1
        other.cancel()
        other.cancel()
        assert len(clock) == 0
        assert (repr(other), repr(clock)) == ("<Alarm at 2.000, over>", "<Clock with 0 alarms>")
        nursery.cancel_scope.cancel()


def test_cancelled_alarms_do_not_pile_up() -> None:
    clock = Clock()
    keep = [clock.call_at(1e6, lambda: None) for _ in range(10)]
    for number in range(10_000):
        clock.call_at(float(number), lambda: None).cancel()
    assert len(clock) == len(keep)
    assert len(clock._heap) < 200


@given(st.lists(st.tuples(st.sampled_from(["set", "cancel", "wait"]), st.integers(0, 40))))
def test_every_alarm_rings_once_at_its_time_unless_cancelled(operations: list[tuple[str, int]]) -> None:
    async def main() -> None:
        clock, expected, rung = Clock(), dict[int, float](), dict[int, float]()
        alarms: list[Alarm] = []

        def ring(name: int) -> None:
            assert name not in rung
            rung[name] = clock.now()

        async with trio.open_nursery() as nursery:
            await nursery.start(clock.serve)
            for what, number in operations:
                if what == "set":
                    name, due = len(alarms), clock.now() + number
                    alarms.append(clock.call_at(due, partial(ring, name)))
                    expected[name] = due
                elif what == "cancel" and number < len(alarms):
                    alarms[number].cancel()
                    if number not in rung:
                        expected.pop(number, None)
                elif what == "wait":
                    await trio.sleep(number)
            await trio.sleep(100)
            nursery.cancel_scope.cancel()
        assert rung == expected
        assert len(clock) == 0

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
