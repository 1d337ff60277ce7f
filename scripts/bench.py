"""How fast the project is beside raw Trio and beside its peers: rows T1 to T16, QUIC, fairness, memory.

    python scripts/bench.py                                       all of it, in less than 10 minutes on 2 cores
    python scripts/bench.py --only T3,T4,T8 --json b.json --plot b.svg
    python scripts/bench.py --only T7,pyzmq --peers OTHER/bin/python     with libraries of another environment

The project is measured over its public API, in processes of its own, with every setting at its default: handshake,
session, acknowledgements, ledger, deadlines. Each row is a ratio to a floor or a peer of the same minute: pairs in
turn, the median of the ratios. A missed target is no failure. Exit code 6: something could not be measured or
written; the rest is there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import trio
from benchmark.course import Course
from benchmark.plot import picture
from benchmark.results import Result, as_json, table
from benchmark.rows import ROWS, Row, chosen
from benchmark.workers import Patience

PARTIAL = 6
STOPPED = 130


def main(arguments: Sequence[str], rows: Sequence[Row] = ROWS) -> int:
    """The exit code."""
    said = _parser().parse_args(arguments)
    if said.pairs < 1 or not 0 < said.size <= 10 or said.patience <= 0:
        _parser().error("at least one pair, a size from 0 to 10, and some patience")
    wanted, problems = chosen(said.only, rows)
    for problem in problems:
        complain(problem)
    course = Course(
        pairs=said.pairs,
        size=said.size,
        peers=said.peers,
        patience=Patience(start=said.patience, answer=said.patience),
    )
    try:
        results = trio.run(course.run, wanted, progress)
    except KeyboardInterrupt:
        complain("stopped")
        return STOPPED
    problems += [f"{result.row}: {result.why}" for result in results if result.failed]
    print(table(results))
    if said.plot:
        problems += write(said.plot, picture(results))
    if said.json == "-":
        print(as_json(results, problems))
    elif said.json:
        problems += write(said.json, as_json(results, problems) + "\n")
    return PARTIAL if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench.py", description="The project beside raw Trio and its peers: ratios, never times."
    )
    parser.add_argument("--only", action="append", default=[], metavar="T3,T8", help="these rows")
    parser.add_argument("--json", metavar="FILE", help="write what was measured; - for standard output")
    parser.add_argument("--plot", metavar="FILE.svg", help="draw it")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each of the two, in turn")
    parser.add_argument("--size", type=float, default=1.0, help="the share of each row's messages")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="where other libraries are, too")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds until one that hangs is given up")
    return parser


def progress(row: Row, result: Result) -> None:
    """A line for each row: it takes minutes."""
    print(f"{row.name}: {result.words[5]}  {result.words[7]}", file=sys.stderr)


def complain(words: str) -> None:
    """On stderr, as the person who started it reads it."""
    print(f"bench: {words}", file=sys.stderr)


def write(path: str, text: str) -> list[str]:
    """Into the file; what is wrong with it, if anything is."""
    try:
        Path(path).write_text(text)
    except OSError as error:
        problem = f"{path} cannot be written: {error.strerror}"
        complain(problem)
        return [problem]
    return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
