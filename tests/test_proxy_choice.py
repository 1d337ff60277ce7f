"""Two connections at once, and which of them stays (PROTOCOL section 14: 6, 7; C, H9)."""

from __future__ import annotations

import pytest
import trio
from proxies import CFG, ID, Bench, Item, Wires, bench, half_open, virtual

from actors.testing.virtual.runner import run_virtual
from transports.memory.pipes import Pipe


class Uneven(Wires):
    """Each connection has its own latency, drawn from the seed."""

    def make_pipe(self, sender: str, receiver: str) -> Pipe:
        latency = self.rng.choice([0.0, 0.001, 0.005, 0.02])
        return Pipe(lambda: latency, capacity=self.capacity)


async def _talk(nodes: Bench, first: int, count: int) -> None:
    """Both ways at once."""
    for n in range(first, first + count):
        await nodes["a"].tell(nodes.to("b"), Item(n), expiry=3600)
        await nodes["b"].tell(nodes.to("a"), Item(n), expiry=3600)
        await trio.sleep(0.001)


async def _all_is_well(nodes: Bench, count: int) -> None:
    """One connection is left, both ends agree on it, and every message came once."""
    await nodes.until(lambda: nodes.ledger("a").delivered == nodes.ledger("b").delivered == count)
    await trio.sleep(CFG.handshake_timeout)
    nodes.wires.only("a", "b")
    assert nodes.current("a", "b").contender == nodes.current("b", "a").contender
    assert nodes.broken_rules() == []
    for name in "ab":
        assert nodes.journal(name).numbers() == list(range(count))


# -- 6: both dial at once ---------------------------------------------------------------------------------------


async def _both_dial(seed: int, wires: Wires, later: float) -> None:
    async with bench("a", "b", seed=seed, wires=wires) as nodes:
        early, late = ("a", "b") if seed % 2 else ("b", "a")
        nodes[early].set_permanence(ID[late], True)
        await trio.sleep(later)
        nodes[late].set_permanence(ID[early], True)
        await _talk(nodes, 0, 50)
        await _all_is_well(nodes, 50)


def test_two_nodes_that_dial_each_other_agree_on_one_connection_and_lose_nothing() -> None:
    for seed in range(40):
        for wires in (Wires(seed), Uneven(seed)):
            run_virtual(lambda: _both_dial(seed, wires, seed // 2 * 0.0007), seed=seed)  # noqa: B023 - called here


async def _cut_one(number: int, after: float) -> None:
    wires = Wires(latency=0.002)
    async with bench("a", "b", wires=wires) as nodes:
        for one, other in ("ab", "ba"):
            nodes[one].set_permanence(ID[other], True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_talk, nodes, 0, 60)
            await trio.sleep(after)
            for connection in nodes.wires.connections:
                if connection.number == number:
                    connection.cut()
        await _all_is_well(nodes, 60)


@pytest.mark.parametrize("number", [1, 2])
def test_either_of_two_connections_may_die_at_each_step_of_its_handshake(number: int) -> None:
    for step in range(30):
        run_virtual(lambda: _cut_one(number, 0.004 + step * 0.0005))  # noqa: B023 - called here


@virtual
async def test_a_dial_that_is_never_answered_does_not_disturb_the_connection_that_came_in() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", listen=("memory://b", "memory://b-two"))
        nodes.wires.silent.add("b")
        nodes["a"].set_permanence(ID["b"], True)
        await trio.sleep(0.1)
        assert nodes.state("a", "b") == "dialing"
        nodes["b"].set_permanence(ID["a"], True)
        await trio.sleep(0.1)
        assert nodes.ready("a", "b")
        await trio.sleep(100)  # the dial of a's own has ended long since
        assert nodes.running["a"].phases("b") == ["dialing", "ready"]
        assert nodes.wires.dialed("a") == [0.0]  # and was not repeated, nor was the other address dialed (C7)
        await nodes["a"].send(nodes.to("b"), Item(1), expiry=1)


@virtual
async def test_of_two_addresses_that_answer_one_connection_is_left() -> None:
    class Late(Wires):
        async def route(self, dialer: str, address: object) -> None:
            await super().route(dialer, address)  # type: ignore[arg-type]
            if str(address) == "memory://b-one":
                await trio.sleep(0.25)  # answers just when the second address has been dialed

    async with bench("a", wires=Late()) as nodes:
        await nodes.start("b", listen=("memory://b-one", "memory://b-two"))
        for n in range(50):
            await nodes["a"].tell(nodes.to("b"), Item(n))
        await nodes.until(lambda: nodes.ledger("a").delivered == 50)
        await trio.sleep(10)
        assert nodes.wires.only("a", "b")
        assert nodes.journal("b").numbers() == list(range(50))
        assert nodes.ready("a", "b")


# -- 7: half-open -----------------------------------------------------------------------------------------------


@virtual
@pytest.mark.parametrize("permanent", ["a", "b", "ab"])
@pytest.mark.parametrize("noticed_by", ["a", "b"])
async def test_a_connection_that_only_one_end_knows_to_be_dead_is_replaced(noticed_by: str, permanent: str) -> None:
    async with bench("a", "b") as nodes:
        for holder in permanent:
            await nodes.link(holder, "b" if holder == "a" else "a")
        await trio.sleep(11)  # long enough up for an early retry
        old = nodes.wires.only("a", "b")
        half_open(old, noticed_by)
        began = trio.current_time()
        sender = permanent[0]
        receiver = "b" if sender == "a" else "a"
        await nodes[sender].send(nodes.to(receiver), Item(0))
        took = trio.current_time() - began
        # Who notices and wants the link has it at once, whatever the other end believes; else the heartbeat finds out.
        assert took < (1.0 if noticed_by in permanent else CFG.liveness.dead_after + 1)
        await trio.sleep(20)
        assert nodes.wires.only("a", "b") is not old
        assert nodes.journal(receiver).numbers() == [0]


@virtual
async def test_half_open_connections_do_not_make_two_nodes_go_round_in_circles() -> None:
    async with bench("a", "b") as nodes:
        for one, other in ("ab", "ba"):
            nodes[one].set_permanence(ID[other], True)
        await nodes.until(lambda: nodes.ready("a", "b") and nodes.ready("b", "a"))
        dials = len(nodes.wires.dials)
        for n in range(8):
            await trio.sleep(12)
            half_open(nodes.wires.only("a", "b"), "ab"[n % 2])
            await trio.sleep(2)
            await nodes["a"].send(nodes.to("b"), Item(n), expiry=1)
        assert len(nodes.wires.dials) == dials + 8
