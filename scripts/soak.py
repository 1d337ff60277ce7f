#!/usr/bin/env python3
"""Long searches: every scenario from ever new seeds, for as long as it is told. `scripts/soak` starts it.

    scripts/soak --for 30m [--jobs 2] [--from K] [--only SCENARIO] [FILE]

Appends JSON lines to FILE (soak.jsonl): every minute, or a little more, a `slice` with its figures; each `failure` with
its seed and the fewest faults that still fail; at the end a `summary`. The next time it goes on at the seed where the
file's last slice ended. Exit 1 if anything failed, 130 for Ctrl-C: what was found by then is in the file.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from typing import Final

import msgspec
import trio
from msgspec import Struct, field
from msgspec.structs import replace

from actors.console.exits import Exit, UsageError
from actors.console.failures import report
from actors.console.signals import end_by_signal
from actors.console.sim_choices import checked_jobs, checked_scenario, checked_seed
from actors.console.sim_figures import Answer, Errand, Figures, Tally, deal, failure_of
from actors.console.sim_table import cores, known_scenarios
from actors.console.sim_workers import search
from actors.console.words import say
from actors.testing.history.eventlog import own_version

FILE: Final = Path("soak.jsonl")
SLICE: Final = 60.0
"""Seconds."""
SHRUNK: Final = 10
"""Failures of one slice that are made small; the others are kept as they are."""


# -- what stands in the file ------------------------------------------------------------------------------


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Line(Struct, kw_only=True, tag_field="kind", tag=str.lower):
    """When it was written (UTC), and by which version."""

    at: str = field(default_factory=_now)
    version: str = field(default_factory=own_version)


class Slice(Line, kw_only=True):
    """Seeds `first` to `next - 1` of every scenario."""

    first: int
    next: int
    jobs: int
    seeds: int
    violations: int
    seeds_per_second: float
    virtual_seconds: float
    trace_hash: str
    seconds: float


class Failure(Line, kw_only=True):
    """A run that failed. `faults` are those that are left of it."""

    scenario: str
    seed: int
    without: tuple[int, ...]
    faults: tuple[str, ...]
    words: tuple[str, ...]
    replay: str


class Summary(Line, kw_only=True):
    """Everything from the start to the end of one soak."""

    first: int
    next: int
    slices: int
    seeds: int
    violations: int
    failures: int
    seeds_per_second: float
    virtual_seconds: float
    seconds: float


class Soak(Struct, frozen=True, kw_only=True):
    """What to do."""

    scenarios: tuple[str, ...]
    seconds: float
    first: int
    jobs: int
    file: Path
    load: tuple[str, ...] = ()
    slice: float = SLICE


def next_seed(data: bytes) -> int:
    """Where the last slice of a file ended; 0 if there is none. Lines of which a part is missing count for nothing."""
    for line in reversed(data.splitlines()):
        try:
            return msgspec.json.decode(line, type=Slice).next
        except msgspec.MsgspecError:
            continue
    return 0


def seconds_of(text: str) -> float:
    """`90`, `90s`, `30m`, `8h` as seconds. ArgumentTypeError for what is no time above 0."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None or not 0 < (seconds := float(found[1]) * {"m": 60, "h": 3600}.get(found[2], 1)) < inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 90s, 30m or 8h")
    return seconds


# -- the search -------------------------------------------------------------------------------------------


class Rounds:
    """Errands for every scenario from one seed, then from the next, until a time; whole rounds, and one at least."""

    def __init__(self, scenarios: Sequence[str], first: int, until: float) -> None:
        self.next = first
        """The first seed of which nothing was handed out."""
        self._scenarios = scenarios
        self._first = first
        self._until = until

    def __iter__(self) -> Iterator[Errand]:
        for errand in deal(self._scenarios, self._first):
            if errand.seed == self.next:
                if errand.seed > self._first and trio.current_time() >= self._until:
                    return
                self.next += 1
            yield errand


class Record:
    """The file, and the sum of what went into it."""

    def __init__(self, soak: Soak) -> None:
        self._soak = soak
        self._began = trio.current_time()
        self._slices: list[Slice] = []
        self.failures = 0

    def slice(self, first: int, after: int, figures: Figures) -> None:
        """One more."""
        line = Slice(
            first=first,
            next=after,
            jobs=self._soak.jobs,
            seeds=figures.seeds,
            violations=figures.violations,
            seeds_per_second=figures.seeds_per_second,
            virtual_seconds=figures.virtual_seconds,
            trace_hash=figures.trace_hash,
            seconds=figures.seconds,
        )
        self._slices.append(line)
        self._append(line)
        rate = f"{figures.seeds} runs, {figures.seeds_per_second:g}/s"
        say(f"{line.at} seeds {first} to {after - 1}: {rate}, {self.failures} failed")

    def failure(self, answer: Answer) -> None:
        """One more."""
        failed = failure_of(answer, self._soak.load)
        self.failures += 1
        self._append(
            Failure(
                scenario=failed.scenario,
                seed=failed.seed,
                without=failed.without,
                faults=failed.faults,
                words=failed.words,
                replay=failed.replay,
            )
        )
        say(f"FAILED {failed.scenario} {failed.seed}", *(f"  {line}" for line in failed.words), f"  {failed.replay}")

    def summary(self) -> None:
        """The end."""
        slices, seconds = self._slices, trio.current_time() - self._began
        seeds = sum(each.seeds for each in slices)
        line = Summary(
            first=self._soak.first,
            next=slices[-1].next if slices else self._soak.first,
            slices=len(slices),
            seeds=seeds,
            violations=sum(each.violations for each in slices),
            failures=self.failures,
            seeds_per_second=round(seeds / seconds, 2) if seconds else 0.0,
            virtual_seconds=round(sum((each.virtual_seconds for each in slices), 0.0), 3),
            seconds=round(seconds, 3),
        )
        self._append(line)
        say(f"{seeds} runs in {seconds:.0f} s, {line.virtual_seconds:.0f} virtual s: {self.failures} failed")

    def _append(self, line: Line) -> None:
        with self._soak.file.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


