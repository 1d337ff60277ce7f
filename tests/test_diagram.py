"""Histories as Mermaid sequence diagrams."""

from __future__ import annotations

import re

import pytest
from bad_histories import BAD
from good_histories import GOOD
from history_words import (
    DELIVERED,
    RESTARTED,
    asked,
    began,
    down,
    ended,
    fault,
    finished,
    got,
    healed,
    permanent,
    sent,
    settled,
    stopping,
    story,
    told,
    up,
)
from hypothesis import given
from hypothesis import strategies as st

from actors.testing.history.diagram import diagram, escaped, numbered
from actors.testing.history.records import (
    Began,
    Bytes,
    CoreCrashed,
    Ended,
    Fault,
    Forgot,
    History,
    Left,
    RetryAfter,
    Violation,
    Withdrawn,
)

TEXT = r"(?:[^#;\n]|#\d+;)+"
LINE = re.compile(
    rf"sequenceDiagram|    participant n\d+ as {TEXT}|    loop \d+ times in a row, until [\d.]+|    end"
    rf"|    (?:    )?(?:Note over n\d+(?:,n\d+)?|n\d+--?>>n\d+): [\d.]+ {TEXT}"
)


def lines(history: History, *violations: Violation, most: int = 100) -> list[str]:
    """What is drawn, without the participants; every line is one that Mermaid takes."""
    text = diagram(history, violations, lines=most)
    assert text.endswith("\n")
    drawn = text.splitlines()
    assert [line for line in drawn if not LINE.fullmatch(line)] == []
    assert drawn[0] == "sequenceDiagram"
    assert sum(line.lstrip().startswith("loop ") for line in drawn) == drawn.count("    end")
    return [line.strip() for line in drawn[1:] if " participant " not in line]


def body(*records: object, most: int = 100) -> list[str]:
    """As `lines`, of what happens between two nodes, without their beginning and the end."""
    drawn = lines(story(*records), most=most)  # type: ignore[arg-type]
    assert drawn[:2] == ["Note over n1: 0.000 run 1 begins", "Note over n2: 0.000 run 1 begins"]
    assert drawn[-1] == "Note over n1,n2: 100.000 the end"
    return drawn[2:-1]


def test_the_participants_are_the_nodes_in_their_order() -> None:
    drawn = diagram([began("shop"), began("end"), began("shop", 1.0, 2)]).splitlines()
    assert drawn[1:3] == ["    participant n1 as shop", "    participant n2 as end"]
    assert drawn[-1] == "    Note over n1: 1.000 run 2 begins"


def test_a_history_of_nothing_is_a_diagram() -> None:
    assert lines([]) == []


def test_a_message_is_accepted_arrives_and_is_delivered() -> None:
    assert body(*DELIVERED) == [
        "Note over n1: 1.000 accepts 1 tell [1] for b/y",
        "n1->>n2: 1.100 1 tell [1] into y",
        "n2-->>n1: 1.200 [1] delivered",
    ]


def test_messages_of_a_lane_are_one_line_even_if_they_mingle_with_what_becomes_of_them() -> None:
    numbers = range(1, 51)
    mingled = [each(n, 1 + n / 100) for n in numbers for each in (sent, got, settled)]
    assert body(*mingled) == [
        "Note over n1: 1.010 accepts 50 tells [1-50] for b/y (until 1.500)",
        "n1->>n2: 1.010 50 tells [1-50] into y (until 1.500)",
        "n2-->>n1: 1.010 [1-50] delivered (until 1.500)",
    ]


def test_what_goes_elsewhere_or_is_of_another_kind_is_another_line() -> None:
    drawn = body(sent(1), sent(2, target="z"), asked(3), sent(4, node="b", peer="a"), sent(5))
    assert drawn == [
        "Note over n1: 1.000 accepts 2 tells [1, 5] for b/y",
        "Note over n1: 1.000 accepts 1 tell [2] for b/z",
        "Note over n1: 1.000 accepts 1 ask [3] for b/y",
        "Note over n2: 1.000 accepts 1 tell [4] for a/y",
    ]


@pytest.mark.parametrize("event", [fault(1.5), up(1.5), down(1.5), stopping(1.5), began("b", 1.5, 2), healed(1.5)])
def test_messages_before_and_after_what_matters_are_counted_apart(event: object) -> None:
    first, second, third = body(sent(1), event, sent(2, 2.0))
    assert "[1]" in first
    assert "1.500" in second
    assert "[2]" in third


