"""What the console shows, as text. Pure."""

from __future__ import annotations

import pytest
from console_fakes import engine_snapshot
from msgspec.structs import replace
from rich.text import Text
from ui_world import World, closely, down, proxy, told

from actors.console.ui.actions import Able
from actors.console.ui.bindings import bindings
from actors.console.ui.columns import Column, fit, table, window
from actors.console.ui.looks import LOOKS
from actors.console.ui.screen import Screen
from actors.console.ui.views.cluster import shares
from actors.console.ui.watch import EventLine
from actors.snapshots import DeadLetterSnapshot, GuardSnapshot, HandledSnapshot, StepSnapshot, WorkSnapshot

PAGES = ["1", "2", "3", "4", "5", "?"]


def full_world() -> World:
    world = World("a", "b", "c")
    world.hear("a", told("a", accepted=9, delivered=7, lost=2), [proxy("a", "b", fill=0.5), down("a", "c")])
    world.watch.failed(world.now, "c", "down", "its process is gone")
    world.watch.looked("a", closely("b"))
    world.watch.events.append(EventLine(99.0, "a", "disconnected", "c transport tcp reset"))
    world.watch.told("a", [DeadLetterSnapshot(ago=1, to="b" * 52 + "/x", sender="a" * 52 + "/y", tag="t",
                                              outcome="refused (no_engine): x", head=b"\x91\xa1t")])  # fmt: skip
    world.now += 4
    return world


# -- lines and columns ------------------------------------------------------------------------------------


def test_a_cell_is_cut_with_an_ellipsis_or_filled() -> None:
    assert fit(Text("abcdef"), 4).plain == "abc…"
    assert fit(Text("ab"), 4, right=True).plain == "  ab"
    assert fit(Text("日本語"), 4).cell_len == 4


def test_columns_that_do_not_fit_go_by_their_rank() -> None:
    columns = [Column("name"), Column("first to go", rank=2), Column("second", rank=1), Column("why", grow=True)]
    rows = [["a", "x", "y", "z" * 50]]
    assert table(columns, rows, 90)[0].plain.split() == ["name", "first", "to", "go", "second", "why"]
    assert table(columns, rows, 42)[0].plain.split() == ["name", "second", "why"]
    assert table(columns, rows, 34)[0].plain.split() == ["name", "why"]
    assert {line.cell_len for width in (20, 42, 90) for line in table(columns, rows, width)} == {20, 42, 90}


def test_the_row_of_the_cursor_is_always_in_the_window() -> None:
    for cursor in range(50):
        assert cursor in window(50, 7, cursor)
        assert len(window(50, 7, cursor)) == 7
    assert list(window(3, 7, 0)) == [0, 1, 2]
    assert list(window(3, 0, 0)) == []


@pytest.mark.parametrize("height", [10, 20, 22, 40])
@pytest.mark.parametrize(("nodes", "problems"), [(1, 0), (3, 2), (3, 50), (100, 0), (100, 300)])
def test_the_parts_of_the_cluster_page_fill_its_height(height: int, nodes: int, problems: int) -> None:
    parts = shares(height, nodes, problems, 1 + min(nodes, 14))
    assert sum(parts) == height
    assert parts[0] >= 2
    assert parts[1] >= 2
    assert parts[2] >= 2


# -- screens ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", PAGES)
@pytest.mark.parametrize("size", [(80, 24), (60, 12), (100, 30), (200, 60), (61, 50)])
def test_every_page_fills_the_terminal_exactly(key: str, size: tuple[int, int]) -> None:
    world = full_world()
    for keys in ([key], [key, "enter"]):
        world.desk.stack[1:] = []
        world.press(*keys)
        lines = world.lines(*size)
        assert len(lines) == size[1]
        assert {Text(line).cell_len for line in lines} == {size[0]}


@pytest.mark.parametrize("size", [(20, 5), (3, 1), (59, 24), (80, 11), (1, 1)])
def test_a_terminal_that_is_too_small_is_told_so(size: tuple[int, int]) -> None:
    lines = full_world().lines(*size)
    assert len(lines) == size[1]
    assert all(Text(line).cell_len == size[0] for line in lines)
    if size == (20, 5):
        assert "20x5 is too" in lines[0]
        assert "q quits" in lines[2]


