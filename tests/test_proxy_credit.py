"""Mailboxes and the room in them, between real nodes: slow engines, many peers, large messages (PROTOCOL K)."""

from __future__ import annotations

import pytest
import trio
from proxies import ID, Bench, Gated, Item, Journal, Question, bench, outcome, virtual

from actors.engine import Engine, on
from actors.errors import Expired, Refused
from actors.identity import EngineID

# -- slow engines -----------------------------------------------------------------------------------------------


@virtual
async def test_an_engine_that_never_reads_holds_up_no_other() -> None:
    async with bench("a", "b") as nodes:
        gate = trio.Event()
        nodes["b"].spawn(Gated(journal=nodes.journal("b"), gate=gate), "stuck")
        async with trio.open_nursery() as nursery:

            async def flood() -> None:
                for n in range(20_000):
                    await nodes["a"].tell(nodes.to("b", "stuck"), Item(n), expiry=3600)

            nursery.start_soon(flood)
            await trio.sleep(1)
            proxy = nodes.proxy("a", "b")
            assert proxy is not None
            assert 1000 < proxy.queued < 4096  # it has not got all of the outbox
            for n in range(50):
                assert await nodes["a"].ask(nodes.to("b"), Question(n), expiry=0.1) == -n
            gate.set()
        await nodes.until(lambda: nodes.ledger("a").delivered == 20_050)
        received = [n for _, n in nodes.journal("b").got[50:]]
        assert received == list(range(20_000))


class Slow(Engine):
    """Takes its time for each Item."""

    journal: Journal

    @on(Item)
    async def item(self, msg: Item) -> None:
        await trio.sleep(0.001)
        self.journal.got.append((str(self.sender), msg.n))


@virtual
async def test_one_mailbox_holds_what_it_may_whoever_sends() -> None:
    async with bench("a", "b", "c", "d", "e") as nodes:
        node, journal = nodes["a"], Journal()
        target = node.runtime.spawn(Slow(journal=journal), "slow", capacity=64)
        cell = node.runtime.find("slow")
        assert cell is not None
        most = 0
        async with trio.open_nursery() as nursery:

            async def flood(name: str) -> None:
                for n in range(500):
                    await nodes[name].tell(target, Item(n), expiry=3600)

            for name in "abcde":
                nursery.start_soon(flood, name)
            while len(journal.got) < 2500:
                await trio.sleep(0.002)
                most = max(most, cell.mailbox.held)
        assert 32 < most <= 64 + 4 * 8  # and the first allowance of each peer beside it (K3)
        for name in "abcde":
            assert journal.numbers(f"{ID[name].short}/") == list(range(500))
        assert nodes.broken_rules() == []


@virtual
async def test_a_new_session_gets_no_room_that_messages_of_the_last_one_still_take() -> None:
    async with bench("a", "b") as nodes:
        gate, journal = trio.Event(), Journal()
        nodes["b"].spawn(Gated(journal=journal, gate=gate), "stuck")
        cell = nodes["b"].runtime.find("stuck")
        assert cell is not None
        for life in range(4):
            for n in range(3):
                await nodes["a"].tell(nodes.to("b", "stuck"), Item(10 * life + n), expiry=3600)
            await nodes.until(lambda life=life: cell.mailbox.held == min(8, 3 * life + 3))  # type: ignore[misc]
            if life < 3:
                nodes.wires.cut("a", "b")
                await nodes.until(lambda: nodes.state("a", "b") == nodes.state("b", "a") == "none")
        gate.set()
        await nodes.until(lambda: nodes.ledger("a").in_flight == 0)
        assert journal.numbers() == [0, 1, 2, 10, 11, 12, 20, 21, 30, 31, 32]  # 22 found no room, and was lost
        assert nodes.broken_rules() == []


# -- large messages ---------------------------------------------------------------------------------------------


@virtual
async def test_a_message_larger_than_its_credit_asks_for_room() -> None:
    async with bench("a", "b") as nodes:
        for n, size in enumerate((0, 65_000, 66_000, 300_000, 1_000_000, 5)):
            await nodes["a"].send(nodes.to("b"), Item(n, bytes(size)), expiry=1)
        assert nodes.journal("b").numbers() == list(range(6))


