"""Whom a node process deals with, as its settings say."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopback import ID, in_time, live
from node_process import figures, no_node, node_process

from actors.control.client import open_control
from actors.control.sockets import socket_path
from actors.events import DialFailed
from actors.run import CLUSTER

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@in_time
async def test_row_15_a_node_on_the_deny_list_is_told_so_once_and_does_not_come_again() -> None:
    async with node_process("a", "--deny", str(ID["b"])) as a, live("b") as b, live("c") as c:
        async with open_control(socket_path(CLUSTER, "a")) as control:
            advert = await control.advert()
        for node in (b, c):
            node.node.learn(advert)
            node.node.set_permanence(a.id, True)
        await c.until(lambda: c.node.is_connected(a.id))
        await b.until(lambda: b.events(DialFailed))
        await b.until(lambda: [proxy.state for proxy in b.node.proxies()] == ["backoff"])
        (failed,) = b.events(DialFailed)
        assert failed.why == "denied"
        door = (await figures())["a"]["statistics"]["door"]
        assert (door["came"], door["proven"], door["refused"], door["unproven"]) == (2, 2, 1, 0)


@in_time
async def test_row_16_places_are_limited_by_a_setting_and_kept_for_permanent_peers(tmp_path: Path) -> None:
    settings = tmp_path / "node.toml"
    async with live("c") as c, live("b") as b:
        settings.write_text(f'peers = ["{c.node.advert}"]\n[limits]\nlinks = 1\nlinks_kept = 1\n')
        async with node_process("a", "-c", str(settings)) as a:
            async with open_control(socket_path(CLUSTER, "a")) as control:
                b.node.learn(await control.advert())
            b.node.set_permanence(a.id, True)
            await b.until(lambda: b.events(DialFailed))
            assert b.events(DialFailed)[0].why == "over_capacity"
            await c.until(lambda: c.node.is_connected(a.id))


@in_time
async def test_a_policy_that_cannot_be_read_ends_the_start_with_78(tmp_path: Path) -> None:
    settings = tmp_path / "node.toml"
    settings.write_text('allow = ["everybody"]\n')
    code, words = await no_node("-c", str(settings))
    assert code == 78
    assert "neither a NodeID nor a network" in words
    assert "allow" in words
    assert "Traceback" not in words
