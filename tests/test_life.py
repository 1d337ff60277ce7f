"""A proxy's life: the table cell by cell, every order of events, and events that are handled late."""

from __future__ import annotations

from functools import partial
from itertools import product

import proxy_model
import pytest
from exploring import explore
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_model import World, endless, explored, steps, unfinished

from actors.net.life.phases import Action, Event, Facts, Life, Phase
from actors.net.life.table import TABLE, Condition, Holders, Rule, step, table_as_markdown

NOTHING = Facts()
QUEUED = Facts(queued=True)
CONNECTED = Facts(proven=1)
ESTABLISHING = (Phase.DIALING, Phase.HANDSHAKING)
SETTLING = {Action.SETTLE_LOST, Action.SETTLE_STOPPED, Action.HAND_OVER}

ALL_FACTS = [
    Facts(queued=q, retained=r, awaiting=a, proven=p, dialing=d, handshaking=h)
    for q, r, a, p, d, h in product(
        (False, True), (False, True), (False, True), (0, 1, 2), (False, True), (False, True)
    )
    if d or not h
]
ALL_LIVES = [
    Life(phase=phase, permanent=permanent, spent=spent)
    for phase, permanent, spent in product(Phase, (False, True), (False, True))
]


def life(phase: Phase, *, permanent: bool = False, spent: bool = False) -> Life:
    return Life(phase=phase, permanent=permanent, spent=spent)


def after(before: Life, event: Event, facts: Facts = NOTHING) -> tuple[Phase, tuple[Action, ...]]:
    now, actions = step(before, event, facts)
    return now.phase, actions


# -- the table as a whole ---------------------------------------------------------------------------------


def test_every_phase_knows_every_event() -> None:
    assert set(TABLE) == set(product(Phase, Event))
    assert all(rules[-1].when is Condition.ALWAYS for rules in TABLE.values())


def test_no_rule_stands_behind_one_that_always_holds() -> None:
    assert all(rule.when is not Condition.ALWAYS for rules in TABLE.values() for rule in rules[:-1])


@pytest.mark.parametrize("event", list(Event))
def test_whatever_happens_whenever_the_answer_makes_sense(event: Event) -> None:
    for before, facts in product(ALL_LIVES, ALL_FACTS):
        now, actions = step(before, event, facts)
        assert len(actions) == len(set(actions))
        if before.phase is Phase.CLOSED:
            assert now == before, "closed is closed"
            assert set(actions) <= {Action.HAND_ON}
        elif now.phase is Phase.CLOSED:
            assert actions[0] is Action.LEAVE, "C10: the table changes before anything is settled"
            assert actions[-1] is Action.END
            assert len(SETTLING & set(actions)) == 1, "the queue goes to one place"
        else:
            assert not {Action.LEAVE, Action.END, *SETTLING} & set(actions)
        if Action.DIAL in actions:
            assert now.phase is Phase.DIALING


@pytest.mark.parametrize("event", list(Event))
def test_a_permanent_proxy_ends_only_by_a_stop_or_by_losing_its_permanence(event: Event) -> None:
    for before, facts in product(ALL_LIVES, ALL_FACTS):
        if not before.permanent or before.phase is Phase.CLOSED:
            continue
        now, _ = step(before, event, facts)
        stopping = before.phase is Phase.DRAINING or event in (Event.STOP, Event.SECOND_STOP, Event.TO_EPHEMERAL)
        assert stopping or now.phase is not Phase.CLOSED


def test_the_table_is_drawn_with_a_row_for_each_event_and_a_column_for_each_phase() -> None:
    lines = table_as_markdown().splitlines()
    assert lines[0] == "| event | IDLE | DIALING | HANDSHAKING | READY | DRAINING | BACKOFF | CLOSED |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {event.value}" for event in Event]
    assert {line.count(" | ") for line in lines[2:]} == {len(Phase)}
    lost = next(line for line in lines if line.startswith("| end lost |"))
    assert "proven end: stay<br>own handshake: HANDSHAKING" in lost
    assert "<br>else: CLOSED, leave, settle lost, end" in lost


