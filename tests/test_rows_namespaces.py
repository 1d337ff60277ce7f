"""Rows of the reliability table with real kernels between the nodes, in short; skipped with the reason where no
network namespaces can be made. What takes time and little else is played side by side, beside other tests: how fast
answers came is for `scripts/namespaces` on a quiet machine to judge.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio

from actors.testing.hosts import why_not

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.append(str(SCRIPTS))

from figures import Figure, table  # noqa: E402
from namespaces import ACTS  # noqa: E402

SIDE_BY_SIDE = [
    ("silence", "stopped", "parted", "killed", "disk"),
    ("broken", "files"),
    ("line-tls", "line-quic"),
    ("slow",),
    ("holes", "farewell"),
    ("flood",),
]

needs_hosts = pytest.mark.skipif(bool(why_not()), reason=why_not() or "hosts can be made")


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The path of a socket has 107 bytes, of which pytest's own folders take more each time."""
    with TemporaryDirectory(prefix="ns-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@needs_hosts
@pytest.mark.slow
@pytest.mark.parametrize("acts", SIDE_BY_SIDE, ids=" ".join)
async def test_between_hosts_every_promise_holds_in(acts: tuple[str, ...]) -> None:
    figures: list[Figure] = []

    async def play(act: Callable[[], Awaitable[list[Figure]]]) -> None:
        figures.extend(await act())

    async with trio.open_nursery() as nursery:
        for name in acts:
            nursery.start_soon(play, ACTS[name].short)
    assert {figure.row for figure in figures} == {row for name in acts for row in ACTS[name].rows}
    missed = [figure for figure in figures if not (figure.held or figure.speed)]
    assert not missed, "\n" + table(missed)


def test_every_act_is_played() -> None:
    assert sorted(name for acts in SIDE_BY_SIDE for name in acts) == sorted(ACTS)


@pytest.mark.parametrize("options", [["--rows", "7"], ["--rows", "none"], ["--full", "--for"]])
def test_what_cannot_be_played_is_said(options: list[str]) -> None:
    script = [sys.executable, str(SCRIPTS / "namespaces.py"), *options]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
