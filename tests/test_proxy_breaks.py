"""Connections that break at every moment of a message's way, between real nodes (PROTOCOL S, K)."""

from __future__ import annotations

import pytest
import trio
from proxies import CFG, ID, Bench, Item, Wires, bench, mute, outcome, virtual

from actors.errors import Expired, Lost, Refused
from actors.events import Disconnected
from actors.net.connecting.backoff import BackoffCfg
from actors.net.network import NetworkCfg
from actors.net.session.liveness import LivenessCfg
from transports.memory.pipes import Pipe


async def _tell(nodes: Bench, *numbers: int, to: str = "sink", expiry: float = 30.0) -> None:
    """From a to b."""
    for n in numbers:
        await nodes["a"].tell(nodes.to("b", to), Item(n), expiry=expiry)


# -- 1: after the message entered the mailbox, before the ack -------------------------------------------------


@virtual
@pytest.mark.parametrize("receiver_is_permanent", [False, True])
async def test_a_break_before_the_ack_neither_loses_nor_doubles_what_a_permanent_sender_wrote(
    receiver_is_permanent: bool,
) -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        nodes["b"].set_permanence(ID["a"], receiver_is_permanent)
        mute(nodes.wires.only("a", "b"), "b")
        await _tell(nodes, 0, 1, 2, 3, 4)
        await nodes.until(lambda: len(nodes.journal("b").got) == 5)
        assert nodes.ledger("a").in_flight == 5
        nodes.wires.cut("a", "b")
        await nodes.until(lambda: nodes.ledger("a").delivered == 5)
        await _tell(nodes, 5)
        await nodes.until(lambda: nodes.ledger("a").delivered == 6)
        assert nodes.journal("b").numbers() == [0, 1, 2, 3, 4, 5]


@virtual
async def test_a_break_before_the_ack_leaves_an_ephemeral_sender_in_doubt() -> None:
    async with bench("a", "b") as nodes:
        await nodes["a"].send(nodes.to("b"), Item(0))
        mute(nodes.wires.only("a", "b"), "b")
        sending = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(1)))
        await nodes.until(lambda: len(nodes.journal("b").got) == 2)
        nodes.wires.cut("a", "b")
        lost = await sending.wait()
        assert isinstance(lost, Lost)
        assert (lost.reason, lost.maybe_sent) == ("connection_lost", True)
        # S1: the next life counts from 1 again, and is not taken for the last one.
        await nodes["a"].send(nodes.to("b"), Item(2))
        assert nodes.journal("b").numbers() == [0, 1, 2]


@virtual
async def test_a_break_before_the_message_arrives_resends_it() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        mute(nodes.wires.only("a", "b"), "a")
        await _tell(nodes, 0, 1, 2)
        await nodes.until(lambda: (proxy := nodes.proxy("a", "b")) is not None and proxy.retained == 3)
        nodes.wires.cut("a", "b")
        await nodes.until(lambda: nodes.ledger("a").delivered == 3)
        assert nodes.journal("b").numbers() == [0, 1, 2]
        proxy = nodes.proxy("a", "b")
        assert proxy is not None
        assert (proxy.resent, proxy.reconnects) == (3, 1)


# -- 2: refusals ------------------------------------------------------------------------------------------------


@virtual
async def test_a_refusal_survives_breaks_before_its_ack() -> None:
    async with bench("a", "b", wires=Wires(latency=0.05)) as nodes:
        await nodes.link("a", "b")
        mute(nodes.wires.only("a", "b"), "b")
        sendings = [nodes.sending(lambda: nodes["a"].send(nodes.to("b", "nobody"), Item(0))) for _ in range(3)]
        await nodes.until(lambda: nodes.receive("b", "a").position == 3)
        nodes.wires.cut("a", "b")
        await nodes.until(lambda: nodes.state("b", "a") == "ready" and not nodes.ready("a", "b"))
        nodes.wires.cut("a", "b")  # again, while the Resume that tells it is on its way
        assert [str(await sending.wait()) for sending in sendings] == ["refused (no_engine)"] * 3
        assert nodes.ledger("a").delivered == 0