# -- sentence by sentence ---------------------------------------------------------------------------------


def test_the_first_message_establishes_an_ephemeral_connection() -> None:
    assert after(Life(), Event.SEND, QUEUED) == (Phase.DIALING, (Action.DIAL,))


def test_a_permanent_connection_is_established_when_the_proxy_starts() -> None:
    assert after(Life(), Event.TO_PERMANENT) == (Phase.DIALING, (Action.DIAL,))


@pytest.mark.parametrize("phase", [Phase.IDLE, *ESTABLISHING])
def test_the_remote_node_may_establish_the_connection(phase: Phase) -> None:
    assert after(life(phase), Event.PROVEN, CONNECTED) == (Phase.READY, ())


def test_an_inbound_connection_ends_the_waiting() -> None:
    assert after(life(Phase.BACKOFF), Event.PROVEN, CONNECTED) == (Phase.READY, (Action.CANCEL_WAIT,))


def test_a_lost_ephemeral_connection_ends_its_proxy() -> None:
    ended = (Phase.CLOSED, (Action.LEAVE, Action.SETTLE_LOST, Action.END))
    assert after(life(Phase.READY, spent=True), Event.END_LOST, QUEUED) == ended


def test_a_lost_permanent_connection_is_established_again() -> None:
    ready = life(Phase.READY, permanent=True, spent=True)
    assert after(ready, Event.END_LOST) == (Phase.BACKOFF, (Action.WAIT,))
    assert after(life(Phase.BACKOFF, permanent=True), Event.RETRY_DUE) == (Phase.DIALING, (Action.DIAL,))


def test_a_lost_connection_beside_another_changes_nothing() -> None:
    assert after(life(Phase.READY), Event.END_LOST, CONNECTED) == (Phase.READY, ())


@pytest.mark.parametrize("phase", ESTABLISHING)
def test_an_ephemeral_proxy_outlives_its_connection_while_its_own_handshake_goes_on(phase: Phase) -> None:
    facts = Facts(retained=True, dialing=True, handshaking=phase is Phase.HANDSHAKING)
    waiting, actions = step(life(Phase.READY, spent=True), Event.END_LOST, facts)
    assert (waiting.phase, actions) == (phase, ())
    assert step(waiting, Event.QUEUE_EMPTY, facts)[0] == waiting, "what was written may still be acknowledged"
    assert after(waiting, Event.PROVEN, CONNECTED) == (Phase.READY, ())
    assert after(waiting, Event.DIAL_FAILED, QUEUED)[0] is Phase.CLOSED, "but it is not established a second time"


@pytest.mark.parametrize("phase", ESTABLISHING)
def test_an_ephemeral_proxy_dials_again_while_something_is_queued(phase: Phase) -> None:
    assert after(life(phase), Event.DIAL_FAILED, QUEUED) == (Phase.BACKOFF, (Action.WAIT,))
    assert after(life(phase), Event.DIAL_FAILED)[0] is Phase.CLOSED


@pytest.mark.parametrize("phase", [*ESTABLISHING, Phase.BACKOFF])
def test_an_ephemeral_proxy_ends_when_its_queue_has_expired_before_it_was_connected(phase: Phase) -> None:
    assert after(life(phase), Event.QUEUE_EMPTY)[0] is Phase.CLOSED
    for busy in (QUEUED, Facts(retained=True), Facts(awaiting=True)):
        assert after(life(phase), Event.QUEUE_EMPTY, busy)[0] is phase
    assert after(life(phase, permanent=True), Event.QUEUE_EMPTY)[0] is phase


def test_a_proxy_to_which_nothing_came_ends() -> None:
    assert after(Life(), Event.QUEUE_EMPTY)[0] is Phase.CLOSED
    assert after(Life(), Event.QUEUE_EMPTY, QUEUED) == (Phase.IDLE, ())
    assert after(Life(), Event.QUEUE_EMPTY, CONNECTED) == (Phase.IDLE, ())


