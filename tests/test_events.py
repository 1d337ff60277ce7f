"""Events are records that people and programs can read."""

from __future__ import annotations

from typing import get_args

import pytest
from msgspec import json

from actors.events import AnyEvent, DeadLetter, EngineCrashed, Event
from actors.identity import EngineID

ME = EngineID(None, "counter")


def test_an_event_names_itself_in_dashed_lower_case() -> None:
    crashed = EngineCrashed(3.5, ME, "ZeroDivisionError()", "add")
    assert json.encode(crashed) == (
        b'{"event":"engine-crashed","at":3.5,"engine":[null,"counter"],"error":"ZeroDivisionError()","tag":"add"}'
    )


def test_an_event_is_read_again_as_what_it_was() -> None:
    letter = DeadLetter(1.0, ME, EngineID(None, ""), "add", "expired before it was sent", b"\x92\xa3add\x02")
    assert json.decode(json.encode(letter), type=AnyEvent) == letter


def test_every_event_is_one_of_any_event_and_says_when() -> None:
    assert set(get_args(AnyEvent)) == set(Event.__subclasses__())
    assert {event.__struct_fields__[0] for event in get_args(AnyEvent)} == {"at"}


def test_what_happened_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        EngineCrashed(3.5, ME, "").at = 4.0  # type: ignore[misc]
