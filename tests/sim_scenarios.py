"""Scenarios of which the tests of `actors sim` know what becomes: `--load sim_scenarios`."""

from __future__ import annotations

import os
import signal
import sys

from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut
from actors.testing.history.records import Bytes
from actors.testing.scenarios import scenario


@scenario("S1 K2")
async def fake_calm(sim: Simulation) -> None:
    """Two nodes, and nothing happens."""
    print("what a scenario prints is no answer")
    await sim.start("a", "b")
    await sim.link("a", "b", wait=False)


@scenario("S6")
async def fake_cuts(sim: Simulation) -> None:
    """Fails from seed 2 on, if its faults 1 and 3 strike."""
    await sim.start("a", "b")
    hit = [await sim.inflict(Cut("a", "b")) for _ in range(5)]
    assert sim.seed < 2 or not (hit[1] and hit[3]), "both of them"


@scenario("H1")
async def fake_leak(sim: Simulation) -> None:
    """Breaks P8 at seed 1."""
    await sim.start("a")
    if sim.seed == 1:
        sim.record(Bytes(sim.now(), "a", 1, "", "out", False))


@scenario()
async def fake_death(sim: Simulation) -> None:
    """Its process is killed at seed 1."""
    if sim.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@scenario()
async def fake_hang(sim: Simulation) -> None:
    """Hangs from seed 1 on, for real."""
    if sim.seed >= 1:
        print("hanging", file=sys.stderr, flush=True)
        signal.pause()


@scenario()
async def fake_blunder(sim: Simulation) -> None:
    """Breaks the simulator itself."""
    sim.history.append(Bytes(-1.0, "a", 1, "", "out", True))
    sim.history.append(Bytes(-2.0, "a", 1, "", "out", True))
