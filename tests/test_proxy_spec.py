"""The specification's page on the Node Proxy, sentence by sentence (S1 to S12 of ARCHITECTURE.md's table)."""

from __future__ import annotations

import trio
from proxies import CFG, ID, KEYS, Item, Question, bench, half_open, outcome, virtual

from actors.engine import LocalCfg, MailboxStatistics
from actors.errors import Lost
from actors.events import Connected, DialFailed, EngineStarted
from actors.identity import EngineID, NodeKey
from actors.messages import Local, Timer
from actors.net.life.phases import Facts
from actors.net.node_proxy import (
    NodeProxy,
    NodeProxyActionArguments,
    NodeProxyLocalCfg,
    NodeProxyLocalState,
    NodeProxyMailboxState,
    NodeProxyTimerHandle,
)
from actors.net.proving.adverts import NodeAdvert
from actors.net.vocabulary import Demanded, DrainDue, EstablishDue, RetryDue, UpgradeDue


def _advert(name: str, *addresses: tuple[str, int], version: int = 9) -> NodeAdvert:
    """The node's word on where it is, with weights of its choice."""
    return NodeAdvert.sign(KEYS[name], addresses, version=version, created=0)


# -- S1 and S12: one remote node, and the name -------------------------------------------------------------


@virtual
async def test_each_remote_node_has_a_proxy_of_its_own() -> None:
    async with bench("a", "b", "c") as nodes:
        for n in range(20):
            await nodes["a"].tell(nodes.to("b" if n % 2 else "c"), Item(n))
        assert await nodes["a"].ask(nodes.to("b"), Question(20)) == -20
        assert await nodes["a"].ask(nodes.to("c"), Question(21)) == -21

        assert nodes.journal("b").numbers() == [*range(1, 20, 2), 20]
        assert nodes.journal("c").numbers() == [*range(0, 20, 2), 21]
        assert {proxy.peer_id: proxy.ledger.accepted for proxy in nodes["a"].proxies()} == {
            str(ID["b"]): 11,
            str(ID["c"]): 11,
        }
        nodes.wires.cut("a", "b")  # what befalls one node is no concern of another's proxy
        await nodes.until(lambda: nodes.state("a", "b") == "none")
        assert nodes.state("a", "c") == "ready"


@virtual
async def test_a_proxy_is_named_after_the_remote_node() -> None:
    async with bench("a", "b") as nodes:
        await nodes["a"].send(nodes.to("b"), Item(1))
        for here, there in (("a", "b"), ("b", "a")):
            (proxy,) = [engine.name for engine in nodes[here].engines() if engine.type == "NodeProxy"]
            assert proxy == str(ID[there])


# -- S2: transport selection -------------------------------------------------------------------------------


@virtual
async def test_the_proxy_selects_the_address_that_its_peer_prefers() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", know=False, listen=("memory://b-one", "memory://b-two"))
        nodes["a"].learn(_advert("b", ("memory://b-one", 1), ("memory://b-two", 5)))
        await nodes["a"].send(nodes.to("b"), Item(1))
        assert [name for _, _, name in nodes.wires.dials] == ["b-two"]
        proxy = nodes.proxy("a", "b")
        assert proxy is not None
        assert (proxy.transport, proxy.address) == ("memory", "memory://b-two")


@virtual
async def test_the_proxy_selects_among_what_it_can_dial() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", know=False)
        nodes["a"].learn(_advert("b", ("quic://192.0.2.1:4000", 9), ("carrier-pigeon://roof", 9), ("memory://b", 1)))
        await nodes["a"].send(nodes.to("b"), Item(1))
        assert [name for _, _, name in nodes.wires.dials] == ["b"]
        assert nodes.running["a"].events(DialFailed) == []


# -- S3: connection establishment --------------------------------------------------------------------------


