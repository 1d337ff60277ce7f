"""How connections and proxies end: idle, stopped, cut one way; nothing is left (section 14: 11, 14, 15; D, T)."""

from __future__ import annotations

import pytest
import trio
from proxies import CFG, ID, Bench, Item, Question, Wait, Wires, bench, mute, outcome, virtual

from actors.errors import Lost, Refused
from actors.net.life.phases import Facts
from actors.net.network import NetworkCfg
from actors.net.node_proxy import NodeProxy
from actors.net.session.closing import Asked
from actors.net.session.liveness import LivenessCfg
from actors.testing.virtual.runner import run_virtual

IDLE = NetworkCfg(idle_after=2.0)


async def _gone(nodes: Bench, one: str = "a", other: str = "b") -> None:
    await nodes.until(lambda: nodes.state(one, other) == nodes.state(other, one) == "none", every=0.05)


# -- 11: idle close ---------------------------------------------------------------------------------------------


@virtual
async def test_an_idle_connection_is_closed_by_both_ends_with_no_message_lost() -> None:
    async with bench("a", "b", cfg=IDLE) as nodes:
        await nodes["a"].send(nodes.to("b"), Item(0))
        await trio.sleep(1.5)
        assert nodes.state("a", "b") == nodes.state("b", "a") == "ready"
        await _gone(nodes)
        assert trio.current_time() < 4
        assert nodes.wires.connections == []
        await nodes["b"].send(nodes.to("a"), Item(1))
        assert (nodes.journal("b").numbers(), nodes.journal("a").numbers()) == ([0], [1])


@virtual
async def test_a_connection_is_not_idle_while_a_question_is_open() -> None:
    async with bench("a", "b", cfg=IDLE) as nodes:
        assert await nodes["a"].ask(nodes.to("b"), Wait(0, 20)) == "waited for 0"
        assert len(nodes.wires.dials) == 1


@virtual
@pytest.mark.parametrize("holder", ["a", "b"])
async def test_a_connection_that_one_end_holds_is_not_closed_however_idle(holder: str) -> None:
    async with bench("a", "b", cfg=IDLE) as nodes:
        await nodes["a"].send(nodes.to("b"), Item(0))
        other = "b" if holder == "a" else "a"
        nodes[holder].set_permanence(ID[other], True)
        await trio.sleep(100)
        assert nodes.running["a"].phases("b") == ["dialing", "handshaking", "ready"]
        await nodes[other].send(nodes.to(holder), Item(1), expiry=1)
        nodes[holder].set_permanence(ID[other], False)
        await _gone(nodes)


@virtual
@pytest.mark.parametrize("cancelled", [False, True], ids=["kept", "cancelled"])
async def test_what_is_asked_after_a_promise_of_silence_goes_to_the_next_connection(cancelled: bool) -> None:
    async with bench("b", wires=Wires(latency=0.1)) as nodes:
        await nodes.start("a", cfg=IDLE)  # a asks to close, b only answers
        await nodes["a"].send(nodes.to("b"), Item(0))
        await nodes.until(lambda: nodes.current("b", "a").closing.state is Asked.PROMISED)
        nodes.wires.silent.add("a")
        asking = nodes.sending(lambda: nodes["b"].ask(nodes.to("a"), Question(1)))
        await nodes.until(lambda: nodes.running["b"].phases("a")[-1:] == ["dialing"])
        assert nodes.running["b"].phases("a") == ["ready", "closed", "dialing"]
        if cancelled:
            await asking.cancel()
            await trio.sleep(0.1)
            assert nodes.state("b", "a") == "none"
            assert nodes.ledger("b").expired == 1
        else:
            nodes.wires.silent.clear()
            await nodes["a"].send(nodes.to("b"), Item(2))
            assert await asking.wait() == -1


def test_a_break_in_the_middle_of_an_idle_close_loses_nothing() -> None:
    async def cut_after(delay: float) -> None:
        async with bench("a", "b", cfg=IDLE, wires=Wires(latency=0.01)) as nodes:
            await nodes["a"].send(nodes.to("b"), Item(0))
            began = trio.current_time()
            await trio.sleep_until(began + 1.97 + delay)
            for name, other in ("ab", "ba"):
                await nodes[name].tell(nodes.to(other), Item(1), expiry=5)
            await trio.sleep(0.002)
            nodes.wires.cut("a", "b")
            await trio.sleep(10)
            for name in "ab":
                ledger = nodes.ledger(name)
                assert ledger.in_flight == 0
                letters = nodes.running[name].letters()
                arrived = nodes.journal("b" if name == "a" else "a").numbers().count(1)
                assert arrived == 1 or letters == ["lost (connection_lost), perhaps sent"], letters

    for step in range(60):
        run_virtual(lambda: cut_after(step * 0.002), seed=step)  # noqa: B023 - called here


# -- 14: the node stops -----------------------------------------------------------------------------------------