def test_a_handshake_is_not_cut_when_the_queue_expires_for_the_peer_may_have_proven_it() -> None:
    facts = Facts(dialing=True, handshaking=True)
    for phase in ESTABLISHING:
        assert after(life(phase), Event.QUEUE_EMPTY, facts) == (phase, ())
        still, actions = step(life(phase, permanent=True, spent=True), Event.TO_EPHEMERAL, facts)
        assert (still, actions) == (life(phase), (Action.SETTLE_WRITTEN,))
    assert after(life(Phase.HANDSHAKING), Event.DIAL_FAILED)[0] is Phase.CLOSED


@pytest.mark.parametrize("phase", [*ESTABLISHING, Phase.BACKOFF])
def test_an_end_that_was_proven_a_moment_ago_keeps_its_proxy(phase: Phase) -> None:
    assert after(life(phase), Event.QUEUE_EMPTY, CONNECTED) == (phase, ())
    assert after(life(phase, permanent=True), Event.TO_EPHEMERAL, CONNECTED) == (phase, ())
    if phase is not Phase.BACKOFF:
        assert after(life(phase), Event.DIAL_FAILED, CONNECTED) == (Phase.READY, ())
        assert after(life(phase), Event.DENIED, CONNECTED) == (Phase.READY, ())


@pytest.mark.parametrize("event", [Event.CLEAN_END, Event.IDLE_AGREED])
@pytest.mark.parametrize("phase", ESTABLISHING)
def test_a_clean_end_beside_an_own_dial_lets_it_go_on_as_if_nothing_had_been_connected(
    event: Event, phase: Phase
) -> None:
    facts = Facts(queued=True, dialing=True, handshaking=phase is Phase.HANDSHAKING)
    now, actions = step(life(Phase.READY, spent=True), event, facts)
    assert (now, actions) == (life(phase), (Action.BYE,) if event is Event.IDLE_AGREED else ())


def test_an_inbound_connection_does_not_cancel_the_own_dial() -> None:
    facts = Facts(proven=1, dialing=True, handshaking=True)
    assert after(life(Phase.HANDSHAKING), Event.PROVEN, facts) == (Phase.READY, ())
    assert after(life(Phase.READY), Event.DIAL_FAILED, CONNECTED) == (Phase.READY, ())


def test_who_has_a_proven_end_does_not_dial() -> None:
    for before, event in product(ALL_LIVES, Event):
        assert Action.DIAL not in step(before, event, CONNECTED)[1] or event is Event.IDLE_AGREED


def test_a_signed_denial_waits_for_another_advert() -> None:
    assert after(life(Phase.HANDSHAKING, permanent=True), Event.DENIED) == (Phase.BACKOFF, (Action.PARK,))
    assert after(life(Phase.BACKOFF, permanent=True), Event.ADVERT_CHANGED) == (Phase.BACKOFF, (Action.WAKE,))
    for phase in ESTABLISHING:
        assert after(life(phase), Event.DENIED, QUEUED)[0] is Phase.CLOSED


@pytest.mark.parametrize("phase", ESTABLISHING)
def test_new_addresses_join_the_attempt_under_way(phase: Phase) -> None:
    assert after(life(phase), Event.ADVERT_CHANGED) == (phase, (Action.WIDEN,))


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.BACKOFF])
def test_somebody_may_ask_for_a_connection_at_once(phase: Phase) -> None:
    assert after(life(phase), Event.DIAL_NOW) == (Phase.DIALING, (Action.DIAL,))


@pytest.mark.parametrize("phase", ESTABLISHING)
@pytest.mark.parametrize("event", [Event.DIAL_STARTED, Event.HANDSHAKE_STARTED])
def test_the_phase_follows_the_handshakes_of_a_race(phase: Phase, event: Event) -> None:
    assert after(life(phase), event, Facts(dialing=True, handshaking=True)) == (Phase.HANDSHAKING, ())
    assert after(life(phase), event, Facts(dialing=True)) == (Phase.DIALING, ())


