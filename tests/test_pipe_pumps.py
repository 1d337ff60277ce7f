"""Bytes between file descriptors and streams, and the figures at the end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import pytest
import trio
from console_fakes import proxy_snapshot
from trio.testing import memory_stream_pair

from actors.console.errand import Receipt
from actors.console.exits import Interrupted
from actors.console.main import main
from actors.console.pipe_report import PipeReport, make_report
from actors.console.progress import open_progress
from actors.console.pumps import pump_in, pump_out
from actors.console.signals import end_by_signal
from actors.snapshots import LedgerSnapshot

TEXT = b"".join(b"%d\n" % n for n in range(100_000))


async def test_a_file_goes_through_both_pumps_unchanged(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(TEXT)
    near, far = memory_stream_pair()
    counted = {"in": 0, "out": 0}

    def count(way: str, size: int) -> None:
        counted[way] += size

    with source.open("rb") as reading, target.open("wb") as writing:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump_in, reading.fileno(), near, lambda size: count("in", size))
            nursery.start_soon(pump_out, far, writing.fileno(), lambda size: count("out", size))
    assert target.read_bytes() == TEXT
    assert counted == {"in": len(TEXT), "out": len(TEXT)}


async def test_a_stdin_that_says_nothing_does_not_hold_up_the_end() -> None:
    read, write = os.pipe()
    near, _ = memory_stream_pair()
    with trio.move_on_after(0.01) as scope:
        await pump_in(read, near, lambda _: None)
    assert scope.cancelled_caught
    os.close(write)
    os.close(read)


async def test_a_stdout_that_nobody_reads_is_told() -> None:
    read, write = os.pipe()
    os.close(read)
    near, far = memory_stream_pair()
    await near.send_all(b"x")
    with pytest.raises(BrokenPipeError):
        await pump_out(far, write, lambda _: None)
    os.close(write)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_nursery(signum: signal.Signals) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(Interrupted, check=lambda error: error.signum == signum)):
        async with trio.open_nursery() as nursery:
            await nursery.start(end_by_signal)
            signal.raise_signal(signum)
            await trio.sleep_forever()


# -- report -----------------------------------------------------------------------------------------------

RECEIPT = Receipt(messages=10, size=100, reconnects=2, received=10, received_size=100)


def report(receipt: Receipt = RECEIPT, *, written: int = 100, **told: int) -> PipeReport:
    ledger = msgspec.structs.replace(LedgerSnapshot(accepted=11, delivered=11), **told)
    there = proxy_snapshot("a", "c", ledger=ledger, reconnects=4, resent=7)
    back = proxy_snapshot("c", "a", duplicates_dropped=3)
    proxies = [proxy_snapshot("a", "b"), there, back]
    return make_report(
        receipt, proxies, first="a", last="c", written=written, seconds=1.23456, seed=1, pids={}, peak_mib={}, moves={}
    )


def test_the_closing_ask_is_no_message_of_the_stream() -> None:
    figures = report()
    assert (figures.messages, figures.delivered, figures.proxies[1].ledger.delivered) == (10, 10, 11)
    assert figures.whole


def test_each_figure_is_from_the_proxy_that_counts_it() -> None:
    figures = report()
    assert (figures.resent, figures.reconnects, figures.duplicates_dropped) == (7, 2, 3)
    assert figures.seconds == 1.235


HOLES = [
    report(delivered=10, lost=1),
    report(delivered=10, expired=1),
    report(delivered=10, in_flight=1),
    report(written=99),
    report(msgspec.structs.replace(RECEIPT, error="lost (peer_restarted), perhaps sent")),
]


@pytest.mark.parametrize("figures", HOLES)
def test_a_stream_with_a_hole_is_not_whole(figures: PipeReport) -> None:
    assert not figures.whole


def carries(figures: PipeReport, monkeypatch: pytest.MonkeyPatch) -> None:
    async def carry(*_: object) -> PipeReport:
        await trio.lowlevel.checkpoint()
        return figures

    monkeypatch.setattr("actors.console.stream.carry", carry)


@pytest.mark.parametrize("figures", HOLES)
def test_a_stream_with_a_hole_ends_with_1_and_its_report_says_which(
    figures: PipeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    carries(figures, monkeypatch)
    file = tmp_path / "r.json"
    assert main(["pipe", "--report", str(file)]) == 1
    envelope = msgspec.json.decode(file.read_bytes())
    assert envelope["ok"] is False
    assert envelope["error"]["code"] == "not_delivered"
    assert envelope["data"]["messages"] == 10
    printed = capsys.readouterr()
    assert figures.hole in printed.err
    assert printed.out == ""


def test_cuts_that_could_not_be_made_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    carries(report(), monkeypatch)
    assert main(["pipe", "--cuts", "5"]) == 0
    assert "the other 3 cuts" in capsys.readouterr().err


def test_stdout_is_the_streams_alone_even_for_an_envelope(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    carries(report(), monkeypatch)
    for arguments, ok in ((["pipe", "--json"], True), (["pipe", "--json", "--nodes", "none"], False)):
        main(arguments)
        printed = capsys.readouterr()
        assert printed.out == ""
        assert msgspec.json.decode(printed.err)["ok"] is ok


@pytest.mark.parametrize(
    "arguments",
    [
        ["--transport", "udp"],
        ["--nodes", "1"],
        ["--nodes", "1000"],
        ["--cuts=-1"],
        ["--cuts", "1", "--cut-every", "1"],
        ["--cut-every", "0"],
    ],
)
def test_what_cannot_be_is_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pipe", *arguments]) == 2
    assert "hint  actors pipe --help" in capsys.readouterr().err


def test_a_progress_bar_is_shown_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_progress() as progress:
        progress.read(10)
        progress.wrote(10)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("actors.console.progress.on_terminal", lambda _: True)
    monkeypatch.setattr("actors.console.progress.input_size", lambda: 2_000_000)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with open_progress() as progress:
        progress.read(2_000_000)
        progress.wrote(1_000_000)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "2.0/2.0 MB" in printed.err
