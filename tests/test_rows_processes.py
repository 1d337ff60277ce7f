"""Node processes whose files are bad, that are told to end, or that stand still for a while: rows 18, 19 and 25."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from cluster_app import Add
from loopback import QUICK, Live, in_time, live
from msgspec.structs import replace

from actors.cluster import RemoteNode, open_cluster
from actors.events import Disconnected
from actors.identity import EngineID
from actors.keyfile import create_key
from actors.net.session.liveness import LivenessCfg
from actors.state import StateDir

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PYTHONPATH", f"{HERE.parent}:{HERE}")
    (tmp_path / "run").mkdir(mode=0o700)


# -- row 18: bad files ------------------------------------------------------------------------------------


def _run(state: Path, *, limit: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "actors", "run", "--name", "a", "--state-dir", str(state)]
    no_room = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))) if limit else None
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, preexec_fn=no_room)


def _torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a key that is cut short": (lambda state: _torn(state / "key"), "actors keygen"),
    "a key of zeros": (lambda state: (state / "key").write_bytes(bytes(100)), "actors keygen"),
    "a key that others can read": (lambda state: (state / "key").chmod(0o644), "chmod 600"),
    "a boot number that is none": (lambda state: (state / "boot").write_text("soon\n"), "rm "),
    "a folder that others can write to": (lambda state: state.chmod(0o777), "chmod 700"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_row_18_a_node_does_not_start_on(what: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    StateDir(state).next_boot(1)
    create_key(state / "key")
    harm, mend = BAD_FILES[what]
    harm(state)
    ended = _run(state)
    assert ended.returncode == 78
    assert mend in ended.stderr
    assert "Traceback" not in ended.stderr
    assert str(state) in ended.stderr.replace("\n", "")


def test_row_18_a_full_disk_is_told_with_what_to_look_at(tmp_path: Path) -> None:
    state = tmp_path / "state"
    StateDir(state)
    create_key(state / "key")
    ended = _run(state, limit=True)
    assert ended.returncode == 78
    assert "cannot be written" in ended.stderr
    assert "df -h" in ended.stderr
    assert [path.name for path in state.iterdir() if path.is_file()] == ["key"], "nothing half written"


# -- row 19: told to end ----------------------------------------------------------------------------------


SIGNALS = [
    ((signal.SIGTERM, signal.SIGTERM), 143),
    ((signal.SIGTERM, signal.SIGINT), 130),
    ((signal.SIGINT, signal.SIGTERM), 143),
    ((signal.SIGINT, signal.SIGINT), 130),
]


@pytest.mark.parametrize(("signals", "code"), SIGNALS)
@in_time
async def test_row_19_the_second_signal_ends_a_node_that_still_has_something_to_deliver(
    signals: tuple[signal.Signals, signal.Signals], code: int
) -> None:
    async with open_cluster(2, processes=True, app="cluster_app:setup") as (a, b):
        await a.control.connect(str(b.id))
        os.kill(b.pid, signal.SIGSTOP)
        try:
            await a.tell(EngineID(b.id, "counter"), Add(1))
            os.kill(a.pid, signals[0])
            while a.control.path.exists():  # noqa: ASYNC110 - another process removes it
                await trio.sleep(0.01)
            with trio.move_on_after(0.3):
                pytest.fail(f"it ended with {await a.wait_ended()}, and nobody took its message")
            os.kill(a.pid, signals[1])
            assert await a.wait_ended() == code
        finally:
            os.kill(b.pid, signal.SIGCONT)


# -- row 25: a loop that stands still ---------------------------------------------------------------------


@asynccontextmanager
async def process_and_node(liveness: LivenessCfg) -> AsyncIterator[tuple[RemoteNode, Live]]:
    """A node process, and a node here with a link to it."""
    cfg = replace(QUICK, liveness=liveness, attempt_timeout=10.0)
    async with open_cluster(1, processes=True, app="cluster_app:setup") as (a,), live("b", cfg=cfg) as b:
        b.node.learn(await a.control.advert())
        await b.node.connect(a.id)
        yield a, b
        assert (await b.node.ask(EngineID(a.id, "counter"), Add(1))).total == 1
        assert b.events(Disconnected) == []


@in_time
async def test_row_25_a_loop_that_stood_still_does_not_take_its_peer_for_dead() -> None:
    async with process_and_node(LivenessCfg(ping_after=0.1, dead_after=0.3)) as (a, b):
        for _ in range(3):
            os.kill(a.pid, signal.SIGSTOP)
            await b.until(lambda: _asks(b, a))
            os.kill(a.pid, signal.SIGCONT)
            threading.Event().wait(0.7)  # on purpose: nothing here moves for longer than death takes; the answer waits
            await b.until(lambda: not _asks(b, a))


def _asks(b: Live, a: RemoteNode) -> bool:
    """Whether a Ping of this link is not answered yet."""
    entry = b.node._network.table.find(a.id)
    assert entry is not None
    assert entry.session is not None
    assert entry.session.current is not None, "the link was lost"
    return entry.session.current.liveness._asked is not None


@in_time
async def test_row_25_a_process_that_is_stopped_for_a_while_is_not_dead() -> None:
    async with process_and_node(LivenessCfg(ping_after=1.0, dead_after=3.0)) as (a, b):
        os.kill(a.pid, signal.SIGSTOP)
        try:
            await trio.sleep(1.9)  # as 9.5 s of 15
        finally:
            os.kill(a.pid, signal.SIGCONT)
        assert b.node.is_connected(a.id)
