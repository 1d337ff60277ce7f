"""`actors sim ls`: the scenarios."""

from __future__ import annotations

from actors.console.options import Json, Load


def ls(*, load: Load = (), json: Json = False) -> None:
    """List the scenarios: name, the rules of PROTOCOL that they are about, what happens."""
    from actors.console.envelope import good
    from actors.console.sim_table import known_scenarios
    from actors.console.words import Column, show, write

    found = sorted(known_scenarios(load).values(), key=lambda scenario: scenario.name)
    if json:
        write(good({"scenarios": [{"name": one.name, "rules": one.rules, "about": one.about} for one in found]}))
    else:
        columns = [Column(title) for title in ("scenario", "rules", "about")]
        show(columns, [(one.name, one.rules, one.about) for one in found], title="scenarios")
