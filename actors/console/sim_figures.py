"""Which runs there are to do, and what became of them. Pure: answers in, figures out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Final

from msgspec import Struct

from actors.errors import ActorError

LISTED: Final = 1000
"""Failures that figures list; all are counted."""


class Errand(Struct, frozen=True):
    """One run for a worker. `shrink`: of a seed that fails, down to the fewest faults."""

    number: int
    scenario: str
    seed: int
    shrink: bool = False


class Answer(Struct, frozen=True, kw_only=True):
    """What a run came to."""

    number: int
    scenario: str
    seed: int
    trace_hash: str = ""
    virtual_seconds: float = 0.0
    violations: int = 0
    words: tuple[str, ...] = ()
    """Why it failed; empty if it did not."""
    faults: tuple[str, ...] = ()
    """Of a failure: those that were inflicted."""
    without: tuple[int, ...] = ()
    """Of a failure that was shrunk: the numbers of those that were left out."""


class Failure(Struct, frozen=True, kw_only=True):
    """A run that failed, for the figures. `replay` is the command that repeats it."""

    scenario: str
    seed: int
    without: tuple[int, ...]
    words: tuple[str, ...]
    faults: tuple[str, ...]
    replay: str


class Share(Struct, kw_only=True):
    """One scenario's part of the figures."""

    seeds: int = 0
    failures: int = 0
    virtual_seconds: float = 0.0


class Figures(Struct, frozen=True, kw_only=True):
    """The `data` of `actors sim run`."""

    seeds: int
    violations: int
    """Broken promises; a run that failed without one counts as one."""
    seeds_per_second: float
    virtual_seconds: float
    trace_hash: str
    """Of all runs' hashes in the order of the errands, however many workers there were."""
    seconds: float
    scenarios: dict[str, Share]
    failures: tuple[Failure, ...]
    """The first of them, in order."""


class PromisesBroken(ActorError):
    """Runs failed. The hint repeats the first."""

    code = "violations"


def deal(scenarios: Sequence[str], first: int, count: int | None = None) -> Iterator[Errand]:
    """Seed `first` of every scenario, then the next seed of every one, `count` in all; without end if it is None."""

    def errands() -> Iterator[Errand]:
        number, seed = 0, first
        while True:
            for scenario in scenarios:
                yield Errand(number, scenario, seed)
                number += 1
            seed += 1

    return islice(errands(), count)


def replay_line(scenario: str, seed: int, without: Sequence[int] = (), load: Sequence[str] = ()) -> str:
    """The command that repeats a run."""
    words = ["actors", "sim", "replay", scenario, str(seed)]
    if without:
        words += ["--without", ",".join(map(str, sorted(without)))]
    return " ".join([*words, *(f"--load {module}" for module in load)])


class Tally:
    """Counts answers, which come in any order, in the order of their errands."""

    def __init__(self, load: Sequence[str] = ()) -> None:
        self.seeds = 0
        self.failed = 0
        self._load = load
        self._waiting: dict[int, Answer] = {}
        self._next = 0
        self._hash = blake2b(digest_size=8)
        self._violations = 0
        self._virtual_seconds = 0.0
        self._shares: dict[str, Share] = {}
        self._failures: list[Failure] = []

    def add(self, answer: Answer) -> list[Answer]:
        """One more; which ones have their turn by it."""
        self._waiting[answer.number] = answer
        counted = []
        while (answer_due := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            self._count(answer_due)
            counted.append(answer_due)
        return counted

    def _count(self, answer: Answer) -> None:
        share = self._shares.setdefault(answer.scenario, Share())
        self.seeds += 1
        share.seeds += 1
        self._hash.update(f"{answer.scenario} {answer.seed} {answer.trace_hash}\n".encode())
        self._virtual_seconds += answer.virtual_seconds
        share.virtual_seconds += answer.virtual_seconds
        if answer.words:
            self.failed += 1
            share.failures += 1
            self._violations += max(1, answer.violations)
            if len(self._failures) < LISTED:
                self._failures.append(failure_of(answer, self._load))

    def figures(self, seconds: float) -> Figures:
        """So far, after so many real seconds."""
        return Figures(
            seeds=self.seeds,
            violations=self._violations,
            seeds_per_second=round(self.seeds / seconds, 2) if seconds > 0 else 0.0,
            virtual_seconds=round(self._virtual_seconds, 3),
            trace_hash=self._hash.hexdigest(),
            seconds=round(seconds, 3),
            scenarios={name: _rounded(share) for name, share in sorted(self._shares.items())},
            failures=tuple(self._failures),
        )


def failure_of(answer: Answer, load: Sequence[str] = ()) -> Failure:
    """A failed run, with the command that repeats it."""
    return Failure(
        scenario=answer.scenario,
        seed=answer.seed,
        without=answer.without,
        words=answer.words,
        faults=answer.faults,
        replay=replay_line(answer.scenario, answer.seed, answer.without, load),
    )


def _rounded(share: Share) -> Share:
    return Share(seeds=share.seeds, failures=share.failures, virtual_seconds=round(share.virtual_seconds, 3))


def broken(figures: Figures) -> PromisesBroken:
    """What is wrong, for the envelope and for people."""
    failed = sum(share.failures for share in figures.scenarios.values())
    error = PromisesBroken(f"{counted(figures.violations, 'violation')} in {failed} of {figures.seeds} runs")
    error.hint = figures.failures[0].replay
    return error


def counted(number: int, what: str) -> str:
    """`1 violation`, `2 violations`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