@pytest.mark.parametrize("phase", [*ESTABLISHING, Phase.READY, Phase.BACKOFF])
def test_becoming_permanent_is_only_a_flag_once_there_is_a_proxy(phase: Phase) -> None:
    now, actions = step(life(phase), Event.TO_PERMANENT, QUEUED)
    assert (now.phase, now.permanent, actions) == (phase, True, ())


def test_becoming_ephemeral_with_a_connection_is_only_a_flag() -> None:
    now, actions = step(life(Phase.READY, permanent=True, spent=True), Event.TO_EPHEMERAL, CONNECTED)
    assert (now, actions) == (life(Phase.READY, spent=True), ())


@pytest.mark.parametrize("phase", [*ESTABLISHING, Phase.BACKOFF])
def test_becoming_ephemeral_without_a_connection_gives_up_what_was_written(phase: Phase) -> None:
    before = life(phase, permanent=True, spent=True)
    now, actions = step(before, Event.TO_EPHEMERAL, Facts(queued=True, retained=True))
    assert now == life(phase), "it is established anew, while something is queued"
    assert actions[0] is Action.SETTLE_WRITTEN
    assert after(before, Event.TO_EPHEMERAL, Facts(retained=True))[0] is Phase.CLOSED


@pytest.mark.parametrize("phase", [*ESTABLISHING, Phase.BACKOFF])
def test_becoming_ephemeral_twice_settles_nothing(phase: Phase) -> None:
    assert after(life(phase, spent=True), Event.TO_EPHEMERAL, Facts(retained=True)) == (phase, ())


def test_an_agreed_close_hands_the_queue_to_a_new_proxy() -> None:
    phase, actions = after(life(Phase.READY, spent=True), Event.IDLE_AGREED, Facts(queued=True, proven=1))
    assert phase is Phase.CLOSED
    assert actions == (Action.LEAVE, Action.BYE, Action.SETTLE_WRITTEN, Action.HAND_OVER, Action.END)


def test_a_clean_end_hands_the_queue_to_a_new_proxy() -> None:
    phase, actions = after(life(Phase.READY, spent=True), Event.CLEAN_END, QUEUED)
    assert phase is Phase.CLOSED
    assert actions == (Action.LEAVE, Action.SETTLE_WRITTEN, Action.HAND_OVER, Action.END)


def test_a_link_that_became_permanent_while_it_was_closed_is_dialed_at_once() -> None:
    ready = life(Phase.READY, permanent=True, spent=True)
    assert after(ready, Event.CLEAN_END) == (Phase.DIALING, (Action.DIAL,))
    assert after(ready, Event.IDLE_AGREED, CONNECTED) == (Phase.DIALING, (Action.BYE, Action.DIAL))


def test_a_stop_drains_what_is_connected_and_ends_what_is_not() -> None:
    assert after(life(Phase.READY), Event.STOP, CONNECTED) == (Phase.DRAINING, (Action.DRAIN,))
    for phase in (Phase.IDLE, *ESTABLISHING, Phase.BACKOFF):
        ended = (Phase.CLOSED, (Action.LEAVE, Action.SETTLE_STOPPED, Action.END))
        assert after(life(phase, permanent=True), Event.STOP, QUEUED) == ended
        assert after(life(phase, permanent=True), Event.SECOND_STOP, QUEUED) == ended


def test_a_draining_proxy_refuses_everything() -> None:
    draining = life(Phase.DRAINING)
    for event in (Event.SEND, Event.TO_PERMANENT, Event.TO_EPHEMERAL, Event.DIAL_NOW):
        assert step(draining, event, CONNECTED) == (draining, (Action.REFUSE,))
    assert step(draining, Event.PROVEN, Facts(proven=2)) == (draining, (Action.REFUSE_END,))
    assert step(draining, Event.STOP, CONNECTED) == (draining, ())