@virtual
async def test_a_refusal_is_counted_once_if_the_break_comes_before_the_peer_hears_that_it_was_heard() -> None:
    async with bench("a", "b", wires=Wires(latency=0.05)) as nodes:
        await nodes.link("a", "b")
        sending = nodes.sending(lambda: nodes["a"].send(nodes.to("b", "nobody"), Item(0)))
        await nodes.until(lambda: nodes.receive("b", "a").position == 1)
        mute(nodes.wires.only("a", "b"), "a")
        assert isinstance(await sending.wait(), Refused)
        assert len(nodes.receive("b", "a").refusals) == 1
        await nodes.reconnect("a", "b")
        await nodes.until(lambda: not nodes.receive("b", "a").refusals)
        assert nodes.ledger("a").refused == 1


# -- 3: expiry --------------------------------------------------------------------------------------------------


@virtual
async def test_a_message_that_expires_between_two_others_leaves_no_gap() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.refused.add("b")
        nodes["a"].set_permanence(ID["b"], True)
        await _tell(nodes, 0)
        sending = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(1), expiry=1))
        await _tell(nodes, 2)
        expired = await sending.wait()
        assert isinstance(expired, Expired)
        assert not expired.maybe_sent
        nodes.wires.refused.clear()
        await nodes.until(lambda: nodes.ledger("a").delivered == 2)
        assert nodes.journal("b").numbers() == [0, 2]
        assert nodes.broken_rules() == []


@virtual
async def test_a_written_message_that_expires_with_its_ack_on_the_way_is_settled_once() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        mute(nodes.wires.only("a", "b"), "b")
        sending = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(0), expiry=1))
        await _tell(nodes, 1)
        expired = await sending.wait()
        assert isinstance(expired, Expired)
        assert expired.maybe_sent
        await trio.sleep(0.1)
        nodes.wires.cut("a", "b")
        await nodes.until(lambda: nodes.ledger("a").in_flight == 0)
        ledger = nodes.ledger("a")
        assert (ledger.accepted, ledger.expired, ledger.delivered) == (2, 1, 1)
        assert sorted(nodes.journal("b").numbers()) == [0, 1]


@virtual
async def test_messages_that_expire_on_lost_connections_are_skipped_and_use_up_no_credit() -> None:
    async with bench("a", "b", cfg=NetworkCfg(backoff=BackoffCfg(cap=0.3))) as nodes:
        await nodes.link("a", "b")
        for n in range(20):  # more than the first credit
            mute(nodes.wires.only("a", "b"), "a")
            expired = await outcome(lambda n=n: nodes["a"].send(nodes.to("b"), Item(n), expiry=0.1))  # type: ignore[misc]
            assert isinstance(expired, Expired)
            assert expired.maybe_sent
            await nodes.reconnect("a", "b")
        await nodes["a"].send(nodes.to("b"), Item(20), expiry=1)
        assert nodes.journal("b").numbers() == [20]
        assert nodes.receive("b", "a").position == 21
        assert nodes.broken_rules() == []


# -- 5: credit --------------------------------------------------------------------------------------------------


@virtual
async def test_room_that_was_made_during_a_break_is_not_forgotten() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        mute(nodes.wires.only("a", "b"), "b")  # no credit comes back
        await _tell(nodes, *range(100))
        await nodes.until(lambda: len(nodes.journal("b").got) == 8)
        nodes.wires.cut("a", "b")
        await nodes.until(lambda: nodes.ledger("a").delivered == 100, within=5)
        assert nodes.journal("b").numbers() == list(range(100))


