"""Row 23 of RELIABILITY, by chance: any other scenario is cancelled at any of its steps."""

from __future__ import annotations

import trio

from actors.testing.cluster.simulation import Simulation
from actors.testing.scenarios.registry import SCENARIOS, scenario
from actors.testing.seeds.cancellation import Steps

LAST = 30_000
"""The last step, that is, at which one is cancelled; most scenarios take fewer."""
_PATIENCE = 3600.0
"""Virtual seconds; a scenario need not end that misses one of its nodes."""


@scenario("P9")
async def cancelled(sim: Simulation) -> None:
    """Another scenario; at some step of it everything is cancelled, or one of its nodes: nothing is left behind."""
    rng = sim.stream("cancelled")
    other = SCENARIOS[rng.choice(sorted(SCENARIOS.keys() - {"cancelled"}))]
    k = int(LAST ** rng.random())
    one = rng.random() < 0.5

    def cancel() -> None:
        sim.cancel(rng.choice(sorted(sim.running) or [""]) if one else "")

    steps = Steps(k, cancel)
    trio.lowlevel.add_instrument(steps)
    try:
        with trio.move_on_after(_PATIENCE):
            await other.body(sim)
    except Exception:
        if not sim.maimed:
            raise
    finally:
        trio.lowlevel.remove_instrument(steps)
