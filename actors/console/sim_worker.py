"""A worker of `actors sim run`: errands as JSON lines on stdin, an answer to each on stdout. Ends when stdin does.

    python -m actors.console.sim_worker [MODULE …]        modules with scenarios that the package does not have

The first line that it writes says that it is ready.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Collection, Iterator, Sequence
from queue import SimpleQueue
from typing import BinaryIO

import msgspec

from actors.console.sim_figures import Answer, Errand
from actors.testing.scenarios import SCENARIOS
from actors.testing.seeds.search import Result, run, shrink

_WORDS = 2000
"""Characters of one reason that go into an answer."""
_REASONS = 10


def main(modules: Sequence[str]) -> None:
    """Work until nobody wants any more."""
    from actors.app import load_module

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal; whoever started this ends it
    answers = _own_stdout()
    for module in modules:
        load_module(module)
    answers.write(b"ready\n")
    answers.flush()
    for errand in _errands(sys.stdin.buffer):
        answers.write(msgspec.json.encode(done(errand)) + b"\n")
        answers.flush()


def done(errand: Errand) -> Answer:
    """Run it. Whatever comes out of the simulator itself is the run's failure, and the next errand's turn."""
    try:
        body = SCENARIOS[errand.scenario].body
        return _answer(errand, *(shrink(body, errand.seed) if errand.shrink else (run(body, errand.seed),)))
    except Exception as error:
        traceback.print_exc()
        words = f"the simulator failed: {type(error).__name__}: {error}"[:_WORDS]
        return Answer(number=errand.number, scenario=errand.scenario, seed=errand.seed, words=(words,))


def _answer(errand: Errand, result: Result, without: Collection[int] = ()) -> Answer:
    kept = [fault for number, fault in enumerate(result.faults) if number not in without]
    return Answer(
        number=errand.number,
        scenario=errand.scenario,
        seed=errand.seed,
        trace_hash=result.trace_hash,
        virtual_seconds=result.virtual_seconds,
        violations=len(result.violations),
        words=tuple(line[:_WORDS] for line in result.words.splitlines()[:_REASONS]),
        faults=tuple(kept) if result.failed else (),
        without=tuple(sorted(without)),
    )


def _own_stdout() -> BinaryIO:
    """The stream of answers; what scenarios print goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _errands(stream: BinaryIO) -> Iterator[Errand]:
    """Each line, as it comes. At the end of the stream the process ends at once, whatever run is under way.

    So it never outlives whoever started it, however that one ended.
    """
    lines: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    decode = msgspec.json.Decoder(Errand).decode
    while True:
        yield decode(lines.get())


if __name__ == "__main__":
    main(sys.argv[1:])
