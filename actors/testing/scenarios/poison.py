"""Frames that a node cannot take, after the proof: one message again and again, frames of later days (S14, H11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import trio

from actors.net.connecting.backoff import BackoffCfg
from actors.net.messages import Accepted, Bye
from actors.net.network import NetworkCfg
from actors.net.wire import MESSAGES, decode
from actors.testing.cluster.proofs import NUMBERS
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut, Fault
from actors.testing.history.records import Settled
from actors.testing.scenarios.cast import Item, Traffic
from actors.testing.scenarios.middle import Middle, unchanged
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.strangers import Change

_THIRD = 3
"""So many connections a message may end."""
POISON = b"\xffthis is what the peer cannot take\xff"
CRITICAL, OPTIONAL = b"\0\0\0\x01\xfe", b"\0\0\0\x05\x7enew!"


class Poisoned(Fault):
    """From now on a frame with the poison in it is spoiled on its way, so that its receiver breaks the connection."""

    corrupts: ClassVar[bool] = True
    how: str

    async def apply(self, sim: Simulation) -> None:
        """Nothing by itself: whoever is in the middle looks at it."""


HOWS = ("critical frame", "no array", "cut short", "huge header")


def _spoiled(how: str, frame: bytes) -> list[bytes]:
    """The Messages frame as it arrives."""
    head = 4 + 3 + int.from_bytes(frame[5:7], "big")
    match how:
        case "critical frame":
            return [CRITICAL, frame]
        case "no array":
            return [frame[:head] + b"\xc1" * (len(frame) - head)]
        case "cut short":
            rest = frame[4:-1]
            return [len(rest).to_bytes(4, "big") + rest]
        case _:
            return [b"\xff\xff\xff\xff\x91"]


@scenario("S14 S8 K1 O2")
async def poison(sim: Simulation) -> None:
    """The same message ends each connection that it is sent on: at the third time it is given up, and all goes on."""
    rng = sim.rng
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0))
    sim.network.lay(latency=rng.choice((0.001, 0.02)))
    fault, ended = Poisoned(rng.choice(HOWS)), [0]
    in_force: list[Poisoned] = []

    def spoil(side: str, frame: bytes) -> Sequence[bytes]:
        if frame[4] == NUMBERS[Bye] and side == "acceptor":
            said = decode(frame[4:])
            ended[0] += isinstance(said, Bye) and said.reason.startswith("protocol error")
        if in_force and side == "dialer" and frame[4] == MESSAGES and POISON in frame:
            return _spoiled(in_force[0].how, frame)
        return unchanged(side, frame)

    await Middle(sim, lambda _: spoil).start()
    await sim.link("a", "b")
    if await sim.inflict(fault):
        in_force.append(fault)
    before, after = rng.randint(0, 3), rng.randint(0, 5)
    numbers = await _say(sim, before, after)
    if rng.random() < 0.3:
        await trio.sleep(rng.uniform(0, 1))
        await sim.inflict(Cut("a", "middle", rng.choice(("", "a"))))
    await sim.until(lambda: not sim[("a")].snapshot().statistics.ledger.in_flight, "an outcome of all", within=200.0)
    given_up = [record for record in sim.history if isinstance(record, Settled) and record.reason == "poison"]
    if in_force:
        # Those before it in its frame are blamed first: nobody can tell which of them it is.
        assert 1 <= len(given_up) <= 1 + before, f"{len(given_up)} of {numbers} messages were given up"
        assert ended[0] >= _THIRD * len(given_up), f"{len(given_up)} given up after {ended[0]} connections"
        assert all(record.maybe_sent for record in given_up)
    else:
        assert not given_up, f"nothing was spoiled, and yet: {given_up}"
    in_force.clear()
    value = await sim.send("a", sim.to("b", "sink"), Item(1000), expiry=60.0)
    assert value is None, f"after the poison: {value!r}"
    await sim.settle()


async def _say(sim: Simulation, before: int, after: int) -> int:
    """Messages that are written in one frame if they can be, the poison among them."""
    traffic = Traffic(sim)
    to = sim.to("b", "sink")
    for _ in range(before):
        await sim["a"].tell(to, Item(traffic.take()), expiry=3600.0)
    await sim["a"].tell(to, Item(traffic.take(), POISON), expiry=3600.0)
    for _ in range(after):
        await sim["a"].tell(to, Item(traffic.take()), expiry=3600.0)
    return before + 1 + after


# -- frames of later days ---------------------------------------------------------------------------------


class Strange(Fault):
    """A frame of an unknown kind comes in front of the so-many-th frame after the proof."""

    corrupts: ClassVar[bool] = True
    side: str
    critical: bool
    place: int

    async def apply(self, sim: Simulation) -> None:
        """Nothing by itself: whoever is in the middle looks at it."""


class _Inserting:
    """The change of one connection."""

    def __init__(self, strange: list[Strange]) -> None:
        self.met = 0
        self._strange = strange
        self._proven = False
        self._seen = {"dialer": 0, "acceptor": 0}

    def __call__(self, side: str, frame: bytes) -> Sequence[bytes]:
        """See Change."""
        if not self._proven:
            self._proven = frame[4] == NUMBERS[Accepted]
            return unchanged(side, frame)
        self._seen[side] += 1
        due = [each for each in self._strange if (each.side, each.place) == (side, self._seen[side])]
        for each in due:
            self._strange.remove(each)
            self.met += not each.critical
        return [*(CRITICAL if each.critical else OPTIONAL for each in due), *unchanged(side, frame)]


@scenario("H11 S6")
async def later_frames(sim: Simulation) -> None:
    """Unknown frames come in between: optional ones are skipped and counted, a critical one costs the connection."""
    rng = sim.rng
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0))
    sim.network.lay(latency=rng.choice((0.001, 0.02)))
    strange: list[Strange] = []
    made: list[_Inserting] = []

    def change(_: int) -> Change:
        made.append(_Inserting(strange))
        return made[-1]

    middle = Middle(sim, change)
    await middle.start()
    for _ in range(rng.randint(1, 6)):
        each = Strange(rng.choice(("dialer", "acceptor")), rng.random() < 0.2, rng.randint(2, 12))
        if await sim.inflict(each):
            strange.append(each)
    critical = any(each.critical for each in strange)
    await sim.link("a", "b")
    traffic = Traffic(sim)
    for _ in range(rng.randint(5, 15)):
        await traffic.one(*rng.choice((("a", "b"), ("b", "a"))))
        await trio.sleep(rng.expovariate(20.0))
    if not critical:
        assert middle.front.count == 1, f"optional frames cost {middle.front.count - 1} connections"
    strange.clear()
    await sim.settle()
    skipped = _skipped(sim)
    assert skipped <= sum(each.met for each in made), f"{skipped} frames were skipped"
    if not critical:
        assert skipped == sum(each.met for each in made), f"{skipped} frames were skipped"


def _skipped(sim: Simulation) -> int:
    """On the links there are now."""
    entries = [entry for name in sim.running for entry in sim[name]._network.table]
    return sum(link.skipped for entry in entries if entry.session is not None for link in entry.session.links)
