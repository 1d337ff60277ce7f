"""Whether the other end is there: who is asked, who is given up, and who is only slow (PROTOCOL T1, T2)."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.errors import ConfigError
from actors.net.session.liveness import DEAD, LOOK, Ask, Liveness, LivenessCfg


def judge(liveness: Liveness, now: float) -> object:
    """What the owner of a quiet connection comes to: it looks when told to, and finds nothing."""
    due = liveness.due(now)
    if due is LOOK:
        liveness.dry(now)
        due = liveness.due(now)
    return due


def asked(liveness: Liveness, now: float) -> int:
    due = liveness.due(now)
    assert isinstance(due, Ask)
    liveness.ping_sent(now)
    return due.token


def test_a_quiet_connection_is_asked_after_five_seconds_and_given_up_after_fifteen() -> None:
    liveness = Liveness(0)
    assert liveness.next_deadline() == 5
    assert liveness.due(4.99) is None
    asked(liveness, 5)
    assert liveness.due(5) is None, "one question at a time"
    assert liveness.next_deadline() == 15
    assert judge(liveness, 14.99) is None
    assert judge(liveness, 15) is DEAD


def test_a_pong_is_a_round_trip() -> None:
    liveness = Liveness(0)
    token = asked(liveness, 5)
    assert liveness.pong(5.2, token)
    assert liveness.next_deadline() == pytest.approx(10.2)
    assert asked(liveness, 10.2) != token


def test_an_ack_that_moved_is_a_round_trip() -> None:
    liveness = Liveness(0)
    liveness.round_trip(4)
    assert liveness.next_deadline() == 9
    asked(liveness, 9)
    liveness.round_trip(18)
    assert liveness.next_deadline() == 23


def test_hearing_the_peer_is_not_enough() -> None:
    """In a one-way cut we hear the other's pings, and it hears nothing of us."""
    liveness = Liveness(0)
    asked(liveness, 5)
    for second in range(5, 15):
        liveness.received(second)
    assert judge(liveness, 15) is DEAD


def test_a_pong_that_answers_nothing_counts_for_nothing() -> None:
    liveness = Liveness(0)
    assert not liveness.pong(1, 0), "nothing was asked"
    assert not liveness.pong(1, 1), "not yet"
    token = asked(liveness, 5)
    assert not liveness.pong(6, token + 1)
    assert liveness.pong(6, token)
    assert not liveness.pong(14, token), "once"
    assert liveness.next_deadline() == 11


def test_a_write_that_moves_keeps_a_slow_link_alive() -> None:
    """One message of 1 MiB on a link of 0.3 Mbit/s: no round trip for 28 seconds."""
    liveness = Liveness(0)
    asked(liveness, 5)
    for second in range(1, 29):
        assert judge(liveness, second) is None
        liveness.wrote(second, 37_500)
    assert judge(liveness, 28 + 15 - 2) is None
    assert judge(liveness, 28 + 15) is DEAD


def test_a_trickle_counts_only_with_each_64_kib() -> None:
    liveness = Liveness(0)
    asked(liveness, 5)
    for second in range(1, 15):
        liveness.wrote(second, 4_000)
    assert judge(liveness, 15) is DEAD


def test_bytes_add_up_to_progress() -> None:
    liveness = Liveness(0)
    asked(liveness, 5)
    liveness.wrote(6, 65_535)
    assert liveness.next_deadline() == 15
    liveness.wrote(7, 1)
    assert liveness.next_deadline() == 22
    liveness.wrote(8, 65_535)
    assert liveness.next_deadline() == 22, "what counted does not count again"


def test_nobody_is_given_up_before_one_more_read() -> None:
    liveness = Liveness(0)
    asked(liveness, 5)
    liveness.dry(14.9)
    assert liveness.due(15) is LOOK
    assert liveness.due(15.1) is None
    assert liveness.due(100) is LOOK, "still nobody has looked"
    liveness.dry(100)
    assert liveness.due(100) is DEAD


