"""Which connection wins: the rules one by one, and two nodes that must agree in every order of events (PROTOCOL C)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import contest_model
import pytest
from contest_model import NODES, Rules, World, best_at, explore
from hypothesis import given
from hypothesis import strategies as st

from actors.identity import Incarnation
from actors.net.connecting import contest
from actors.net.connecting.contest import Contender, beats, current, greatest, superseded
from actors.net.messages import ConnectionID

LESS, GREATER = NODES
RUN, NEXT_RUN = Incarnation(1, 7), Incarnation(2, 3)


def dial(node: int, number: int, knew: int = 0, run: Incarnation = RUN) -> Contender:
    return Contender(NODES[node], ConnectionID(run, number), ConnectionID(RUN, knew) if knew else None)


def test_of_two_dials_of_one_node_the_later_wins() -> None:
    assert beats(dial(0, 2), dial(0, 1))
    assert not beats(dial(1, 1), dial(1, 2))


def test_a_dial_of_a_later_incarnation_wins_whatever_its_number() -> None:
    assert beats(dial(0, 1, run=NEXT_RUN), dial(0, 9))
    assert not beats(dial(0, 9), dial(0, 1, run=NEXT_RUN))


def test_a_dial_that_knew_the_other_wins_against_the_greater_node() -> None:
    knowing = dial(0, 1, knew=4)
    assert beats(knowing, dial(1, 4))
    assert beats(knowing, dial(1, 3))
    assert not beats(dial(1, 4), knowing)


def test_a_dial_that_knew_only_an_earlier_one_is_simultaneous() -> None:
    assert beats(dial(1, 5), dial(0, 1, knew=4))


def test_of_simultaneous_dials_that_of_the_greater_node_wins() -> None:
    assert beats(dial(1, 1), dial(0, 9))
    assert not beats(dial(0, 9), dial(1, 1))


def test_only_resumed_ends_are_current() -> None:
    assert current([]) is None
    assert current([dial(0, 1)]) == dial(0, 1)
    assert current([dial(0, 1), dial(1, 1)]) == dial(1, 1)


def test_nothing_is_closed_for_a_better_end_that_is_not_resumed() -> None:
    carrying, better = dial(0, 1), dial(1, 1)
    assert superseded([carrying, better], resumed=[carrying]) == []
    assert superseded([carrying, better], resumed=[carrying, better]) == [carrying]
    assert superseded([carrying, better], resumed=[]) == []


def test_a_worse_end_is_closed_whether_it_is_resumed_or_not() -> None:
    assert superseded([dial(0, 1), dial(0, 2), dial(0, 3)], resumed=[dial(0, 2)]) == [dial(0, 1)]


def test_the_greatest_accepted_dial_never_goes_back() -> None:
    first, later, restarted = ConnectionID(RUN, 1), ConnectionID(RUN, 2), ConnectionID(NEXT_RUN, 1)
    assert greatest(None, first) == first
    assert greatest(later, first) == later
    assert greatest(later, restarted) == restarted


@st.composite
def honest_dials(draw: st.DrawFn) -> list[Contender]:
    """What two honest nodes can have dialed: nobody forgets, and nobody knows a dial before it is made."""
    made, known, dials = [0, 0], [0, 0], []
    for node in draw(st.lists(st.integers(0, 1), min_size=2, max_size=8)):
        known[node] = draw(st.integers(known[node], made[1 - node]))
        made[node] += 1
        dials.append(dial(node, made[node], known[node]))
    return dials


any_dial = st.builds(dial, st.integers(0, 1), st.integers(1, 4), st.integers(0, 4), st.sampled_from([RUN, NEXT_RUN]))


@given(st.lists(any_dial, unique_by=lambda one: (one.dialer, one.id), min_size=2, max_size=2))
def test_of_any_two_connections_exactly_one_wins_even_if_a_dialer_lies(pair: list[Contender]) -> None:
    x, y = pair
    assert beats(x, y) != beats(y, x)


@given(honest_dials())
def test_winning_is_an_order_among_honest_nodes(dials: list[Contender]) -> None:
    for x, y, z in permutations(dials, 3):
        assert not (beats(x, y) and beats(y, z)) or beats(x, z)


@given(honest_dials(), st.randoms(use_true_random=False))
def test_both_ends_find_the_same_winner_in_whatever_order_they_look(dials: list[Contender], random: object) -> None:
    winner = current(dials)
    assert winner is not None
    assert current(reversed(dials)) == winner
    assert sorted(map(repr, superseded(dials, resumed=dials))) == sorted(repr(one) for one in dials if one != winner)


@given(st.lists(any_dial, unique_by=lambda one: (one.dialer, one.id), min_size=1, max_size=6))
def test_the_current_end_is_never_closed_even_if_a_dialer_lies(dials: list[Contender]) -> None:
    assert current(dials) not in superseded(dials, resumed=dials)


# -- two nodes in every order of events ----------------------------------------------------------------------


def one_connection_is_left(world: World) -> None:
    assert len(world.links) == 1, world
    (link,) = world.links
    assert link.ends == ("up", "up"), world
    assert link.resumed == (True, True), world
    assert not link.broken, world
    assert best_at(world, 0) == best_at(world, 1), world


WAYS = {
    "both dial": Rules(),
    "a connection breaks": Rules(breaks=1),
    "a handshake times out": Rules(timeouts=1),
    "the lesser node never notices the break": Rules(breaks=1, blind=(0,)),
    "the greater node never notices the break": Rules(breaks=1, blind=(1,)),
    "one dialer, the acceptor never notices": Rules(dialers=(0,), dials=4, breaks=2, blind=(1,)),
    "one dialer, the greater, the acceptor never notices": Rules(dialers=(1,), dials=4, breaks=2, blind=(0,)),
    "both migrate at once": Rules(migrations=(1, 1)),
    "one migrates, a connection breaks": Rules(migrations=(1, 0), breaks=1),
    "one migrates, a handshake times out": Rules(migrations=(0, 1), timeouts=1),
}


@pytest.mark.parametrize("way", WAYS)
def test_in_every_order_of_events_one_connection_is_left_and_both_ends_agree(way: str) -> None:
    assert explore(WAYS[way], one_connection_is_left) > 50


def greater_node_only(x: Contender, y: Contender) -> bool:
    return x.id > y.id if x.dialer == y.dialer else x.dialer > y.dialer


def earlier_dial_first(x: Contender, y: Contender) -> bool:
    return x.id < y.id if x.dialer == y.dialer else beats(x, y)


@pytest.mark.parametrize(
    ("wrong", "way"),
    [
        pytest.param(greater_node_only, "the greater node never notices the break", id="without what the dialer knew"),
        pytest.param(earlier_dial_first, "one dialer, the acceptor never notices", id="the earlier dial wins"),
    ],
)
def test_the_exploration_finds_a_wrong_choice(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Contender, Contender], bool], way: str
) -> None:
    monkeypatch.setattr(contest, "beats", wrong)
    with pytest.raises(AssertionError):
        explore(WAYS[way], one_connection_is_left)


ONE_TRY = Rules(dialers=(1,), dials=2, timeouts=1, late=False, migrations=(0, 1))
"""Once the connection is up nobody can dial again but to migrate: what is closed too early is missed."""


def test_a_migration_that_times_out_costs_nothing() -> None:
    explore(ONE_TRY, one_connection_is_left)


def test_the_exploration_finds_ends_that_are_closed_for_one_that_is_only_proven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contest_model, "superseded", lambda proven, _: superseded(proven, proven))
    with pytest.raises(AssertionError):
        explore(ONE_TRY, one_connection_is_left)
