"""Who waits on whom: the edge that would close a cycle is refused, and the cycle named."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.waits import Waits


def test_the_edge_that_closes_a_cycle_is_refused_and_the_cycle_named() -> None:
    waits = Waits[str]()
    assert waits.add("a", "b") == ()
    assert waits.add("b", "c") == ()
    assert waits.add("c", "a") == ("c", "a", "b", "c")
    assert waits.waiting("c") == ()
    assert len(waits) == 2


def test_an_engine_cannot_wait_on_itself() -> None:
    assert Waits[str]().add("a", "a") == ("a", "a")


def test_one_engine_may_wait_twice_on_another() -> None:
    waits = Waits[str]()
    waits.add("a", "b")
    waits.add("a", "b")
    assert waits.waiting("a") == ("b",)
    waits.remove("a", "b")
    assert waits.add("b", "a") == ("b", "a", "b")
    waits.remove("a", "b")
    assert waits.add("b", "a") == ()


ENGINES = st.integers(0, 4)


@given(st.lists(st.tuples(st.booleans(), ENGINES, ENGINES)))
def test_no_cycle_ever_stands_and_only_cycles_are_refused(operations: list[tuple[bool, int, int]]) -> None:
    waits, edges = Waits[int](), list[tuple[int, int]]()
    for add, waiter, on in operations:
        if not add:
            if (waiter, on) in edges:
                edges.remove((waiter, on))
                waits.remove(waiter, on)
            continue
        cycle = waits.add(waiter, on)
        assert bool(cycle) == (waiter in _reached(on, edges))
        if cycle:
            assert cycle[0] == cycle[-1] == waiter
            assert set(pairwise(cycle[1:])) <= set(edges)
        else:
            edges.append((waiter, on))
    assert len(waits) == len({waiter for waiter, _ in edges})


def _reached(start: int, edges: list[tuple[int, int]]) -> set[int]:
    reached, grown = set[int](), {start}
    while grown != reached:
        reached = grown
        grown = reached | {on for waiter, on in edges if waiter in reached}
    return reached


def test_a_long_chain_needs_no_recursion() -> None:
    waits = Waits[int]()
    for number in range(20_000):
        waits.add(number, number + 1)
    assert len(waits.add(20_000, 0)) == 20_002
