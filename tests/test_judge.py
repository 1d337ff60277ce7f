"""The judge: each bad history is reported for the one rule that it breaks, and no good one is."""

from __future__ import annotations

import re
from math import nan
from pathlib import Path

import pytest
from bad_histories import BAD
from good_histories import GOOD
from history_words import began, got, sent, settled, story, told

from actors.testing import judge as package
from actors.testing.history.records import History
from actors.testing.judge import judge


@pytest.mark.parametrize(("rule", "history"), BAD.values(), ids=BAD)
def test_a_bad_history_is_reported_for_the_one_rule_that_it_breaks(rule: str, history: History) -> None:
    assert [f"{found.promise} {found.rule}" for found in judge(history)] == [rule]


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_a_good_history_is_not_reported(history: History) -> None:
    assert judge(history) == []


def test_every_rule_has_a_bad_history() -> None:
    source = "".join(path.read_text() for path in Path(package.__path__[0]).glob("*.py"))
    rules = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source))
    assert rules | {"unproven"} == {rule.partition(" ")[2] for rule, _ in BAD.values()}


@pytest.mark.parametrize("history", [history for _, history in BAD.values()], ids=BAD)
def test_a_report_says_who_and_when(history: History) -> None:
    (found,) = judge(history)
    assert re.search(r"\bab?\b|\bb\b", found.words)
    assert re.search(r"\d\.\d{3}\b", found.words)
    assert history[0].at <= found.at <= history[-1].at


def test_reports_come_in_the_order_of_time() -> None:
    history = story(sent(1), got(2, 2), settled(1, 3), settled(1, 4))
    assert [(found.at, found.promise) for found in judge(history)] == [(2, "P2"), (3, "P1"), (4, "P1")]


def test_a_message_that_is_overtaken_by_many_is_reported_once() -> None:
    numbers = range(1, 101)
    history = story(
        *(sent(number) for number in numbers),
        *(got(number, 1.1) for number in [100, *numbers[:-1]]),
        *(settled(number, 1.2) for number in numbers),
    )
    (found,) = judge(history)
    assert "m1 of a/x -> b/y" in found.words
    assert "behind m100 of 1.100" in found.words
    assert "98 more" in found.words


@pytest.mark.parametrize("content", ["same", ""], ids=["all equal", "all different"])
def test_a_long_history_is_judged(content: str) -> None:
    numbers = range(1, 7001)
    times = [number * 0.001 for number in numbers]
    history = [
        *(sent(number, at, content=content, expires=3600) for number, at in zip(numbers, times, strict=True)),
        *(got(content or number, at + 8) for number, at in zip(numbers, times, strict=True)),
        *(settled(number, at + 16) for number, at in zip(numbers, times, strict=True)),
    ]
    assert judge(story(*history)) == []
    del history[7000 + 3500]
    (found,) = judge(story(*history))
    assert found.rule == "delivered-but-in-no-mailbox"


@pytest.mark.parametrize(
    "history",
    [
        story(sent(1), sent(2, 0.5)),
        story(told(1, nan, "cancelled")),
        [began("a", -1.0)],
        story(sent(1), sent(1)),
    ],
    ids=["back in time", "no time", "before all time", "one number twice"],
)
def test_a_history_that_cannot_be_is_an_error(history: History) -> None:
    with pytest.raises(ValueError, match=r"time runs back|two messages of one number"):
        judge(history)
