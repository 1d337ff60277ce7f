"""Engines that are recorded and run again do what they did."""

from __future__ import annotations

import random
import re
import threading
from pathlib import Path
from typing import get_args

import pytest
import recorded_app as app
import trio
from recording_words import Scenario, again, record, story
from running import NOBODY, NODE

from actors.errors import Crashed, Refused
from actors.identity import EngineID
from actors.messages import Started
from actors.recording.files import Reading
from actors.recording.folders import parts, run_of
from actors.recording.records import SCHEMA, Came, Closed, Gone, Header, Record
from actors.recording.writer import Writer
from actors.runtime import Runtime


def to(name: str) -> EngineID:
    return EngineID(NODE, name)


async def _count(runtime: Runtime, messages: int) -> None:
    counter = runtime.spawn(app.Counter(), "counter")
    for n in range(messages):
        await runtime.tell(counter, app.Add(n))
    await runtime.ask(counter, app.Add(0))


def test_an_engine_that_crashed_at_its_thousandth_message_crashes_there_again(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        await _count(runtime, 1200)

    record(tmp_path, scenario)
    first, second = again(tmp_path), again(tmp_path, to_crash=True)
    for performance in (first, second):
        assert performance.failed is None
        assert performance.stopped
        assert performance.played == 1000
        last = performance.last[-1]
        assert (last.turn.number, last.end, last.message) == (1000, "crashed", app.Add(999))
        assert last.before["seen"] == "999"
    assert str(first.last[-1].error) == str(second.last[-1].error)


def test_what_follows_on_a_crash_is_a_life_of_its_own(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        await _count(runtime, 1200)

    record(tmp_path, scenario)
    performance = again(tmp_path, to=1201)
    assert performance.failed is None
    last = performance.last[-1]
    assert (last.turn.life, last.before["seen"], last.after["seen"]) == (2, "200", "201")


def test_chance_the_clock_and_what_an_engine_looks_at_are_the_same_again(tmp_path: Path) -> None:
    replies: list[str] = []

    async def scenario(runtime: Runtime) -> None:
        odds = runtime.spawn(app.Odds(), "odds")
        random.seed(1)
        for what in ("one", "guarded", "two", "two", "guarded"):
            replies.append(await runtime.ask(odds, app.Look(what)))
            random.random()

    record(tmp_path, scenario)
    assert len(set(replies)) == 5
    for number, reply in enumerate(replies, 1):
        performance = again(tmp_path, to=number)
        assert performance.failed is None
        assert performance.last[-1].did.startswith(f"replied {reply!r}")


def test_guards_of_a_recorded_engine_are_counted_as_its_own(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        odds = runtime.spawn(app.Odds(), "odds")
        await runtime.ask(odds, app.Look("guarded"))
        cell = runtime.find("odds")
        assert cell is not None
        assert cell.work.hits == {app.Odds.guarded: 1}

    record(tmp_path, scenario)


def test_chance_outside_of_handlers_goes_on_as_ever(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        odds = runtime.spawn(app.Odds(), "odds")
        await runtime.ask(odds, app.Look("one"))

    random.seed(5)
    record(tmp_path, scenario)
    drawn = random.random()
    random.seed(5)
    assert random.random() == drawn


WAYS = {"once": "1", "both": "[", "in time": "given up", "refused": "no_engine", "sent": "sent"}


@pytest.mark.parametrize("how", WAYS)
def test_a_handler_that_waits_is_told_what_it_was_told(tmp_path: Path, how: str) -> None:
    replies: list[str] = []

    async def scenario(runtime: Runtime) -> None:
        asker, slow = runtime.spawn(app.Asker(), "asker"), runtime.spawn(app.Slow(), "slow")
        counter = runtime.spawn(app.Counter(), "counter")
        target = {"refused": NOBODY, "both": counter, "sent": counter}.get(how, slow)
        replies.append(await runtime.ask(asker, app.Through(target, how)))

    record(tmp_path, scenario)
    performance = again(tmp_path, "asker")
    assert performance.failed is None
    assert WAYS[how] in replies[0]
    assert performance.last[-1].did == f"replied {replies[0]!r}"


def test_a_handler_that_waits_crashes_as_it_did_at_the_same_time(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        asker = runtime.spawn(app.Asker(), "asker")
        with pytest.raises(Crashed, match="no way other, at 1"):
            await runtime.ask(asker, app.Through(NOBODY, "other"))

    record(tmp_path, scenario)
    performance = again(tmp_path, to_crash=True)
    assert performance.failed is None
    assert "no way other, at 1" in str(performance.last[-1].error)


def test_a_handler_that_was_cancelled_is_cancelled_again(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        slow = runtime.spawn(app.Slow(), "slow")
        with trio.move_on_after(2):
            await runtime.ask(slow, app.Add(60))
        await runtime.ask(slow, app.Add(1))

    record(tmp_path, scenario)
    performance = again(tmp_path)
    assert performance.failed is None
    assert [played.end for played in performance.last] == ["cancelled", "returned"]


def test_timers_children_and_the_end_of_an_engine_are_in_the_record(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        runtime.spawn(app.Parent(), "parent")
        await trio.sleep(10)

    record(tmp_path, scenario)
    found = story(tmp_path)
    assert [(role.name, role.spawner) for role in found.roles.values()] == [("parent", ""), ("child", "parent")]
    performance = again(tmp_path, "parent")
    assert performance.failed is None
    assert [played.message for played in performance.last] == [Started(), *[app.Tick(1)] * 3]
    assert "Stop()" in performance.last[-1].did
    records = list(Reading(run_of(tmp_path, "b", None)))
    assert {record.how for record in records if isinstance(record, Gone)} == {"stopped"}
    assert again(tmp_path, "child").failed is None


def test_what_is_no_plain_data_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        wired = runtime.spawn(app.Wired(wire=app.Wire(trio.Lock())), "wired")
        await runtime.ask(wired, app.Add(2))
        await runtime.ask(wired, app.Pull("plain", 3))
        await runtime.ask(wired, app.Pull(trio.Lock(), 4))
        await runtime.ask(wired, app.Add(5))

    record(tmp_path, scenario)
    performance = again(tmp_path, to=2)
    assert performance.failed is None
    assert performance.last[-1].after == {
        "cfg_": "Cfg(name='wired')", "wire": "<recorded_app.Wire, not recorded>", "pulled": "5"
    }  # fmt: skip
    stopped = again(tmp_path)
    assert stopped.played == 2
    assert "message 3 of wired cannot be given again: a recorded_app.Pull holds" in str(stopped.failed)


def test_whoever_uses_a_field_that_was_no_plain_data_is_told(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        wired = runtime.spawn(app.Wired(wire=app.Wire(4)), "wired")
        await runtime.ask(wired, app.Look("x"))
        with pytest.raises(Crashed):
            await runtime.ask(runtime.spawn(app.Wired(), "bare"), app.Look("x"))

    record(tmp_path, scenario)
    performance = again(tmp_path, "wired")
    assert "wire (recorded_app.Wire) was no plain data" in str(performance.failed)


def test_a_handler_that_uses_what_is_not_recorded_is_found_out(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        await runtime.ask(runtime.spawn(app.Wild(), "wild"), app.Look("x"))

    record(tmp_path, scenario)
    performance = again(tmp_path)
    assert performance.failed is not None
    assert performance.failed.code == "replay_diverged"
    assert "message 1 of wild: its handler did something else" in str(performance.failed)


def test_a_field_that_a_port_has_changed_is_found_out_where_the_next_part_begins(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        ported = runtime.spawn(app.Ported(), "ported")
        await runtime.ask(ported, app.Add(0))
        await trio.sleep(2)
        for n in range(6_000):
            await runtime.tell(ported, app.Add(n))
        await runtime.ask(ported, app.Add(0))

    record(tmp_path, scenario, largest=300_000)
    performance = again(tmp_path)
    assert "ported differs after message" in str(performance.failed)
    assert "touched is 0, and was 1" in str(performance.failed)


def test_a_life_that_cannot_be_run_again_does_not_count_for_the_next(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        wired = runtime.spawn(app.Wired(), "wired")
        await runtime.ask(wired, app.Pull(trio.Lock(), 4))
        with pytest.raises(Crashed):
            await runtime.ask(wired, app.Look("x"))
        await runtime.ask(wired, app.Add(5))

    record(tmp_path, scenario)
    assert again(tmp_path, to_crash=True).failed is not None
    performance = again(tmp_path, to=3)
    assert performance.failed is None
    assert performance.last[-1].after["pulled"] == "5"


def test_an_engine_that_cannot_be_run_again_keeps_no_other_from_it(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        wild, wired = runtime.spawn(app.Wild(), "wild"), runtime.spawn(app.Wired(), "wired")
        await runtime.ask(wild, app.Look("x"))
        await runtime.ask(wired, app.Pull(trio.Lock()))
        await _count(runtime, 1000)
        await runtime.ask(wild, app.Look("y"))

    record(tmp_path, scenario)
    performance = again(tmp_path, to_crash=True)
    assert performance.failed is None
    assert performance.stopped
    assert performance.last[-1].end == "crashed"
    assert {name: error.code for name, error in performance.aside.items()} == {
        "wild": "replay_diverged",
        "wired": "record",
    }
    assert again(tmp_path, "wild").failed is not None
    assert again(tmp_path, "wired", to=1).failed is not None


def test_a_crash_after_the_handler_is_told_as_it_was_recorded(tmp_path: Path) -> None:
    async def scenario(runtime: Runtime) -> None:
        with pytest.raises(Crashed):
            await runtime.ask(runtime.spawn(app.Clumsy(), "clumsy"), app.Bad())

    record(tmp_path, scenario)
    performance = again(tmp_path, to_crash=True)
    assert performance.failed is None
    assert performance.last[-1].later.startswith("EngineNameError")


def test_an_unhandled_message_is_unhandled_again(tmp_path: Path) -> None:
    class Other(app.Counter):
        pass

    async def scenario(runtime: Runtime) -> None:
        counter = runtime.spawn(app.Counter(), "counter")
        with pytest.raises(Refused):
            await runtime.ask(counter, app.Look("x"))
        await runtime.ask(counter, app.Add(1))

    record(tmp_path, scenario)
    assert again(tmp_path).played == 1


# -- bounds ---------------------------------------------------------------------------------------------------


def _many(messages: int) -> Scenario:
    async def scenario(runtime: Runtime) -> None:
        odds, counter = runtime.spawn(app.Odds(), "odds"), runtime.spawn(app.Counter(), "counter")
        for n in range(messages):
            await runtime.tell(counter, app.Add(n))
            if n % 100 == 0:
                await runtime.ask(odds, app.Look(str(n)))
            if n % 1000 == 0:
                await trio.sleep(10)  # it may crash three times in five seconds
        await runtime.ask(counter, app.Add(0))

    return scenario


def test_a_run_takes_no_more_than_it_may_and_its_oldest_part_goes_first(tmp_path: Path) -> None:
    largest = 200_000
    record(tmp_path, _many(5_000), largest=largest)
    run = run_of(tmp_path, "b", None)
    found = parts(run)
    assert found[0].name > "000001.rec"
    assert sum(path.stat().st_size for path in run.iterdir()) < largest * 1.1
    kept = story(tmp_path)
    assert kept.closed
    assert kept.cut == ""
    first = min(turn.number for turn in kept.turns if turn.role.name == "counter" and turn.number)
    assert first > 1000
    performance = again(tmp_path, to=5001)
    assert performance.failed is None
    assert performance.last[-1].end == "returned"


def test_a_rotation_in_the_middle_is_seamless(tmp_path: Path) -> None:
    record(tmp_path, _many(3_000), largest=2_000_000)
    whole = again(tmp_path, "counter", to=3001)
    assert whole.failed is None
    assert whole.played == 3001


def test_only_the_last_runs_of_a_node_are_kept(tmp_path: Path) -> None:
    for _ in range(6):
        record(tmp_path, _many(1))
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["3", "4", "5", "6"]


def test_a_disk_that_is_too_slow_leaves_a_gap_behind_which_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, caught_up = threading.Event(), threading.Event()
    write_all = Writer._write_all

    def slowly(writer: Writer) -> None:
        disk.wait()
        write_all(writer)
        if not writer.records:
            caught_up.set()

    async def scenario(runtime: Runtime) -> None:
        counter = runtime.spawn(app.Counter(), "counter")
        for n in range(700):
            await runtime.ask(counter, app.Add(n))
        disk.set()
        await trio.to_thread.run_sync(caught_up.wait)
        for n in range(100):
            await runtime.ask(counter, app.Add(n))

    monkeypatch.setattr("actors.recording.recorder.MOST_BEHIND", 20_000)
    monkeypatch.setattr(Writer, "_write_all", slowly)
    record(tmp_path, scenario)
    found = list(Reading(run_of(tmp_path, "b", None)))
    assert [(header.part, header.gap) for header in found if isinstance(header, Header)] == [(1, False), (2, True)]
    assert isinstance(found[-1], Closed)
    assert 100 < len([record for record in found if isinstance(record, Came)]) < 600
    performance = again(tmp_path, to=800)
    assert performance.failed is None
    assert performance.last[-1].turn.number == 800


def test_a_disk_that_is_full_ends_the_record_and_not_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: object) -> bytes:
        raise OSError(28, "No space left on device")

    async def scenario(runtime: Runtime) -> None:
        monkeypatch.setattr("actors.recording.writer.chunk", full)
        await _count(runtime, 10)

    record(tmp_path, scenario)
    assert "the record in" in caplog.text
    assert "No space left on device; the node goes on without" in caplog.text
    assert not story(tmp_path).turns


def test_the_page_has_every_record_and_field() -> None:
    page = (Path(__file__).parents[1] / "RECORDING.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\w+) \| ([\w, ]+) \|", page, re.MULTILINE)
    records = [
        (str(kind.__struct_config__.tag), kind.__name__, ", ".join(kind.__struct_fields__)) for kind in get_args(Record)
    ]
    assert rows == records
    header = page[page.index('{"schema"') : page.index("u32 length")]
    assert tuple(re.findall(r'"(\w+)":', header)) == Header.__struct_fields__
    assert SCHEMA in header


def test_a_state_that_is_too_large_is_not_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.recording.plain.LARGEST", 100)
    record(tmp_path, _many(1_500), largest=100_000)
    odds = again(tmp_path, "odds")
    assert "only 0 MiB are written down" in str(odds.failed)
    assert again(tmp_path, "counter", to=1501).failed is None


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    record(tmp_path / "new", _many(1))
    for path in (tmp_path / "new").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
