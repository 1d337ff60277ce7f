"""Cancelled at any step, a node or a whole cluster leaves nothing behind (P9)."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from actors.engine import Engine, on
from actors.errors import Down
from actors.messages import Message
from actors.node import Node
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Crash, Cut
from actors.testing.scenarios.cast import Item, Question, Work, cast
from actors.testing.seeds.cancellation import Steps, cancelled_at, steps, sweep
from actors.testing.seeds.search import Scenario, run

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


async def watches_an_engine_that_stops(sim: Simulation) -> None:
    await sim.start("a", "b", setup=cast(sim))
    sim.start_soon(sim["b"].runtime.stop_engine, "sink")
    with suppress(Down):
        async with sim["a"].watch(sim.to("b", "sink")):
            await trio.sleep_forever()


async def runs_an_engine_on_another_node(sim: Simulation) -> None:
    await sim.start("a", "b", setup=lambda node: node.offer(Parent(), "parent"))
    async with sim["a"].spawn_on(sim["b"].id, "parent") as parent:
        await sim.send("a", parent, Begin())
        await sim.inflict(Cut("a", "b"))
        await sim.send("a", parent, Begin())


SCENARIOS = (
    opens_and_closes,
    sends_the_first_message,
    keeps_a_link_over_a_cut,
    asks_while_the_peer_crashes,
    spawns_and_crashes_engines,
    watches_an_engine_that_stops,
    runs_an_engine_on_another_node,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("node", ["", "a"], ids=["everything", "one-node"])
def test_cancelled_at_every_step_nothing_is_left(scenario: Scenario, node: str) -> None:
    count = steps(scenario, SEED)
    assert not list(sweep(scenario, SEED, range(1, count + 1), node=node))


@pytest.mark.parametrize("permanent", [False, True], ids=["ephemeral", "permanent"])
def test_a_block_cancelled_at_any_step_leaves_no_engine_on_the_other_node(permanent: bool) -> None:
    """Long before a lease would run out."""
    counts: list[int] = []

    def scenario(k: int) -> Scenario:
        async def body(sim: Simulation) -> None:
            await sim.start("a", "b", setup=lambda node: node.offer(Parent(), "parent"))
            if permanent:
                await sim.link("a", "b")
            with trio.CancelScope() as scope:
                steps = Steps(k, scope.cancel)
                trio.lowlevel.add_instrument(steps)
                try:
                    async with sim["a"].spawn_on(sim["b"].id, "parent") as parent:
                        await sim["a"].send(parent, Begin())
                finally:
                    trio.lowlevel.remove_instrument(steps)
                    counts.append(steps.count)
            await trio.sleep(1.0)
            left = [name for name in sim["b"].runtime.directory if name.startswith("parent")]
            assert not left, f"cancelled at step {k}: {left}"
            assert not sim["b"]._network.loans._loans

        return body

    assert not run(scenario(0), SEED).failed
    assert counts[0] > 30
    for k in range(1, counts[0] + 1):
        result = run(scenario(k), SEED)
        assert not result.failed, result.words


def test_what_is_left_is_told() -> None:
    from transports.addresses import MemoryAddress

    async def leaves_a_connection(sim: Simulation) -> None:
        await sim.start("a", "b")
        await sim.network.transport("a").dial(MemoryAddress("b"))

    count = steps(opens_and_closes, SEED)
    words = [cancelled_at(leaves_a_connection, SEED, k, node="a") for k in range(count, count + 400, 10)]
    assert any("a left connection" in word for word in words)
