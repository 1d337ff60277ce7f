"""The event log of a simulated run: written, read back, and refused where it is none."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from bad_histories import BAD
from good_histories import GOOD
from history_words import DELIVERED, sent, story
from msgspec.structs import replace

from actors.testing.history.eventlog import (
    Header,
    LogError,
    check_version,
    encode_log,
    header_of,
    own_version,
    read_header,
    read_log,
)
from actors.testing.history.records import AnyRecord, History

HEADER = header_of("chaos", 17, {4, 1}, "0123456789abcdef")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.events.jsonl"


def test_the_first_line_says_which_run_it_is(path: Path) -> None:
    path.write_bytes(encode_log(HEADER, story(*DELIVERED)))
    first, *records = map(json.loads, path.read_text().splitlines())
    assert list(first) == ["schema", "version", "scenario", "seed", "without", "trace_hash", "python"]
    assert first["schema"] == "actors-sim/v1"
    assert first["version"] == own_version()
    assert (first["scenario"], first["seed"], first["without"]) == ("chaos", 17, [1, 4])
    assert [record["type"] for record in records] == ["Began", "Began", "Accepted", "Entered", "Settled", "Finished"]


@pytest.mark.parametrize("history", [*GOOD.values(), *(history for _, history in BAD.values())])
def test_what_was_written_is_read(path: Path, history: History) -> None:
    path.write_bytes(encode_log(HEADER, history))
    assert read_log(path) == (HEADER, history)
    assert read_header(path) == HEADER


CHOICES = {"how": "killed", "kind": "tell", "outcome": "lost", "direction": "out"}
VALUES = {float: 1.5, int: 2, str: "x", bool: True}


@pytest.mark.parametrize("cls", get_args(AnyRecord))
def test_every_kind_of_record_is_read(path: Path, cls: Any) -> None:
    hints = get_type_hints(cls)
    record = cls(**{name: CHOICES.get(name) or VALUES[hints[name]] for name in cls.__struct_fields__})
    path.write_bytes(encode_log(HEADER, [record]))
    assert read_log(path)[1] == [record]


def test_a_message_that_never_expires_is_read_as_one(path: Path) -> None:
    history = story(replace(sent(1), expires=inf), sent(2, content='"expires":null'))
    path.write_bytes(encode_log(HEADER, history))
    assert read_log(path)[1] == history


@pytest.mark.parametrize("data", [b"", b"\n", b"{}\n", b"not json\n", b'{"schema":"actors-sim/v2"}\n', b"\xff\n"])
def test_a_file_without_a_header_is_no_log(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    for read in (read_header, read_log):
        with pytest.raises(LogError, match="is no event log"):
            read(path)


@pytest.mark.parametrize("line", [b"{}", b'{"type":"Began"}', b'{"type":"Unknown","at":1.0}', b"nonsense"])
def test_a_line_that_is_no_record_is_named(path: Path, line: bytes) -> None:
    path.write_bytes(encode_log(HEADER, story()) + line + b"\n")
    with pytest.raises(LogError, match="line 5 is no record"):
        read_log(path)


@pytest.mark.parametrize("cut", [1, 5])
def test_a_log_that_ends_within_a_line_is_refused(path: Path, cut: int) -> None:
    path.write_bytes(encode_log(HEADER, story(*DELIVERED))[:-cut])
    with pytest.raises(LogError, match="the last line is cut off"):
        read_log(path)


def test_a_log_of_another_version_is_refused_with_both_versions(path: Path) -> None:
    check_version(HEADER, path)
    other = Header(version="0.0.1", scenario="chaos", seed=17, trace_hash="", python="3.11.0")
    with pytest.raises(LogError, match=rf"written by trio-actors 0.0.1; this is {own_version()}") as error:
        check_version(other, path)
    assert "trio-actors==0.0.1" in error.value.hint
    assert "actors sim replay chaos 17" in error.value.hint
