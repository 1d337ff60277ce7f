"""A node that stops: what has come is handled, what is new waits at its peers, and it takes bounded time (D5, D6)."""

from __future__ import annotations

import trio
from proxies import ID, KEYS, Bench, Item, Journal, bench, virtual
from test_hostile_peers import stranger_at

from actors.engine import Engine, on
from actors.events import Connected, DialFailed
from actors.identity import EngineID
from actors.net.messages import Bye, GoAway
from actors.net.network import NetworkCfg
from actors.node import Node

CFG = NetworkCfg(drain_timeout=10.0)


class Slow(Engine):
    """Needs a tenth of a second for each."""

    done: Journal

    @on(Item)
    async def item(self, msg: Item) -> None:
        await trio.sleep(0.1)
        self.done.got.append(("", msg.n))


class Hands(Engine):
    """Hands on what it is told, to an engine of the same node."""

    to: EngineID

    @on(Item)
    def item(self, msg: Item) -> None:
        self.tell(self.to, msg)


class Hangs(Engine):
    @on(Item)
    async def item(self, _: Item) -> None:
        await trio.sleep_forever()


async def _slow(nodes: Bench) -> tuple[Node, Journal]:
    """b, with an engine that is slow; what that has done."""
    node, done = await nodes.start("b", cfg=CFG), Journal()
    node.spawn(Slow(done=done), "slow")
    return node, done


@virtual
async def test_what_was_told_and_has_come_is_handled_before_the_engines_end() -> None:
    async with bench("a") as nodes:
        node, done = await _slow(nodes)
        node.spawn(Hands(to=EngineID(None, "slow")), "hands")
        await nodes.link("a", "b")
        for n in range(30):
            await nodes["a"].send(EngineID(ID["b"], "hands" if n % 2 else "slow"), Item(n))
        await nodes.stop("b")
        assert sorted(done.numbers()) == list(range(30))


@virtual
async def test_what_is_new_meanwhile_waits_for_the_next_run_and_none_of_it_is_refused() -> None:
    async with bench("a") as nodes:
        _, done = await _slow(nodes)
        await nodes.link("a", "b")
        for n in range(20):
            await nodes["a"].send(EngineID(ID["b"], "slow"), Item(n))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(nodes.stop, "b")
            await trio.sleep(0.5)
            later = [nodes.sending(lambda n=n: nodes["a"].send(nodes.to("b"), Item(n))) for n in range(20, 30)]  # type: ignore[misc]
        assert done.numbers() == list(range(20))
        await nodes.start("b")
        assert [await sending.wait() for sending in later] == [None] * 10
        assert sorted(nodes.journal("b").numbers()) == list(range(20, 30))


@virtual
async def test_an_engine_that_never_comes_to_an_end_does_not_hold_up_the_stop_for_longer_than_was_set() -> None:
    async with bench("a") as nodes:
        node = await nodes.start("b", cfg=CFG)
        node.spawn(Hangs(), "hangs")
        await nodes.link("a", "b")
        await nodes["a"].send(EngineID(ID["b"], "hangs"), Item(1))
        began = trio.current_time()
        await nodes.stop("b")
        assert 1 < trio.current_time() - began <= 10


@virtual
async def test_a_node_with_nothing_to_do_stops_at_once() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", cfg=CFG)
        await nodes.link("a", "b")
        began = trio.current_time()
        await nodes.stop("b")
        assert trio.current_time() - began < 0.5


@virtual
async def test_nobody_can_connect_to_a_node_that_stops() -> None:
    async with bench("a", "c") as nodes:
        node = await nodes.start("b", cfg=CFG)
        node.spawn(Hangs(), "hangs")
        await nodes["a"].send(EngineID(ID["b"], "hangs"), Item(1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(nodes.stop, "b")
            await trio.sleep(1)
            nodes["c"].set_permanence(ID["b"], True)
            await nodes.until(lambda: nodes.running["c"].events(DialFailed))
        assert nodes.running["c"].events(Connected) == []
        assert all("listens there" in event.why for event in nodes.running["c"].events(DialFailed))


@virtual
async def test_a_peer_is_told_once_that_the_node_stops_and_then_goodbye() -> None:
    async with bench() as nodes:
        node = await nodes.start("b", cfg=CFG)
        stranger = await stranger_at(nodes, "b")
        await stranger.prove(KEYS["h"], ID["b"])
        await stranger.resume()
        await nodes.until(lambda: node.is_connected(ID["h"]))
        heard = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(nodes.stop, "b")
            while not isinstance(frame := await stranger.hear(), Bye):
                heard.append(frame)
        assert [(frame.reason, frame.retry_after) for frame in heard if isinstance(frame, GoAway)] == [
            ("stopping", 1.0)
        ]