@virtual
async def test_a_node_that_stops_sends_what_it_has_accepted() -> None:
    async with bench("a", "b", wires=Wires(latency=0.05)) as nodes:
        await nodes.link("a", "b")
        for n in range(500):
            await nodes["a"].tell(nodes.to("b"), Item(n))
        a = nodes.running["a"]
        began = trio.current_time()
        await nodes.stop("a")
        assert trio.current_time() - began < CFG.drain_timeout / 2
        assert nodes.journal("b").numbers() == list(range(500))
        assert a.node.snapshot().statistics.ledger.delivered == 500
        assert a.letters() == []


@virtual
async def test_two_nodes_that_stop_at_once_drain_into_each_other() -> None:
    async with bench("a", "b", wires=Wires(latency=0.02)) as nodes:
        await nodes.link("a", "b")
        for n in range(100):
            await nodes["a"].tell(nodes.to("b"), Item(n))
            await nodes["b"].tell(nodes.to("a"), Item(n))
        both = nodes.running["a"], nodes.running["b"]
        began = trio.current_time()
        await nodes.stop("a", "b")
        assert trio.current_time() - began < CFG.drain_timeout + 1
        for running in both:
            ledger = running.node.snapshot().statistics.ledger
            assert ledger.in_flight == 0
            assert ledger.accepted == 100 == ledger.delivered + ledger.refused + ledger.lost


@virtual
async def test_a_node_stops_within_its_time_though_the_peer_is_silent() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        mute(nodes.wires.only("a", "b"), "b")
        written = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(0)))
        await nodes.until(lambda: nodes.journal("b").numbers() == [0])
        began = trio.current_time()
        await nodes.stop("a")
        assert CFG.drain_timeout <= trio.current_time() - began < CFG.drain_timeout + 1
        lost = await written.wait()
        assert isinstance(lost, Lost)
        assert (lost.reason, lost.maybe_sent) == ("node_stopped", True)


@virtual
@pytest.mark.parametrize("phase", ["dialing", "backoff"])
async def test_what_waits_for_a_connection_is_lost_when_the_node_stops(phase: str) -> None:
    async with bench("a", "b") as nodes:
        (nodes.wires.silent if phase == "dialing" else nodes.wires.refused).add("b")
        waiting = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(0)))
        await nodes.until(lambda: nodes.state("a", "b") == phase)
        began = trio.current_time()
        await nodes.stop("a")
        assert trio.current_time() - began < 0.1
        lost = await waiting.wait()
        assert isinstance(lost, Lost)
        assert (lost.reason, lost.maybe_sent) == ("node_stopped", False)


def test_a_node_may_stop_at_each_moment_of_an_idle_close() -> None:
    async def stop_after(delay: float, name: str) -> None:
        async with bench("a", "b", cfg=IDLE, wires=Wires(latency=0.01)) as nodes:
            await nodes["a"].send(nodes.to("b"), Item(0))
            await trio.sleep(1.98 + delay)
            began = trio.current_time()
            await nodes.stop(name)
            assert trio.current_time() - began < 1
            await trio.sleep(5)
            assert nodes["b" if name == "a" else "a"].proxies() == []

    for step in range(30):
        run_virtual(lambda: stop_after(step * 0.003, "ab"[step % 2]), seed=step)  # noqa: B023 - called here


@virtual
async def test_a_node_that_drains_while_it_hears_an_advert_does_not_wait_for_itself() -> None:
    async with bench("b", wires=Wires(latency=0.2)) as nodes:
        await nodes.start("a", know=False)
        nodes["a"].learn(nodes["b"].advert)
        nodes["a"].set_permanence(ID["b"], True)
        await nodes.until(lambda: nodes.ready("b", "a"))  # the advert of a is on its way to b
        await nodes["b"].tell(nodes.to("a"), Item(0))
        began = trio.current_time()
        await nodes.stop("b")
        assert trio.current_time() - began < 1
        assert nodes.journal("a").numbers() == [0]


@virtual
async def test_a_peer_that_stops_is_not_called_again_at_once_and_then_it_is() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        await trio.sleep(20)
        await nodes.stop("b")
        stopped = trio.current_time()
        await trio.sleep(0.9)
        assert [at for at in nodes.wires.dialed("a") if at >= stopped] == []  # GoAway asked for a second
        await nodes.start("b", know=False)
        await nodes["a"].send(nodes.to("b"), Item(0), expiry=2)


@virtual
async def test_a_message_for_an_engine_that_has_ended_on_a_node_that_stops_is_refused() -> None:
    async with bench("a", "b", wires=Wires(latency=0.1)) as nodes:
        await nodes.link("a", "b")
        await nodes["b"].tell(nodes.to("a"), Item(0))  # keeps b draining until it is acknowledged
        late = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(1)))
        await trio.lowlevel.checkpoint()
        await nodes.stop("b")
        refused = await late.wait()
        assert isinstance(refused, Refused)
        assert refused.reason == "stopped"


