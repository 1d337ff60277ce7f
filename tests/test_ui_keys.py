"""Keys: from bytes to names, from names to what they do. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ui_world import World, closely, down

from actors.console.ui.actions import Able
from actors.console.ui.bindings import BINDINGS, bindings, command_of
from actors.console.ui.desk import Quit, Run
from actors.console.ui.keyboard import NAMES, Keyboard
from actors.console.ui.places import CLUSTER, Place
from actors.console.ui.watch import EventLine

# -- bytes ------------------------------------------------------------------------------------------------


def test_bytes_become_keys() -> None:
    assert Keyboard().feed(b"jG?\r\x1b[A\x1b[6~\x7f\xc3\xa9\t\x01") == [
        "j", "G", "?", "enter", "up", "page down", "backspace", "é", "tab",
    ]  # fmt: skip


def test_an_escape_alone_is_a_key_when_nothing_follows() -> None:
    keyboard = Keyboard()
    assert (keyboard.feed(b"\x1b"), keyboard.waiting) == ([], True)
    assert (keyboard.pause(), keyboard.waiting) == (["esc"], False)
    assert keyboard.feed(b"\x1b\x1bq") == ["esc", "esc", "q"]


@pytest.mark.parametrize("sequence", NAMES)
def test_a_key_may_come_in_pieces(sequence: bytes) -> None:
    for cut in range(1, len(sequence)):
        keyboard = Keyboard()
        assert keyboard.feed(sequence[:cut]) + keyboard.feed(sequence[cut:] + b"q") == [NAMES[sequence], "q"]


@given(st.lists(st.binary(max_size=12)))
def test_no_bytes_break_the_keyboard_or_hold_more_than_a_key(pieces: list[bytes]) -> None:
    keyboard = Keyboard()
    for piece in pieces:
        assert all(len(key) == 1 or key.isascii() for key in keyboard.feed(piece))
    keyboard.pause()
    assert keyboard.feed(b"q")[-1:] in (["q"], [])


# -- the table --------------------------------------------------------------------------------------------


def test_each_key_means_one_thing() -> None:
    keys = [key for binding in BINDINGS for key in binding.keys]
    assert len(keys) == len(set(keys))


def test_who_only_looks_has_no_key_that_changes_anything() -> None:
    table = bindings(readonly=True, faults=True)
    assert [command_of(key, table) for key in "rPx"] == [None, None, None]
    assert command_of("q", table) == "quit"
    assert command_of("x", bindings(readonly=False, faults=False)) is None


# -- what they do -----------------------------------------------------------------------------------------


def broken() -> World:
    """a and b cannot reach c."""
    world = World("a", "b", "c")
    world.hear("a", proxies=[down("a", "b"), down("a", "c")])
    return world


def test_the_cause_of_a_problem_is_three_keys_away() -> None:
    world = broken()
    world.press("tab", "j", "enter")
    assert world.desk.place == Place("link", node="a", peer="c" * 52)


def test_a_numbered_command_runs_after_a_yes_and_is_what_was_shown() -> None:
    world = broken()
    world.press("tab", "enter", "1")
    assert world.desk.confirm is not None
    assert world.desk.confirm.command == "actors proxy a bbbbbbbb --dial-now"
    assert world.desk.confirm.command in world.text()
    effect = world.press("y")
    assert isinstance(effect, Run)
    assert effect.action.tokens == ("proxy", "a", "bbbbbbbb", "--dial-now")


@pytest.mark.parametrize("key", ["n", "esc", "q", "1"])
def test_anything_but_yes_is_no(key: str) -> None:
    world = broken()
    assert world.press("tab", "enter", "1", key) is None
    assert (world.desk.confirm, world.desk.note) == (None, "not done")


def test_another_cluster_is_named_in_its_commands() -> None:
    world = broken()
    world.watch.cluster = "two"
    effect = world.press("tab", "r")
    assert isinstance(effect, Run)
    assert effect.action.command == "actors proxy a bbbbbbbb --dial-now --cluster two"


def test_a_link_is_made_ephemeral_after_a_question_and_dialed_without() -> None:
    world = World("a", "b")
    world.press("2")
    assert world.press("P") is None
    assert world.desk.confirm is not None
    assert world.desk.confirm.tokens[-1] == "--ephemeral"
    world.press("esc")
    assert isinstance(world.press("r"), Run)


def test_without_a_link_there_is_nothing_to_dial() -> None:
    world = World("a")
    assert world.press("r") is None
    assert "choose a link" in world.desk.note


def test_digits_are_screens_where_no_command_has_a_number() -> None:
    world = World("a", "b")
    for key, page in ("2", "links"), ("3", "engines"), ("4", "events"), ("5", "letters"), ("1", "cluster"):
        world.press(key)
        assert world.desk.place.page == page


def test_esc_goes_back_step_by_step_and_no_further_than_the_cluster() -> None:
    world = World("a", "b")
    world.press("2", "enter")
    assert world.desk.stack == [CLUSTER, Place("links"), Place("link", node="a", peer="b" * 52)]
    world.press("esc")
    assert world.desk.stack == [CLUSTER, Place("links")]
    world.press("esc", "esc", "esc")
    assert world.desk.stack == [CLUSTER]


def test_the_cursor_stays_with_its_row_when_rows_move() -> None:
    world = World("a", "b", "c")
    world.press("j")
    assert world.picture().chosen == 1
    world.watch.failed(world.now, "c", "down", "gone")
    world.press("s")
    assert [item.key for item in world.picture().items] == ["c", "a", "b"]
    assert world.picture().item is not None
    assert world.picture().chosen == 2


def test_a_filter_is_seen_while_it_is_typed_and_esc_takes_it_back() -> None:
    world = broken()
    world.press("2", "/", *"BACK a")
    assert [item.words[:3] for item in world.picture().items] == ["a b", "a c"]
    world.press("enter", "esc")
    assert len(world.picture().items) == 6
    assert world.desk.place.page == "links"
    world.press("/", "x", "esc")
    assert world.desk.filter == ""


def test_commands_are_typed_by_name() -> None:
    world = World("a", "b")
    world.press(":", *"link b a", "enter")
    assert world.desk.place == Place("link", node="b", peer="a" * 52)
    world.press(":", *"node x", "backspace", "b", "enter")
    assert world.desk.place == Place("node", node="b")
    world.press(":", *"nonsense", "enter")
    assert "no command nonsense" in world.desk.note
    assert isinstance(world.press(":", *"quit", "enter"), Quit)


def test_events_are_followed_until_one_looks_back_and_again_from_the_end() -> None:
    world = World("a")
    for number in range(30):
        world.watch.events.append(_event(number))
        world.watch.heard_events += 1
    world.press("4")
    assert (world.desk.following, world.picture().chosen) == (True, 29)
    world.press("k", "k")
    assert (world.desk.following, world.picture().chosen) == (False, 27)
    world.press("G")
    assert world.desk.following


def _event(number: int) -> EventLine:
    return EventLine(100.0 + number, "a", "connected", f"b {number}")


def test_faults_are_offered_only_where_there_is_a_command_for_them() -> None:
    assert World("a", "b").press("x") is None
    world = World("a", "b", able=Able(faults=True))
    world.press("x", "1")
    assert world.desk.confirm is not None
    assert world.desk.confirm.command == "actors fault kill a"
    world.watch.failed(world.now, "b", "down", "gone")
    world.press("esc", ":", *"node b", "enter", "1")
    assert world.desk.confirm is not None
    assert world.desk.confirm.command == "actors fault restart b"


def test_whoever_only_looks_is_offered_no_commands() -> None:
    world = World("a", "b", able=Able(readonly=True))
    world.watch.looked("a", closely("b"))
    world.press("2", "enter", "1")
    assert world.desk.confirm is None
    assert "WHAT TO DO" not in world.text()


_KEYS = st.sampled_from(
    [*(key for binding in BINDINGS for key in binding.keys), *"yna ", "enter", "esc", "clear", "9", "é", "redraw"]
)


@given(st.lists(_KEYS, max_size=60))
def test_no_keys_break_the_console_and_there_is_always_a_frame(keys: list[str]) -> None:
    world = broken()
    world.watch.looked("a", closely("c"))
    world.watch.failed(world.now, "c", "down", "gone")
    for key in keys:
        world.press(key)
        lines = world.lines()
        assert len(lines) == 24