def test_the_cluster_page_has_nodes_links_problems_events_and_the_ledger() -> None:
    text = full_world().text(120, 30)
    assert "● running" in text
    assert "✖ down 4 s" in text
    assert "✖ node_down" in text
    assert "its process is gone" in text
    assert "disconnected" in text
    assert "accepted 9 = delivered 7 + sent 0 + expired 0 + lost 2 + refused 0 + in flight 0  ✔" in text


def test_the_matrix_shows_each_link_once_and_nothing_of_a_node_that_does_not_answer() -> None:
    lines = [line[:20].rstrip() for line in full_world().lines()]
    start = lines.index("        a  b  c")
    assert [line.split() for line in lines[start + 1 : start + 4]] == [
        ["a", "·", "●", "✖"],
        ["b", "●", "·", "●"],
        ["c", "?", "?", "·"],
    ]


def test_a_ledger_that_does_not_add_up_says_so() -> None:
    world = World()
    world.hear("a", told("a", accepted=5, delivered=1))
    assert "does not add up" in world.text(140)


def test_the_link_page_tells_its_path_its_addresses_and_what_to_do() -> None:
    world = full_world()
    world.press("2", "enter")
    text = world.text(100, 30)
    assert "LINK a → b" in text
    assert "◔ dialing 9 s ago → ● ready 3 s ago" in text
    assert "tcp://127.0.0.1:9" in text
    assert "proven 2x (weight 1)" in text
    assert "1  make it ephemeral" in text
    assert "actors proxy a bbbbbbbb --ephemeral" in text


def test_however_low_the_terminal_what_a_number_runs_is_seen() -> None:
    world = full_world()
    world.press("2", "enter")
    assert "1  make it ephemeral" in world.text(60, 12)


def test_the_pauses_between_attempts_are_drawn() -> None:
    world = full_world()
    states = [("backoff", 9.0), ("dialing", 8.8), ("backoff", 8.7), ("dialing", 7.9), ("backoff", 7.0)]
    path = tuple(StepSnapshot(ago=ago, state=state, why="") for state, ago in states)
    world.watch.looked("a", replace(closely("b"), path=path))
    world.press("2", "enter")
    assert "backoff ▃█ 0.2 s to 0.8 s" in world.text(100, 40)


def test_a_link_that_is_gone_and_one_not_looked_at_yet_do_not_break_the_page() -> None:
    world = full_world()
    world.press("2", "j", "enter")
    assert "dials again in 12 s" in world.text(100)
    world.hear("a", proxies=[])
    assert "no proxy for this node" in world.text(100)


def test_links_of_a_node_that_does_not_answer_are_not_shown_as_they_were() -> None:
    world = World("a", "b")
    world.press("2")
    assert "b → a" in world.text()
    world.watch.failed(world.now, "b", "down", "gone")
    assert "b → a" not in world.text()
    assert "a → b" in world.text()


def test_the_engine_page_tells_who_waits_on_whom() -> None:
    world = World("a")
    waiter = replace(engine_snapshot("a"), name="asker", waits_on=("echo",))
    world.watch.listed("a", [engine_snapshot("a"), waiter])
    world.press("3", "enter")
    assert "it stands still until it hears of echo" in world.text()
    world.press("esc", "j", "enter")
    assert "asker stands still until it hears of this one" in world.text()


def test_the_engine_page_tells_its_guards_its_times_and_its_last_messages() -> None:
    world = World("a")
    world.watch.listed("a", [replace(engine_snapshot("a"), took_p50_ms=0.2, took_p99_ms=31.0)])
    guards = (GuardSnapshot(message="add", when="is_open", action="add", held=41),)
    messages = tuple(
        HandledSnapshot(ago=ago, sender="a" * 52 + "/me", tag="add", head=head, took_ms=took)
        for ago, head, took in ((9.0, "Add(amount=1)", 0.5), (2.0, "Add(amount=2)", None))
    )
    world.watch.worked("a", WorkSnapshot(engine="echo", guards=guards, messages=messages))
    world.press("3")
    assert "31.0 ms" in world.text()
    world.press("enter")
    text = world.text(80, 24)
    assert "p50 0.20 ms" in text
    assert "add when is_open → add 41" in text
    assert text.index("Add(amount=2)") < text.index("Add(amount=1)"), "the newest first"
    assert "crashed  Add(amount=2)  from a/me" in text
    assert "WHO WAITS nobody" in text


