#!/usr/bin/env python3
"""Look for every planted bug from fresh seeds: does the simulator find it within 200 of its scenario?

    python scripts/hunt.py [--from K] [--seeds 200] [--found 1] [NAME ...]

A line for each bug of tests/planted_bugs.py: the seeds that found it, and what they found. Exit 1 if one was missed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def hunt(name: str, first: int, seeds: int, found: int) -> tuple[str, list[int], int, str]:
    """Name, the seeds that found it, how many were run, and what the first of them found."""
    from planted_bugs import BUGS
    from planting import planted

    from actors.testing.scenarios import SCENARIOS
    from actors.testing.seeds.search import run

    logging.disable(logging.CRITICAL)
    bug = next(bug for bug in BUGS if bug.name == name)
    hits: list[int] = []
    words, seed = "", first
    with planted(bug):
        while seed < first + seeds and len(hits) < found:
            result = run(SCENARIOS[bug.found_by].body, seed)
            seed += 1
            if result.failed:
                hits.append(seed - 1)
                words = words or result.words.splitlines()[0]
    return bug.found_by, hits, seed - first, words


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="planted bugs; all by default")
    parser.add_argument("--from", dest="first", type=int, default=1_000_000, help="the first seed")
    parser.add_argument("--seeds", type=int, default=200, help="how many at most for each bug")
    parser.add_argument("--found", type=int, default=1, help="how many that find it are enough")
    arguments = parser.parse_args()
    from planted_bugs import BUGS

    names = arguments.names or [bug.name for bug in BUGS]
    unknown = set(names) - {bug.name for bug in BUGS}
    if unknown:
        parser.error(f"there is no planted bug {', '.join(sorted(unknown))}")
    missed = 0
    with ProcessPoolExecutor() as workers:
        jobs = [workers.submit(hunt, name, arguments.first, arguments.seeds, arguments.found) for name in names]
        for name, job in zip(names, jobs, strict=True):
            scenario, hits, runs, words = job.result()
            missed += not hits
            verdict = f"seeds {', '.join(map(str, hits))}" if hits else "MISSED"
            print(f"{name:<36} {scenario:<26} {runs:>4} runs  {verdict}  {words[:100]}", flush=True)
    print(f"{len(names) - missed} of {len(names)} found within {arguments.seeds} seeds from {arguments.first}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
