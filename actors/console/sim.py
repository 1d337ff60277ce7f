"""`actors sim run|replay|shrink|ls`: simulated clusters, each run made from a seed."""

from __future__ import annotations

from cyclopts import App

_COMMANDS = {
    "run": ("sim_run:run", "Run scenarios from many seeds, and judge each run by the promises P1 to P9."),
    "replay": ("sim_replay:replay", "Run one scenario from one seed again, and write its event log."),
    "shrink": ("sim_shrink:shrink", "Find the fewest faults with which a seed still fails."),
    "ls": ("sim_ls:ls", "List the scenarios."),
}

app = App("sim", help="Run simulated clusters under a virtual clock, from seeds: any run can be repeated.")
for _name, (_target, _words) in _COMMANDS.items():
    app.command(f"actors.console.{_target}", name=_name, help=_words)
