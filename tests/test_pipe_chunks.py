"""The cutting of a byte stream into messages."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.console.chunks import LIMIT, Chunker, LineChunker

texts = st.lists(st.sampled_from([b"a", b"\n", b"\r", b"bc", b"defghijk", b"\x00\xff"]), max_size=60).map(b"".join)
reads = st.lists(texts, max_size=8)
limits = st.integers(1, 12)


def cut(chunker: Chunker, parts: list[bytes]) -> list[bytes]:
    pieces = [piece for part in parts for piece in chunker.feed(part)]
    return pieces + chunker.end()


@given(reads, limits, st.sampled_from([Chunker, LineChunker]))
def test_the_pieces_join_to_the_input_and_none_is_empty_or_too_long(
    parts: list[bytes], limit: int, kind: type[Chunker]
) -> None:
    pieces = cut(kind(limit), parts)
    assert b"".join(pieces) == b"".join(parts)
    assert all(0 < len(piece) <= limit for piece in pieces)


@given(reads, limits)
@example([b"a\nb", b"c\nd"], 100)
def test_a_piece_ends_at_a_line_end_where_there_is_one(parts: list[bytes], limit: int) -> None:
    pieces = cut(Chunker(limit), parts)
    for piece in pieces[:-1]:
        assert piece.endswith(b"\n") or (b"\n" not in piece and len(piece) == limit)


@given(reads, limits)
@example([b"abc\n"], 3)
@example([b"ab\n"], 3)
@example([b"abc", b"\n"], 3)
def test_with_lines_each_line_is_a_piece_and_a_long_one_is_split(parts: list[bytes], limit: int) -> None:
    whole = b"".join(parts)
    *ended, last = whole.split(b"\n")
    lines = [line + b"\n" for line in ended] + [last] * bool(last)
    expected = [line[at : at + limit] for line in lines for at in range(0, len(line), limit)]
    assert cut(LineChunker(limit), parts) == expected


@given(reads, limits)
def test_with_lines_it_does_not_matter_how_the_bytes_came(parts: list[bytes], limit: int) -> None:
    whole = b"".join(parts)
    assert cut(LineChunker(limit), parts) == cut(LineChunker(limit), [whole[i : i + 1] for i in range(len(whole))])


@pytest.mark.parametrize("kind", [Chunker, LineChunker])
def test_a_complete_line_does_not_wait_for_more_input(kind: type[Chunker]) -> None:
    assert kind().feed(b"one\ntwo") == [b"one\n"]


def test_a_piece_has_64_kib_at_most() -> None:
    pieces = cut(Chunker(), [b"x" * 200_000])
    assert [len(piece) for piece in pieces] == [LIMIT, LIMIT, LIMIT, 200_000 - 3 * LIMIT]
