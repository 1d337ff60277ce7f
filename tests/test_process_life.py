"""Node processes: two with one key, what they remember, how they stop: rows 18, 19 and 29 of the reliability table."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
import trio
from loopback import ID, Item, Live, in_time, live
from node_process import NodeProcess, no_node, node_process

from actors.control.client import open_control
from actors.control.sockets import socket_path
from actors.errors import Expired, Lost, Refused
from actors.identity import EngineID
from actors.keyfile import create_key
from actors.run import CLUSTER
from actors.state import PeerRecord, StateDir

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{HERE.parent}:{HERE}")
    monkeypatch.setenv("LIFE_FILE", str(tmp_path / "written"))


async def _knows(node: Live, process: NodeProcess) -> None:
    """The node learns where the process is."""
    async with open_control(socket_path(CLUSTER, process.name)) as control:
        node.node.learn(await control.advert())


# -- row 29: two processes, one key -----------------------------------------------------------------------


@pytest.mark.parametrize("order", ["later", "clock set back a day"])
@in_time
async def test_row_29_of_two_processes_with_one_key_one_stops_with_78_and_says_why(order: str, tmp_path: Path) -> None:
    """The later start has the greater number, unless its clock is behind that of the first."""
    key, state = tmp_path / "a.key", tmp_path / "state"
    twin = create_key(key).id
    if order != "later":
        StateDir(state).next_boot(int(time.time() * 1000) + DAY_MS)
    async with live("c") as c:
        options = ("--key", str(key), "--peers", str(c.node.advert))
        first_options = (*options, "--state-dir", str(state))
        async with node_process("first", *first_options) as first:
            await c.until(lambda: c.node.is_connected(twin))
            async with node_process("second", *options) as second:
                loser, winner = (first, second) if order == "later" else (second, first)
                code, words = await loser.ended()
                assert code == 78
                assert "another node runs with this node's key" in words
                assert "actors keygen" in words
                assert "Traceback" not in words
                await c.until(lambda: c.node.is_connected(twin))
                assert winner.process.poll() is None


# -- what a process remembers -----------------------------------------------------------------------------


@in_time
async def test_a_process_that_restarts_dials_its_permanent_peer_though_its_settings_name_nobody(tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path / "state"))
    async with live("c") as c:
        async with node_process("a", *state, "--peers", str(c.node.advert)) as a:
            await c.until(lambda: c.node.is_connected(a.id))
            a.signal(signal.SIGTERM)
            assert (await a.ended())[0] == 0
        async with node_process("a", *state, "--peers", str(c.node.id)) as a:
            await c.until(lambda: c.node.is_connected(a.id))


def test_row_18_a_record_of_a_peer_that_is_damaged_is_named_with_what_to_do(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    state.store_peer(ID["b"], PeerRecord(b"no advert"))

    code, words = trio.run(no_node, "--state-dir", str(tmp_path / "state"))
    assert code == 78
    assert "is not the record of a peer" in words
    assert "rm " in words
    assert "Traceback" not in words


# -- row 19: signals --------------------------------------------------------------------------------------


@in_time
async def test_row_19_a_node_that_is_told_to_stop_loses_nothing_that_it_has_acknowledged(tmp_path: Path) -> None:
    delivered: list[int] = []
    failed: list[Expired | Lost | Refused] = []

    async def send(node: Live, to: EngineID, n: int) -> None:
        try:
            await node.node.send(to, Item(n), expiry=10)
        except (Expired, Lost, Refused) as error:
            failed.append(error)
        else:
            delivered.append(n)

    async with live("b") as b, node_process("a", "--app", "life_app:setup") as a:
        await _knows(b, a)
        async with trio.open_nursery() as nursery:
            for n in range(500):
                nursery.start_soon(send, b, EngineID(a.id, "writer"), n)
            await b.until(lambda: len(delivered) >= 50)
            a.signal(signal.SIGTERM)
            code, words = await a.ended()
            assert (code, words.count("Traceback")) == (0, 0)
            written = [int(line) for line in (tmp_path / "written").read_text().split()]
            nursery.cancel_scope.deadline = trio.current_time() + 1
        assert len(set(written)) == len(written)
        assert set(delivered) <= set(written)
        assert all(isinstance(error, Refused) or not error.maybe_sent for error in failed), failed


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@in_time
async def test_row_19_the_second_signal_ends_a_node_at_once(second: signal.Signals) -> None:
    async with live("b") as b, node_process("a", "--app", "life_app:setup") as a:
        await _knows(b, a)
        await b.node.send(EngineID(a.id, "hangs"), Item(1))
        a.signal(signal.SIGTERM)
        with trio.move_on_after(0.3):  # it has an engine that will not end
            await a.process.wait()
        assert a.process.poll() is None
        a.signal(second)
        with trio.fail_after(2):
            code, _ = await a.ended()
        assert code == 128 + second
