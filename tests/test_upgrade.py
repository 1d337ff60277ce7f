"""A link over a worse address moves to a better one when that works: not often, and never to and fro (PROTOCOL C7)."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from proxies import CFG, ID, Bench, Item, bench, virtual
from test_dialing import know, names, up

from actors.errors import ConfigError
from actors.events import Connected
from actors.net.connecting.history import DialHistory
from actors.net.connecting.selection import BETTER, DialPrefs, Offer, better
from actors.net.connecting.upgrade import Upgrade, UpgradeCfg
from transports.addresses import TransportAddress, parse_address

TLS, QUIC, WSS = "tls://peer.example:1", "quic://peer.example:2", "wss://peer.example:3"
TCP, OTHER_TLS = "tcp://peer.example:4", "tls://peer.example:5"


# -- what is better -----------------------------------------------------------------------------------------


def worth_a_move(
    current: str,
    offered: dict[str, float],
    prefs: DialPrefs | None = None,
    history: DialHistory | None = None,
) -> list[str]:
    offers: list[Offer[TransportAddress]] = [Offer(parse_address(url), weight) for url, weight in offered.items()]
    return [str(o.address) for o in better(current, offers, prefs or DialPrefs(), history or DialHistory())]


def test_secure_is_better_than_plain_whatever_it_weighs_or_has_failed() -> None:
    history = DialHistory()
    history.failed(TLS, 0, "refused")
    assert worth_a_move(TCP, {TCP: 99, TLS: 1}, DialPrefs(insecure=True), history) == [TLS]
    assert worth_a_move(TLS, {TCP: 99, TLS: 1}, DialPrefs(insecure=True)) == []


def test_a_transport_that_somebody_wants_is_left_only_for_another_that_he_wants_more() -> None:
    prefs = DialPrefs(insecure=True, schemes=("tcp",))
    assert worth_a_move(TCP, {TCP: 1, TLS: 99}, prefs) == []
    assert worth_a_move(TLS, {TLS: 99, QUIC: 1}, DialPrefs(schemes=("quic", "tls"))) == [QUIC]
    assert worth_a_move(QUIC, {TLS: 99, QUIC: 1}, DialPrefs(schemes=("quic", "tls"))) == []


def test_of_two_alike_the_better_has_to_be_better_by_a_good_deal() -> None:
    assert worth_a_move(TLS, {TLS: 2, OTHER_TLS: 2 * BETTER}) == []
    assert worth_a_move(TLS, {TLS: 2, OTHER_TLS: 2 * BETTER + 0.1}) == [OTHER_TLS]
    history = DialHistory()
    history.measured(TLS, 0.3)
    history.measured(OTHER_TLS, 0.001)
    assert worth_a_move(TLS, {TLS: 1, OTHER_TLS: 1}, None, history) == [OTHER_TLS]
    assert worth_a_move(OTHER_TLS, {TLS: 1, OTHER_TLS: 1}, None, history) == []


def test_what_may_not_be_dialed_is_no_better_and_an_address_that_is_gone_has_none() -> None:
    assert worth_a_move(TCP, {TCP: 1, TLS: 1}, DialPrefs(only=frozenset({"tcp"}))) == []
    assert worth_a_move(WSS, {TLS: 1, QUIC: 9}) == []


@given(st.dictionaries(st.sampled_from([TLS, QUIC, WSS, TCP, OTHER_TLS]), st.floats(0, 10), min_size=1), st.data())
def test_who_moves_to_what_is_better_does_not_want_to_go_back(offered: dict[str, float], data: st.DataObject) -> None:
    schemes = tuple(data.draw(st.permutations(["tls", "quic", "wss", "tcp"]))[: data.draw(st.integers(0, 4))])
    prefs, history = DialPrefs(insecure=True, schemes=schemes), DialHistory()
    for url in offered:
        if data.draw(st.booleans()):
            history.measured(url, data.draw(st.floats(0, 2)))
    here = data.draw(st.sampled_from(sorted(offered)))
    for there in worth_a_move(here, offered, prefs, history):
        assert here not in worth_a_move(there, offered, prefs, history)


# -- how often ------------------------------------------------------------------------------------------------


def test_pauses_grow_with_each_try_up_to_their_cap() -> None:
    upgrade, now, dues = Upgrade(UpgradeCfg(first=10, factor=3, spread=0.5, cap=50)), 0.0, []
    for _ in range(4):
        due = upgrade.wanted(now, 0.5)
        assert upgrade.wanted(now + 1, 0.9) == due  # the pause is drawn once
        dues.append(due - now)
        now = due
        upgrade.tried()
    assert dues == [10, 30, 50, 50]
    assert upgrade.wanted(now, 0.0) == now + 25
    upgrade.best(now)
    assert upgrade.due is None


def test_pauses_are_short_again_after_a_long_time_over_the_best_address() -> None:
    upgrade = Upgrade(UpgradeCfg(first=10, factor=3, spread=0, cap=50))
    upgrade.wanted(0, 0)
    upgrade.tried()
    upgrade.best(10)
    upgrade.best(50)  # looked again
    assert upgrade.wanted(59, 0) == 59 + 30
    upgrade.best(60)
    assert upgrade.wanted(110, 0) == 110 + 10


def test_pauses_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError):
        UpgradeCfg(first=10, cap=1)


# -- in virtual time ------------------------------------------------------------------------------------------


async def _over(nodes: Bench, name: str, *, within: float) -> None:
    await nodes.until(lambda: nodes.proxy("a", "b").address == f"memory://{name}", within=within, every=0.5)  # type: ignore[union-attr]


async def _two_ways(nodes: Bench) -> None:
    await nodes.start("b", listen=("memory://good", "memory://b"))
    await nodes.start("a", know=False, cfg=CFG)
    know(nodes, ("memory://good", 9), ("memory://b", 1))


@virtual
async def test_a_link_moves_to_its_favourite_when_that_works_again_and_loses_nothing() -> None:
    async with bench() as nodes:
        await _two_ways(nodes)
        nodes.wires.refused.add("good")
        nodes["a"].set_permanence(ID["b"], True)
        await up(nodes)
        await trio.sleep(100)
        assert nodes.proxy("a", "b").address == "memory://b"  # type: ignore[union-attr]
        tries = names(nodes).count("good")
        assert 2 <= tries <= 4
        nodes.wires.refused.clear()
        told = 0
        while nodes.proxy("a", "b").address == "memory://b":  # type: ignore[union-attr]
            await nodes["a"].tell(nodes.to("b"), Item(told))
            told += 1
            await trio.sleep(0.5)
            assert told < 1000
        await nodes["a"].send(nodes.to("b"), Item(told))
        assert nodes.journal("b").numbers() == [*range(told + 1)]
        assert nodes.proxy("a", "b").reconnects == 0  # type: ignore[union-attr]
        assert "memory://good" in {event.why for event in nodes.running["a"].events(Connected)}
        dials = len(names(nodes))
        await trio.sleep(3600)
        assert len(names(nodes)) == dials


@virtual
async def test_a_favourite_that_answers_and_breaks_again_and_again_moves_the_link_a_few_times_an_hour() -> None:
    async with bench() as nodes:
        await _two_ways(nodes)
        nodes["a"].set_permanence(ID["b"], True)
        await up(nodes)
        moves: list[float] = []
        async with trio.open_nursery() as nursery:

            async def break_it() -> None:
                while True:
                    await _over(nodes, "good", within=7200)
                    moves.append(trio.current_time())
                    await trio.sleep(3)
                    nodes.wires.refused.add("good")
                    nodes.wires.cut("a", "b")
                    await _over(nodes, "b", within=60)
                    nodes.wires.refused.clear()

            nursery.start_soon(break_it)
            for n in range(900):
                await nodes["a"].send(nodes.to("b"), Item(n))
                await trio.sleep(4)
            nursery.cancel_scope.cancel()
        assert 5 <= len(moves) <= 12
        assert all(later - earlier >= 20 for earlier, later in pairwise(moves))
        assert nodes.journal("b").numbers() == [*range(900)]


@virtual
async def test_only_who_dialed_moves_a_link() -> None:
    async with bench() as nodes:
        await _two_ways(nodes)
        nodes["b"].learn(nodes["a"].advert)
        nodes["b"].set_permanence(ID["a"], True)
        await nodes.until(lambda: nodes.ready("a", "b"))
        await trio.sleep(3600)
        assert names(nodes) == []


@virtual
async def test_a_try_that_hangs_leaves_the_link_as_it_is() -> None:
    async with bench() as nodes:
        await _two_ways(nodes)
        nodes.wires.silent.add("good")
        nodes["a"].set_permanence(ID["b"], True)
        await up(nodes)
        for n in range(60):
            await nodes["a"].send(nodes.to("b"), Item(n), expiry=1)
            await trio.sleep(10)
        assert 3 <= names(nodes).count("good") <= 8
        assert nodes.proxy("a", "b").connections == 1  # type: ignore[union-attr]
        assert nodes.running["a"].phases("b") == ["dialing", "handshaking", "ready"]


@virtual
async def test_people_are_told_what_an_upgrade_waits_for() -> None:
    async with bench() as nodes:
        await _two_ways(nodes)
        nodes.wires.refused.add("good")
        nodes["a"].set_permanence(ID["b"], True)
        await up(nodes)
        await trio.sleep(1)
        good, used = sorted(nodes["a"].explain(ID["b"]), key=lambda each: each.in_use)
        assert (good.url, used.url) == ("memory://good", "memory://b")
        assert good.better_in is not None
        assert good.cools_for == pytest.approx(14, abs=0.1)
        assert good.cools_for < good.better_in < 36
        assert good.tried_ago == pytest.approx(1, abs=0.1)
        assert used.better_in is None
        assert good.score == pytest.approx(4.5)
        assert 0.9 < used.score < 1
        nodes.wires.refused.clear()
        await _over(nodes, "good", within=60)
        assert all(each.better_in is None for each in nodes["a"].explain(ID["b"]))
