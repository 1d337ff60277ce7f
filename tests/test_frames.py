"""Frames come out as they went in, whatever the chunks; and memory follows the bytes, not the promises."""

from __future__ import annotations

from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transports.errors import FrameError
from transports.frames import BUSY, LENGTH, SMALL, FrameBuffer

LIMIT = 1 << 20

untimed = settings(deadline=None)


def framed(body: bytes) -> bytes:
    return LENGTH.pack(len(body)) + body


def feed(frames: FrameBuffer, data: bytes | memoryview) -> int:
    """One read: as much of `data` as there is room for."""
    room = frames.writable()
    assert len(room) > 0
    count = min(len(room), len(data))
    room[:count] = data[:count]
    frames.commit(count)
    return count


def read_all(frames: FrameBuffer, data: bytes, chunk: int = LIMIT) -> list[bytes]:
    """Reads of at most `chunk` bytes until `data` is used up, and the frames they gave."""
    found: list[bytes] = []
    rest = memoryview(data)
    while rest:
        rest = rest[feed(frames, rest[:chunk]) :]
        found.extend(bytes(frame) for frame in frames)
    return found


def body_of(number: int, size: int) -> bytes:
    """Bytes that tell one frame from another, and one place in it from another."""
    return bytes((number + place) % 251 for place in range(min(size, 251))) * (size // 251 + 1)


sizes = st.lists(st.integers(1, 40) | st.integers(1, 30_000), max_size=8)


@untimed
@given(sizes, st.lists(st.integers(1, 9) | st.integers(1, 20_000), min_size=1, max_size=20))
def test_any_chunking_gives_the_same_frames(sizes: list[int], chunks: list[int]) -> None:
    bodies = [body_of(number, size)[:size] for number, size in enumerate(sizes)]
    frames, data, found = FrameBuffer(30_000), memoryview(b"".join(map(framed, bodies))), []
    for chunk in cycle(chunks):
        data = data[feed(frames, data[:chunk]) :]
        found += [bytes(frame) for frame in frames]
        if not data:
            break
    assert found == bodies
    assert frames.pending == 0


@untimed
@given(st.binary(min_size=1, max_size=300), st.integers(0, 303))
def test_a_torn_frame_is_pending_and_never_given(body: bytes, cut: int) -> None:
    frames = FrameBuffer(LIMIT)
    torn = framed(body)[:cut][: len(body) + 3]
    assert read_all(frames, torn) == []
    assert frames.pending == len(torn)
    assert read_all(frames, framed(body)[len(torn) :]) == [body]


@untimed
@given(st.integers(101, 0xFFFF_FFFF), st.integers(0, 100))
def test_a_frame_over_the_limit_is_refused_from_its_header_alone(length: int, more: int) -> None:
    frames = FrameBuffer(100)
    feed(frames, LENGTH.pack(length) + bytes(more))
    for _ in range(2):
        with pytest.raises(FrameError, match=f"{length} bytes; from 1 to 100"):
            frames.next_frame()
    assert frames.size == SMALL


def test_a_frame_of_no_bytes_is_refused() -> None:
    frames = FrameBuffer(LIMIT)
    feed(frames, framed(b"good") + LENGTH.pack(0))
    assert bytes(frames.next_frame() or b"") == b"good"
    with pytest.raises(FrameError):
        frames.next_frame()


def test_the_limit_itself_is_allowed() -> None:
    assert read_all(FrameBuffer(LIMIT), framed(bytes(LIMIT))) == [bytes(LIMIT)]


def test_a_new_limit_holds_from_the_next_frame() -> None:
    frames = FrameBuffer(10)
    feed(frames, framed(b"short") + framed(b"long" * 100) + framed(b"short again"))
    assert next(iter(frames)).tobytes() == b"short"
    frames.limit = 400
    assert next(iter(frames)).tobytes() == b"long" * 100
    frames.limit = 10
    with pytest.raises(FrameError):
        frames.next_frame()


@untimed
@given(st.integers(BUSY + 1, LIMIT), st.integers(0, 3000))
def test_a_promised_frame_takes_no_memory_before_its_bytes_come(length: int, come: int) -> None:
    frames = FrameBuffer(LIMIT)
    read_all(frames, LENGTH.pack(length) + bytes(come), chunk=1000)
    frames.writable()
    assert frames.size <= max(SMALL, 4 * come)


def test_before_the_limit_is_raised_the_buffer_stays_small() -> None:
    frames = FrameBuffer(4096)
    read_all(frames, framed(bytes(4096)) * 50)
    frames.writable()
    assert frames.size <= 4096 + LENGTH.size


def test_under_load_it_reads_more_at_once_but_not_without_end() -> None:
    frames = FrameBuffer(LIMIT)
    read_all(frames, framed(bytes(1000)) * 2000)
    assert frames.size == BUSY


def test_a_greater_frame_gets_the_room_it_needs_and_no_more() -> None:
    frames = FrameBuffer(LIMIT)
    read_all(frames, framed(bytes(LIMIT)) * 5)
    assert frames.size == LIMIT + LENGTH.size


def test_when_the_load_is_over_the_memory_is_given_back() -> None:
    frames = FrameBuffer(LIMIT)
    read_all(frames, framed(bytes(LIMIT)) * 2)
    assert read_all(frames, framed(b"ping") * 40, chunk=8) == [b"ping"] * 40
    assert frames.size == SMALL


@untimed
@given(st.lists(st.tuples(st.integers(1, 60_000), st.integers(1, 40)), max_size=8))
def test_growing_and_shrinking_lose_nothing(bursts: list[tuple[int, int]]) -> None:
    frames, number = FrameBuffer(60_000), 0
    for size, times in bursts:
        for _ in range(times):
            number += 1
            body = number.to_bytes(4, "big") + bytes(size - 4 if size > 4 else 0)
            assert read_all(frames, framed(body), chunk=size) == [body]


def test_a_frame_is_a_view_and_an_old_one_does_no_harm() -> None:
    frames = FrameBuffer(LIMIT)
    feed(frames, framed(b"first"))
    first = frames.next_frame()
    assert first is not None
    assert first.tobytes() == b"first"
    read_all(frames, framed(bytes(200_000)))
    assert len(first) == 5


def test_reading_on_without_taking_frames_is_a_mistake_that_shows() -> None:
    frames = FrameBuffer(100)
    while feed(frames, framed(b"x" * 100) * 100) < frames.size:
        pass
    with pytest.raises(BufferError):
        frames.writable()


@pytest.mark.parametrize("count", [-1, SMALL + 1])
def test_committing_what_was_not_there_is_a_mistake_that_shows(count: int) -> None:
    frames = FrameBuffer(LIMIT)
    frames.writable()
    with pytest.raises(ValueError, match="bytes were not written"):
        frames.commit(count)