def test_what_is_handed_over_in_the_last_moment_of_a_node_is_lost_and_not_forgotten() -> None:
    async def send_after(steps: int) -> None:
        async with bench("a", "b") as nodes:
            a = nodes["a"]
            await a.send(nodes.to("b"), Item(0))
            nodes.wires.cut("a", "b")  # the next message needs another proxy, while this one is about to end
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            nodes.running["a"].scope.cancel()
            await outcome(lambda: a.tell(nodes.to("b"), Item(1)))
            late = nodes.sending(lambda: a.send(nodes.to("b"), Item(2)))
            await nodes.kill("a")
            assert isinstance(await late.wait(), Lost | Refused)
            assert a.snapshot().statistics.ledger.in_flight == 0

    for steps in range(40):
        run_virtual(lambda: send_after(steps), seed=steps)  # noqa: B023 - called here


@virtual
async def test_a_proxy_that_crashes_costs_its_own_messages_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench("a", "b", "c") as nodes:
        nodes.crashes_expected = True
        await nodes.link("a", "b")
        await nodes["a"].send(nodes.to("c"), Item(0))
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 5.0)))
        await nodes.until(lambda: nodes.journal("b").began == [0])

        facts, crashes = NodeProxy._facts, list[str]()

        def crash_once(self: NodeProxy) -> Facts:
            if not crashes:
                crashes.append(self.id.name)
                raise RuntimeError("as told")
            return facts(self)

        monkeypatch.setattr(NodeProxy, "_facts", crash_once)
        nodes["a"].dial_now(ID["b"])
        assert isinstance(await asking.wait(), Lost)
        assert crashes == [str(ID["b"])]
        await nodes.until(lambda: nodes.ready("a", "b"), within=2)  # for it is held as permanent
        await nodes["a"].send(nodes.to("b"), Item(1))
        await nodes["a"].send(nodes.to("c"), Item(1))
        assert nodes.running["a"].phases("c") == ["dialing", "handshaking", "ready"]


@virtual
async def test_after_its_end_a_node_refuses_instead_of_accepting() -> None:
    async with bench("a", "b") as nodes:
        a = nodes["a"]
        await a.send(nodes.to("b"), Item(0))
        await nodes.stop("a")
        refused = await outcome(lambda: a.send(nodes.to("b"), Item(1)))
        assert isinstance(refused, Refused)
        assert a.snapshot().statistics.ledger.in_flight == 0


# -- 15: one-way cuts -------------------------------------------------------------------------------------------


@virtual
@pytest.mark.parametrize("muted", ["a", "b"])
@pytest.mark.parametrize("traffic", [False, True], ids=["idle", "traffic"])
async def test_a_connection_that_carries_one_way_only_is_noticed_by_both(muted: str, traffic: bool) -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        await trio.sleep(20)
        old = nodes.wires.only("a", "b")
        mute(old, muted)
        began = trio.current_time()
        if traffic:
            for n in range(50):
                await nodes["a"].tell(nodes.to("b"), Item(n))
                await nodes["b"].tell(nodes.to("a"), Item(n), expiry=3600)
        await nodes.until(lambda: old.dialer.lost and old.acceptor.lost, every=0.1)
        assert trio.current_time() - began < CFG.liveness.dead_after + CFG.liveness.ping_after + 1
        await nodes.until(lambda: nodes.ready("a", "b"), within=2)
        if traffic:
            await nodes.until(lambda: nodes.ledger("a").delivered == 50)
            assert nodes.journal("b").numbers() == list(range(50))


@virtual
async def test_a_quiet_link_is_not_taken_for_a_dead_one() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        await trio.sleep(3600)
        assert len(nodes.wires.dials) == 1


@virtual
async def test_a_large_message_on_a_slow_link_is_not_taken_for_a_dead_one() -> None:
    class Slow(Wires):
        def make_pipe(self, sender: str, receiver: str) -> object:  # type: ignore[override]
            pipe = super().make_pipe(sender, receiver)
            pipe.delay = lambda size: size / 37_500  # type: ignore[method-assign]  # 0.3 Mbit/s
            return pipe

    async with bench("a", "b", wires=Slow(capacity=4096)) as nodes:
        await nodes.link("a", "b")
        await nodes["a"].send(nodes.to("b"), Item(0, bytes(1_000_000)), expiry=120)
        assert len(nodes.wires.dials) == 1


# -- nothing is left behind -------------------------------------------------------------------------------------


@virtual
async def test_ephemeral_proxies_that_come_and_go_leave_nothing_behind() -> None:
    async with bench("a", "b", cfg=NetworkCfg(idle_after=0.5, liveness=LivenessCfg())) as nodes:

        def left() -> list[object]:
            statistics = nodes["a"].runtime.statistics()
            tasks = trio.lowlevel.current_statistics().tasks_living
            return [tasks, statistics.engines, statistics.alarms, statistics.asks, len(nodes["a"].proxies())]

        before = left()
        for n in range(200):
            await nodes["a"].tell(nodes.to("b"), Item(n))
            assert await nodes["a"].ask(nodes.to("b"), Question(n)) == -n
            await _gone(nodes)
        await trio.sleep(60)
        assert left() == before
        assert nodes.wires.connections == []
        assert nodes.ledger("a").delivered == 400
