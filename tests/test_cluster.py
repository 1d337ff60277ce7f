"""Clusters in this process; who is linked to whom; and that a script is the same for nodes in processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from cluster_app import Add, Relay, Total

from actors.cluster import links, node_names, open_cluster
from actors.errors import ConfigError, Refused
from actors.identity import EngineID

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{HERE.parent}:{HERE}")


def test_nodes_are_named_a_b_c_unless_they_have_names() -> None:
    assert node_names(3) == ("a", "b", "c")
    assert node_names(28)[24:] == ("y", "z", "aa", "ab")
    assert node_names(2, ["left", "right"]) == ("left", "right")


@pytest.mark.parametrize(("count", "names"), [(0, None), (2, ["a"]), (2, ["a", "a"])])
def test_names_that_do_not_fit_are_refused(count: int, names: list[str] | None) -> None:
    with pytest.raises(ConfigError):
        node_names(count, names)


def test_topologies_say_who_is_linked() -> None:
    assert links(3, "mesh") == ((0, 1), (0, 2), (1, 2))
    assert links(4, "ring") == ((0, 1), (0, 3), (1, 2), (2, 3))
    assert links(4, "star") == ((0, 1), (0, 2), (0, 3))
    assert links(2, "ring") == ((0, 1),)
    assert links(1, "ring") == ()
    with pytest.raises(ConfigError, match="no topology 'tree'"):
        links(3, "tree")  # type: ignore[arg-type]


async def test_a_script_does_not_change_when_its_cluster_becomes_real() -> None:
    async def script(opened: Callable[[], Any]) -> list[object]:
        async with opened() as (a, b):
            counter = EngineID(b.id, "counter")
            await a.tell(counter, Add(1))
            await a.send(counter, Add(2), expiry=10)
            first = await a.ask(counter, Add(3))
            relayed = await a.ask(EngineID(a.id, "counter"), Relay(counter, 4))
            with pytest.raises(Refused) as error:
                await a.ask(EngineID(b.id, "nobody"), Add(1))
            assert first == Total(6, counter)
            return [a.name, b.name, first.total, relayed.total, error.value.reason]

    here = await script(lambda: open_cluster(2, app="cluster_app:setup"))
    there = await script(lambda: open_cluster(2, processes=True, app="cluster_app:setup"))
    assert here == there == ["a", "b", 6, 10, "no_engine"]


@pytest.mark.parametrize("transport", ["memory", "tcp"])
async def test_permanent_links_are_up_when_the_block_begins(transport: Any) -> None:
    async with open_cluster(3, transport=transport, topology="star", permanent=True) as nodes:
        connected = [node.snapshot().statistics.connected for node in nodes]
    assert connected == [2, 1, 1]


async def test_without_links_the_first_message_connects() -> None:
    async with open_cluster(2, engines=["cluster_app:Counter"], names=["left", "right"]) as (left, right):
        assert left.snapshot().statistics.connected == 0
        await left.ask(EngineID(right.id, "counter"), Add(1))
        assert [proxy.transport for proxy in left.proxies()] == ["memory"]
        assert left.name == "left"


async def test_an_error_in_the_block_comes_out_and_the_nodes_are_gone() -> None:
    with pytest.raises(ValueError, match="it was a"):
        async with open_cluster(2) as (a, _):
            raise ValueError(f"it was {a.name}")


def test_a_cluster_of_one_process_has_its_transports() -> None:
    async def main() -> None:
        async with open_cluster(1, transport="udp"):  # type: ignore[call-overload]
            pass

    with pytest.raises(ConfigError, match="cannot be linked by 'udp'"):
        trio.run(main)
