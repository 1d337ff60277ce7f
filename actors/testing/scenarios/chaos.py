"""Everything at once: any topology, any traffic, any fault."""

from __future__ import annotations

from functools import partial
from itertools import combinations, permutations

import trio

from actors.net.session.conditions import POINTS
from actors.testing.cluster.knobs import draw_knobs
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import DESTRUCTIVE, GENTLE, draw, play
from actors.testing.scenarios.cast import LONG, Traffic, cast
from actors.testing.scenarios.registry import scenario


@scenario("S C K O")
async def cuts(sim: Simulation) -> None:
    """Permanent links under gentle faults, then peace: everything arrives."""
    names = ["a", "b", "c"][: sim.rng.choice((2, 2, 3))]
    await _run(sim, names, GENTLE, expiries=(LONG,))
    await sim.settle()


@scenario("S C K O I D")
async def chaos(sim: Simulation) -> None:
    """Permanent and ephemeral links, faults of all kinds, messages that expire, then peace."""
    names = ["a", "b", "c"]
    await _run(sim, names, (*GENTLE, *DESTRUCTIVE), expiries=(LONG, 30.0, 2.0, 0.2), ephemeral=0.3)
    await sim.settle()


@scenario("S C K O I D")
async def chaos_to_the_end(sim: Simulation) -> None:
    """As chaos, but no peace: nodes stop in the middle of it."""
    names = ["a", "b", "c"]
    await _run(sim, names, (*GENTLE, *DESTRUCTIVE), expiries=(LONG, 5.0), ephemeral=0.5)


async def _run(
    sim: Simulation, names: list[str], kinds: tuple[str, ...], *, expiries: tuple[float, ...], ephemeral: float = 0.0
) -> None:
    knobs = draw_knobs(sim.rng)
    sim.chances |= {point: sim.rng.choice((0.0, 0.0, 0.02, 0.3)) for point in POINTS}
    sim.network.lay(latency=sim.rng.choice((0.0, 0.001, 0.05, 0.3)))
    one_sided = sim.rng.random() < 0.3  # then the others can be forgotten
    for index, name in enumerate(names):
        await sim.start(
            name,
            setup=cast(sim, slow=0.05),
            know=names[index:] if one_sided else True,
            cfg=knobs.cfg,
            limits=knobs.limits,
        )
    for one, other in combinations(names, 2):
        if sim.rng.random() >= ephemeral:
            await sim.link(one, other, both=sim.rng.random() < 0.3)
    over = sim.rng.choice((1.0, 5.0, 30.0))
    plan = draw(sim.stream("faults"), names, kinds, count=sim.rng.randint(1, 15), over=over)
    traffic = Traffic(sim, expiries=expiries, targets=("sink", "sink", "slow", "nobody"))
    async with trio.open_nursery() as nursery:
        for sender, receiver in permutations(names, 2):
            nursery.start_soon(partial(traffic.flow, sender, receiver, gap=over / 20))
        await play(sim, plan)
        await trio.sleep(sim.rng.uniform(0, over / 5))
        nursery.cancel_scope.cancel()
