"""Rows of the reliability table with real kernels between the nodes: each on a host, which is a network namespace.

    scripts/namespaces [--rows 2,9,…] [--full] [--json]

A line for each figure, beside its target; exit 1 if one is missed, 2 where no hosts can be made. In short form by
default, as in the tests; --full has the sizes of the table: a million notes over a bad line, ten minutes of flood, 100
cycles without files, 200 peers at the end. Nothing is left behind, however it ends.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio
from figures import Figure, told
from msgspec import Struct
from namespaces_cuts import LIMITS, broken, killed, parted
from namespaces_limits import full_disk, no_more_files
from namespaces_lines import bad_line, black_holes
from namespaces_load import farewell, flood, slow_reader
from namespaces_silence import silence, stopped

from actors.testing.hosts import why_not


class Act(Struct, frozen=True):
    """What is played at once, in short and at full size, and the rows that it shows."""

    rows: frozenset[int]
    short: Callable[[], Awaitable[list[Figure]]]
    full: Callable[[], Awaitable[list[Figure]]]


def _act(*rows: int, short: Callable[[], Awaitable[list[Figure]]], full: Callable[[], Awaitable[list[Figure]]]) -> Act:
    return Act(frozenset(rows), short, full)


ACTS = {
    "silence": _act(2, 8, 25, short=silence, full=silence),
    "stopped": _act(25, short=partial(stopped, LIMITS, 3.0), full=partial(stopped, {}, 30.0)),
    "broken": _act(1, short=partial(broken, 20), full=partial(broken, 500)),
    "killed": _act(1, short=partial(killed, 2), full=partial(killed, 50)),
    "parted": _act(9, short=partial(parted, 2.5, 6), full=partial(parted, 10.0, 100)),
    "line-tls": _act(10, short=partial(bad_line, "tls", 10_000), full=partial(bad_line, "tls", 500_000)),
    "line-quic": _act(10, short=partial(bad_line, "quic", 2_000), full=partial(bad_line, "quic", 100_000)),
    "holes": _act(22, short=black_holes, full=black_holes),
    "slow": _act(3, short=partial(slow_reader, 1000), full=partial(slow_reader, 5000)),
    "farewell": _act(19, short=partial(farewell, 20, 300), full=partial(farewell, 200, 80)),
    "flood": _act(20, short=partial(flood, 40, 5.0), full=partial(flood, 100, 600.0)),
    "disk": _act(18, short=full_disk, full=full_disk),
    "files": _act(24, short=partial(no_more_files, 20), full=partial(no_more_files, 100)),
}
ALL = frozenset(row for act in ACTS.values() for row in act.rows)


async def measure(rows: Sequence[int], full: bool) -> list[Figure]:
    """One act after the other."""
    figures: list[Figure] = []
    for name, act in ACTS.items():
        if act.rows & set(rows):
            began = trio.current_time()
            figures += await (act.full if full else act.short)()
            print(f"{name}: {trio.current_time() - began:.1f} s", file=sys.stderr)
    return sorted((figure for figure in figures if figure.row in rows), key=lambda figure: figure.row)


def _rows(text: str) -> list[int]:
    rows = [int(word) for word in text.split(",") if word.strip().isdigit()]
    if not rows or set(rows) - ALL:
        raise argparse.ArgumentTypeError(f"{text!r} are no rows; there are {', '.join(map(str, sorted(ALL)))}")
    return rows


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="scripts/namespaces", description="Nodes on hosts of their own, as root.")
    parser.add_argument(
        "--rows", type=_rows, default=sorted(ALL), help="2,9,… of the reliability table; all by default"
    )
    parser.add_argument("--full", action="store_true", help="at full size, which takes the better part of an hour")
    parser.add_argument("--json", action="store_true", help="JSON lines in place of a table")
    said = parser.parse_args(arguments)
    if reason := why_not():
        print(f"scripts/namespaces: {reason}", file=sys.stderr)
        return 2
    return told(trio.run(measure, said.rows, said.full), json=said.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
