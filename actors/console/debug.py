"""`actors debug …`: what helps those who look for a mistake that they cannot see."""

from __future__ import annotations

from cyclopts import App

app = App("debug", help="Collect what a maintainer needs to see of a cluster.")
app.command("actors.console.bundle:bundle", name="bundle", help="Write it into one file, without secrets.")
