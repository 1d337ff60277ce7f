"""Dials to one peer: how soon another address takes over, what is remembered of failures (PROTOCOL A4, C7, H12)."""

from __future__ import annotations

from random import Random
from socket import AddressFamily, SocketKind
from typing import Any

import pytest
import trio
from proxies import CFG, ID, KEYS, Bench, Item, Journal, Sink, bench, virtual

from actors.errors import Lost
from actors.events import DialFailed
from actors.identity import EngineID, NodeKey
from actors.net.call import Call
from actors.net.connecting.backoff import BackoffCfg
from actors.net.connecting.upgrade import UpgradeCfg
from actors.net.network import NetworkCfg
from actors.net.proving.adverts import NodeAdvert
from actors.net.transport_connection import TransportConnection
from actors.node import open_node
from actors.snapshots import AddressSnapshot
from actors.testing.virtual.runner import run_virtual
from transports.addresses import TransportAddress
from transports.base import Listener, Stream
from transports.errors import AddressError, ConnectFailed
from transports.memory.connection import Connection
from transports.schemes import LOOPBACK, SCHEMES

FAR = NodeKey.from_seed(b"f" * 32)


def know(nodes: Bench, *addresses: tuple[str, int], version: int = 1 << 60) -> None:
    """Let b advertise these addresses, and a know that."""
    advert = NodeAdvert.sign(KEYS["b"], list(addresses), version=version, created=0)
    nodes["b"]._network.advert = advert
    nodes["a"].learn(advert)


def explained(nodes: Bench) -> dict[str, AddressSnapshot]:
    """What a says of b's addresses, by the names in them."""
    return {each.url.removeprefix("memory://"): each for each in nodes["a"].explain(ID["b"])}


def names(nodes: Bench) -> list[str]:
    """Which addresses a has dialed so far."""
    return [name for _, host, name in nodes.wires.dials if host == "a"]


async def up(nodes: Bench) -> float:
    """Wait until a has a link to b, another one if it had one; the seconds that took."""
    began = trio.current_time()
    if nodes.wires.cut("a", "b"):
        await nodes.until(lambda: not nodes.ready("a", "b"))
    await nodes.until(lambda: nodes.ready("a", "b"))
    return trio.current_time() - began


@virtual
async def test_a_favourite_in_a_black_hole_costs_less_than_a_second_and_is_not_dialed_first_again() -> None:
    async with bench("b") as nodes:
        await nodes.start("a", know=False, cfg=CFG)
        nodes.wires.silent.add("hole")
        know(nodes, ("memory://hole", 9), ("memory://b", 1))
        nodes["a"].set_permanence(ID["b"], True)
        assert await up(nodes) < 1.0
        assert names(nodes) == ["hole", "b"]
        assert explained(nodes)["hole"].error == "overtaken by a later dial"
        assert await up(nodes) < CFG.backoff.first * 1.2 + 0.01
        assert names(nodes)[2:] == ["b"]


@virtual
async def test_a_bad_address_is_tried_again_when_it_has_cooled_down() -> None:
    async with bench("b") as nodes:
        await nodes.start("a", know=False, cfg=NetworkCfg(upgrade=UpgradeCfg(first=600)))
        nodes.wires.refused.add("bad")
        know(nodes, ("memory://bad", 9), ("memory://b", 1))
        nodes["a"].set_permanence(ID["b"], True)
        await up(nodes)
        for cooled, first in ((1.0, "b"), (16.0, "bad"), (16.0, "b"), (16.0, "bad")):
            await trio.sleep(cooled)
            dialed = len(names(nodes))
            await up(nodes)
            assert names(nodes)[dialed] == first
        assert explained(nodes)["bad"].failures == 3


@virtual
async def test_what_never_answered_in_an_attempt_is_remembered_as_failed() -> None:
    cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0))
    async with bench("b") as nodes:
        await nodes.start("a", know=False, cfg=cfg)
        nodes.wires.silent |= {"hole", "b"}
        know(nodes, ("memory://hole", 9), ("memory://b", 1))
        nodes["a"].set_permanence(ID["b"], True)
        await nodes.until(lambda: nodes.state("a", "b") == "backoff")
        assert {each.error for each in explained(nodes).values()} == {"no answer in time"}
        assert all(each.failures for each in explained(nodes).values())


# -- plain and secure (H12) -------------------------------------------------------------------------------------


class Nowhere:
    """A transport over which nobody is reached: dials hang or fail."""

    serve = None

    def __init__(self, scheme: str, dials: list[tuple[float, str]], *, hangs: bool) -> None:
        self.scheme = scheme
        self.secure = scheme == "tls"
        self._dials = dials
        self._hangs = hangs

    async def dial(self, address: TransportAddress) -> Stream:
        self._dials.append((trio.current_time(), str(address)))
        await trio.lowlevel.checkpoint()
        if self._hangs:
            try:
                await trio.sleep_forever()
            finally:
                self._dials.append((trio.current_time(), f"gave up {address}"))
        raise ConnectFailed(str(address), "nobody is there")

    async def listen(self, address: TransportAddress) -> Listener:
        raise AddressError(f"{address} is only to be dialed")


