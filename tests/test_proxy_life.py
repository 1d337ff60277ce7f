"""How a proxy begins, waits, and is made to stay (PROTOCOL section 14: 12, 13; L, and the backoff)."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from proxies import CFG, ID, Bench, Item, Question, bench, mute, outcome, virtual

from actors.errors import Expired, Lost
from actors.net.connecting.backoff import BackoffCfg
from actors.net.network import NetworkCfg
from actors.testing.virtual.runner import run_virtual

IDLE = NetworkCfg(idle_after=2.0)


async def _gone(nodes: Bench, one: str = "a", other: str = "b") -> None:
    await nodes.until(lambda: nodes.state(one, other) == nodes.state(other, one) == "none", every=0.05)


# -- the beginning ----------------------------------------------------------------------------------------------


@virtual
async def test_concurrent_first_sends_make_one_proxy_and_one_dial() -> None:
    async with bench("a", "b") as nodes:
        sendings = [nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(0))) for _ in range(20)]
        sendings += [nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Question(1))) for _ in range(20)]
        values = [await sending.wait() for sending in sendings]
        assert values == [None] * 20 + [-1] * 20
        assert len(nodes.wires.dials) == 1
        assert nodes.running["a"].phases("b") == ["dialing", "handshaking", "ready"]


@virtual
async def test_a_connection_can_be_asked_for_before_there_is_anything_to_send() -> None:
    async with bench("a", "b", "c") as nodes:
        await nodes["a"].connect(ID["b"], permanent=False)
        assert nodes.ready("a", "b")
        nodes["a"].dial_now(ID["c"])
        await nodes.until(lambda: nodes.ready("a", "c"), within=1)
        nodes.wires.refused.add("b")
        nodes.wires.cut("a", "b")
        await _gone(nodes)
        lost = await outcome(lambda: nodes["a"].connect(ID["b"], permanent=False))
        assert isinstance(lost, Lost)


# -- 13: several addresses, and none that works -----------------------------------------------------------------


@virtual
async def test_a_dead_address_delays_the_next_one_by_a_moment_only() -> None:
    for dead in ("refused", "silent"):
        async with bench("a") as nodes:
            getattr(nodes.wires, dead).add("b-one")
            await nodes.start("b", listen=("memory://b-one", "memory://b-two"))
            began = trio.current_time()
            await nodes["a"].send(nodes.to("b"), Item(0))
            assert trio.current_time() - began < 0.3
            assert [name for _, _, name in nodes.wires.dials] == ["b-one", "b-two"]


@virtual
async def test_an_ephemeral_proxy_tries_until_its_queue_expires_and_then_ends() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.refused.add("b")
        first = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(0), expiry=5))
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Question(1), expiry=7))
        for sending in (first, asking):
            expired = await sending.wait()
            assert isinstance(expired, Expired)
            assert not expired.maybe_sent
        assert trio.current_time() == pytest.approx(7)
        await trio.sleep(0.2)
        assert nodes.state("a", "b") == "none"
        assert len(nodes.wires.dials) > 5
        nodes.wires.refused.clear()
        await nodes["a"].send(nodes.to("b"), Item(2))
        assert nodes.journal("b").numbers() == [2]


# -- the backoff ------------------------------------------------------------------------------------------------


@virtual
async def test_a_permanent_link_is_dialed_again_at_growing_intervals_and_for_ever() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.refused.add("b")
        nodes["a"].set_permanence(ID["b"], True)
        await trio.sleep(600)
        dialed = nodes.wires.dialed("a")
        base = CFG.backoff.first
        for before, after in pairwise(dialed):
            assert 0.8 * base - 1e-6 <= after - before <= 1.2 * base + 0.01
            base = min(base * CFG.backoff.factor, CFG.backoff.cap)
        assert base == CFG.backoff.cap
        assert len(dialed) > 25


@virtual
async def test_a_link_is_up_again_soon_after_the_fault_heals() -> None:
    cfg = NetworkCfg(backoff=BackoffCfg(cap=5))
    for silent in (False, True):
        async with bench("a", "b", cfg=cfg) as nodes:
            faulty = nodes.wires.silent if silent else nodes.wires.refused
            faulty.add("b")
            nodes["a"].set_permanence(ID["b"], True)
            await trio.sleep(100.3)
            faulty.clear()
            healed = trio.current_time()
            await nodes.until(lambda: nodes.ready("a", "b"))
            assert trio.current_time() - healed < 1.2 * 5 + cfg.handshake_timeout  # P6


@virtual
async def test_only_a_connection_that_stood_for_a_while_starts_the_intervals_anew() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        for _ in range(12):
            await nodes.reconnect("a", "b", within=40)
        began = trio.current_time()
        await nodes.reconnect("a", "b", within=40)
        assert trio.current_time() - began > 20
        await trio.sleep(CFG.backoff.steady + 1)
        began = trio.current_time()
        await nodes.reconnect("a", "b")
        assert trio.current_time() - began < 0.3


@virtual
async def test_a_newer_advert_wakes_a_link_that_waits() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", listen=("memory://b-old",))
        await nodes.link("a", "b")
        await nodes.kill("b")
        await trio.sleep(300)
        assert nodes.state("a", "b") == "backoff"
        await nodes.start("b", listen=("memory://b-new",))  # whose advert a learns
        began = trio.current_time()
        await nodes["a"].send(nodes.to("b"), Item(0))
        assert trio.current_time() - began < 1


@virtual
async def test_an_inbound_connection_ends_the_wait_of_a_link() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.refused.add("b")
        nodes["a"].set_permanence(ID["b"], True)
        await trio.sleep(300)
        await nodes["b"].send(nodes.to("a"), Item(0), expiry=1)
        await nodes["a"].send(nodes.to("b"), Item(0), expiry=1)
        dials = len(nodes.wires.dials)
        await trio.sleep(300)
        assert len(nodes.wires.dials) == dials


# -- 12: permanence ---------------------------------------------------------------------------------------------


def _hold(nodes: Bench, permanent: bool) -> None:
    nodes["a"].set_permanence(ID["b"], permanent)


@virtual
async def test_permanence_can_come_and_go_in_each_phase() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.silent.add("b")
        sending = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(0), expiry=100))
        await trio.sleep(1)
        assert nodes.state("a", "b") == "dialing"
        _hold(nodes, True)
        _hold(nodes, False)
        await trio.sleep(1)
        assert nodes.state("a", "b") == "dialing"  # for something is queued (L4)
        nodes.wires.silent.clear()
        nodes.wires.refused.add("b")
        await nodes.until(lambda: nodes.state("a", "b") == "backoff")
        _hold(nodes, True)
        _hold(nodes, False)
        await trio.sleep(0.001)
        assert nodes.state("a", "b") == "dialing"  # again: it might have been told to wait for ever
        nodes.wires.refused.clear()
        assert await sending.wait() is None
        _hold(nodes, True)
        await trio.sleep(0.1)
        _hold(nodes, False)
        await trio.sleep(0.1)
        assert nodes.state("a", "b") == "ready"
        nodes.wires.cut("a", "b")
        await trio.sleep(0.1)
        assert nodes.state("a", "b") == "none"
        assert nodes.journal("b").numbers() == [0]


@virtual
async def test_an_idle_link_that_is_permanent_no_more_ends_in_each_phase() -> None:
    for fault in ("silent", "refused"):
        async with bench("a", "b") as nodes:
            getattr(nodes.wires, fault).add("b")
            _hold(nodes, True)
            await trio.sleep(3)
            assert nodes.state("a", "b") == ("dialing" if fault == "silent" else "backoff")
            _hold(nodes, False)
            await trio.sleep(0.1)
            assert nodes.state("a", "b") == "none"


@virtual
async def test_a_link_that_becomes_ephemeral_while_it_waits_gives_up_what_was_written() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        mute(nodes.wires.only("a", "b"), "b")
        written = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(0)))
        await nodes.until(lambda: nodes.journal("b").numbers() == [0])
        nodes.wires.refused.add("b")
        nodes.wires.cut("a", "b")
        await nodes.until(lambda: nodes.state("a", "b") == "backoff")
        queued = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(1)))
        nodes["a"].set_permanence(ID["b"], False, holder="node")
        lost = await written.wait()
        assert isinstance(lost, Lost)
        assert (lost.reason, lost.maybe_sent) == ("connection_lost", True)
        nodes.wires.refused.clear()
        assert await queued.wait() is None
        assert nodes.journal("b").numbers() == [0, 1]


def test_a_send_in_the_moment_in_which_a_proxy_ends_goes_to_the_next_one() -> None:
    async def send_after(delay: float) -> None:
        async with bench("a", "b", cfg=IDLE) as nodes:
            await nodes["a"].tell(nodes.to("b"), Item(0))  # the handle that is kept (L2)
            await trio.sleep(2.0 + delay)
            for n in (1, 2, 3):
                await nodes["a"].tell(nodes.to("b"), Item(n))
                await nodes["b"].tell(nodes.to("a"), Item(n))
            assert await nodes["a"].ask(nodes.to("b"), Question(4)) == -4
            assert await nodes["b"].ask(nodes.to("a"), Question(4)) == -4
            assert nodes.journal("b").numbers() == [0, 1, 2, 3, 4]
            assert nodes.journal("a").numbers() == [1, 2, 3, 4]
            for name in "ab":
                assert nodes.running[name].letters() == []

    for step in range(80):
        run_virtual(lambda: send_after(step * 0.00025), seed=step)  # noqa: B023 - called here


def test_permanence_in_the_moment_in_which_a_proxy_ends_makes_another_one() -> None:
    async def hold_after(delay: float) -> None:
        async with bench("a", "b", cfg=IDLE) as nodes:
            await nodes["a"].send(nodes.to("b"), Item(0))
            await trio.sleep(2.0 + delay)
            _hold(nodes, True)
            await trio.sleep(1)
            assert nodes.ready("a", "b")
            assert nodes.ready("b", "a")

    for step in range(40):
        run_virtual(lambda: hold_after(step * 0.0005), seed=step)  # noqa: B023 - called here
