"""`@simulate(seeds=200)`: a test of engines and a cluster, run from so many seeds, with faults.

@simulate(seeds=200)
async def test_no_order_is_lost(sim):
    a, b = await sim.start("a", "b", setup=engines)
    await sim.link("a", "b")
    for n in range(50):
        await a.tell(sim.to("b", "shop"), Order(n))
    await sim.settle()
    assert await a.ask(sim.to("b", "shop"), Count()) == 50
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from inspect import Parameter
from typing import Any, Final, TypeAlias

from actors.errors import DefinitionError
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import GENTLE
from actors.testing.seeds.chosen import choose
from actors.testing.seeds.storm import OVER, checked_kinds
from actors.testing.seeds.trial import SimulationFailed, Terms, Trial

__all__ = ["Simulation", "SimulationFailed", "simulate"]

Test: TypeAlias = Callable[..., Awaitable[object]]

SEEDS: Final = 200


def simulate(
    seeds: int = SEEDS,
    *,
    faults: Iterable[str] = GENTLE,
    over: float = OVER,
    chances: Mapping[str, float] | None = None,
    allow: Collection[str] = (),
) -> Callable[[Test], Callable[..., None]]:
    """Make an `async def test_x(sim, …)` an ordinary test that runs from seeds 0 to `seeds - 1`; it fails at the first
    that does. The test gets a `Simulation` as `sim`; its other parameters are fixtures that are not async.

    Faults strike by themselves from the start, before `over` virtual seconds have passed, at nodes that were started
    by then; `sim.settle()` waits for the last of them, heals, and waits until all that is owed has come. Seed 0 has
    none. Afterwards every run is judged by the promises P1 to P9, whatever the test asserts.

    faults: kinds, as in `actors.testing.faults.KINDS`; by default those that leave nodes running. With `crash` or
    `bounce` a node that was returned by `sim.start` may be over: the present run is `sim[name]`, and what its engines
    knew is lost. Empty: only what the test itself does with `sim.inflict`.
    chances: of fault points in the code of the cluster, by name. allow: real functions that the test may call all the
    same (see `actors.testing.virtual.real`).

    The options `--actors-seed N`, `--actors-seeds N` and `--actors-without 1,4` of pytest, or ACTORS_SEED, ACTORS_SEEDS
    and ACTORS_WITHOUT, choose one seed, another number of seeds, and faults of that one seed to leave out.
    """
    terms = _terms(seeds, faults, over, chances or {}, allow)

    def decorate(test: Test) -> Callable[..., None]:
        own_request = "request" in _parameters(test)

        @functools.wraps(test)
        def simulated(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            request = kwargs.get("request") if own_request else kwargs.pop("request", None)
            chosen = choose(None if request is None else request.config)
            Trial(lambda sim: test(*args, sim=sim, **kwargs), _name(test, request), terms, chosen).run()

        simulated.__signature__ = _signature(test, own_request)  # type: ignore[attr-defined]
        return simulated

    return decorate


def _terms(
    seeds: int, faults: Iterable[str], over: float, chances: Mapping[str, float], allow: Collection[str]
) -> Terms:
    if not isinstance(seeds, int) or seeds < 1:
        raise DefinitionError(f"write @simulate(seeds=200), a number from 1; this is {seeds!r}")
    if not over > 0:
        raise DefinitionError(f"faults strike over more than 0 seconds; this is over={over!r}")
    try:
        kinds = checked_kinds(faults)
    except ValueError as error:
        raise DefinitionError(str(error)) from None
    return Terms(seeds=seeds, kinds=kinds, over=over, chances=dict(chances), allow=tuple(allow))


def _name(test: Test, request: Any) -> str:
    """What pytest calls the test."""
    if request is not None:
        return str(request.node.nodeid)
    current = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    return current or f"{inspect.getsourcefile(test) or test.__module__}::{test.__qualname__}"


def _parameters(test: Test) -> Mapping[str, Parameter]:
    name = getattr(test, "__name__", repr(test))
    if not inspect.iscoroutinefunction(test):
        raise DefinitionError(f"@simulate() stands before an `async def`, directly; {name} is none")
    parameters = inspect.signature(test).parameters
    if "sim" not in parameters:
        raise DefinitionError(f"{name} has no parameter `sim`")
    return parameters


def _signature(test: Test, own_request: bool) -> inspect.Signature:
    """What pytest sees: all but `sim`, and `request`, which has the options and the test's name."""
    shown = inspect.signature(test)
    parameters = [each for each in shown.parameters.values() if each.name != "sim"]
    if not own_request:
        place = next((i for i, each in enumerate(parameters) if each.kind is Parameter.VAR_KEYWORD), len(parameters))
        parameters.insert(place, Parameter("request", Parameter.KEYWORD_ONLY))
    return shown.replace(parameters=parameters, return_annotation=None)