def test_draining_ends_with_the_last_connection_when_all_is_said_or_at_the_second_stop() -> None:
    said = (Phase.CLOSED, (Action.LEAVE, Action.BYE, Action.SETTLE_STOPPED, Action.END))
    assert after(life(Phase.DRAINING), Event.DRAINED, CONNECTED) == said
    assert after(life(Phase.DRAINING), Event.SECOND_STOP, CONNECTED) == said
    assert after(life(Phase.READY), Event.SECOND_STOP, CONNECTED) == said
    for event in (Event.END_LOST, Event.CLEAN_END):
        assert after(life(Phase.DRAINING), event)[0] is Phase.CLOSED
        assert after(life(Phase.DRAINING), event, CONNECTED)[0] is Phase.DRAINING


@pytest.mark.parametrize("event", [Event.SEND, Event.TO_PERMANENT, Event.DIAL_NOW, Event.PROVEN])
def test_what_reaches_a_closed_proxy_goes_on_to_the_router(event: Event) -> None:
    assert after(life(Phase.CLOSED), event) == (Phase.CLOSED, (Action.HAND_ON,))


@pytest.mark.parametrize("phase", ESTABLISHING)
def test_an_old_failure_does_not_end_a_new_attempt(phase: Phase) -> None:
    facts = Facts(queued=True, dialing=True)
    assert after(life(phase), Event.DIAL_FAILED, facts) == (phase, ())
    assert after(life(phase), Event.DENIED, facts) == (phase, ())


def test_a_parked_proxy_that_becomes_ephemeral_tries_once_more() -> None:
    parked = life(Phase.BACKOFF, permanent=True)
    assert after(parked, Event.TO_EPHEMERAL, QUEUED) == (Phase.BACKOFF, (Action.SETTLE_WRITTEN, Action.WAKE))


# -- holders of permanence --------------------------------------------------------------------------------


def test_a_link_is_permanent_while_anybody_holds_it() -> None:
    holders = Holders()
    assert holders.hold("configuration") is Event.TO_PERMANENT
    assert holders.hold("console") is None
    assert holders.hold("console") is None
    assert holders.release("console") is None
    assert holders
    assert holders.release("somebody else") is None
    assert holders.release("configuration") is Event.TO_EPHEMERAL
    assert not holders
    assert holders.release("configuration") is None


# -- every order of events --------------------------------------------------------------------------------

WORLDS = {
    "the life of the protocol's page": (
        *("failure", "failure", "loss", "toggle", "toggle", "stop"),
        *("idle", "agreement", "expiry", "expiry"),
    ),
    "closing while the peer and permanence change": (
        *("failure", "loss", "toggle", "inbound"),
        *("promise", "idle", "agreement", "message", "expiry"),
    ),
    "connections from both sides": ("failure", "loss", "loss", "toggle", "inbound", "inbound", "dial now"),
    "denied": ("denial", "toggle", "toggle", "inbound", "advert", "dial now", "expiry"),
    "stopping": ("loss", "inbound", "toggle", "toggle", "stop", "second stop", "expiry"),
}


@pytest.mark.parametrize("faults", list(WORLDS.values()), ids=list(WORLDS))
def test_in_every_order_each_message_has_one_outcome_and_no_proxy_rests_for_nothing(faults: tuple[str, ...]) -> None:
    world = World(faults=tuple(sorted(faults)))
    assert explore(world, partial(steps, messages=2), partial(unfinished, messages=2)) > 500


# -- every cell and every rule, with events that are handled late -----------------------------------------

Fed = set[tuple[Life, Event, Facts]]

CONNECTIONS = (
    *("failure", "failure of one", "denial", "loss", "toggle", "inbound"),
    *("idle", "agreement", "promise", "dial now"),
)


@pytest.fixture(scope="module")
def fed() -> Fed:
    """All that can be fed to the table: whatever happens while two events wait, and with three what needs three."""
    proxy_model.FED.clear()
    assert explored(late=0, messages=2).states > 700
    assert explored(late=2, messages=1).states > 40_000
    assert explored(late=3, messages=1, whims=CONNECTIONS).states > 40_000
    return set(proxy_model.FED)


