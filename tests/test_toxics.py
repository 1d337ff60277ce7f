"""What each toxic makes of the bytes of one way: decided without a socket, with given dice."""

from __future__ import annotations

from random import Random

import pytest

from actors.errors import ConfigError
from actors.testing.toxics import (
    Bandwidth,
    Blackhole,
    Corrupt,
    Course,
    Ending,
    Latency,
    Limit,
    Reset,
    Slicer,
    Toxic,
    Way,
)


def course(*toxics: Toxic, seed: int = 0) -> Course:
    return Course(lambda: toxics, Random(seed).random)


def test_without_toxics_bytes_go_on_at_once_whole_and_as_they_are() -> None:
    free = course()
    assert free.due(3.0) == 3.0
    assert list(free.segments(free.corrupted(b"hello"))) == [b"hello"]
    assert free.take(5) == (5, None)
    assert free.pause(5) == 0
    assert free.is_open


def test_latency_is_between_its_seconds_and_its_jitter_more() -> None:
    late = course(Latency(0.1, jitter=0.05))
    delays = [late.due(now) - now for now in range(100)]
    assert all(0.1 <= delay <= 0.15 for delay in delays)
    assert len({round(delay, 6) for delay in delays}) > 50


def test_jitter_lets_nothing_overtake() -> None:
    late = course(Latency(0.1, jitter=5.0))
    dues = [late.due(now / 100) for now in range(100)]
    assert dues == sorted(dues)


def test_latencies_add_up() -> None:
    assert course(Latency(1), Latency(2)).due(0) == 3


def test_a_slicer_parts_bytes_and_loses_none() -> None:
    sliced = course(Slicer(2, pause=0.5))
    assert list(sliced.segments(b"hello")) == [b"he", b"ll", b"o"]
    assert sliced.pause(2) == 0.5


def test_the_narrowest_bandwidth_counts() -> None:
    narrow = course(Bandwidth(1000), Bandwidth(100))
    assert narrow.pause(50) == pytest.approx(0.5)
    assert narrow.gulp == 5


def test_corruption_turns_single_bits_at_its_rate_and_spares_the_beginning() -> None:
    bad = course(Corrupt(every=100, after=500))
    data = bytes(100_000)
    out = b"".join(bad.corrupted(data[i : i + 777]) for i in range(0, len(data), 777))
    turned = [index for index, byte in enumerate(out) if byte]
    assert len(out) == len(data)
    assert min(turned) >= 500
    assert 800 <= len(turned) <= 1200
    assert all(out[index].bit_count() == 1 for index in turned)


def test_the_same_seed_turns_the_same_bits_however_bytes_come() -> None:
    def of(step: int, seed: int) -> bytes:
        bad = course(Corrupt(every=50), seed=seed)
        return b"".join(bad.corrupted(bytes(step)) for _ in range(1000 // step))

    assert of(1, 7) == of(1000, 7)
    assert of(1000, 7) != of(1000, 8)


def test_every_byte_can_be_corrupted() -> None:
    assert all(course(Corrupt(every=1)).corrupted(bytes(64)))


@pytest.mark.parametrize(("toxic", "reset"), [(Limit(10), False), (Reset(10), True)])
def test_after_its_bytes_a_connection_ends(toxic: Toxic, reset: bool) -> None:
    ends = course(toxic)
    assert ends.take(6) == (6, None)
    assert ends.take(6) == (4, Ending(reset=reset))
    assert ends.carried == 10
    assert ends.take(1) == (0, Ending(reset=reset)), "a limit that is passed already"


def test_a_reset_at_once_is_at_the_first_byte() -> None:
    assert course(Reset()).take(1) == (0, Ending(reset=True))


def test_a_blackhole_closes_the_way() -> None:
    assert not course(Blackhole()).is_open


def test_toxics_come_and_go_while_bytes_move() -> None:
    live: list[Toxic] = []
    moving = Course(lambda: live, Random(1).random)
    assert moving.due(1.0) == 1.0
    live.append(Latency(1.0))
    assert moving.due(1.0) == 2.0
    live[:] = [Corrupt(every=1)]
    assert moving.corrupted(b"\0") != b"\0"
    live.clear()
    assert moving.corrupted(b"\0") == b"\0"


@pytest.mark.parametrize("wrong", [lambda: Latency(-1), lambda: Slicer(1, -1), lambda: Bandwidth(0), lambda: Limit(-1)])
def test_numbers_that_mean_nothing_are_refused(wrong: type[Toxic]) -> None:
    with pytest.raises(ConfigError):
        wrong()


def test_each_way_has_another_way_back() -> None:
    assert Way.TO_TARGET.back is Way.TO_DIALER
    assert Way.TO_DIALER.back is Way.TO_TARGET
