#!/usr/bin/env python3
"""Tells from one node to an engine on another that appends each to a file. `scripts/kills` starts it.

    scripts/kills [--tells N] [--kills K] [--cuts C] [--seed S] [--json]

Meanwhile the process of the receiving node is killed (-9) at random moments and started again, and the connection is
cut at others, by either end. No tell may be written twice or out of order; each has exactly one outcome; what is not
in the file was Lost(peer_restarted, maybe_sent=True), or lay in the mailbox of a process that was killed. Exit 1 if
any of this does not hold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from secrets import randbits
from tempfile import TemporaryDirectory

import msgspec
import trio
from kills_verdict import Verdict, judge
from kills_world import Fates, Plan, open_world
from msgspec import Struct

from actors.console.envelope import bad, good
from actors.console.exits import Exit
from actors.console.failures import now, problem_of, report
from actors.console.signals import end_by_signal
from actors.console.words import Column, say, show, write
from actors.errors import ActorError


class Report(Struct, frozen=True, kw_only=True):
    """What did happen."""

    seed: int
    kills: int
    cuts: int
    cuts_in_flight: int
    """Cuts that found tells on their way."""
    resent: int
    seconds: float
    verdict: Verdict


async def kills(plan: Plan) -> Report:
    """All of it."""
    fates = Fates(plan.tells)
    with TemporaryDirectory(prefix="kills") as folder:
        async with trio.open_nursery() as nursery:
            await nursery.start(end_by_signal)
            async with open_world(plan, Path(folder), fates) as world:
                began = trio.current_time()
                await world.run()
                seconds, link = trio.current_time() - began, world.link()
            nursery.cancel_scope.cancel()
        life = {pid: number for number, pid in enumerate(world.pids)}
        words = [line.split() for line in (Path(folder) / "notes").read_text().splitlines()]
    lines = [(life[int(pid)], int(number)) for pid, number in words]
    return Report(
        seed=plan.seed,
        kills=len(world.pids) - 1,
        cuts=world.cuts,
        cuts_in_flight=world.cuts_in_flight,
        resent=link.resent,
        seconds=round(seconds, 1),
        verdict=judge(fates.of, fates.several, lines, len(world.pids)),
    )


# -- the command ------------------------------------------------------------------------------------------


class PromisesBroken(ActorError):
    """What the verdict says."""

    code = "promises_broken"


def plan_of(arguments: Sequence[str]) -> tuple[Plan, bool]:
    """What the command line says, and whether to print JSON. SystemExit for what argparse refuses."""
    parser = argparse.ArgumentParser(prog="scripts/kills", description="Tells to a process that is killed and cut off.")
    parser.add_argument("--tells", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=50, help="of the receiving process (-9)")
    parser.add_argument("--cuts", type=int, default=500, help="of the connection")
    parser.add_argument("--seed", type=int, help="decides the moments; drawn if left out")
    parser.add_argument("--json", action="store_true", help="print an envelope instead of words")
    said = parser.parse_args(arguments)
    if said.tells < 1 or said.kills < 0 or said.cuts < 0:
        parser.error("--tells is a number from 1; --kills and --cuts are numbers from 0")
    seed = randbits(32) if said.seed is None else said.seed
    return Plan(tells=said.tells, kills=said.kills, cuts=said.cuts, seed=seed), said.json


def show_report(found: Report, json: bool) -> Exit:
    """Prints it; the exit code."""
    broken = found.verdict.broken
    words = ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in broken.items())
    error = PromisesBroken(f"{words}; the moments are those of --seed {found.seed}")
    if json:
        write(bad(problem_of(error, now()), found) if broken else good(found))
    else:
        figures = {**msgspec.structs.asdict(found), **msgspec.structs.asdict(found.verdict)}
        del figures["verdict"]
        show([Column("figure"), Column("", right=True)], [(name.replace("_", " "), figures[name]) for name in figures])
        say(f"broken: {error}" if broken else "every promise holds")
    return Exit.FAILED if broken else Exit.OK


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    json = "--json" in arguments
    try:
        plan, json = plan_of(arguments)
        return show_report(trio.run(kills, plan), json)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else Exit.USAGE
    except BaseException as error:
        return report(error, json=json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
