"""What the console makes of what it hears: rates, states, problems. Pure."""

from __future__ import annotations

import pytest
from console_fakes import engine_snapshot
from msgspec.structs import replace
from ui_world import World, down, proxy, told

from actors.console.ui import figures
from actors.console.ui.watch import Watch
from actors.control.messages import Happened
from actors.snapshots import LedgerSnapshot


def happened(event: str, **data: object) -> Happened:
    return Happened(event=event, at=1.0, data=data)


# -- figures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0, "0"), (980, "980"), (9999, "9999"), (12_345, "12.3k"), (123_456, "123k"), (4_100_000, "4.1M")],
)
def test_counts_are_short(value: float | None, shown: str) -> None:
    assert figures.count(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "-"), (0.42, "0.4 s"), (12, "12 s"), (600, "10 min"), (7200, "2 h"), (400_000, "5 d")]
)
def test_spans_have_one_unit(seconds: float | None, shown: str) -> None:
    assert figures.span(seconds) == shown


def test_a_little_is_not_shown_as_nothing() -> None:
    assert (figures.share(0), figures.share(0.001), figures.share(0.5)) == ("0 %", "<1 %", "50 %")
    assert (figures.rate(0.4), figures.rate(None), figures.millis(0.05)) == ("0.4", "-", "0.05 ms")
    assert (figures.size(512), figures.size(45 << 20), figures.size(None)) == ("512 B", "45 MiB", "-")


def test_a_sparkline_tells_nothing_from_no_measurement() -> None:
    assert figures.sparkline([None, 0, 1, 8]) == " ▁▂█"
    assert figures.sparkline([]) == ""


# -- rates ------------------------------------------------------------------------------------------------


def test_rates_are_of_the_last_seconds_and_unknown_before_there_are_two_samples() -> None:
    world = World()
    world.hear("a", told("a", delivered=0))
    assert world.watch.nodes["a"].rates() == (None, None)
    for second in range(1, 21):
        world.now = 100.0 + second
        sent = 10 * second if second > 10 else 0
        world.hear("a", told("a", delivered=sent, received=5 * second))
    assert world.watch.nodes["a"].rates() == (10.0, 5.0)


def test_the_last_minute_is_in_equal_parts_with_blanks_where_nothing_is_known() -> None:
    world = World()
    for second in range(21):
        world.now = 100.0 + second
        world.hear("a", told("a", sent=12 * second))
    assert world.watch.nodes["a"].minute(world.now, 6) == [None, None, None, None, 12.0, 12.0]


def test_a_node_that_began_anew_has_no_negative_rate() -> None:
    world = World()
    world.hear("a", told("a", delivered=500))
    world.now += 5
    world.hear("a", told("a", delivered=3, pid=8))
    assert world.watch.nodes["a"].rates() == (None, None)
    world.now += 5
    world.hear("a", told("a", delivered=1, pid=8))
    assert world.watch.nodes["a"].rates() == (None, None)


def test_the_ledger_is_that_of_all_nodes() -> None:
    world = World()
    world.hear("a", told("a", accepted=3, delivered=2, in_flight=1))
    world.hear("b", told("b", accepted=4, lost=4))
    assert world.watch.ledger() == LedgerSnapshot(accepted=7, delivered=2, lost=4, in_flight=1)


def test_events_call_nodes_by_their_names() -> None:
    world = World("a", "b")
    world.watch.happened(1, "a", happened("proxy-changed", peer="b" * 52, old="ready", new="backoff", why="cut"))
    world.watch.happened(2, "a", happened("engine-crashed", engine="a" * 52 + "/echo", error="KeyError: 1", tag=""))
    refused = "cannot connect to tcp://x: connection refused"
    world.watch.happened(3, "a", happened("dial-failed", peer="b" * 52, address="tcp://x", why=refused))
    letter = {"to": "b" * 52 + "/x", "sender": "a" * 52 + "/y", "tag": "t", "outcome": "expired", "head": "kaF0"}
    world.watch.happened(4, "a", happened("dead-letter", **letter))
    world.watch.happened(5, "a", happened("of-later-days", peer="b" * 52, number=7, nothing=None))
    assert [line.words for line in world.watch.events] == [
        "b ready → backoff: cut",
        "a/echo KeyError: 1",
        "b tcp://x: connection refused",
        "t to b/x: expired",
        "b number 7",
    ]