class Uneven(Wires):
    """The first connection has this latency, those that follow have that."""

    def __init__(self, first: float, then: float) -> None:
        super().__init__(latency=0.001)
        self._latencies = [then, first, first]  # two ways

    def make_pipe(self, sender: str, receiver: str) -> Pipe:
        latency = self._latencies.pop() if len(self._latencies) > 1 else self._latencies[0]
        return Pipe(lambda: latency, capacity=self.capacity)


async def _both_dial(nodes: Bench) -> None:
    for one, other in ("ab", "ba"):
        nodes[one].set_permanence(ID[other], True)


@virtual
async def test_last_words_on_a_connection_that_another_replaces_are_said_again() -> None:
    # The credit for the ninth message is on its way over the slow first connection when the fast second one,
    # whose Resume knows nothing of it, takes over (K1).
    wires = Uneven(first=0.05, then=0.036)
    async with bench("a", "b", wires=wires) as nodes:
        await _both_dial(nodes)
        for n in range(8):
            await nodes["a"].tell(nodes.to("b"), Item(n))
            await nodes["b"].tell(nodes.to("a"), Item(n))
        await trio.sleep(5)
        for here, there in ("ab", "ba"):
            await nodes[here].send(nodes.to(there), Item(8), expiry=1)
            assert nodes.journal(there).numbers() == list(range(9))
            assert nodes.ledger(here).delivered == 9


@virtual
@pytest.mark.parametrize("then", [0.003, 0.01, 0.03, 0.1, 0.3])
async def test_an_ack_that_overtakes_a_resume_costs_no_session(then: float) -> None:
    async with bench("a", "b", wires=Uneven(first=0.001, then=then)) as nodes:
        await _both_dial(nodes)
        for n in range(300):
            await nodes["a"].tell(nodes.to("b"), Item(n))
            await nodes["b"].tell(nodes.to("a"), Item(n))
            await trio.sleep(0.003)
        await nodes.until(lambda: nodes.ledger("a").delivered == nodes.ledger("b").delivered == 300)
        for name in "ab":
            assert nodes.journal(name).numbers() == list(range(300))
            assert nodes.running[name].letters() == []


# -- a break while a migration is under way ---------------------------------------------------------------


@virtual
async def test_an_ephemeral_proxy_whose_link_breaks_in_a_migration_that_fails_ends() -> None:
    async with bench("a", "b") as nodes:
        await nodes["a"].send(nodes.to("b"), Item(0))
        nodes.wires.connected = lambda connection: connection.blackhole()  # type: ignore[method-assign]
        await nodes["a"].migrate(ID["b"], "memory")
        await trio.sleep(0.1)
        nodes.wires.between("a", "b")[0].cut()
        await nodes.until(lambda: nodes.state("a", "b") == "handshaking")  # the migration's may still save it (C8)
        await nodes.until(lambda: nodes.state("a", "b") == "none", within=CFG.handshake_timeout + 1)


# -- half-open: what the socket takes proves nothing while it takes everything ---------------------------------------


@virtual
async def test_a_peer_that_is_cut_off_is_missed_in_time_however_much_the_socket_still_takes() -> None:
    """100 KB a second into a buffer of 8 MiB: the socket takes all of it, for a minute and more (T1)."""
    wires = Wires(capacity=8 << 20)
    async with bench("a", "b", wires=wires) as nodes:
        await nodes.link("a", "b")
        for n in range(2000):  # until the receiver gives it so much room that it can go on for long without a word
            await nodes["a"].tell(nodes.to("b"), Item(n, b"x" * 10_000))
        await nodes.until(lambda: nodes.ledger("a").delivered == 2000)
        nodes.wires.only("a", "b").blackhole()
        cut = trio.current_time()

        async def flow() -> None:
            for n in range(1, 400):
                nodes["a"].tell_nowait(nodes.to("b"), Item(n, b"x" * 10_000))
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flow)
            await nodes.until(lambda: nodes.running["a"].events(Disconnected), within=60)
            assert trio.current_time() - cut <= LivenessCfg().dead_after + 0.1
            nursery.cancel_scope.cancel()