def test_an_outcome_that_is_not_delivered_says_why() -> None:
    assert body(
        *map(sent, (1, 2, 3)),
        settled(1, 2, "expired?"),
        settled(2, 2, "lost:connection_lost"),
        settled(3, 2, "refused:full"),
    )[1:] == [
        "Note over n1: 2.000 [1] expired, perhaps sent",
        "Note over n1: 2.000 [2] lost (connection_lost)",
        "Note over n1: 2.000 [3] refused (full)",
    ]


def test_what_a_caller_learns_is_shown_where_the_outcome_does_not_say_it_already() -> None:
    drawn = body(
        sent(1), settled(1, 2), told(1, 2, "delivered"), asked(2, 3), Withdrawn(4, "a", 1, 2), told(2, 4, "expired?")
    )
    assert drawn[2:] == [
        "Note over n1: 3.000 accepts 1 ask [2] for b/y",
        "Note over n1: 4.000 nobody waits any more for [2]",
        "Note over n1: 4.000 the caller of [2] learns: expired",
    ]


def test_a_message_that_enters_twice_is_said_to() -> None:
    assert body(*DELIVERED, got(1, 5.0))[-1] == "n1->>n2: 5.000 1 tell [1] into y AGAIN"


def test_equal_messages_are_told_apart_by_their_order() -> None:
    same = sent(1, content="c"), sent(2, content="c"), got("c", 1.1), fault(2), got("c", 3.0)
    drawn = body(*same)
    assert drawn[1].endswith("1 tell [1] into y")
    assert drawn[3].endswith("1 tell [2] into y")


def test_a_message_that_nobody_sent_is_said_to_be() -> None:
    assert body(got(7, 1.0)) == ["n1->>n2: 1.000 1 tell into y, which nobody sent"]


def test_a_link_that_both_ends_see_come_and_go_is_one_line() -> None:
    drawn = body(up(1.0), up(1.1, node="b", peer="a"), down(5.0), down(5.0, node="b", peer="a"), up(9.0))
    assert drawn == [
        "Note over n1,n2: 1.000 the link is up (until 1.100)",
        "Note over n1,n2: 5.000 the link is down: no heartbeat",
        "Note over n1,n2: 9.000 the link is up",
    ]


def test_a_link_that_the_other_end_misses_much_later_is_two_lines() -> None:
    assert len(body(up(1.0), down(5.0), down(20.0, node="b", peer="a"))) == 3


def test_what_repeats_is_a_loop() -> None:
    flapping = [each for n in range(7) for each in (up(2.0 * n + 3), down(2.0 * n + 4))]
    assert body(permanent(), *flapping, sent(1, 50)) == [
        "Note over n1: 0.000 holds its link to b for permanent",
        "loop 7 times in a row, until 16.000",
        "Note over n1,n2: 3.000 the link is up",
        "Note over n1,n2: 4.000 the link is down: no heartbeat",
        "end",
        "Note over n1: 50.000 accepts 1 tell [1] for b/y",
    ]


def test_what_comes_twice_is_drawn_twice() -> None:
    assert len(body(up(1), down(2), up(3), down(4))) == 4


def test_crashes_restarts_and_ends_are_notes_at_their_node() -> None:
    lost = Began(4.0, "b", 3, "key", 3, lost_state=True)
    assert body(*RESTARTED, ended("b", 3.5, 2, how="stopped"), lost, Ended(9.0, "a", 1, "failed", "KeyError: 1")) == [
        "Note over n2: 2.000 is killed",
        "Note over n2: 3.000 run 2 begins",
        "Note over n2: 3.500 has stopped",
        "Note over n2: 4.000 run 3 begins, its state is lost",
        "Note over n1: 9.000 FAILED: KeyError: 1",
    ]


def test_whatever_is_rare_has_its_words() -> None:
    assert body(
        CoreCrashed(1, "a", 1, "router", "KeyError: 2"),
        Forgot(2, "a", 1, "b"),
        RetryAfter(3, "a", 1, "b", 30.0),
        Bytes(4, "a", 1, "", "out", False),
        Left(5, "a", 1, "a listener"),
    ) == [
        "Note over n1: 1.000 its engine router CRASHED: KeyError: 2",
        "Note over n1: 2.000 forgets b",
        "Note over n1: 3.000 is asked by b to wait 30 s",
        "Note over n1: 4.000 bytes out before somebody is proven",
        "Note over n1: 5.000 left behind: a listener",
    ]