async def soak_until_over(soak: Soak) -> int:
    """Slice after slice, until the time is over or a signal comes; returns how many runs failed."""
    record = Record(soak)
    until = trio.current_time() + soak.seconds
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(end_by_signal)
            first = soak.first
            while first == soak.first or trio.current_time() < until:
                first = await _slice(soak, first, until, record)
            nursery.cancel_scope.cancel()
    finally:
        record.summary()
    return record.failures


async def _slice(soak: Soak, first: int, until: float, record: Record) -> int:
    """Returns the seed at which the next one begins."""
    began = trio.current_time()
    rounds = Rounds(soak.scenarios, first, min(until, began + soak.slice))
    tally, failed = Tally(soak.load), dict[int, Answer]()

    def on_answer(answer: Answer) -> None:
        tally.add(answer)
        if answer.words:
            failed[answer.number] = answer

    try:
        await search(iter(rounds), on_answer, jobs=soak.jobs, load=soak.load)
        figures = tally.figures(trio.current_time() - began)
        await _make_small(soak, failed)
    finally:
        for number in sorted(failed):
            record.failure(failed[number])
    record.slice(first, rounds.next, figures)
    return rounds.next


async def _make_small(soak: Soak, failed: dict[int, Answer]) -> None:
    """In place of the first failures, what is left of them without the faults that they do not need."""

    def on_answer(answer: Answer) -> None:
        if not answer.trace_hash:  # it could not be repeated
            answer = replace(failed[answer.number], words=(*failed[answer.number].words, *answer.words))
        failed[answer.number] = answer

    few = [
        Errand(answer.number, answer.scenario, answer.seed, shrink=True) for answer in list(failed.values())[:SHRUNK]
    ]
    await search(iter(few), on_answer, jobs=soak.jobs, load=soak.load)


# -- the command ------------------------------------------------------------------------------------------


def soak_of(arguments: Sequence[str]) -> Soak:
    """What the command line and the file say. UsageError, OSError; SystemExit for what argparse refuses."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Search all scenarios from ever new seeds.")
    parser.add_argument("--for", dest="seconds", type=seconds_of, default=SLICE, help="how long: 90s, 30m, 8h")
    parser.add_argument("--jobs", type=int, default=cores(), help="worker processes; one for each core if left out")
    parser.add_argument("--from", dest="first", type=int, help="the first seed; where the file ended if left out")
    parser.add_argument("--load", action="append", default=[], metavar="MODULE", help="a module with more scenarios")
    parser.add_argument("--only", action="append", default=[], metavar="SCENARIO", help="not all, but these")
    parser.add_argument("--slice", type=seconds_of, default=SLICE, help="a line of figures so often; 60s")
    parser.add_argument("file", nargs="?", type=Path, default=FILE, help="soak.jsonl if left out")
    said = parser.parse_args(arguments)
    known = known_scenarios(said.load)
    try:
        scenarios = {checked_scenario(name, known) for name in said.only} or set(known)
        checked_jobs(said.jobs)
        checked_seed("--from", said.first or 0)
    except UsageError as error:
        parser.error(f"{error}; {error.hint}" if error.hint else str(error))
    data = _opened(said.file)
    return Soak(
        scenarios=tuple(sorted(scenarios)),
        seconds=said.seconds,
        first=next_seed(data) if said.first is None else said.first,
        jobs=said.jobs,
        file=said.file,
        load=tuple(said.load),
        slice=said.slice,
    )


def _opened(file: Path) -> bytes:
    """What is in it, whole lines from here on. OSError if it cannot be written: now, and not after the first minute."""
    with file.open("ab+") as log:
        log.seek(0)
        data = log.read()
        if data and not data.endswith(b"\n"):
            log.write(b"\n")  # the last line was cut off
    return data


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    try:
        return Exit.FAILED if trio.run(partial(soak_until_over, soak_of(arguments))) else Exit.OK
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else Exit.USAGE
    except BaseException as error:
        return report(error, json=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
