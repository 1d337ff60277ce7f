"""What can happen to a cluster, as data: drawn from a seed, written in a report, left out when a failure is shrunk.

Each fault is done by `Simulation.inflict`. Those with `seconds` end by themselves after that time, and all of them when
the simulation heals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import exp, log
from random import Random
from typing import TYPE_CHECKING, ClassVar, dataclass_transform

import trio
import trio.testing
from msgspec import Struct

from actors.testing.network.troubles import Trouble

if TYPE_CHECKING:
    from actors.testing.cluster.simulation import Simulation


@dataclass_transform(frozen_default=True)
class Fault(Struct, frozen=True):
    """Something that happens. Its text is its constructor call."""

    corrupts: ClassVar[bool] = False
    """Whether bytes may be changed on their way: then the protocol may be seen broken."""
    undetected: ClassVar[bool] = False
    """Whether somebody has to find out by a missing heartbeat."""

    stalls: ClassVar[float] = 0.0
    """Seconds for which no node gets to run at all."""

    @property
    def at_host(self) -> str:
        """Whom it concerns most; empty for all."""
        values = (getattr(self, name) for name in self.__struct_fields__)
        return next((value for value in values if isinstance(value, str)), "")

    async def apply(self, sim: Simulation) -> None:
        """Let it happen."""
        raise NotImplementedError

    def __str__(self) -> str:
        return repr(self)


def _lasts(sim: Simulation, trouble: Trouble, seconds: float) -> None:
    """It heals after so many seconds."""

    async def wait() -> None:
        await trio.sleep(seconds)
        trouble.heal()

    sim.start_soon(wait)


# -- connections ------------------------------------------------------------------------------------------


class Cut(Fault):
    """All connections of two nodes break. `noticed_by`: that end alone notices, the other is left half-open."""

    one: str
    other: str
    noticed_by: str = ""

    @property
    def undetected(self) -> bool:  # type: ignore[override]
        """Half-open: the other end has to find out."""
        return bool(self.noticed_by)

    async def apply(self, sim: Simulation) -> None:
        sim.network.cut(self.one, self.other, noticed_by=self.noticed_by or None)


class Blackhole(Fault):
    """What crosses between two nodes on the connections there are now vanishes, both ways, for good."""

    undetected: ClassVar[bool] = True
    one: str
    other: str

    async def apply(self, sim: Simulation) -> None:
        for connection in sim.network.between(self.one, self.other):
            sim.network.blackhole(connection)


class Partition(Fault):
    """The nodes of `group` and all others do not hear each other."""

    undetected: ClassVar[bool] = True
    group: tuple[str, ...]
    seconds: float

    @property
    def at_host(self) -> str:
        return self.group[0]

    async def apply(self, sim: Simulation) -> None:
        rest = [name for name in sim.hosts if name not in self.group]
        _lasts(sim, sim.network.partition(self.group, rest), self.seconds)


class Deaf(Fault):
    """Nothing that `sender` says arrives at `receiver`; the other way it does."""

    undetected: ClassVar[bool] = True
    sender: str
    receiver: str
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        _lasts(sim, sim.network.deafen(self.receiver, to=self.sender), self.seconds)


class Flap(Fault):
    """Two nodes lose and regain each other, so many times."""

    one: str
    other: str
    times: int
    up: float
    down: float

    async def apply(self, sim: Simulation) -> None:
        async def flap() -> None:
            with trio.move_on_after(self.times * (self.up + self.down)):
                await sim.network.flap(self.one, self.other, up=self.up, down=self.down, reset=True)

        sim.start_soon(flap)


class Slow(Fault):
    """What crosses between two nodes takes longer: seconds of latency, bytes a second of bandwidth."""

    one: str
    other: str
    latency: float
    bandwidth: float
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        slow = sim.network.slow(self.one, self.other, latency=self.latency, bandwidth=self.bandwidth)
        _lasts(sim, slow, self.seconds)


class Corrupt(Fault):
    """Of what crosses between two nodes, one parcel in `1 / rate` has a bit turned."""

    corrupts: ClassVar[bool] = True
    one: str
    other: str
    rate: float
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        _lasts(sim, sim.network.corrupt(self.one, self.other, rate=self.rate), self.seconds)


class Refuse(Fault):
    """Nobody answers at this node's addresses: dials are refused."""

    node: str
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        _lasts(sim, sim.network.refuse_dials(self.node), self.seconds)


