"""`actors sim shrink SCENARIO SEED`: the fewest faults with which a seed still fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from actors.console.options import Json, Load, flag

if TYPE_CHECKING:
    from actors.console.sim_again import Again
    from actors.testing.seeds.search import Result


def shrink(
    scenario: Annotated[str, Parameter(help="Its name (actors sim ls).")],
    seed: Annotated[int, Parameter(help="One that fails.")],
    /,
    *,
    log: Annotated[Path | None, flag("Write the event log of the smallest failure there.")] = None,
    diagram: Annotated[Path | None, flag("Write its sequence diagram there, as Mermaid text.")] = None,
    load: Load = (),
    json: Json = False,
) -> int:
    """Find the fewest faults with which a seed still fails, by leaving out ever smaller parts of them.

    Ends with 1, as the replay of what it found does; with 0 if the seed does not fail.
    """
    from actors.console.sim_again import show_story, the_run, write_diagram, write_log
    from actors.console.sim_story import story_of

    again = the_run(scenario, seed, load=load)
    result, without = _smallest(again)
    story = story_of(
        again.scenario.name,
        result,
        without=without,
        load=load,
        log=write_log(log, again.scenario.name, result, without),
        diagram=write_diagram(diagram, result),
    )
    return show_story(story, json)


def _smallest(again: Again) -> tuple[Result, frozenset[int]]:
    from actors.console.sim_again import run_again
    from actors.console.sim_progress import open_bar
    from actors.testing.seeds.search import shrunk

    runs = 0
    with open_bar(None) as advance:

        def once(without: frozenset[int]) -> Result:
            nonlocal runs
            runs += 1
            advance(runs, 0)
            return run_again(again, without)

        result = once(frozenset())
        return shrunk(once) if result.failed else (result, frozenset())