NO_EVENT = {
    Event.DRAINED: ({*Phase} - {Phase.DRAINING, Phase.CLOSED}, "only who drains has drained"),
    Event.RETRY_DUE: ({*Phase} - {Phase.BACKOFF, Phase.CLOSED}, "who dials, or need not, has no timer any more"),
    Event.IDLE_AGREED: (
        {*Phase} - {Phase.READY, Phase.DRAINING, Phase.CLOSED},
        "an end that is gone agrees to nothing",
    ),
    **dict.fromkeys(
        (Event.DIAL_STARTED, Event.HANDSHAKE_STARTED, Event.DIAL_FAILED, Event.DENIED, Event.END_LOST, Event.CLEAN_END),
        ({Phase.IDLE}, "it leaves IDLE by what it was made for, before it has a dial or an end of which to hear"),
    ),
}
"""Events that do not come in some phases, and why."""

LATE_FLAG = "who is ephemeral hears of it only if it was told while it started, and that is over in DIALING"
OWN_DIAL = "who asked to close had no dial of its own (D1), and begins none beside a proven end (C7)"
NO_RULE = {
    (Phase.IDLE, Event.QUEUE_EMPTY, Condition.PERMANENT): "what makes it permanent makes it leave IDLE",
    (Phase.HANDSHAKING, Event.TO_EPHEMERAL, Condition.EPHEMERAL): LATE_FLAG,
    (Phase.BACKOFF, Event.TO_EPHEMERAL, Condition.EPHEMERAL): LATE_FLAG,
    (Phase.READY, Event.IDLE_AGREED, Condition.HANDSHAKING): OWN_DIAL,
    (Phase.READY, Event.IDLE_AGREED, Condition.DIALING): OWN_DIAL,
}
"""Rules that are never followed, and why."""


def holds(condition: Condition, life: Life, facts: Facts) -> bool:
    match condition:
        case Condition.ALWAYS:
            return True
        case Condition.PERMANENT:
            return life.permanent
        case Condition.EPHEMERAL:
            return not life.permanent
        case Condition.SPENT:
            return life.spent
        case Condition.QUEUED:
            return facts.queued
        case Condition.BUSY:
            return facts.queued or facts.retained or facts.awaiting
        case Condition.PROVEN:
            return facts.proven >= 1
        case Condition.HANDSHAKING:
            return facts.handshaking
        case Condition.DIALING:
            return facts.dialing


@pytest.mark.slow
def test_each_event_comes_in_each_phase_but_for_those_that_cannot(fed: Fed) -> None:
    never = {(phase, event) for event, (phases, _) in NO_EVENT.items() for phase in phases}
    assert {(life.phase, event) for life, event, _ in fed} == set(TABLE) - never
    assert all(TABLE[cell] == (Rule(Condition.ALWAYS),) for cell in never), "what does not come needs no rule"


@pytest.mark.slow
def test_each_rule_is_followed_but_for_those_that_cannot(fed: Fed) -> None:
    followed = {
        (life.phase, event, next(rule.when for rule in TABLE[life.phase, event] if holds(rule.when, life, facts)))
        for life, event, facts in fed
    }
    coming = {(life.phase, event) for life, event, _ in fed}
    written = {(*cell, rule.when) for cell in coming for rule in TABLE[cell]}
    assert followed == written - set(NO_RULE)


@pytest.mark.slow
def test_what_a_rule_says_is_what_happens(fed: Fed) -> None:
    for life, event, facts in fed:
        rule = next(rule for rule in TABLE[life.phase, event] if holds(rule.when, life, facts))
        now, actions = step(life, event, facts)
        assert (now.phase, actions) == (rule.to or life.phase, rule.actions)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_however_late_events_are_handled_no_message_is_forgotten_and_no_proxy_left_behind(choices: list[int]) -> None:
    world = World(late=9)
    for choice in choices:
        following = list(endless(world, messages=3))
        world = following[choice % len(following)].state
    for _ in range(200):
        going_on = next(world.progress(), None)
        if going_on is None:
            break
        world = going_on.state.forgetful()
    assert unfinished(world) == ""
