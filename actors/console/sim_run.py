"""`actors sim run SCENARIO|all --seeds N`: many runs, by several processes, judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from actors.console.exits import Exit
from actors.console.options import Json, Load, flag

if TYPE_CHECKING:
    from actors.console.sim_figures import Figures

SHOWN = 20
"""Failures that are shown to people; `--json` has more."""


async def run(
    scenario: Annotated[str, Parameter(help="Its name (actors sim ls), or all.")],
    /,
    *,
    seeds: Annotated[int, flag("How many runs in all, dealt over the scenarios.")] = 200,
    first: Annotated[int, Parameter(name="--from", help="Each scenario's first seed.")] = 0,
    jobs: Annotated[int | None, flag("Worker processes; one for each core if left out.")] = None,
    load: Load = (),
    json: Json = False,
) -> int:
    """Run scenarios from many seeds, and judge each run by the promises P1 to P9. Ends with 1 if one was broken."""
    from actors.console.sim_choices import checked_jobs, checked_scenarios, checked_seed, checked_seeds
    from actors.console.sim_table import cores, known_scenarios

    jobs = checked_jobs(cores() if jobs is None else jobs)
    names = checked_scenarios(scenario, known_scenarios(load))
    checked_seeds(seeds, checked_seed("--from", first), len(names))
    figures = await _search(names, first, seeds, jobs, load)
    _show(figures, json)
    return Exit.FAILED if figures.violations else Exit.OK


async def _search(names: tuple[str, ...], first: int, seeds: int, jobs: int, load: tuple[str, ...]) -> Figures:
    import trio

    from actors.console.signals import end_by_signal
    from actors.console.sim_figures import Answer, Tally, deal
    from actors.console.sim_progress import open_bar
    from actors.console.sim_workers import search

    tally, done = Tally(load), 0
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(end_by_signal)
        with open_bar(seeds) as advance:

            def on_answer(answer: Answer) -> None:
                nonlocal done
                done += 1
                tally.add(answer)
                advance(done, tally.failed)

            await search(deal(names, first, seeds), on_answer, jobs=min(jobs, seeds), load=load)
        nursery.cancel_scope.cancel()
    return tally.figures(trio.current_time() - began)


def _show(figures: Figures, json: bool) -> None:
    from actors.console.envelope import bad, good
    from actors.console.failures import now, problem_of
    from actors.console.sim_figures import broken
    from actors.console.words import Column, say, show, write

    if json:
        write(bad(problem_of(broken(figures), now()), figures) if figures.violations else good(figures))
        return
    columns = [Column("scenario"), *(Column(title, right=True) for title in ("seeds", "failed", "virtual s"))]
    shares = figures.scenarios.items()
    show(columns, [(name, share.seeds, share.failures, share.virtual_seconds) for name, share in shares])
    say(*words_of(figures))


def words_of(figures: Figures) -> list[str]:
    """Figures and failures, for people."""
    from actors.console.sim_figures import counted

    lines = []
    for failure in figures.failures[:SHOWN]:
        lines += [f"FAILED {failure.scenario} {failure.seed}", *(f"  {line}" for line in failure.words)]
        lines.append(f"  {failure.replay}")
    failed = sum(share.failures for share in figures.scenarios.values())
    if failed > SHOWN:
        lines.append(f"and {failed - SHOWN} more")
    found = counted(figures.violations, "violation") + (f" in {failed} of them" if failed else "")
    rate = f"{figures.seeds_per_second:g} seeds/s, {figures.virtual_seconds:.0f} virtual s"
    return [*lines, f"{counted(figures.seeds, 'seed')}: {found}; {rate}; trace hash {figures.trace_hash}"]