def test_a_peer_keeps_its_name_when_its_node_has_gone() -> None:
    watch = Watch("local")
    watch.heard(1, "b", told("b"), ())
    watch.failed(2, "b", "down", "its process is gone")
    assert watch.name_of(proxy("a", "bbbbbbbb", peer_id="b" * 52)) == "b"
    assert watch.name_of(proxy("a", "x")) == "x"


# -- problems ---------------------------------------------------------------------------------------------


def test_a_well_cluster_has_no_problems() -> None:
    world = World("a", "b", "c")
    assert world.found() == ()


def test_a_node_that_is_down_is_one_problem_and_not_one_for_each_link_to_it() -> None:
    world = World("a", "b", "c")
    world.watch.failed(world.now, "c", "down", "its process is gone")
    world.hear("a", proxies=[proxy("a", "b"), down("a", "c")])
    world.hear("b", proxies=[proxy("b", "a"), down("b", "c")])
    world.now += 4
    (problem,) = world.found()
    assert (problem.finding.code, problem.finding.where, problem.finding.level) == ("node_down", "c", "error")
    assert world.now - problem.since == 4


def test_a_link_that_cannot_be_opened_is_a_problem_with_its_cause_since_it_was_seen_first() -> None:
    world = World("a", "b")
    world.hear("a", proxies=[down("a", "b")])
    world.found()
    world.now += 7
    world.hear("a", proxies=[down("a", "b", state="dialing", retry_in=None)])
    (problem,) = world.found()
    assert (problem.finding.code, problem.finding.where) == ("unreachable", "a → b")
    assert problem.finding.cause == "connection refused, nothing listens there; trying now (tcp://127.0.0.1:9)"
    assert world.now - problem.since == 7
    world.hear("a")
    assert world.found() == ()


def test_a_first_dial_is_no_problem() -> None:
    world = World("a", "b")
    world.hear("a", proxies=[down("a", "b", state="dialing", failures=0)])
    assert world.codes() == []


def test_messages_under_way_that_do_not_arrive_are_a_problem_after_some_seconds() -> None:
    world = World("a", "b")
    for second in range(8):
        world.now = 100.0 + second
        delivered = 5 if second < 2 else 6
        world.hear("a", proxies=[proxy("a", "b", retained=9, ledger=LedgerSnapshot(delivered=delivered))])
        assert world.codes() == (["stuck"] if second >= 7 else [])


def test_what_grows_is_told_until_a_minute_has_passed_and_what_was_there_before_is_not() -> None:
    world = World()
    world.hear("a", told("a", dead_letters=40))
    assert world.codes() == []
    world.now += 1
    world.hear("a", told("a", dead_letters=42))
    (problem,) = world.found()
    assert problem.finding.code == "dead_letters"
    assert problem.finding.cause.startswith("2 ")
    world.now += 59
    assert world.codes() == ["dead_letters"]
    world.now += 2
    assert world.codes() == []


def test_a_crash_is_told_with_its_cause() -> None:
    world = World("a")
    assert world.codes() == []
    world.watch.happened(world.now, "a", happened("engine-crashed", engine="a" * 52 + "/echo", error="KeyError: 1"))
    world.watch.listed("a", [replace(engine_snapshot("a"), crashes=1)])
    (problem,) = world.found()
    assert problem.finding.where == "a/echo"
    assert "KeyError: 1" in problem.finding.cause


@pytest.mark.parametrize(("state", "code"), [("denied", "configuration"), ("silent", "timeout"), ("down", "node_down")])
def test_a_node_that_does_not_answer_is_told_with_why(state: str, code: str) -> None:
    world = World("a", "b")
    world.watch.failed(world.now, "b", state, "because")
    (problem,) = world.found()
    assert (problem.finding.code, problem.finding.cause) == (code, "because")


def test_what_is_full_lags_or_does_not_add_up_is_told() -> None:
    world = World()
    node = replace(told("a", accepted=1), loop_lag_ms=250.0)
    world.hear("a", node, [proxy("a", "b", fill=0.9)])
    world.watch.listed("a", [replace(engine_snapshot("a"), held=4000)])
    assert sorted(world.codes()) == ["loop_lag", "mailbox_full", "outbox_full", "unbalanced"]
    assert world.codes()[0] == "unbalanced"