def test_what_the_last_look_finds_saves_the_connection() -> None:
    liveness = Liveness(0)
    token = asked(liveness, 5)
    assert liveness.due(15) is LOOK
    liveness.received(15)
    assert liveness.pong(15, token)
    assert liveness.due(15) is None
    assert liveness.next_deadline() == 20


def test_an_answer_behind_other_bytes_is_read_before_judging() -> None:
    liveness = Liveness(0, LivenessCfg(backlog=3))
    token = asked(liveness, 5)
    assert liveness.due(60) is LOOK, "after a stall, all of it waits in the socket"
    for _ in range(2):
        liveness.received(60)
        assert liveness.due(60) is None
    assert liveness.pong(60, token)
    assert liveness.due(60) is None


def test_a_flood_that_never_ends_hides_nobody() -> None:
    liveness = Liveness(0, LivenessCfg(backlog=3))
    asked(liveness, 5)
    assert liveness.due(15) is LOOK
    for _ in range(3):
        liveness.received(15)
    assert liveness.due(15) is DEAD


def test_a_stalled_loop_asks_first_and_gives_the_usual_time_for_the_answer() -> None:
    """Stopped for half a minute before it could ask: nobody owes it an answer yet."""
    liveness = Liveness(0)
    assert isinstance(liveness.due(34.9), Ask)
    assert judge(liveness, 44.8) is None
    assert judge(liveness, 44.9) is DEAD


def test_a_ping_that_does_not_fit_into_the_socket_is_asked_all_the_same() -> None:
    liveness = Liveness(0)
    assert isinstance(liveness.due(5), Ask)
    assert judge(liveness, 15) is DEAD


def test_the_round_trip_is_measured_from_the_write_and_smoothed() -> None:
    liveness = Liveness(0)
    assert (liveness.rtt, liveness.jitter) == (None, 0)
    for at, rtt in ((5.0, 0.1), (10.1, 0.2)):
        due = liveness.due(at)
        assert isinstance(due, Ask)
        liveness.ping_sent(at + 3)
        liveness.pong(at + 3 + rtt, due.token)
        liveness.round_trip(at + 0.1)
    assert liveness.rtt == pytest.approx(0.1125)
    assert liveness.jitter == pytest.approx(0.0625)


def test_the_handshakes_round_trip_is_a_sample() -> None:
    liveness = Liveness(0)
    liveness.sample(0.3)
    assert (liveness.rtt, liveness.jitter) == (0.3, 0.15)


def test_when_the_peer_was_last_heard_is_kept_for_people() -> None:
    liveness = Liveness(1)
    assert liveness.heard == 1
    liveness.received(3)
    assert liveness.heard == 3


ROUNDING = 1e-9


@example([("ack", 1.4264519367465773), ("write", 16.0), ("ack", 15.0)])
@given(st.lists(st.tuples(st.sampled_from(("ack", "pong", "write", "read", "wait")), st.floats(0, 20)), max_size=60))
def test_only_a_peer_that_owes_an_answer_for_ten_seconds_is_given_up(events: list[tuple[str, float]]) -> None:
    liveness, now = Liveness(0), 0.0
    alive, asked_at, token = 0.0, None, 0
    for event, gap in events:
        now += gap
        due = judge(liveness, now)
        if due is DEAD:
            assert asked_at is not None
            assert now >= asked_at + 10 - ROUNDING
            assert now >= alive + 15 - ROUNDING
            return
        assert asked_at is None or now < max(alive + 15, asked_at + 10) + ROUNDING
        if isinstance(due, Ask):
            asked_at, token = now, due.token
        match event:
            case "ack":
                liveness.round_trip(now)
                alive, asked_at = now, None
            case "pong" if liveness.pong(now, token):
                alive, asked_at = now, None
            case "write":
                liveness.wrote(now, 65_536)
                alive = now
            case "read":
                liveness.received(now)
        assert liveness.due(now) is None or liveness.next_deadline() <= now


@pytest.mark.parametrize("cfg", [{"ping_after": 0}, {"ping_after": 15}, {"progress": 0}, {"backlog": 0}])
def test_times_that_cannot_work_are_refused(cfg: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        LivenessCfg(**cfg)
