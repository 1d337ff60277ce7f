"""`actors fault …`: what may go wrong, made to go wrong in a local cluster."""

from __future__ import annotations

from cyclopts import App

_COMMANDS = {
    "cut": ("fault_links:cut", "Break the connection between two nodes, now."),
    "partition": ("fault_links:partition", "Keep two groups of nodes apart, until: actors fault heal"),
    "slow": ("fault_links:slow", "Make all connections of a node slow, until: actors fault heal"),
    "heal": ("fault_links:heal", "End partitions, slowness and frost."),
    "kill": ("fault_lives:kill", "End a node's process at once, without a word (SIGKILL)."),
    "restart": ("fault_lives:restart", "Start a node again, with its key and its state."),
    "freeze": ("fault_lives:freeze", "Stop a node's process, for some seconds or until: actors fault heal"),
}

app = App("fault", help="Make go wrong what may go wrong, in a local cluster.")
for _name, (_target, _words) in _COMMANDS.items():
    app.command(f"actors.console.{_target}", name=_name, help=_words)
