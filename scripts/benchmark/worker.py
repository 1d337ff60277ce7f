"""The measured end of a worker: requests in on stdin, figures out on stdout, one a line. Standard library only.

A request is `[count, load]`; the answer is a number, what one message cost: seconds, or whatever the row's unit is.
The first line, `ready`, says that it is set up. Peers run this in environments that have nothing of the project.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

BODY = b"x" * 100
"""Of every message, but for bandwidth."""
LARGE = b"x" * (64 << 10)
SENDER, TARGET, MAILBOX = "9f" * 16, "engine-0042", "proxy"
"""What an envelope says beside the body; the first stands for a NodeID."""
clock = time.perf_counter
GRACE = 5.0


class Beside(NamedTuple):
    """The process at the other end."""

    process: subprocess.Popen[str]
    greeting: str
    """The line that it began with: its port, or its advert."""


@contextmanager
def beside(*command: str) -> Iterator[Beside]:
    """Run the other end of what is measured. It ends when its standard input does: with this block or this process."""
    with subprocess.Popen([*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            greeting = process.stdout.readline().strip()
            if not greeting:
                raise RuntimeError(f"the other end did not start: {' '.join(command[1:])}")
            yield Beside(process, greeting)
        finally:
            process.stdin.close()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command for one of these modules, in the interpreter that runs this."""
    return (sys.executable, "-m", f"benchmark.{name}", *arguments)


def greet(line: str) -> None:
    """Say that the other end is there."""
    print(line, flush=True)


def ready() -> None:
    """Say that requests may come."""
    print("ready", flush=True)


def next_request() -> tuple[int, int] | None:
    """Wait for one. None: there will be no more."""
    line = sys.stdin.readline()
    if not line.strip():
        return None
    count, load = json.loads(line)
    return count, load


def answer(figure: float) -> None:
    """Tell what was asked for."""
    print(repr(float(figure)), flush=True)


def serve(measure: Callable[[int, int], float]) -> None:
    """Answer requests until there are no more."""
    ready()
    while (request := next_request()) is not None:
        answer(measure(*request))


def middle(latencies: Sequence[float], share: float = 0.5) -> float:
    """The latency that this share does not exceed."""
    return sorted(latencies)[min(len(latencies) - 1, int(len(latencies) * share))]
