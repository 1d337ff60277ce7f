"""Faults of drawn kinds at drawn moments, beside the body of a test.

Each has a stream of chance of its own, so that leaving one out changes none of the others. A test's first messages
cross within milliseconds, so most faults strike while something is on its way: at a drawn number of writes to the
network, or after a time of any order of magnitude.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from random import Random
from typing import Final

import trio
from msgspec import Struct
from msgspec.structs import replace

from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import KINDS, Bounce, Crash, Fault, Flap, WallJump

OVER: Final = 5.0
"""Seconds within which faults strike, unless told otherwise."""
LONGEST: Final = 5.0
"""Seconds that one lasts at most: two of them and a heartbeat are less than the 30 s in which messages expire."""
MOST: Final = 6
"""Faults of one storm."""
_EARLIEST: Final = 0.001
_WRITES: Final = 100
_LATENCIES: Final = (0.0, 0.001, 0.001, 0.02)


class Moment(Struct, frozen=True):
    """When a fault strikes: so many seconds after so many writes to the network. 0 of them: after the beginning."""

    writes: int
    seconds: float


class Storm:
    """The faults of one run. Seed 0 is calm: what fails there needs no fault."""

    def __init__(self, sim: Simulation, kinds: Sequence[str], *, over: float = OVER) -> None:
        self._sim = sim
        self._kinds = tuple(kinds)
        self._end = trio.current_time() + over
        rng = sim.stream("storm")
        stormy = bool(sim.seed and self._kinds)
        if stormy:
            sim.network.latency = rng.choice(_LATENCIES)
        self._moments = [_moment(rng, over) for _ in range(rng.randint(1, MOST) if stormy else 0)]
        self._writes = 0
        self._written = {moment.writes: trio.Event() for moment in self._moments if moment.writes}
        self._waiting: list[trio.CancelScope] = []
        self._ended = False
        self._over = trio.Event()
        sim.network.on_bytes.append(self._count)

    async def blow(self) -> None:
        """Inflict each fault at its moment."""
        async with trio.open_nursery() as nursery:
            for number, moment in enumerate(self._moments):
                nursery.start_soon(self._strike, number, moment)
        self._over.set()

    async def wait_over(self) -> None:
        """Returns when the last fault has struck. It may be in force still."""
        await self._over.wait()

    async def end(self) -> None:
        """No fault strikes from here on."""
        self._ended = True
        for scope in self._waiting:
            scope.cancel()
        await self._over.wait()

    async def _strike(self, number: int, moment: Moment) -> None:
        with trio.CancelScope(deadline=self._end) as scope:
            self._waiting.append(scope)
            if moment.writes:
                await self._written[moment.writes].wait()
            await trio.sleep(moment.seconds)
        fault = None if self._ended else self._draw(number)
        if fault is not None:
            await self._sim.inflict(fault)

    def _count(self, *_: object) -> None:
        self._writes += 1
        if (written := self._written.get(self._writes)) is not None:
            written.set()

    def _draw(self, number: int) -> Fault | None:
        """For the nodes that were started by now. None if there are too few."""
        rng = self._sim.stream(f"storm {number}")
        names = [name for name, host in self._sim.hosts.items() if host.run]
        try:
            return shortened(KINDS[rng.choice(self._kinds)](rng, names), LONGEST)
        except (ValueError, IndexError):  # what `sample` and `choice` say to fewer names than they need
            return None


def _moment(rng: Random, over: float) -> Moment:
    """Of one fault in two at a write, of the others at any time and at any order of magnitude of it."""
    way = rng.random()
    if way < 0.5:
        writes = int(float(_WRITES ** rng.random()))
        return Moment(writes, round(rng.choice((0.0, 0.001, 0.02)) * rng.random(), 4))
    if way < 0.75:
        return Moment(0, round(_EARLIEST * float((over / _EARLIEST) ** rng.random()), 4))
    return Moment(0, round(rng.uniform(0, over), 4))


def shortened(fault: Fault, most: float) -> Fault:
    """The same, but it lasts so many seconds at most."""
    match fault:
        case WallJump():
            return fault  # its seconds are no duration
        case Flap(times=times, up=up, down=down):
            return replace(fault, times=max(1, min(times, int(most / (up + down)))))
        case Crash(down=down) | Bounce(down=down):
            return replace(fault, down=min(down, most))
    seconds = getattr(fault, "seconds", None)
    return fault if seconds is None else replace(fault, seconds=min(seconds, most))


def checked_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """ValueError for a name that is no kind of fault, with a guess."""
    if isinstance(kinds, str):
        raise ValueError(f"faults are several kinds; write faults=({kinds!r},)")
    kinds = tuple(kinds)
    for kind in kinds:
        if kind not in KINDS:
            near = get_close_matches(kind, KINDS, 1)
            guess = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KINDS)}"
            raise ValueError(f"no fault is called {kind!r}; {guess}")
    return kinds