def test_a_run_that_failed_does_not_kill_its_nodes() -> None:
    failed = [
        began("a"),
        began("b"),
        sent(1),
        ended("a", 2, how="killed"),
        Left(2, "a", 1, "x"),
        ended("b", 2, how="killed"),
    ]
    assert not any("killed" in line for line in lines(failed))
    assert any("killed" in line for line in lines([*failed, finished(3)]))


# -- what goes wrong --------------------------------------------------------------------------------------


def test_a_violation_stands_after_all_that_happened_up_to_it() -> None:
    found = Violation("P3", "lost-without-cause", 1.1, "it is gone")
    drawn = lines(story(*DELIVERED), found)
    assert drawn.index("Note over n1,n2: 1.100 VIOLATION of P3, lost-without-cause: it is gone") == 4
    assert "into y" in drawn[3]
    assert "delivered" in drawn[5]


def test_a_violation_of_the_whole_history_comes_last() -> None:
    drawn = lines(story(*DELIVERED), Violation("P6", "late", 1e9, "never up"))
    assert "VIOLATION of P6" in drawn[-1]


def long_story() -> History:
    return story(fault(0.05), *(sent(n, n / 10, target=f"y{n}") for n in range(1, 500)))


def test_of_a_long_history_the_part_before_the_violation_is_shown() -> None:
    drawn = lines(long_story(), Violation("P1", "no-outcome", 20.0, "words"), most=30)
    assert 28 < len(drawn) < 36
    assert drawn[0] == "Note over n1,n2: 0.050 2 more events until here, left out"
    assert drawn[1] == "Note over n1,n2: 0.050 FAULT something"
    assert drawn[2] == "Note over n1,n2: 17.900 178 more events until here, left out"
    assert drawn[25] == "Note over n1,n2: 20.000 VIOLATION of P1, no-outcome: words"
    assert drawn[26] == "Note over n1: 20.100 accepts 1 tell [201] for b/y201"
    assert drawn[-1] == "Note over n1,n2: 100.000 294 more events until here, left out"


def test_of_a_long_history_without_a_violation_the_end_is_shown() -> None:
    drawn = lines(long_story(), most=30)
    assert 28 < len(drawn) < 36
    assert drawn[-1] == "Note over n1,n2: 100.000 the end"


def test_what_repeats_a_thousand_times_leaves_room_for_the_rest() -> None:
    flapping = [each for n in range(1000) for each in (up(2.0 * n + 3), down(2.0 * n + 4))]
    drawn = lines(story(permanent(), *flapping, until=3000), most=10)
    assert len(drawn) == 8


def test_what_is_left_out_of_a_loop_counts_each_time() -> None:
    flapping = [each for n in range(50) for each in (up(2.0 * n + 3), down(2.0 * n + 4))]
    later = [sent(n, 200.0 + n, target=f"y{n}") for n in range(1, 10)]
    drawn = lines(story(*flapping, *later, until=300), most=5)
    assert drawn[0] == "Note over n1,n2: 206.000 107 more events until here, left out"


# -- what Mermaid takes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("history", [*GOOD.values(), *(history for _, history in BAD.values())])
def test_every_history_can_be_drawn(history: History) -> None:
    lines(history)


HOSTILE = 'end; #1 "x" <br> %%{init}%% a:b\n\u2028 $$x$$ @{y} &amp; {z}'


def test_names_and_words_mean_nothing_to_mermaid() -> None:
    drawn = lines([began(HOSTILE), Fault(1, "", 0, HOSTILE)], Violation("P1", "x", 2, HOSTILE))
    assert len(drawn) == 3
    assert not any(re.search(r"[<%{$@&\n\u2028]", line) for line in drawn)


@given(st.text(), st.text())
def test_any_name_and_any_words_make_a_diagram(name: str, words: str) -> None:
    lines([began(name or "x"), Fault(1, "", 0, words), up(2, node=name or "x")])


def test_words_that_are_too_long_end_with_dots() -> None:
    (line,) = body(Fault(1, "", 0, "x" * 500))
    assert line.endswith("x…")
    assert len(line) < 200


@pytest.mark.parametrize(
    ("numbers", "words"),
    [([], ""), ([3], "[3]"), ([2, 1, 3, 3, 7], "[1-3, 7]"), (range(0, 20, 2), "[0, 2, 4, 6, 8, …]")],
)
def test_numbers_are_ranges(numbers: list[int], words: str) -> None:
    assert numbered(numbers) == words


def test_only_what_has_to_be_is_escaped() -> None:
    assert escaped("a -> b/shop: 'x' (1)") == "a -> b/shop: 'x' (1)"
    assert escaped("#;") == "#35;#59;"