@virtual
async def test_a_connection_is_established_with_the_node_that_was_meant_and_no_other() -> None:
    async with bench("a", "b", "c") as nodes:
        await nodes["a"].send(nodes.to("b"), Item(1))
        assert nodes.ready("a", "b")
        assert nodes.ready("b", "a")

    async with bench("a", "b") as nodes:
        stranger = NodeKey.from_seed(b"s" * 32)  # its advert leads to b, who cannot prove to be it
        nodes["a"].learn(NodeAdvert.sign(stranger, [("memory://b", 1)], version=1, created=0))
        refused = await outcome(lambda: nodes["a"].send(EngineID(stranger.id, "sink"), Item(1), expiry=5))
        assert refused is not None
        assert nodes.running["a"].events(Connected) == []
        assert nodes.journal("b").got == []


# -- S4: connection maintenance ----------------------------------------------------------------------------


@virtual
async def test_a_connection_that_went_dead_without_a_word_is_replaced() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        first = nodes.wires.only("a", "b")
        first.blackhole()
        began = trio.current_time()
        assert await nodes["a"].ask(nodes.to("b"), Question(1)) == -1
        waited = trio.current_time() - began
        assert CFG.liveness.ping_after < waited < CFG.liveness.dead_after + CFG.handshake_timeout
        assert nodes.wires.only("a", "b") is not first


# -- S5: forwarding ----------------------------------------------------------------------------------------


@virtual
async def test_messages_are_forwarded_between_local_engines_and_transport_connections() -> None:
    async with bench("a", "b") as nodes:
        for n in range(50):
            await nodes["a"].tell(nodes.to("b"), Item(n))
            await nodes["b"].tell(nodes.to("a"), Item(n))
        await nodes.until(lambda: len(nodes.journal("a").got) == len(nodes.journal("b").got) == 50)
        assert nodes.journal("a").got == [(f"{ID['b'].short}/", n) for n in range(50)]
        assert nodes.journal("b").got == [(f"{ID['a'].short}/", n) for n in range(50)]
        for name in "ab":
            assert [e.type for e in nodes[name].engines() if e.name.startswith("transport.memory.")] == [
                "TransportConnection"
            ]


# -- S6: ephemeral or permanent ----------------------------------------------------------------------------


@virtual
async def test_a_connection_is_ephemeral_unless_somebody_holds_it_as_permanent() -> None:
    async with bench("a", "b") as nodes:

        async def survives_a_cut() -> bool:
            await nodes["a"].send(nodes.to("b"), Item(1))
            nodes.wires.cut("a", "b")
            await trio.sleep(5)
            return nodes.ready("a", "b")

        assert not await survives_a_cut()
        nodes["a"].set_permanence(ID["b"], True, holder="one")
        nodes["a"].set_permanence(ID["b"], True, holder="two")
        assert await survives_a_cut()
        nodes["a"].set_permanence(ID["b"], False, holder="one")
        assert await survives_a_cut()
        assert [proxy.permanence for proxy in nodes["a"].proxies()] == ["permanent"]
        nodes["a"].set_permanence(ID["b"], False, holder="two")
        assert nodes.ready("a", "b")  # that alone ends nothing
        assert not await survives_a_cut()


# -- S7 to S9: ephemeral -----------------------------------------------------------------------------------


@virtual
async def test_an_ephemeral_connection_is_established_by_the_first_message() -> None:
    async with bench("a", "b") as nodes:
        await trio.sleep(60)
        assert nodes.wires.dials == []
        assert nodes.state("a", "b") == "none"
        await nodes["a"].send(nodes.to("b"), Item(1))
        await nodes["a"].send(nodes.to("b"), Item(2))
        assert len(nodes.wires.dials) == 1
        assert nodes.running["a"].phases("b") == ["dialing", "handshaking", "ready"]


@virtual
async def test_an_ephemeral_connection_is_established_when_the_remote_node_initiates_it() -> None:
    async with bench("a", "b") as nodes:
        await nodes["a"].send(nodes.to("b"), Item(1))
        assert nodes.running["b"].phases("a") == ["ready"]
        assert [proxy.permanence for proxy in nodes["b"].proxies()] == ["ephemeral"]
        await nodes["b"].send(nodes.to("a"), Item(2))  # and it is used in the other direction
        assert nodes.wires.dialed("b") == []