# -- nodes ------------------------------------------------------------------------------------------------


class Crash(Fault):
    """The node's process is killed, and started again after `down` seconds. `silently`: as when power is lost."""

    node: str
    down: float
    silently: bool = False
    lose_state: bool = False

    @property
    def undetected(self) -> bool:  # type: ignore[override]
        """Its peers have to find out."""
        return self.silently

    async def apply(self, sim: Simulation) -> None:
        host = sim.hosts[self.node]
        if host.node is None:
            return
        host.crashed = True
        await sim.crash(self.node, silently=self.silently)
        sim.start_soon(_again, sim, self.node, self.down, self.lose_state)


class SlowReader(Fault):
    """The node reads no more than so many bytes a second of each connection."""

    node: str
    rate: float
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        _lasts(sim, sim.network.slow_reader(self.node, self.rate), self.seconds)


class ShortParts(Fault):
    """Reads and writes take a few bytes at a time, and pipes hold little."""

    longest: int
    capacity: int
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        network = sim.network
        for trouble in (
            network.short_writes(longest=self.longest),
            network.short_reads(longest=self.longest),
            network.shrink(capacity=self.capacity),
        ):
            _lasts(sim, trouble, self.seconds)


class Scatter(Fault):
    """Datagrams between two nodes are lost or come twice, each of them up to `spread` seconds late."""

    one: str
    other: str
    loss: float
    copies: float
    spread: float
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        trouble = sim.network.scatter(self.one, self.other, loss=self.loss, copies=self.copies, spread=self.spread)
        _lasts(sim, trouble, self.seconds)


class HoldDials(Fault):
    """Dials wait for each other, and all come through at one moment."""

    seconds: float

    async def apply(self, sim: Simulation) -> None:
        _lasts(sim, sim.network.hold_dials(), self.seconds)


class IgnoreDials(Fault):
    """Dials to the node hang; connections that exist are well."""

    node: str
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        _lasts(sim, sim.network.ignore_dials(self.node), self.seconds)


class Bounce(Fault):
    """The node is stopped in order, and started again after `down` seconds."""

    node: str
    down: float

    async def apply(self, sim: Simulation) -> None:
        host = sim.hosts[self.node]
        if host.node is not None:
            host.crashed = True
            sim.start_soon(self._stop, sim)

    async def _stop(self, sim: Simulation) -> None:
        await sim.stop(self.node)
        await _again(sim, self.node, self.down, False)


async def _again(sim: Simulation, name: str, down: float, lose_state: bool) -> None:
    """The node's next run, unless the simulation has healed before."""
    await trio.sleep(down)
    host = sim.hosts[name]
    if host.crashed:
        host.crashed = False
        await sim.restart(name, lose_state=lose_state)


class WallJump(Fault):
    """The node's wall clock goes off by so many seconds; its next run reads it."""

    node: str
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        sim.set_wall(self.node, self.seconds)


class Stall(Fault):
    """Nothing runs for so many seconds, as when the whole machine is suspended."""

    seconds: float

    @property
    def stalls(self) -> float:  # type: ignore[override]
        """All of it."""
        return self.seconds

    async def apply(self, sim: Simulation) -> None:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        clock.jump(self.seconds)


# -- plans ------------------------------------------------------------------------------------------------

Draw = Callable[[Random, Sequence[str]], Fault]


def _pair(rng: Random, names: Sequence[str]) -> tuple[str, str]:
    one, other = rng.sample(list(names), 2)
    return one, other


def _time(rng: Random, least: float, most: float) -> float:
    """Short ones more often than long ones, over all orders of magnitude."""
    return round(least * exp(rng.random() * log(most / least)), 3)


