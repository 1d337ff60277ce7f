"""What a node remembers of its peers over a restart: adverts and permanence in its state folder (PROTOCOL A)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from loopback import ID, KEYS, Live, in_time, live
from proxies import Question, bench, virtual

from actors.events import DialFailed, StateNotWritten
from actors.identity import Incarnation
from actors.net.proving.adverts import NodeAdvert
from actors.node import Node, open_node
from actors.state import PeerRecord, StateDir, StateError


def _a(state: Path, **options: Any) -> AbstractAsyncContextManager[Live]:
    return live("a", state_dir=state, **options)


@in_time
async def test_a_node_that_restarts_dials_its_permanent_peers_though_nobody_tells_it_where_they_are(
    tmp_path: Path,
) -> None:
    async with live("b") as b:
        async with _a(tmp_path) as a:
            await a.connected(b)
        async with _a(tmp_path) as a:
            await a.until(lambda: a.node.is_connected(b.node.id))
            await b.answers(a)
        async with _a(tmp_path) as a:
            await a.until(lambda: a.node.is_connected(b.node.id))  # also over the second restart


@in_time
async def test_it_dials_them_where_they_said_they_are_last(tmp_path: Path) -> None:
    async with _a(tmp_path) as a:
        async with live("b") as b:
            await a.connected(b)
        async with live("b") as b:
            b.node.learn(a.node.advert)
            await b.node.connect(a.node.id)
            await a.until(lambda: [each.url for each in a.node.explain(b.node.id)] == [b.address])
    assert StateDir(tmp_path).peers()[ID["b"]].learned_from == "127.0.0.1"
    async with live("b", listen=(b.address,)) as b, _a(tmp_path) as a:
        await a.until(lambda: a.node.is_connected(b.node.id))


@in_time
async def test_a_link_that_is_not_held_any_more_is_not_remembered(tmp_path: Path) -> None:
    async with live("b") as b:
        async with _a(tmp_path) as a:
            await a.connected(b)
            a.node.set_permanence(b.node.id, True)
            a.node.set_permanence(b.node.id, False, holder="node")
        async with _a(tmp_path) as a:
            await a.until(lambda: a.node.is_connected(b.node.id))
            a.node.set_permanence(b.node.id, False)
        async with _a(tmp_path) as a:
            assert await a.node.ask(b.sink, Question(1)) == -1, "its advert is"
            assert not a.node.is_permanent(b.node.id)


@in_time
async def test_what_the_settings_say_holds_as_long_as_they_say_it(tmp_path: Path) -> None:
    async with live("b") as b:
        async with _a(tmp_path, peers=[b.node.advert]) as a:
            await a.until(lambda: a.node.is_connected(b.node.id))
        async with _a(tmp_path, peers=[str(b.node.id)]) as a:
            await a.until(lambda: a.node.is_connected(b.node.id))
        async with _a(tmp_path) as a:
            assert await a.node.ask(b.sink, Question(1)) == -1
            assert not a.node.is_permanent(b.node.id)


async def _advert(state: Path, boot: int) -> NodeAdvert:
    async with open_node(state_dir=state, boot=boot) as node:
        return node.advert


@in_time
async def test_a_nodes_own_advert_grows_also_when_its_clock_goes_back(tmp_path: Path) -> None:
    versions = [(await _advert(tmp_path, boot)).version for boot in (1000, 1000, 1, 5000)]
    assert versions == [1000, 1001, 1002, 5000]
    node = StateDir(tmp_path).key().id
    kept = StateDir(tmp_path).peers()[node].advert
    assert kept is not None
    assert NodeAdvert.read(kept).version == 5000


def _stored(state: Path, of: str, *addresses: str, signer: str = "", host: str | None = None) -> Path:
    """A record of this node, held for permanent."""
    advert = NodeAdvert.sign(KEYS[signer or of], [(url, 1) for url in addresses], version=7, created=7)
    StateDir(state).store_peer(ID[of], PeerRecord(advert.data, host, ("console",)))
    return state / "peers" / str(ID[of])


@in_time
async def test_a_record_that_its_node_did_not_sign_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    path = _stored(tmp_path, "b", "tcp://127.0.0.1:1", signer="c")
    with pytest.raises(StateError, match="not the record of a peer") as caught:
        async with open_node(state_dir=tmp_path):
            pass
    assert caught.value.hint.endswith(f"rm {path}")


@in_time
async def test_local_addresses_that_somebody_far_away_told_of_are_not_dialed_after_a_restart_either(
    tmp_path: Path,
) -> None:
    async with live("b") as b:
        _stored(tmp_path, "b", b.address, host="192.0.2.1")
        async with _a(tmp_path) as a:
            await a.until(lambda: [proxy.state for proxy in a.node.proxies()] == ["backoff"])
            assert a.events(DialFailed) == []
        _stored(tmp_path, "b", b.address, host="127.0.0.1")
        async with _a(tmp_path) as a:
            await a.until(lambda: a.node.is_connected(b.node.id))


def _peers_folder_is_a_file(state: Path) -> None:
    for path in (state / "peers").iterdir():
        path.unlink()
    (state / "peers").rmdir()
    (state / "peers").touch()


@in_time
async def test_a_disk_that_takes_nothing_is_an_event_and_what_is_new_is_kept_when_it_is_mended(tmp_path: Path) -> None:
    async with live("b") as b:
        async with _a(tmp_path) as a:
            _peers_folder_is_a_file(tmp_path)
            await a.connected(b)
            await a.until(lambda: a.events(StateNotWritten))
            assert "cannot be" in a.events(StateNotWritten)[0].why
            await b.answers(a)
            (tmp_path / "peers").unlink()
            (tmp_path / "peers").mkdir(mode=0o700)
        kept = StateDir(tmp_path).peers()
        assert kept[b.node.id] == PeerRecord(b.node.advert.data, None, ("node",))


@in_time
async def test_nothing_is_written_where_nothing_has_changed(tmp_path: Path) -> None:
    async with live("b") as b:
        async with _a(tmp_path) as a:
            await a.connected(b)
        path = tmp_path / "peers" / str(b.node.id)
        before = path.stat().st_mtime_ns
        async with _a(tmp_path) as a:
            await a.until(lambda: a.node.is_connected(b.node.id))
        assert path.stat().st_mtime_ns == before


@in_time
async def test_who_is_forgotten_to_make_room_is_forgotten_on_the_disk(tmp_path: Path) -> None:
    def node() -> AbstractAsyncContextManager[Node]:
        return open_node(KEYS["a"], state_dir=tmp_path)

    async with node() as a:
        a.learn(NodeAdvert.sign(KEYS["b"], [("tcp://127.0.0.1:1", 1)], version=1, created=1))
    async with node() as a:
        record = a._network.peers.find(ID["b"])
        assert record is not None
        record.learned_from = "192.0.2.1"
        assert a._network.peers.evict()
    assert set(StateDir(tmp_path).peers()) == {ID["a"]}


@virtual
async def test_a_number_that_was_raised_is_the_least_for_the_next_start(tmp_path: Path) -> None:
    async with bench("a") as nodes:
        await nodes.start("b", boot=900)
        await nodes.link("a", "b")
        await nodes.kill("b")
        await nodes.until(lambda: not nodes.ready("a", "b"))
        await nodes.start("b", boot=1, know=False, state_dir=tmp_path)
        await nodes.until(lambda: nodes.ready("a", "b"))
        raised = nodes["b"]._network.incarnation
        assert raised == Incarnation(901, raised.random)
    assert StateDir(tmp_path).next_boot(1) == 902
