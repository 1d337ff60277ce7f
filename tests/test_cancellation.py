"""Cancelled at any step, a node or a whole cluster leaves nothing behind (P9)."""

from __future__ import annotations

import pytest

from actors.engine import Engine, on
from actors.messages import Message
from actors.node import Node
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Crash, Cut
from actors.testing.scenarios.cast import Item, Question, Work, cast
from actors.testing.seeds.cancellation import cancelled_at, steps, sweep
from actors.testing.seeds.search import Scenario

SEED = 1


async def opens_and_closes(sim: Simulation) -> None:
    await sim.start("a")


async def sends_the_first_message(sim: Simulation) -> None:
    await sim.start("a", "b", setup=cast(sim))
    await sim.send("a", sim.to("b", "sink"), Item(1))


async def keeps_a_link_over_a_cut(sim: Simulation) -> None:
    await sim.start("a", "b", setup=cast(sim))
    await sim.link("a", "b")
    await sim["a"].tell(sim.to("b", "sink"), Item(1))
    await sim.inflict(Cut("a", "b"))
    await sim.send("a", sim.to("b", "sink"), Item(2))


async def asks_while_the_peer_crashes(sim: Simulation) -> None:
    await sim.start("a", "b", setup=cast(sim))
    await sim.link("a", "b")
    sim.start_soon(sim.ask, "a", sim.to("b", "sink"), Work(1, 5.0))
    await sim.ask("a", sim.to("b", "sink"), Question(2))
    await sim.inflict(Crash("b", 0.2))
    await sim.settle()


class Begin(Message):
    pass


class Parent(Engine):
    @on(Begin)
    def begin(self, _: Begin) -> None:
        self.spawn(Parent(), "child")


async def spawns_and_crashes_engines(sim: Simulation) -> None:
    def setup(node: Node) -> None:
        cast(sim)(node)
        node.spawn(Parent(), "parent")

    await sim.start("a", "b", setup=setup)
    await sim["a"].tell(sim.to("b", "parent"), Begin())
    await sim["a"].tell(sim.to("b", "parent"), Begin())  # the name is taken: it crashes
    await sim.ask("a", sim.to("b", "sink"), Question(1))


FIVE = (
    opens_and_closes,
    sends_the_first_message,
    keeps_a_link_over_a_cut,
    asks_while_the_peer_crashes,
    spawns_and_crashes_engines,
)


@pytest.mark.parametrize("scenario", FIVE, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("node", ["", "a"], ids=["everything", "one-node"])
def test_cancelled_at_every_step_nothing_is_left(scenario: Scenario, node: str) -> None:
    count = steps(scenario, SEED)
    assert not list(sweep(scenario, SEED, range(1, count + 1), node=node))


def test_what_is_left_is_told() -> None:
    from transports.addresses import MemoryAddress

    async def leaves_a_connection(sim: Simulation) -> None:
        await sim.start("a", "b")
        await sim.network.transport("a").dial(MemoryAddress("b"))

    count = steps(opens_and_closes, SEED)
    words = [cancelled_at(leaves_a_connection, SEED, k, node="a") for k in range(count, count + 400, 10)]
    assert any("a left connection" in word for word in words)