def _half_open(rng: Random, names: Sequence[str]) -> Fault:
    one, other = _pair(rng, names)
    return Cut(one, other, one)


def _partition(rng: Random, names: Sequence[str]) -> Fault:
    return Partition(tuple(rng.sample(list(names), rng.randint(1, len(names) - 1))), _time(rng, 0.05, 60))


KINDS: dict[str, Draw] = {
    "cut": lambda rng, names: Cut(*_pair(rng, names)),
    "half-open": _half_open,
    "blackhole": lambda rng, names: Blackhole(*_pair(rng, names)),
    "partition": _partition,
    "deaf": lambda rng, names: Deaf(*_pair(rng, names), _time(rng, 0.05, 60)),
    "flap": lambda rng, names: Flap(
        *_pair(rng, names), rng.randint(2, 8), up=_time(rng, 0.01, 2), down=_time(rng, 0.01, 2)
    ),
    "slow": lambda rng, names: Slow(
        *_pair(rng, names),
        latency=_time(rng, 0.005, 2),
        bandwidth=float(round(_time(rng, 5_000, 5_000_000))),
        seconds=_time(rng, 0.1, 20),
    ),
    "corrupt": lambda rng, names: Corrupt(*_pair(rng, names), _time(rng, 0.01, 0.5), _time(rng, 0.1, 10)),
    "slow-reader": lambda rng, names: SlowReader(
        rng.choice(list(names)), float(round(_time(rng, 1_000, 1_000_000))), _time(rng, 0.1, 20)
    ),
    "short-parts": lambda rng, names: ShortParts(
        rng.choice((11, 100, 1400)), rng.choice((100, 500, 65_536)), _time(rng, 0.1, 5)
    ),
    "scatter": lambda rng, names: Scatter(
        *_pair(rng, names),
        rng.choice((0.0, 0.1, 0.5)),
        rng.choice((0.0, 0.5, 1.0)),
        _time(rng, 0.001, 2),
        _time(rng, 0.1, 20),
    ),
    "hold-dials": lambda rng, names: HoldDials(_time(rng, 0.05, 5)),
    "ignore-dials": lambda rng, names: IgnoreDials(rng.choice(list(names)), _time(rng, 0.1, 20)),
    "refuse": lambda rng, names: Refuse(rng.choice(list(names)), _time(rng, 0.1, 20)),
    "crash": lambda rng, names: Crash(
        rng.choice(list(names)), _time(rng, 0.01, 20), silently=rng.random() < 0.3, lose_state=rng.random() < 0.2
    ),
    "bounce": lambda rng, names: Bounce(rng.choice(list(names)), _time(rng, 0.01, 10)),
    "wall-jump": lambda rng, names: WallJump(rng.choice(list(names)), rng.choice((-86_400.0, 86_400.0, -3.0, 3.0))),
    "stall": lambda rng, names: Stall(_time(rng, 0.1, 9)),
}
"""How each kind of fault is drawn, for nodes of these names."""

GENTLE = (
    "cut",
    "half-open",
    "partition",
    "deaf",
    "flap",
    "slow",
    "slow-reader",
    "short-parts",
    "refuse",
    "hold-dials",
    "ignore-dials",
)
"""Kinds that leave nodes running and bytes as they are."""
DESTRUCTIVE = ("crash", "bounce", "corrupt", "blackhole", "wall-jump", "stall")


class Timed(Struct, frozen=True):
    """A fault, and how many seconds after the one before it."""

    after: float
    fault: Fault


def draw(rng: Random, names: Sequence[str], kinds: Iterable[str], *, count: int, over: float) -> tuple[Timed, ...]:
    """So many faults of these kinds, spread over so many seconds."""
    kinds = tuple(kinds)
    gaps = [rng.expovariate(count / over) for _ in range(count)]
    return tuple(Timed(round(gap, 3), KINDS[rng.choice(kinds)](rng, names)) for gap in gaps)


async def play(sim: Simulation, plan: Iterable[Timed]) -> None:
    """Inflict the faults at their times."""
    for timed in plan:
        await trio.sleep(timed.after)
        await sim.inflict(timed.fault)
