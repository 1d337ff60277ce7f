"""`actors doctor`: would a node with these settings run well here? Looks, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from actors.console.exits import Exit
from actors.console.options import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.config import NodeConfig
    from actors.console.doctor_words import Finding, Verdict


def doctor(
    *,
    config: Annotated[Path | None, Parameter(name=("--config", "-c"), help="The settings of the node.")] = None,
    json: Json = False,
) -> int:
    """Look at versions, ports, key, state folder, clock and limits, and at the memory that these settings may take.

    Each line is ok, a warning, or a problem with what to do. Ends with 6 if there is a problem.
    """
    from actors.console.doctor_machine import machine
    from actors.console.doctor_node import node
    from actors.console.doctor_words import Verdict

    settings, findings = read_settings(config)
    findings += [*machine(settings), *node(settings)]
    worst = [finding for finding in findings if finding.verdict is Verdict.PROBLEM]
    if json:
        _write(settings, findings, len(worst))
    else:
        _show(findings)
    return Exit.PARTIAL if worst else Exit.OK


def read_settings(file: Path | None) -> tuple[NodeConfig, list[Finding]]:
    """Those of the file and the environment; the defaults where they cannot be used, which is a problem."""
    import os

    from actors.config import NodeConfig, load_config
    from actors.console.doctor_words import good, problem
    from actors.errors import ConfigError

    try:
        settings = load_config(file, environ=os.environ)
    except ConfigError as error:
        return NodeConfig(), [problem("settings", f"{error}; what follows is for the defaults", error.hint)]
    return settings, [good("settings", f"{file or 'no file'}, and ACTORS_* variables")]


def _write(settings: NodeConfig, findings: Sequence[Finding], problems: int) -> None:
    from actors.console.doctor_machine import memory
    from actors.console.envelope import Problem, bad, good
    from actors.console.failures import now
    from actors.console.words import write

    data = {"findings": findings, "memory": memory(settings)}
    if not problems:
        return write(good(data))
    when = now().strftime("%Y-%m-%dT%H:%M:%SZ")
    what = f"{problems} problem{'' if problems == 1 else 's'}"
    write(bad(Problem(code="doctor", what=what, when=when, hint="see data.findings"), data))


def _show(findings: Sequence[Finding]) -> None:
    import os
    import shutil
    import sys

    from actors.console.doctor_words import Verdict, lines
    from actors.console.words import clean, on_terminal, say

    terminal = on_terminal(sys.stdout)
    coloured = terminal and not os.environ.get("NO_COLOR")
    width = shutil.get_terminal_size().columns if terminal else 80
    for finding in findings:
        for line in lines(finding, max(40, min(width, 100))):
            _print(clean(line), finding.verdict if coloured else Verdict.OK)
    sys.stdout.flush()
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    say(f"{counts[Verdict.OK]} ok, {counts[Verdict.WARNING]} warnings, {counts[Verdict.PROBLEM]} problems")


def _print(line: str, verdict: Verdict) -> None:
    """What is not ok has a colour."""
    import sys

    if verdict.value == "ok":
        sys.stdout.write(line + "\n")
        return
    from rich.console import Console
    from rich.text import Text

    style = "bold red" if verdict.value == "problem" else "yellow"
    Console(file=sys.stdout, soft_wrap=True).print(Text(line, style=style))
