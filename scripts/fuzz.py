#!/usr/bin/env python3
"""Feed every reader of other people's bytes with wrong ones, for as long as it is told. `scripts/fuzz` starts it.

    scripts/fuzz --for 30m [--target NAME ...] [--jobs 1] [--seed N] [--plain] [--findings DIR] [--corpus DIR]
    scripts/fuzz --target NAME --input FILE

Atheris, where it is installed (pip install 'trio-actors[fuzz]'), keeps what reaches new code and goes on from there.
Without it, or with --plain, valid inputs are changed at random: that sees no coverage, and the output says so. Each
target runs in a process of its own, so that even its death is a finding with its input. Exit 1 if anything was found.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from mmap import mmap
from pathlib import Path
from random import Random
from struct import Struct as Layout
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from fuzz_targets import Target
    from fuzzing import Finding

FINDINGS = Path("fuzz-findings")
GRACE = 30.0
"""Seconds after its time in which a process must end."""
MOST = 20
"""Findings of one target that are kept."""
_HEAD = Layout("=QI")


class Journal:
    """What a process was doing when it died: its executions so far, and the input in its hand, written before."""

    SIZE = _HEAD.size + (1 << 20)

    def __init__(self, path: Path) -> None:
        with path.open("ab+") as file:
            file.truncate(self.SIZE)
            self._map = mmap(file.fileno(), self.SIZE)

    def note(self, executions: int, data: bytes) -> None:
        _HEAD.pack_into(self._map, 0, executions, len(data))
        self._map[_HEAD.size : _HEAD.size + len(data)] = data

    def read(self) -> tuple[int, bytes]:
        executions, size = _HEAD.unpack_from(self._map, 0)
        return executions, self._map[_HEAD.size : _HEAD.size + size]


# -- in a process for one target ----------------------------------------------------------------------------


class Feeder:
    """Judges inputs one after the other; keeps one of each kind of finding."""

    def __init__(self, target: Target, journal: Journal, findings: Path, report: Path) -> None:
        self._target, self._journal, self._findings, self._report = target, journal, findings, report
        self._known: set[str] = set()
        self._executions = 0

    def feed(self, data: bytes) -> None:
        """One more. Returns whatever happens, but for the death of the process."""
        from fuzzing import judge, no_hang

        self._executions += 1
        self._journal.note(self._executions, data)
        with no_hang():
            found = judge(self._target, data)
        if found is not None and found.where not in self._known and len(self._known) < MOST:
            self._known.add(found.where)
            self._keep(found, data)

    def _keep(self, found: Finding, data: bytes) -> None:
        from fuzzing import saved, smallest

        data = data if found.where == "slow" or "Hang" in found.what else smallest(self._target, data, found.where)
        path = saved(found, data, self._findings)
        line = msgspec.json.encode(msgspec.structs.replace(found, file=str(path)))
        with self._report.open("ab") as report:
            report.write(line + b"\n")


def work(said: argparse.Namespace) -> int:
    """One target until its time is over."""
    guided = guide(said)
    if guided:
        import atheris

        with atheris.instrument_imports(include=["actors", "transports"]):
            import fuzz_targets
    else:
        import fuzz_targets
    with tempfile.TemporaryDirectory() as folder:
        target = fuzz_targets.targets(Path(folder))[said.target[0]]
        feeder = Feeder(target, Journal(said.journal), said.findings, said.report)
        (_guided if guided else _plainly)(target, feeder.feed, said)
    return 0


def _plainly(target: Target, feed: Callable[[bytes], None], said: argparse.Namespace) -> None:
    from fuzz_mutation import mutate

    chance, until = Random(f"{said.seed} {target.name}"), time.monotonic() + said.seconds
    for data in target.seeds:
        feed(data)
    while time.monotonic() < until:
        feed(mutate(chance.choice(target.seeds), target.shape, target.seeds, chance))


def _guided(target: Target, feed: Callable[[bytes], None], said: argparse.Namespace) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris
    from fuzz_mutation import LONGEST, mutate

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        chance = Random(seed)
        if chance.random() < 0.3:
            return bytes(atheris.Mutate(data, most))
        return mutate(data, target.shape, target.seeds, chance)[:most]

    kept = said.corpus / target.name if said.corpus else Path(tempfile.mkdtemp())
    kept.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds):
        (kept / f"seed-{number}").write_bytes(data)
    options = {"max_total_time": max(1, round(said.seconds)), "max_len": LONGEST, "seed": said.seed % (1 << 31) or 1}
    options |= {"verbosity": 0, "timeout": 60, "rss_limit_mb": 4096, "artifact_prefix": f"{kept}/crash-"}
    atheris.Setup(
        ["fuzz", *(f"-{name}={value}" for name, value in options.items()), str(kept)], feed, custom_mutator=mutated
    )
    atheris.Fuzz()


# -- all of them --------------------------------------------------------------------------------------------


class Ran(msgspec.Struct, frozen=True):
    """What became of one target."""

    name: str
    executions: int
    seconds: float
    findings: tuple[Any, ...]


def guide(said: argparse.Namespace) -> bool:
    """Whether atheris leads."""
    return not said.plain and find_spec("atheris") is not None


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        yield Path(folder)


def run_one(name: str, seconds: float, said: argparse.Namespace) -> Ran:
    """One target in a process of its own. Its death, or its not ending, is a finding too."""
    with _scratch() as folder:
        journal, report = folder / "journal", folder / "report"
        reader = Journal(journal)
        command = [
            sys.executable,
            __file__,
            "--worker",
            "--target",
            name,
            "--for",
            str(seconds),
            "--seed",
            str(said.seed),
        ]
        command += ["--journal", str(journal), "--report", str(report), "--findings", str(said.findings)]
        command += ["--plain"] * said.plain + (["--corpus", str(said.corpus)] if said.corpus else [])
        began = time.monotonic()
        ended = _ended(command, seconds + GRACE, folder / "words")
        seconds = time.monotonic() - began
        executions, last = reader.read()
        lines = report.read_bytes().splitlines() if report.exists() else []
        found = [msgspec.json.decode(line) for line in lines]
        if ended:
            words = (folder / "words").read_text(errors="replace")[-2000:]
            found.append(_died(name, ended, last, said.findings, words))
        return Ran(name, executions, seconds, tuple(found))


def _ended(command: list[str], seconds: float, words: Path) -> str:
    """Empty if it ended well."""
    with words.open("wb") as output:
        try:
            code = subprocess.run(command, stdout=output, stderr=output, timeout=seconds, check=False).returncode
        except subprocess.TimeoutExpired:
            return "the process did not end, and was killed"
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process ended with exit code {code}" if code else ""


def _died(name: str, how: str, last: bytes, findings: Path, words: str) -> dict[str, str]:
    from fuzzing import Finding, saved

    found = Finding(target=name, what=how, where=how)
    print(words, file=sys.stderr)
    return {"target": name, "what": how, "where": "", "file": str(saved(found, last, findings))}


def run_all(names: Sequence[str], said: argparse.Namespace) -> int:
    """Each target for its share of the time; returns how much was found."""
    share = said.seconds * min(said.jobs, len(names)) / len(names)
    began, total, found = time.monotonic(), 0, 0
    with ThreadPoolExecutor(said.jobs) as pool:
        for ran in pool.map(lambda name: run_one(name, share, said), names):
            total, found = total + ran.executions, found + len(ran.findings)
            rate = ran.executions / ran.seconds
            print(
                f"{ran.name:<14} {ran.executions:>12,} executions {rate:>9,.0f}/s  {_count(len(ran.findings))}",
                flush=True,
            )
            for each in ran.findings:
                print(f"  FOUND  {each['what']}  {each['where']}", f"  again  {_again(each)}", sep="\n", flush=True)
    print(
        f"{len(names)} targets, {total:,} executions in {time.monotonic() - began:.0f} s: {_count(found)}; {_how(said)}"
    )
    return found


def _count(findings: int) -> str:
    return f"{findings} finding{'' if findings == 1 else 's'}"


def _again(found: dict[str, str]) -> str:
    return f"scripts/fuzz --target {found['target']} --input {found['file']}"


def _how(said: argparse.Namespace) -> str:
    if guide(said):
        try:
            return f"led by the coverage that atheris {version('atheris')} sees, seed {said.seed}"
        except PackageNotFoundError:
            return f"led by the coverage that atheris sees, seed {said.seed}"
    why = "" if said.plain else "; for that: pip install 'trio-actors[fuzz]'"
    return f"valid inputs changed at random, seed {said.seed}, blind to coverage{why}"


def feed_one(name: str, file: Path) -> int:
    """One input again, with the traceback that it makes."""
    from fuzz_targets import targets
    from fuzzing import judge, no_hang

    with _scratch() as folder:
        target = targets(folder)[name]
        with no_hang():
            found = judge(target, file.read_bytes())
        if found is None:
            print(f"{name} takes {file}")
            return 0
        print(f"FOUND  {found.what}  {found.where}")
        try:
            target.take(file.read_bytes())
        except Exception:
            traceback.print_exc()
        return 1


# -- the command --------------------------------------------------------------------------------------------


def arguments(tokens: Sequence[str]) -> argparse.Namespace:
    """What the command line says; SystemExit for what it must not."""
    from soak import seconds_of

    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Feed every reader of other people's bytes.")
    parser.add_argument("--for", dest="seconds", type=seconds_of, default=60.0, help="how long in all: 90s, 30m, 8h")
    parser.add_argument("--target", action="append", default=[], metavar="NAME", help="not all, but these")
    parser.add_argument("--jobs", type=int, default=1, help="targets at once; 1")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31), help="of all chance")
    parser.add_argument("--plain", action="store_true", help="without atheris")
    parser.add_argument("--findings", type=Path, default=FINDINGS, help=f"where inputs are kept; {FINDINGS}/")
    parser.add_argument("--corpus", type=Path, help="where atheris keeps what reached new code, to go on another day")
    parser.add_argument("--input", type=Path, help="this input alone, into one target")
    for hidden in ("--journal", "--report"):
        parser.add_argument(hidden, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    said = parser.parse_args(tokens)
    if said.worker:
        return said
    names = known_targets()
    unknown = sorted(set(said.target) - set(names))
    if unknown:
        parser.error(f"there is no target {', '.join(unknown)}; there are: {', '.join(names)}")
    if said.input and (len(said.target) != 1 or not said.input.is_file()):
        parser.error("--input takes a file, and one --target")
    if said.jobs < 1:
        parser.error("--jobs is at least 1")
    said.target = said.target or names
    return said


def known_targets() -> list[str]:
    """Their names."""
    from fuzz_targets import targets

    with _scratch() as folder:
        return list(targets(folder))


def main(tokens: Sequence[str]) -> int:
    """Returns the exit code."""
    said = arguments(tokens)
    if said.worker:
        return work(said)
    if said.input:
        return feed_one(said.target[0], said.input)
    try:
        return 1 if run_all(said.target, said) else 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
