"""Two nodes that dial, drop, restart, send, close, and change their minds about permanence: every order of it.

Whatever happens: a proxy is permanent while somebody holds it so; an ephemeral one is connected once; each message has
one outcome, and without a fault that is no loss; what is surely not sent is in no mailbox. When nothing happens any
more: everything has its outcome, no end is used by one side only, both write on the same connection, and a link that
either side holds for permanent is up.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from exploring import Found
from node_model import Variant
from two_nodes_model import ALL, Whims, World, connected, explored, forget, unconnected

from actors.net.connecting import contest
from actors.net.life.phases import Action, Event, Phase
from actors.net.life.table import TABLE, Condition, Rule


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "states"),
    [pytest.param(unconnected(), 150_000, id="unconnected"), pytest.param(connected(0), 100_000, id="connected")],
)
def test_eight_steps_in_every_order_end_well(start: World, states: int) -> None:
    assert explored(start, 8, Whims()).states > states


EVERYTHING = Whims(names=ALL, messages=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [
        pytest.param(unconnected(late=True), id="unconnected, late"),
        pytest.param(connected(1, late=True), id="connected, late"),
    ],
)
def test_so_do_five_with_messages_that_expire_handshakes_that_time_out_and_dials_on_demand(start: World) -> None:
    assert explored(start, 5, EVERYTHING).states > 10_000


# -- the exploration finds what is wrong ------------------------------------------------------------------


@pytest.fixture
def other_rules(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """To change the rules with: what was worked out by some is not used with others."""
    forget()
    yield monkeypatch
    monkeypatch.undo()
    forget()


def what_is_found(allowed: Whims, *starts: World) -> str:
    """In as few steps as it takes, six at most."""
    for depth, start in product(range(1, 7), starts):
        try:
            explored(start, depth, allowed)
        except Found as wrong:
            return str(wrong)
    return "nothing"


LOST = (Action.LEAVE, Action.SETTLE_LOST, Action.END)
PLANTS = {
    "a lost ephemeral connection is established again": (
        *(Phase.READY, Event.END_LOST, Condition.ALWAYS),
        Rule(Condition.ALWAYS, Phase.BACKOFF, (Action.WAIT,)),
        "backs off for nothing",
    ),
    "a lost permanent connection is not": (
        *(Phase.READY, Event.END_LOST, Condition.PERMANENT, None),
        "ends a permanent proxy",
    ),
    "a lost connection ends the proxy of another one": (
        *(Phase.READY, Event.END_LOST, Condition.PROVEN, None),
        "beside a proven end",
    ),
    "a clean end loses the queue": (
        *(Phase.READY, Event.CLEAN_END, Condition.ALWAYS),
        Rule(Condition.ALWAYS, Phase.CLOSED, LOST),
        "gives up messages",
    ),
    "a link that became permanent stays closed": (
        *(Phase.READY, Event.IDLE_AGREED, Condition.PERMANENT, None),
        "ends a permanent proxy",
    ),
    "a handshake is cut when the queue has expired": (
        *(Phase.HANDSHAKING, Event.QUEUE_EMPTY, Condition.HANDSHAKING, None),
        "with no fault at all",
    ),
    "a failed dial is the last one": (
        *(Phase.HANDSHAKING, Event.DIAL_FAILED, Condition.QUEUED, None),
        "gives up messages",
    ),
}


@pytest.mark.parametrize(("phase", "event", "condition", "instead", "why"), list(PLANTS.values()), ids=list(PLANTS))
def test_it_is_found_if(
    phase: Phase,
    event: Event,
    condition: Condition,
    instead: Rule | None,
    why: str,
    other_rules: pytest.MonkeyPatch,
) -> None:
    rules = (instead if rule.when is condition else rule for rule in TABLE[phase, event])
    other_rules.setitem(TABLE, (phase, event), tuple(rule for rule in rules if rule is not None))
    assert why in what_is_found(EVERYTHING, connected(0), unconnected())


def test_it_is_found_if_the_two_nodes_choose_different_connections(other_rules: pytest.MonkeyPatch) -> None:
    other_rules.setattr(contest, "beats", lambda x, y: x.id > y.id if x.dialer == y.dialer else not y.accepted)
    assert "with no fault at all" in what_is_found(Whims(), unconnected())


def test_it_is_found_if_an_end_takes_what_has_expired_for_acknowledged() -> None:
    """It would answer a question that its message, still on the way, is about to cancel, and be mute from then on."""
    only = Whims(frozenset(("send", "idle", "expiry")))
    assert what_is_found(only, connected(0, Variant.EXPIRED_IS_ACKNOWLEDGED)) != "nothing"
    assert what_is_found(only, connected(0)) == "nothing"


def test_it_is_found_if_a_link_is_idle_sooner_than_a_handshake_is_over() -> None:
    """Then the other connection may bring the acknowledgement before the question that the message has cancelled.

    An answer that waits until its own connection has brought the acknowledgements of all that was written on it would
    do as well.
    """
    hasty = Whims(frozenset(("send", "idle", "dial now")), hasty=True)
    with pytest.raises(Found, match="stuck"):
        explored(unconnected(), 9, hasty)
    explored(unconnected(Variant.ITS_OWN_ACKNOWLEDGEMENTS), 9, hasty)
