"""The engines of `actors up`, called without a runtime."""

from __future__ import annotations

from actors.console.engines import (
    Add,
    Count,
    Counter,
    Counts,
    Drop,
    Echo,
    Limits,
    Ping,
    Pong,
    Reset,
    Sink,
    Tick,
    Total,
)
from actors.engine import SetTimer
from actors.messages import Started


def test_echo_answers_with_the_same_number() -> None:
    echo = Echo()
    assert echo.ping(Ping(7)) == Pong(7)
    assert echo.pings == 1


def test_a_counter_adds_up_and_begins_again() -> None:
    counter = Counter(total=3)
    assert counter.add(Add(2)) == 5
    assert counter.say(Total()) == 5
    counter.reset(Reset())
    assert counter.say(Total()) == 0


def test_a_counter_takes_amounts_within_its_limits() -> None:
    counter = Counter(limits=Limits(most=10))
    assert [amount for amount in (-1, 0, 1, 10, 11) if counter.within_limits(Add(amount))] == [1, 10]


def test_a_counter_counts_the_minutes() -> None:
    counter = Counter()
    counter.started(Started())
    counter.tick(Tick())
    assert counter.minutes == 1
    assert counter.effects == [SetTimer(Tick(), 60), SetTimer(Tick(), 60)]


def test_a_sink_counts_what_it_forgets() -> None:
    sink = Sink()
    sink.drop(Drop("hello"))
    sink.drop(Drop("you"))
    assert sink.count(Count()) == Counts(messages=2, characters=8)
