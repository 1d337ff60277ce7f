"""Whole clusters in one process, under a virtual clock, from a seed; with every fault, and a judge of what happened.

    simulate               a test of your engines, from many seeds, with faults:  @simulate(seeds=200)
    Simulation             what such a test is given: nodes by name, links, faults, messages, settling
    faults                 Cut, Partition, Crash …: what `sim.inflict` takes
    SimulatedNetwork       what lies between the nodes, for tests of transports or of faults of your own
    run_virtual            Trio under a virtual clock, with tasks in an order that a seed decides
    open_fault_proxy       between real sockets on loopback: latency, bandwidth, cuts, blackholes, corruption (`toxics`)
    judge.judge            what a history breaks of the promises P1 to P9
    plugin                 for pytest: the fixtures `cluster` and `seed`, the options `--actors-seed` and others

Names are imported at first use: pytest loads this package wherever it is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.testing import faults
    from actors.testing.cluster.simulation import NotRunning, NotSettled, Simulation
    from actors.testing.faultproxy import open_fault_proxy
    from actors.testing.history.records import History, Violation
    from actors.testing.network.wires import SimulatedNetwork
    from actors.testing.seeds.simulate import simulate
    from actors.testing.virtual.runner import SimulationHung, run_virtual

__all__ = [
    "History",
    "NotRunning",
    "NotSettled",
    "SimulatedNetwork",
    "Simulation",
    "SimulationHung",
    "Violation",
    "faults",
    "open_fault_proxy",
    "run_virtual",
    "simulate",
]

_HOMES = {
    "actors.testing.faultproxy": ("open_fault_proxy",),
    "actors.testing.history.records": ("History", "Violation"),
    "actors.testing.seeds.simulate": ("simulate",),
    "actors.testing.cluster.simulation": ("NotRunning", "NotSettled", "Simulation"),
    "actors.testing.virtual.runner": ("SimulationHung", "run_virtual"),
    "actors.testing.network.wires": ("SimulatedNetwork",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "faults":
        value: object = import_module("actors.testing.faults")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
