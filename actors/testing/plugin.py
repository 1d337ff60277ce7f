"""A plugin for pytest, beside pytest-trio: the fixtures `cluster` and `seed`, and the options of simulated tests.

    async def test_a_counter_counts(cluster):
        a, b, c = cluster
        counter = b.spawn(Counter(), "counter")
        assert await a.ask(counter, Add(1)) == 1

    @pytest.mark.cluster(2, permanent=True)
    async def test_two_that_stay_linked(cluster): ...

pytest loads it wherever this package is installed: nothing is imported before it is needed.
"""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from inspect import iscoroutinefunction
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from actors.node import Node
    from actors.testing.seeds.chosen import Chosen
    from actors.testing.virtual.real import NothingReal

_OPTIONS = {
    "--actors-seed": ("N", "run simulated tests, and those with `cluster` or `seed`, from this seed alone"),
    "--actors-seeds": ("N", "run each simulated test from so many seeds"),
    "--actors-without": ("1,4", "leave these faults out; needs --actors-seed"),
}
_MARKER = (
    "cluster(n=3, *, permanent=False, names=None, allow=()): the nodes of the fixture `cluster`;"
    " allow: real functions, such as time.time, that the test may use all the same"
)
_MOST = 2**32

_seed = pytest.StashKey[int]()
_guard: pytest.StashKey[NothingReal] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`actors.testing.seeds.chosen` reads them."""
    group = parser.getgroup("trio-actors", "trio-actors")
    for option, (metavar, words) in _OPTIONS.items():
        group.addoption(option, metavar=metavar, help=words)


def pytest_configure(config: pytest.Config) -> None:
    """Options that cannot be used end the run before it begins."""
    config.addinivalue_line("markers", _MARKER)
    if any(config.getoption(option) is not None for option in _OPTIONS):
        from actors.errors import ConfigError

        try:
            _choice(config)
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None


def _choice(config: pytest.Config) -> Chosen:
    from actors.testing.seeds.chosen import choose

    return choose(config)


# -- fixtures ---------------------------------------------------------------------------------------------


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test: from --actors-seed, else drawn, and shown if the test fails."""
    return _seed_of(request.node)


@pytest.fixture
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Node, ...]]:
    """Three nodes that know each other, in this process and under a virtual clock; see the marker `cluster`.

    The order of tasks and all chance come from the test's seed. Code that uses real time, threads, processes or
    sockets gets NotSimulated.
    """
    from actors.testing.nodes import open_seeded_cluster

    item = request.node
    n, options = _marked(item)
    options.pop("allow", None)
    async with open_seeded_cluster(n, seed=_seed_of(item), **options) as nodes:
        names = {node.id: node.name for node in nodes}
        item.stash[_guard].name_of = lambda node: names.get(node, node.short)
        yield nodes


def _seed_of(item: pytest.Item) -> int:
    if _seed not in item.stash:
        chosen = _choice(item.config).seed
        item.stash[_seed] = SystemRandom().randrange(_MOST) if chosen is None else chosen
    return item.stash[_seed]


def _marked(item: pytest.Item) -> tuple[int, dict[str, Any]]:
    """The arguments of the marker; the test fails if they make no sense."""

    def read(n: int = 3, **options: Any) -> tuple[int, dict[str, Any]]:
        if not isinstance(n, int) or options.keys() - {"permanent", "names", "allow"}:
            raise TypeError
        return n, options

    marker = item.get_closest_marker("cluster")
    try:
        return read(*marker.args, **marker.kwargs) if marker else read()
    except TypeError:
        pytest.fail(f"{marker} cannot be used; the marker is {_MARKER}", pytrace=False)


# -- tests that use `cluster` -----------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-trio takes a clock only from a fixture that the test itself names; a marker in front of all is heard."""
    for item in items:
        if _uses_cluster(item) and _has_trio(item.config):
            item.add_marker(pytest.mark.trio(run=_runner(item)), append=False)


def _uses_cluster(item: pytest.Item) -> bool:
    """Whether the test's `cluster` is ours, and not one of the project's own."""
    known = getattr(item, "_fixtureinfo", None)
    definitions = known.name2fixturedefs.get("cluster", ()) if known else ()
    for definition in reversed(definitions):
        if definition.func.__module__ == __name__:
            return True
        if "cluster" not in definition.argnames:
            return False
    return False


def _runner(item: pytest.Item) -> Callable[..., object]:
    def run(main: Callable[[], Awaitable[object]], *, clock: Any = None, instruments: Iterable[Any] = ()) -> object:
        __tracebackhide__ = True
        from actors.testing.virtual.real import NothingReal
        from actors.testing.virtual.runner import run_virtual

        seed = _seed_of(item)
        with NothingReal(seed, allow=_marked(item)[1].get("allow", ())) as item.stash[_guard]:
            return run_virtual(main, seed=seed, clock=clock, instruments=instruments)

    return run


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A fresh seed for each time a test runs; and words for a test that cannot run."""
    if _seed in item.stash:
        del item.stash[_seed]
    if _uses_cluster(item):
        problem = _problem(item)
        if problem:
            pytest.fail(problem, pytrace=False)
        _marked(item)


def _problem(item: pytest.Item) -> str:
    test = getattr(item, "obj", None)
    if not _has_trio(item.config):
        return "the fixture `cluster` needs pytest-trio; install it, or take away -p no:trio"
    if hasattr(test, "hypothesis"):
        return (
            "the fixture `cluster` is there once for all examples of @given; open one in each of them:"
            " run_virtual() of actors.testing.virtual.runner and open_seeded_cluster() of actors.testing.nodes"
        )
    return "" if iscoroutinefunction(test) else f"{item.name} uses the fixture `cluster` and must be an `async def`"


def _has_trio(config: pytest.Config) -> bool:
    plugins = config.pluginmanager.get_plugins()
    return any(getattr(plugin, "__name__", "") == "pytest_trio.plugin" for plugin in plugins)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Of a test that failed, the seed and how to run it again."""
    report = yield
    if report.failed and _seed in item.stash:
        seed = item.stash[_seed]
        again = _choice(item.config).replay(shlex.quote(item.nodeid), seed, frozenset())
        report.sections.append(("trio-actors", f"seed {seed}; again: {again}"))
    return report
