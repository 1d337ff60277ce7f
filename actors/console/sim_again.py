"""Which run `actors sim replay` and `shrink` mean, and where what it came to goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from actors.console.exits import Exit, UsageError
from actors.console.sim_choices import checked_faults, checked_scenario, checked_seed
from actors.console.sim_story import Story, lines_of, wrong
from actors.console.sim_table import known_scenarios
from actors.errors import ConfigError
from actors.testing.history.diagram import diagram
from actors.testing.history.eventlog import SUFFIX, check_version, encode_log, header_of, read_header
from actors.testing.seeds.search import Result, run

if TYPE_CHECKING:
    from actors.testing.scenarios import Scenario


class Again(Struct, frozen=True, kw_only=True):
    """A run that has been before."""

    scenario: Scenario
    seed: int
    without: frozenset[int] = frozenset()
    expected: str | None = None
    """Its trace hash, where that is known."""


def the_run(scenario: str, seed: int | None, *, load: Sequence[str] = ()) -> Again:
    """That of a scenario and a seed; without a seed, that of an event log.

    UsageError for what there is not, LogError for a log that is none or of another version.
    """
    scenarios = known_scenarios(load)
    if seed is not None:
        name = checked_scenario(scenario, scenarios)
        return Again(scenario=scenarios[name], seed=checked_seed("seed", seed))
    path = Path(scenario)
    if not path.is_file():
        if scenario in scenarios:
            raise UsageError(f"which seed of {scenario}?")
        checked_scenario(scenario, scenarios)
    header = read_header(path)
    check_version(header, path)
    name = checked_scenario(header.scenario, scenarios)
    return Again(
        scenario=scenarios[name],
        seed=checked_seed(f"{path}: seed", header.seed),
        without=frozenset(header.without),
        expected=header.trace_hash,
    )


def with_options(again: Again, without: str, expect: str | None) -> Again:
    """What the command line says wins over what a log says."""
    if not without:
        return Again(scenario=again.scenario, seed=again.seed, without=again.without, expected=expect or again.expected)
    return Again(
        scenario=again.scenario, seed=again.seed, without=checked_faults("--without", without), expected=expect
    )


def run_again(again: Again, without: Collection[int]) -> Result:
    """Run it. What the scenario prints goes to stderr: stdout is for data."""
    with redirect_stdout(sys.stderr):
        return run(again.scenario.body, again.seed, without=without)


def default_log(again: Again) -> Path:
    """Where an event log goes that nobody gave a place: in the working directory."""
    return Path(f"{again.scenario.name}-{again.seed}{SUFFIX}")


def write_log(path: Path | None, scenario: str, result: Result, without: Collection[int]) -> str | None:
    """The event log, at this place if there is one; returns the place."""
    header = header_of(scenario, result.seed, without, result.trace_hash)
    return _written("--log", path, lambda: encode_log(header, result.history))


def write_diagram(path: Path | None, result: Result) -> str | None:
    """The diagram, at this place if there is one; returns the place."""
    return _written("--diagram", path, lambda: diagram(result.history, result.violations).encode())


def _written(option: str, path: Path | None, data: Callable[[], bytes]) -> str | None:
    if path is None:
        return None
    try:
        path.write_bytes(data())
    except OSError as error:
        raise ConfigError(f"{option} {path}: {error.strerror}") from None
    return str(path)


def show_story(story: Story, json: bool) -> int:
    """To stdout; returns the exit code."""
    from actors.console.envelope import bad, good
    from actors.console.failures import now, problem_of, say_problem
    from actors.console.words import clean, write

    error = wrong(story)
    problem = None if error is None else problem_of(error, now())
    if json:
        write(good(story) if problem is None else bad(problem, story))
    else:
        write("".join(f"{clean(line)}\n" for line in lines_of(story)).encode())
        if problem is not None:
            say_problem(problem)
    return Exit.OK if problem is None else Exit.FAILED