@virtual
async def test_a_lost_ephemeral_connection_ends_its_proxy_and_is_not_established_again() -> None:
    async with bench("a", "b") as nodes:
        await nodes["a"].send(nodes.to("b"), Item(1))
        nodes.wires.cut("a", "b")
        await trio.sleep(3600)
        assert nodes.state("a", "b") == nodes.state("b", "a") == "none"
        assert len(nodes.wires.dials) == 1
        await nodes["a"].send(nodes.to("b"), Item(2))  # the next message begins anew
        assert len(nodes.wires.dials) == 2
        assert nodes.journal("b").numbers() == [1, 2]


@virtual
async def test_what_a_lost_ephemeral_connection_carried_is_lost() -> None:
    async with bench("a", "b") as nodes:
        await nodes["a"].send(nodes.to("b"), Item(1))
        half_open(nodes.wires.only("a", "b"), noticed_by="b")
        lost = await outcome(lambda: nodes["a"].send(nodes.to("b"), Item(2)))
        assert isinstance(lost, Lost)
        assert lost.maybe_sent
        assert nodes.state("a", "b") == "none"


# -- S10 and S11: permanent --------------------------------------------------------------------------------


@virtual
async def test_a_permanent_connection_is_established_when_its_proxy_is_started() -> None:
    async with bench("a", "b") as nodes:
        nodes["a"].set_permanence(ID["b"], True)
        await trio.sleep(0.1)
        assert nodes.running["a"].phases("b") == ["dialing", "handshaking", "ready"]
        assert nodes.ready("a", "b")

    async with bench("b") as nodes:  # also one that is permanent by configuration
        await nodes.start("a", know=False, peers=[nodes["b"].advert])
        await trio.sleep(0.1)
        assert nodes.ready("a", "b")


@virtual
async def test_a_permanent_connection_is_established_again_whenever_it_is_lost() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        proxies = [event.engine for event in nodes.running["a"].events(EngineStarted)]
        for n in range(5):
            assert nodes.wires.cut("a", "b") == 1
            await nodes.until(lambda: not nodes.ready("a", "b"))
            await nodes.until(lambda: nodes.ready("a", "b"), within=10)
            await nodes["a"].send(nodes.to("b"), Item(n))
        assert nodes.journal("b").numbers() == list(range(5))
        later = [event.engine for event in nodes.running["a"].events(EngineStarted)][len(proxies) :]
        assert EngineID(ID["a"], str(ID["b"])) not in later  # it is the same proxy all the time


# -- S13 and S14: components and type ----------------------------------------------------------------------


def test_the_node_proxy_has_messages_configuration_environment_and_behaviour() -> None:
    taken = {guard.message for guard in NodeProxy.behaviour}
    assert len(taken) > 10
    assert all(issubclass(message, Local) for message in taken)
    assert NodeProxy.wire_messages == ()  # only the network of its own node speaks to it
    assert issubclass(NodeProxyLocalCfg, LocalCfg)
    assert {"state", "session", "entry"} <= {*NodeProxy.__struct_fields__}


@virtual
async def test_the_node_proxy_is_an_engine_of_the_types_that_the_specification_names() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.refused.add("b")
        nodes["a"].set_permanence(ID["b"], True)
        await nodes.until(lambda: nodes.state("a", "b") == "backoff")
        cell = nodes["a"].runtime.find(str(ID["b"]))
        assert cell is not None
        assert cell._life is not None
        proxy = cell._life.engine
        assert isinstance(proxy, NodeProxy)

        assert (proxy.cfg.node, proxy.cfg.name) == (ID["a"], str(ID["b"]))
        assert proxy.cfg.cfg == NodeProxyLocalCfg(network=CFG)
        assert isinstance(proxy.env.local_state["state"], NodeProxyLocalState)
        assert isinstance(proxy.env.mailbox, NodeProxyMailboxState)
        assert NodeProxyMailboxState is MailboxStatistics
        assert proxy.env.timers == (RetryDue(),)
        assert all(issubclass(handle, Timer) for handle in (RetryDue, EstablishDue, DrainDue, UpgradeDue, Demanded))
        assert NodeProxyTimerHandle == RetryDue | EstablishDue | DrainDue | UpgradeDue | Demanded
        assert NodeProxyActionArguments is Facts
        assert [guard.message for guard in proxy.behaviour] == [guard.message for guard in NodeProxy.behaviour]