def test_engines_of_the_network_come_after_those_of_people() -> None:
    world = World("a", "b")
    for name in "ab":
        world.watch.listed(name, [replace(engine_snapshot(name), name="router"), engine_snapshot(name)])
    world.press("3")
    assert [item.value[1].name for item in world.picture().items] == ["echo", "echo", "router", "router"]


def test_of_a_node_that_is_gone_no_figures_are_shown_as_if_it_were_there() -> None:
    world = full_world()
    world.press("G", "enter")
    text = world.text(100, 30)
    assert "NODE c" in text
    assert "last heard 4 s ago" in text
    assert "memory" not in text


def test_each_attempt_to_dial_is_one_line_of_the_cluster_page_and_all_of_the_events() -> None:
    world = World("a", "b")
    tells = [("dial-failed", "b tcp://x: no"), ("proxy-changed", "b dialing → backoff: no"),
             ("proxy-changed", "b backoff → dialing: retry")]  # fmt: skip
    world.watch.events.extend(EventLine(99.0, "a", event, words) for event, words in tells)
    world.watch.heard_events = 3
    assert "dialing → backoff" in world.text()
    assert "dial-failed" not in world.text()
    assert "retry" not in world.text()
    world.press("4")
    assert "dial-failed" in world.text()
    assert "retry" in world.text()


def test_hints_are_of_keys_that_do_something_here() -> None:
    world = World("a", "b")
    assert "Tab pane" in world.lines()[-1]
    assert "Esc back" not in world.lines()[-1]
    world.press("2")
    assert "Tab pane" not in world.lines()[-1]
    assert "Esc back" in world.lines()[-1]


def test_rows_by_name_are_in_the_order_of_names() -> None:
    world = World("a", "b", "c")
    world.hear("b", proxies=[proxy("b", "c"), proxy("b", "a")])
    world.press("2")
    assert [item.value[1].peer for item in world.picture().items] == ["b", "c", "a", "c", "a", "b"]


def test_a_node_shows_the_p99_of_its_slowest_link() -> None:
    world = World("a", "b", "c")
    world.hear("a", proxies=[proxy("a", "b", p99_ms=12.0), proxy("a", "c", p99_ms=250.4)])
    assert "250 ms" in world.text()


def test_dead_letters_are_by_reason_with_the_head_of_the_last() -> None:
    world = full_world()
    world.press("5")
    text = world.text(120)
    assert "refused (no_engine)" in text
    assert "t from a/y to b/x: refused (no_engine): x" in text


def test_the_help_sheet_has_every_binding_and_fits() -> None:
    world = World("a", able=Able(faults=True))
    world.press("?")
    for binding in bindings(readonly=False, faults=True):
        assert binding.words in world.text(80, 40)
        assert binding.words in world.text(80, 24)


def test_what_a_stranger_chose_cannot_steer_the_terminal() -> None:
    world = World("a", "b")
    world.hear("a", proxies=[down("a", "b", why="\x1b[2Jgone\x07")])
    world.watch.events.append(EventLine(1, "a", "dial-failed", "\x1b]0;mine\x07"))
    for keys in ([], ["tab"], ["2"], ["enter"], ["4"]):
        world.press(*keys)
        assert "\x1b" not in world.text() + world.text(200, 50)
        assert "\x07" not in world.text()


# -- without colour ---------------------------------------------------------------------------------------


def test_no_state_is_told_by_colour_alone() -> None:
    words = [look.word for name, look in LOOKS.items() if name not in ("closed",)]
    assert len(words) == len(set(words))


def test_no_color_leaves_no_colour_and_the_cursor_is_still_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    lines = [Text("red", "red"), Text("chosen", "reverse")]
    assert b"\x1b[31m" in Screen().paint(lines, (6, 2))
    monkeypatch.setenv("NO_COLOR", "1")
    painted = Screen().paint(lines, (6, 2))
    assert b"\x1b[31m" not in painted
    assert b"\x1b[7mchosen" in painted


def test_only_lines_that_changed_are_written() -> None:
    screen = Screen()
    assert b"one" in screen.paint([Text("one"), Text("two")], (3, 2))
    assert screen.paint([Text("one"), Text("two")], (3, 2)) == b""
    changed = screen.paint([Text("one"), Text("TWO")], (3, 2))
    assert changed.startswith(b"\x1b[2;1H")
    assert b"one" not in changed
    assert b"one" in screen.paint([Text("one"), Text("TWO")], (4, 2))
    screen.forget()
    assert b"one" in screen.paint([Text("one"), Text("TWO")], (4, 2))
