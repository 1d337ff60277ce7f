"""A node as its user opens and closes it."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
import trio
from proxies import ID, Item, Journal, Question, Sink, bench, virtual

import actors
from actors.engine import Engine, on
from actors.errors import ConfigError, EngineNameError, Lost, Refused
from actors.identity import EngineID, NodeKey
from actors.messages import Request
from actors.net.proving.adverts import AdvertError
from actors.node import open_node
from transports.errors import AddressError, AddressInUse
from transports.memory.network import MemoryNetwork


def test_every_public_name_is_there() -> None:
    for name in actors.__all__:
        assert getattr(actors, name) is not None
    assert set(dir(actors)) == set(actors.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Actor'"):
        actors.Actor  # noqa: B018


@virtual
async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    network = MemoryNetwork()
    with pytest.raises(KeyError, match="mine"):
        async with open_node(transports=(network.transport("a"),), listen=("memory://a",)):
            raise KeyError("mine")
    group = ExceptionGroup("mine too", [ValueError("x")])
    with pytest.raises(ExceptionGroup) as caught:
        async with open_node(transports=(network.transport("a"),), listen=("memory://a",)):
            raise group
    assert caught.value is group


@virtual
async def test_a_cancelled_block_ends_at_once_and_leaves_nothing() -> None:
    network = MemoryNetwork()
    with trio.move_on_after(1) as scope:
        async with open_node(transports=(network.transport("a"),), listen=("memory://a",)) as node:
            node.spawn(Sink(journal=Journal()), "sink")
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() < 2
    assert network.connections == []
    async with open_node(transports=(network.transport("a"),), listen=("memory://a",)):
        pass  # the address is free again


@virtual
async def test_mistakes_are_found_before_the_block_begins() -> None:
    network = MemoryNetwork()

    async def opened(url: str) -> None:
        async with open_node(transports=(network.transport("a"),), listen=(url,)):
            raise AssertionError("it began")

    with pytest.raises(ConfigError, match=r"no transport for tcp://127\.0\.0\.1:1 here; there is memory://"):
        await opened("tcp://127.0.0.1:1")
    with pytest.raises(AddressError):
        await opened("gopher://x")
    async with open_node(transports=(network.transport("b"),), listen=("memory://b",)):
        with pytest.raises(AddressInUse):
            await opened("memory://b")


@virtual
async def test_a_node_that_nobody_told_us_of_is_refused_by_name() -> None:
    stranger = NodeKey.from_seed(b"s" * 32).id
    async with bench("a") as nodes:
        with pytest.raises(Refused, match="unknown_node"):
            await nodes["a"].ask(EngineID(stranger, "sink"), Question(1))
        with pytest.raises(Refused, match="unknown_node"):
            await nodes["a"].connect(stranger, permanent=False)
        await nodes["a"].tell(EngineID(stranger, "sink"), Item(1))
        assert [letter.partition(":")[0] for letter in nodes.running["a"].letters()] == ["refused (unknown_node)"]


@virtual
async def test_an_advert_is_learned_as_its_line_and_only_whole() -> None:
    async with bench("a", "b", know=False) as nodes:
        line = str(nodes["b"].advert)
        with pytest.raises(AdvertError):
            nodes["a"].learn(line[:-4] + "AAAA")
        assert nodes["a"].learn(f"  {line}\n") == ID["b"]
        await nodes["a"].connect(ID["b"], permanent=False)
        assert nodes.ready("a", "b")


@virtual
async def test_connect_tells_why_an_ephemeral_link_cannot_be_opened() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.refused.add("b")
        with pytest.raises(Lost, match="connection refused"):
            await nodes["a"].connect(ID["b"], permanent=False)
        assert nodes.state("a", "b") == "none"


@virtual
async def test_a_nodes_own_address_is_local_however_it_is_written() -> None:
    async with bench("a") as nodes:
        node = nodes["a"]
        assert await node.ask(EngineID(None, "sink"), Question(1)) == -1
        assert await node.ask(EngineID(node.id, "sink"), Question(2)) == -2
        assert node.proxies() == []


@virtual
async def test_the_networks_names_are_reserved() -> None:
    async with bench("a") as nodes:
        for name in ("router", "transport.tcp", str(ID["b"])):
            with pytest.raises(EngineNameError, match="reserved"):
                nodes["a"].spawn(Sink(journal=Journal()), name)


@virtual
async def test_tell_nowait_is_refused_when_the_outbox_is_full() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.silent.add("b")
        told = 0
        with suppress(Refused):
            while told < 10_000:
                nodes["a"].tell_nowait(nodes.to("b"), Item(told), expiry=60)
                told += 1
        with pytest.raises(Refused, match="full"):
            nodes["a"].tell_nowait(nodes.to("b"), Item(told), expiry=60)
        assert 1000 < told <= 4096
        snapshot = nodes["a"].snapshot().statistics.ledger
        assert snapshot.accepted == snapshot.in_flight == told


class Fill(Request[bytes]):
    """Answered with so many bytes."""

    size: int


class Filler(Engine):
    """Answers as large as one asks for."""

    @on(Fill)
    def fill(self, msg: Fill) -> bytes:
        return bytes(msg.size)


@virtual
async def test_an_answer_that_no_frame_can_carry_is_refused_and_nothing_else() -> None:
    async with bench("a", "b") as nodes:
        filler = nodes["b"].spawn(Filler(), "filler")
        await nodes.link("a", "b")
        assert len(await nodes["a"].ask(filler, Fill(1_000_000))) == 1_000_000
        with pytest.raises(Refused, match="too_large"):
            await nodes["a"].ask(filler, Fill(2_000_000))
        assert await nodes["a"].ask(filler, Fill(1)) == b"\0"
        proxy = nodes.proxy("a", "b")
        assert proxy is not None
        assert proxy.connections == 1


@virtual
async def test_two_runs_of_one_node_differ_in_their_incarnation_only() -> None:
    network, key = MemoryNetwork(), NodeKey.generate()
    adverts = []
    for boot in (1, 2):
        options = {"transports": (network.transport("a"),), "listen": ("memory://a",)}
        async with open_node(key, boot=boot, random=Random(boot), **options) as node:  # type: ignore[arg-type]
            adverts.append(node.advert)
            assert repr(node) == f"<Node  {key.id.short}: memory://a>"
    assert adverts[0].id == adverts[1].id
    assert adverts[1].version > adverts[0].version


@virtual
async def test_a_tell_that_is_cancelled_leaves_nothing_that_could_expire() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.silent.add("b")
        for n in range(300):  # in one of them the tell gives way, with a run just opened
            with trio.CancelScope() as scope:
                if n == 256:
                    scope.cancel()
                await nodes["a"].tell(nodes.to("b"), Item(n), expiry=5)
        await trio.sleep(60)
        ledger = nodes["a"].snapshot().statistics.ledger
        assert ledger.expired == ledger.accepted
        assert ledger.accepted >= 299


@virtual
async def test_a_node_that_has_stopped_says_so_to_whoever_still_calls_it() -> None:
    network = MemoryNetwork()
    async with open_node(transports=(network.transport("a"),), listen=("memory://a",)) as other:
        other.spawn(Sink(journal=Journal()), "sink")
        async with open_node(transports=(network.transport("b"),), listen=("memory://b",)) as node:
            node.learn(other.advert)
            node.spawn(Sink(journal=Journal()), "sink")
            known = EngineID(other.id, "sink")
            await node.send(known, Item(1))
        for target in (known, EngineID(other.id, "never told"), EngineID(None, "sink")):
            for verb in (node.tell, node.send, node.ask):
                with pytest.raises(Refused) as refused:
                    await verb(target, Item(2))
                assert refused.value.reason == "node_stopped"
            with pytest.raises(Refused, match="has stopped"):
                node.tell_nowait(target, Item(3))