@virtual
@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("named", [False, True])
async def test_plain_is_dialed_when_secure_is_given_up_and_somebody_named_it_for_this_peer(
    hangs: bool, named: bool
) -> None:
    dials: list[tuple[float, str]] = []
    transports = (Nowhere("tls", dials, hangs=hangs), Nowhere("tcp", dials, hangs=False))
    urls = [("tls://far.example:1", 1), ("tls://far.example:2", 1), ("tcp://far.example:3", 9)]
    advert = NodeAdvert.sign(FAR, urls, version=1, created=0)
    async with open_node(
        KEYS["a"], listen=(), transports=transports, cfg=NetworkCfg(insecure=True), adverts=(advert,), random=Random(0)
    ) as a:
        if named:
            a._network.peers.open(FAR.id).schemes = ("tcp",)
        a.set_permanence(FAR.id, True)
        await trio.sleep(29)
        a.set_permanence(FAR.id, False)
    first = {what: at for at, what in reversed(dials)}
    assert ("tcp://far.example:3" in first) is named
    if named and hangs:
        assert first["tcp://far.example:3"] == first["gave up tls://far.example:1"] >= CFG.handshake_timeout


# -- names ------------------------------------------------------------------------------------------------------


class Resolver(trio.abc.HostnameResolver):
    """Who knows one name, and changes its mind."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.asked: list[bytes | None] = []

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        self.asked.append(host)
        await trio.lowlevel.checkpoint()
        return [(AddressFamily.AF_INET, SocketKind.SOCK_STREAM, 0, "", (self.answer, port))]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        raise NotImplementedError


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_name_is_looked_up_anew_for_each_dial(scheme: str) -> None:
    resolver, journal = Resolver("127.0.0.9"), Journal()
    trio.socket.set_custom_hostname_resolver(resolver)
    async with (
        open_node(listen=(LOOPBACK[scheme],)) as b,
        open_node(listen=(), cfg=NetworkCfg(insecure=True, backoff=BackoffCfg(cap=0.2), handshake_timeout=0.5)) as a,
    ):
        b.spawn(Sink(journal=journal), "sink")
        url = b.addresses[0].replace("127.0.0.1", "peer.example")
        known = NodeAdvert.sign(b._network.key, [(url, 1)], version=1 << 60, created=0)
        b._network.advert = known
        with a.events.subscribe() as events, trio.fail_after(30):
            a.set_permanence(a.learn(known), True)
            async for event in events:
                if isinstance(event, DialFailed):
                    break
            resolver.answer = "127.0.0.1"
            await a.send(EngineID(b.id, "sink"), Item(1))
            assert [address.in_use for address in a.explain(b.id)] == [True]
        assert journal.numbers() == [1]
        assert len(resolver.asked) >= 2


# -- a dial that is withdrawn in the moment in which it is proven ---------------------------------------------


@virtual
async def test_a_link_whose_call_was_withdrawn_is_not_taken_and_the_next_dial_is() -> None:
    async with bench("a", "b") as nodes:
        calls = list[Call]()

        def withdrawn_once(call: Call) -> bool:
            """Looked at when its handshake begins, and when its link is to be taken: then the first is withdrawn."""
            calls.append(call)
            if len(calls) == 2:
                call.withdraw()
            return bool(is_wanted(call))

        is_wanted: Any = vars(Call)["is_wanted"].fget
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Call, "is_wanted", property(withdrawn_once))
            with pytest.raises(Lost):
                await nodes["a"].connect(ID["b"], permanent=False)
            assert nodes.state("a", "b") == "none"
            assert "ready" not in nodes.running["a"].phases("b")
            await nodes["a"].connect(ID["b"], permanent=False)
            await nodes["a"].send(nodes.to("b"), Item(1))
        assert len(calls) == 4
        assert nodes.journal("b").numbers() == [1]


@pytest.mark.parametrize("seed", range(12))
def test_a_move_that_fails_at_once_leaves_no_handshake_behind_for_the_link_that_stands(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy reads that a handshake began when it is over already, and would wait for its end after the next cut."""

    async def main() -> None:
        async with bench("a", "b") as nodes:
            await nodes.link("a", "b")
            made = list[Connection]()
            monkeypatch.setattr(nodes.wires, "connected", made.append, raising=False)
            prove = TransportConnection._prove

            async def reset_before(self: TransportConnection, *details: Any) -> None:
                made[-1].cut()
                await prove(self, *details)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(TransportConnection, "_prove", reset_before)
                await nodes["a"].migrate(ID["b"], "memory")
                await trio.sleep(30)
            assert await up(nodes) < 60

    run_virtual(main, seed=seed)
