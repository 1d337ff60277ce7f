"""`actors sim replay SCENARIO SEED`: one run again, with its event log and its diagram."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from actors.console.options import Json, Load, flag


def replay(
    scenario: Annotated[str, Parameter(help="Its name (actors sim ls); or an event log, and no seed.")],
    seed: Annotated[int | None, Parameter(help="The run's.")] = None,
    /,
    *,
    without: Annotated[str, flag("Leave out the faults of these numbers, such as 1,4,7.")] = "",
    log: Annotated[Path | None, flag("Write the event log there, not to SCENARIO-SEED.events.jsonl.")] = None,
    diagram: Annotated[Path | None, flag("Write a sequence diagram there, as Mermaid text.")] = None,
    expect: Annotated[str | None, flag("The trace hash that it must have; a log has one, too.")] = None,
    load: Load = (),
    json: Json = False,
) -> int:
    """Run one scenario from one seed again, and write its event log.

    The same run has the same trace hash wherever it runs. Ends with 1 if a promise is broken, or the hash is another.
    """
    from actors.console.sim_again import (
        default_log,
        run_again,
        show_story,
        the_run,
        with_options,
        write_diagram,
        write_log,
    )
    from actors.console.sim_story import story_of
    from actors.console.words import say

    again = with_options(the_run(scenario, seed, load=load), without, expect)
    result = run_again(again, again.without)
    if nowhere := [number for number in sorted(again.without) if number >= len(result.faults)]:
        say(f"there is no fault {', '.join(map(str, nowhere))}; there are {len(result.faults)}, from 0")
    story = story_of(
        again.scenario.name,
        result,
        without=again.without,
        expected=again.expected,
        load=load,
        log=write_log(log or default_log(again), again.scenario.name, result, again.without),
        diagram=write_diagram(diagram, result),
    )
    return show_story(story, json)
