"""When messages run out of time: their runs by deadline, in steps of 1/16 s. Pure.

To sort all deadlines would cost each message more than a step does in accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from actors.net.session.runs import Run

_TICKS = 16


class Expiries(dict[int, dict[Run, None]]):
    """The runs that have a deadline, by the step in which it is over."""

    __slots__ = ()

    def watch(self, run: Run) -> None:
        """It may run out of time."""
        if run.deadline < inf:
            step = _step(run.deadline)
            runs = self.get(step)
            if runs is None:
                self[step] = {run: None}
            else:
                runs[run] = None

    def unwatch(self, run: Run) -> None:
        """It has its outcome, or is written no more."""
        if run.deadline < inf:
            step = _step(run.deadline)
            runs = self.get(step)
            if runs is not None:
                runs.pop(run, None)
                if not runs:
                    del self[step]

    def next(self) -> float:
        """When the first step is over; infinity if nothing may run out of time."""
        return min(self) / _TICKS if self else inf

    def due(self, now: float) -> Iterator[Run]:
        """Those that have run out of time, oldest step first. They are watched no more."""
        for step in sorted(step for step in self if step <= now * _TICKS):
            yield from self.pop(step)


def _step(deadline: float) -> int:
    """The one after which a deadline is over."""
    return int(deadline * _TICKS) + 1


def expires_at(deadline: float) -> float:
    """When the step of this deadline is over."""
    return _step(deadline) / _TICKS
