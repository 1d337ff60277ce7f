"""Options that several commands have. Imports the command line parser only."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from cyclopts import Parameter

Json: TypeAlias = Annotated[bool, Parameter(name="--json", negative=(), help="Print a JSON envelope instead of words.")]
Load: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(name="--load", negative=(), show_default=False, help="A module with scenarios of your own; repeatable."),
]
Cluster: TypeAlias = Annotated[str | None, Parameter(name="--cluster", help="The cluster, where several run.")]


def flag(words: str) -> Parameter:
    """An option without a `--no-` or `--empty-` twin."""
    return Parameter(negative=(), help=words)