@virtual
async def test_a_message_that_no_frame_can_carry_is_refused_and_nothing_else() -> None:
    async with bench("a", "b") as nodes:
        for verb in (nodes["a"].send, nodes["a"].tell, nodes["a"].ask):
            refused = await outcome(lambda verb=verb: verb(nodes.to("b"), Item(0, bytes(1 << 20))))  # type: ignore[misc]
            assert isinstance(refused, Refused)
            assert refused.reason == "too_large"
        await nodes["a"].send(nodes.to("b"), Item(1))
        assert nodes.ledger("a").accepted == 1


@virtual
async def test_a_large_message_right_behind_a_small_one_asks_for_room_when_that_has_arrived() -> None:
    async with bench("a", "b") as nodes:
        await nodes["a"].tell(nodes.to("b"), Item(0))
        await nodes["a"].tell(nodes.to("b"), Item(1, bytes(300_000)))
        await nodes["a"].send(nodes.to("b"), Item(2), expiry=1)
        assert nodes.journal("b").numbers() == [0, 1, 2]


@virtual
async def test_a_request_for_room_that_is_lost_is_made_again() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        connection = nodes.wires.only("a", "b")
        connection.blackhole()
        await nodes["a"].tell(nodes.to("b"), Item(0, bytes(300_000)))
        await trio.sleep(1)
        await nodes.reconnect("a", "b")
        await nodes["a"].send(nodes.to("b"), Item(1), expiry=1)
        assert nodes.journal("b").numbers() == [0, 1]


@virtual
async def test_peers_that_have_fallen_silent_leave_room_for_the_large_message_of_another() -> None:
    names = "abcdefgh"
    async with bench(*names) as nodes:
        for name in names[2:]:
            for n in range(20):
                await nodes[name].send(nodes.to("b"), Item(n, bytes(900_000)))
        await nodes["a"].send(nodes.to("b"), Item(0, bytes(1_000_000)), expiry=1)


async def _fill(nodes: Bench, target: EngineID) -> None:
    """Others leave a mailbox no room for anything large."""
    for n in range(12):
        await nodes["c" if n < 6 else "d"].send(target, Item(n, bytes(1_000_000)))


@virtual
async def test_a_large_message_is_taken_once_there_is_room() -> None:
    async with bench("a", "b", "c", "d") as nodes:
        gate, journal = trio.Event(), Journal()
        nodes["b"].spawn(Gated(journal=journal, gate=gate), "gated")
        target = nodes.to("b", "gated")
        await _fill(nodes, target)
        large = nodes.sending(lambda: nodes["a"].send(target, Item(100, bytes(1_000_000))))
        await trio.sleep(12)
        assert not large.over.is_set()
        gate.set()
        assert await large.wait() is None
        assert trio.current_time() < 20
        await nodes.until(lambda: journal.numbers() == [*range(12), 100])


@virtual
@pytest.mark.parametrize("cancelled", [False, True], ids=["expired", "cancelled"])
async def test_a_large_message_that_is_given_up_makes_way_for_those_behind_it(cancelled: bool) -> None:
    async with bench("a", "b", "c", "d") as nodes:
        gate, journal = trio.Event(), Journal()
        nodes["b"].spawn(Gated(journal=journal, gate=gate), "gated")
        target = nodes.to("b", "gated")
        await _fill(nodes, target)
        large = nodes.sending(lambda: nodes["a"].ask(target, Item(100, bytes(1_000_000)), expiry=2))
        await trio.sleep(0.1)
        small = nodes.sending(lambda: nodes["a"].send(target, Item(101)))
        await trio.sleep(0.5)
        assert not small.over.is_set()  # one sender's messages keep their order
        if cancelled:
            await large.cancel()
        else:
            assert isinstance(await large.wait(), Expired)
        await trio.sleep(0.1)
        assert small.over.is_set()
        assert small.value is None
        gate.set()
        await nodes.until(lambda: journal.numbers() == [*range(12), 101])


@virtual
async def test_what_shares_of_the_outbox_were_not_used_is_room_for_those_who_wait() -> None:
    """Many lanes tell a message or two at a time, while the other node takes none and so nothing is settled."""
    async with bench("a", "b") as nodes:
        nodes.wires.silent.add("b")
        a, targets = nodes["a"], [nodes.to("b", f"target{number}") for number in range(40)]
        for n in range(3000):
            await a.tell(targets[n % 40], Item(n), expiry=1)
        (proxy,) = a.proxies()
        assert proxy.ledger.accepted == 3000
        assert trio.current_time() < 0.5
