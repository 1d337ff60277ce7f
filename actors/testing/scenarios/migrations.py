"""A session that moves: from one connection to another, in the middle of everything (PROTOCOL C7)."""

from __future__ import annotations

from contextlib import suppress

import trio

from actors.errors import SendError
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut
from actors.testing.scenarios.breaks import Stillborn
from actors.testing.scenarios.cast import Traffic, cast
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import nobody_broke_the_protocol, one_connection, pair
from transports.memory.connection import Connection

MOVES = 100


@scenario("C3 C4 C5 C7 C9 S5 S6")
async def migrations(sim: Simulation) -> None:
    """A link moves to a new connection a hundred times, by either end or both at once, busy, and now and then cut."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.network.lay(latency=rng.choice((0.001, 0.02)), jitter=rng.choice((0.0, 0.02)))
    await sim.start(one, other, setup=cast(sim))
    await sim.link(one, other, both=rng.random() < 0.5)
    traffic = Traffic(sim)
    async with trio.open_nursery() as nursery:
        for sender, receiver in ((one, other), (other, one)):
            gap = rng.choice((0.03, 0.3))
            nursery.start_soon(lambda s=sender, r=receiver, g=gap: traffic.flow(s, r, gap=g))  # type: ignore[misc]
        for _ in range(MOVES):
            for here, there in rng.choice((((one, other),), ((other, one),), ((one, other), (other, one)))):
                if sim.is_up(here, there):
                    nursery.start_soon(move, sim, here, there)
            await trio.sleep(rng.uniform(0.0, 0.4))
            if rng.random() < 0.02:
                await sim.inflict(Cut(one, other))
        nursery.cancel_scope.cancel()
    await sim.settle()
    (proxy,) = sim[one].proxies()
    assert proxy.connections > MOVES / 2, f"it moved {proxy.connections} times only"
    await one_connection(sim, one, other)
    nobody_broke_the_protocol(sim)


@scenario("C7 C8 L1")
async def stillborn(sim: Simulation) -> None:
    """A held link is to move, and what should take it over breaks as it is made; it breaks as well, and comes back."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.network.lay(latency=rng.choice((0.0, 0.001, 0.02)))
    await sim.start(one, other, setup=cast(sim))
    await sim.link(one, other, both=rng.random() < 0.5)
    for _ in range(rng.randint(1, 5)):
        for here, there in rng.choice((((one, other),), ((other, one),), ((one, other), (other, one)))):
            await sim.inflict(Stillborn(one, other, rng.randint(1, 2)))
            await move(sim, here, there)
        await trio.sleep(rng.choice((0.0, 0.05, 1.0)))
    made: list[Connection] = []
    sim.network.on_connect.append(made.append)
    await sim.inflict(Cut(one, other))
    await sim.until(lambda: made and sim.is_up(one, other), "the link to come back", within=60.0)
    await sim.settle()


async def move(sim: Simulation, here: str, there: str) -> None:
    """Dial anew from this node, while a link is up (C7)."""
    with suppress(SendError):  # an ephemeral proxy that ends just now
        await sim[here].migrate(sim.to(there, "").node or sim[here].id, "memory")
