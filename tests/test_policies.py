"""Policies at work: at a dial, at whoever comes, after the proof; who is refused is told so, and keeps to it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import trio
from proxies import ID, KEYS, Bench, Question, bench, outcome, virtual
from test_hostile_peers import stranger_at

from actors.admission import ADMIT, AllowList, Capacity, Deny, DenyList, Later, Moment, Verdict, Visit
from actors.errors import Lost
from actors.events import DialFailed, EngineCrashed, PeerRefused
from actors.net.network import NetworkCfg
from actors.net.proving.adverts import NodeAdvert
from actors.net.proving.handshake import HandshakeFailed
from actors.testing.stranger import honest_dialer

HOUR = 3600.0


def only_at(moment: Moment, verdict: Verdict) -> Callable[[Visit], Verdict]:
    return lambda visit: verdict if visit.moment is moment else ADMIT


def _newer_advert(nodes: Bench, of: str, at: str) -> None:
    """The node learns one of another node."""
    known = nodes[of].advert
    addresses = [(address.url, address.weight) for address in known.addresses]
    nodes[at].learn(NodeAdvert.sign(KEYS[of], addresses, version=known.version + 1, created=known.created))


# -- at a dial --------------------------------------------------------------------------------------------


@virtual
async def test_a_node_does_not_dial_whom_its_own_policy_denies() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", policy=DenyList(nodes=frozenset({ID["a"]})))
        lost = await outcome(lambda: nodes["b"].ask(nodes.to("a"), Question(1)))
        assert isinstance(lost, Lost)
        assert not lost.maybe_sent
        assert "this node's policy: it is on the deny list" in str(lost)
        assert nodes.wires.dialed("b") == []


@virtual
async def test_a_permanent_link_that_the_own_policy_denies_waits_without_dialing() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", policy=DenyList(nodes=frozenset({ID["a"]})))
        nodes["b"].set_permanence(ID["a"], True)
        await trio.sleep(HOUR)
        assert nodes.wires.dialed("b") == []
        assert nodes.state("b", "a") == "backoff"
        assert len(nodes.running["b"].events(DialFailed)) == 1


@virtual
async def test_an_address_that_is_denied_leaves_the_others() -> None:
    policy = only_at(Moment.DIAL, ADMIT)
    async with bench("a") as nodes:
        await nodes.start("b", policy=lambda v: Deny("not there") if v.host == "elsewhere" else policy(v))
        addresses = [("memory://elsewhere", 9), ("memory://a", 1)]
        version = nodes["a"].advert.version + 1
        nodes["b"].learn(NodeAdvert.sign(KEYS["a"], addresses, version=version, created=0))
        assert await nodes["b"].ask(nodes.to("a"), Question(1)) == -1
        assert [name for _, _, name in nodes.wires.dials] == ["a"]


# -- at whoever comes -------------------------------------------------------------------------------------


@virtual
async def test_whoever_comes_from_a_denied_network_gets_a_hint_and_no_signature() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=only_at(Moment.ACCEPT, Deny("not from there")))
        stranger = await stranger_at(nodes, "a")
        with pytest.raises(HandshakeFailed, match="policy") as failed:
            await stranger.prove(KEYS["h"], ID["a"])
        assert not failed.value.signed
        (event,) = nodes.running["a"].events(PeerRefused)
        assert (event.peer, event.remote, event.why) == (None, "stranger", "not from there")
        assert nodes["a"].snapshot().statistics.door.hinted == 1


@virtual
async def test_a_hint_costs_an_attempt_and_nothing_more() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=only_at(Moment.ACCEPT, Deny("not from there")))
        await nodes.start("b")
        nodes["b"].set_permanence(ID["a"], True)
        await trio.sleep(HOUR)
        assert len(nodes.wires.dialed("b")) > 100, "with the usual delays, 30 s at most"


@virtual
async def test_over_capacity_before_the_proof_is_believed_for_30_seconds_at_most() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=only_at(Moment.ACCEPT, Later(1e9, "no")))
        await nodes.start("b")
        nodes["b"].set_permanence(ID["a"], True)
        await trio.sleep(100)
        dialed = nodes.wires.dialed("b")
        assert [30 <= later - sooner < 37 for sooner, later in pairwise(dialed)] == [True] * 3


# -- after the proof --------------------------------------------------------------------------------------


@virtual
async def test_a_signed_denial_is_not_tried_again_before_the_peers_advert_changes() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=AllowList(nodes=frozenset({ID["c"]})))
        await nodes.start("b")
        nodes["b"].set_permanence(ID["a"], True)
        await trio.sleep(10 * HOUR)
        assert len(nodes.wires.dialed("b")) == 1
        (failed,) = nodes.running["b"].events(DialFailed)
        assert failed.why == "denied"
        (refused,) = nodes.running["a"].events(PeerRefused)
        assert (refused.peer, refused.why) == (ID["b"], "it is not on the allow list")
        _newer_advert(nodes, "a", at="b")
        await trio.sleep(HOUR)
        assert len(nodes.wires.dialed("b")) == 2
        assert nodes["a"].proxies() == [], "who is denied leaves nothing behind"


@virtual
async def test_a_signed_denial_outlives_the_proxy_that_heard_it() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=AllowList(nodes=frozenset({ID["c"]})))
        await nodes.start("b")
        for _ in range(20):
            lost = await outcome(lambda: nodes["b"].ask(nodes.to("a"), Question(1)))
            assert isinstance(lost, Lost), lost
            assert not lost.maybe_sent
            assert "denied" in lost.reason
        assert len(nodes.wires.dialed("b")) == 1
        with pytest.raises(Lost):
            await nodes["b"].connect(ID["a"], permanent=False)
        assert len(nodes.wires.dialed("b")) == 2, "somebody has asked for it"


@virtual
async def test_who_denied_may_come_itself_and_is_forgiven() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=only_at(Moment.PROOF, Deny("calls, and is not called")))
        await nodes.start("b")
        nodes["b"].set_permanence(ID["a"], True)
        await nodes.until(lambda: nodes.running["b"].events(DialFailed))
        await nodes["a"].connect(ID["b"])
        assert await nodes["b"].ask(nodes.to("a"), Question(1)) == -1


@pytest.mark.parametrize("permanent", [True, False])
@virtual
async def test_nobody_comes_again_before_the_signed_time_is_over(permanent: bool) -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=only_at(Moment.PROOF, Later(100.0, "full")))
        await nodes.start("b")
        nodes["b"].set_permanence(ID["a"], permanent)
        for _ in range(20):
            await outcome(lambda: nodes["b"].ask(nodes.to("a"), Question(1), expiry=20.0))
        dialed = nodes.wires.dialed("b")
        assert len(dialed) >= 4
        assert all(later - sooner >= 100 for sooner, later in pairwise(dialed)), dialed
        assert {event.why for event in nodes.running["b"].events(DialFailed)} == {"over_capacity"}


@virtual
async def test_a_signed_time_is_believed_for_ten_minutes_at_most() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=only_at(Moment.PROOF, Later(1e9, "full")))
        await nodes.start("b")
        nodes["b"].set_permanence(ID["a"], True)
        await trio.sleep(HOUR)
        assert len(nodes.wires.dialed("b")) == 6


@virtual
async def test_after_a_signed_refusal_no_other_address_of_that_node_is_dialed() -> None:
    async with bench() as nodes:
        listen = ("memory://a", "memory://a2", "memory://a3")
        await nodes.start("a", policy=only_at(Moment.PROOF, Later(100.0, "full")), listen=listen)
        await nodes.start("b")
        nodes["b"].set_permanence(ID["a"], True)
        await trio.sleep(90)
        assert len(nodes.wires.dialed("b")) == 1


# -- capacity ---------------------------------------------------------------------------------------------


@virtual
async def test_a_place_is_free_again_when_its_link_is_gone() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=Capacity(links=1, retry_after=50.0))
        await nodes.start("b")
        await nodes.start("c")
        assert await nodes["b"].ask(nodes.to("a"), Question(1)) == -1
        asking = nodes.sending(lambda: nodes["c"].ask(nodes.to("a"), Question(2), expiry=200.0))
        await nodes.until(lambda: nodes.running["a"].events(PeerRefused))
        nodes["b"].close(ID["a"])
        assert await asking.wait() == -2
        first, second = nodes.wires.dialed("c")
        assert second - first >= 50


@virtual
async def test_permanent_peers_have_their_places_when_others_come_in_crowds() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=Capacity(links=4, kept=2))
        for name in "defgh":
            await nodes.start(name)
            nodes.sending(lambda name=name: nodes[name].ask(nodes.to("a"), Question(1)))  # type: ignore[misc]
        await nodes.until(lambda: len(nodes.running["a"].events(PeerRefused)) >= 3)
        for name in "bc":
            await nodes.start(name)
            nodes["a"].set_permanence(ID[name], True)
            await nodes["b" if name == "b" else "c"].connect(ID["a"])
        assert {proxy.permanence for proxy in nodes["a"].proxies()} == {"permanent", "ephemeral"}
        assert len(nodes["a"].proxies()) == 4
        refused = {event.peer for event in nodes.running["a"].events(PeerRefused)}
        assert not refused & {ID["b"], ID["c"]}


@virtual
async def test_many_that_prove_themselves_at_once_get_no_more_places_than_there_are() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=Capacity(links=2))
        for name in "bcdefgh":
            await nodes.start(name)
        for name in "bcdefgh":
            nodes.sending(lambda name=name: nodes[name].ask(nodes.to("a"), Question(1), expiry=1.0))  # type: ignore[misc]
        await trio.sleep(5)
        assert len(nodes["a"].proxies()) == 2
        assert len(nodes.running["a"].events(PeerRefused)) == 5


@virtual
async def test_a_peer_that_comes_back_while_its_old_connection_is_still_there_is_not_one_more() -> None:
    async with bench() as nodes:
        await nodes.start("a", policy=Capacity(links=1))
        await nodes.start("b")
        await nodes.link("b", "a")
        await nodes.reconnect("b", "a")
        assert nodes.running["a"].events(PeerRefused) == []


# -- policies that are wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", Moment)
@virtual
async def test_a_policy_that_raises_costs_a_connection_and_never_the_node(moment: Moment) -> None:
    def policy(visit: Visit) -> Verdict:
        if visit.moment is moment and wrong:
            raise ZeroDivisionError("in the policy")
        return ADMIT

    wrong = True
    async with bench() as nodes:
        nodes.crashes_expected = True
        await nodes.start("a", policy=policy)
        await nodes.start("b", policy=policy)
        nodes["b"].set_permanence(ID["a"], True)
        await trio.sleep(60)
        assert not nodes.ready("b", "a")
        crashes = [event.error for name in "ab" for event in nodes.running[name].events(EngineCrashed)]
        assert crashes
        assert all("in the policy" in error for error in crashes)
        wrong = False
        await nodes.until(lambda: nodes.ready("b", "a"))


# -- the rate of handshakes -------------------------------------------------------------------------------


@virtual
async def test_handshakes_that_come_too_fast_wait_for_their_turn() -> None:
    async with bench(cfg=NetworkCfg(handshakes=10.0)) as nodes:
        await nodes.start("a", cfg=NetworkCfg(handshakes=10.0))
        answered: list[float] = []
        began = trio.current_time()

        async def come() -> None:
            stranger = await stranger_at(nodes, "a")
            await stranger.send(honest_dialer(KEYS["h"], ID["a"]).request())
            await stranger.hear()
            answered.append(trio.current_time() - began)

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(come)
        assert sum(at < 0.05 for at in answered) == 1
        assert max(answered) == pytest.approx(0.9, abs=0.05)
        door = nodes["a"].snapshot().statistics.door
        assert (door.came, door.delayed, door.unproven) == (10, 9, 10)


@virtual
async def test_a_peer_that_is_known_gives_its_turn_back() -> None:
    async with bench() as nodes:
        await nodes.start("a", cfg=NetworkCfg(handshakes=0.1))
        await nodes.start("b")
        for _ in range(3):
            assert await nodes["b"].ask(nodes.to("a"), Question(1), expiry=60.0) == -1
            nodes["b"].close(ID["a"])
            await nodes.until(lambda: not nodes.ready("a", "b"))
            await trio.sleep(2.0)
        assert trio.current_time() < 10.0  # strangers would have taken 10 s each from the second on
        assert nodes["a"].snapshot().statistics.door.delayed == 0


@virtual
async def test_a_peer_that_comes_all_the_time_is_held_up_like_a_stranger() -> None:
    async with bench() as nodes:
        await nodes.start("a", cfg=NetworkCfg(handshakes=1.0))
        await nodes.start("b")
        began = trio.current_time()
        for _ in range(8):
            assert await nodes["b"].ask(nodes.to("a"), Question(1), expiry=60.0) == -1
            nodes["b"].close(ID["a"])
            await nodes.until(lambda: not nodes.ready("a", "b"))
        assert trio.current_time() - began > 3.0


@virtual
async def test_who_cannot_have_a_turn_in_time_is_closed_and_holds_up_nobody() -> None:
    async with bench() as nodes:
        await nodes.start("a", cfg=NetworkCfg(handshakes=1.0))
        strangers = [await stranger_at(nodes, "a") for _ in range(16)]
        for stranger in strangers:
            await stranger.send(honest_dialer(KEYS["h"], ID["a"]).request())
        await nodes.start("b")
        assert await nodes["b"].ask(nodes.to("a"), Question(1), expiry=60.0) == -1
        await nodes.until(lambda: nodes["a"].snapshot().statistics.door.unproven == 0, within=6.0)


@virtual
async def test_a_silent_stranger_takes_no_turn() -> None:
    async with bench() as nodes:
        await nodes.start("a", cfg=NetworkCfg(handshakes=1.0))
        for _ in range(10):
            await stranger_at(nodes, "a")
        await nodes.start("b")
        assert await nodes["b"].ask(nodes.to("a"), Question(1), expiry=0.5) == -1
