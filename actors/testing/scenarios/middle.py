"""Somebody between two nodes, who passes on what they say, and changes, repeats or withholds it (PROTOCOL H3).

On a plain link nothing tells somebody who only passes things on from a wire: that relay succeeds, and is documented.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import trio
import trio.lowlevel
from msgspec import structs

from actors.identity import Incarnation
from actors.net.connecting.backoff import BackoffCfg
from actors.net.messages import Accepted, ConnectionID, ConnectOk, ConnectRequest, Frame, Proof
from actors.net.network import NetworkCfg
from actors.net.proving.adverts import NodeAdvert
from actors.net.wire import decode, encode
from actors.testing.cluster.hosts import key_of
from actors.testing.cluster.proofs import NUMBERS
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Fault
from actors.testing.scenarios.cast import Question, cast
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.strangers import Change, Front, Line, relay, stranger_key

_ADVERT = {NUMBERS[record] for record in NUMBERS if record.__name__.startswith("Advert")}


def unchanged(side: str, frame: bytes) -> Sequence[bytes]:
    """Pass it on, but for adverts: then each node knows the other by this way only."""
    return () if frame[4] in _ADVERT else (frame,)


class Middle:
    """Node a knows node b by an address at which somebody else listens, who passes on what is said."""

    def __init__(self, sim: Simulation, change: Callable[[int], Change]) -> None:
        self.sim = sim
        self.change = change
        """What becomes of the frames of the so-many-th connection."""
        self.front = Front(sim, "middle", "middle", self._answer)

    async def start(self) -> None:
        """The nodes, and whoever is between them."""
        sim = self.sim
        await sim.start("a", "b", setup=cast(sim), know=False)
        sim["a"].learn(NodeAdvert.sign(key_of("b"), [("memory://middle", 1)], version=1, created=0))
        sim.start_soon(self.front.serve)
        await trio.lowlevel.checkpoint()

    async def _answer(self, line: Line) -> None:
        await relay(self.sim, "middle", line, "b", self.change(self.front.count))


# -- during the handshake ---------------------------------------------------------------------------------

_OTHER = stranger_key("other").id
_FIELDS: dict[str, dict[str, object]] = {
    "ConnectRequest": {
        "ver_min": 0,
        "ver_max": 2,
        "src": _OTHER,
        "dst": _OTHER,
        "incarnation": Incarnation(1 << 60, 1),
        "nonce": b"x" * 32,
        "dial": 1 << 40,
        "accepted": ConnectionID(Incarnation(1 << 60, 1), 1),
        "advert_mine": 99,
        "advert_yours": 99,
        "max_frame": 8192,
    },
    "ConnectOk": {
        "ver": 2,
        "ver_min": 0,
        "ver_max": 2,
        "incarnation": Incarnation(1 << 60, 1),
        "nonce": b"x" * 32,
        "advert_mine": 99,
        "advert_yours": 99,
        "max_frame": 8192,
        "signature": bytes(64),
    },
    "Proof": {"epoch": 99, "permanent": None, "signature": bytes(64)},
}
"""Another value for each field; None: the opposite."""
_SIGNED = {NUMBERS[ConnectRequest], NUMBERS[ConnectOk], NUMBERS[Proof]}
ATTACKS = ("field", "field", "bit", "cut short", "replayed", "reflected", "withheld", "twice")


class Attack(Fault):
    """What whoever is in the middle does to the next handshake, for which it breaks the link. `which` says to what."""

    how: str
    which: str
    seed: int

    async def apply(self, sim: Simulation) -> None:
        sim.network.cut("middle")


class _Attacker:
    """One connection under attack; `bent` says whether anything was really changed, `proven` whether it helped."""

    def __init__(self, attack: Attack, seen: dict[str, bytes]) -> None:
        self.attack = attack
        self.seen = seen
        """The frames of a handshake before this one, by their kind."""
        self.bent = False
        self.proven = False
        self._rng = Random(attack.seed)  # noqa: S311 - a simulation, no secrets

    def __call__(self, side: str, frame: bytes) -> Sequence[bytes]:
        """See Change."""
        if frame[4] == NUMBERS[Accepted]:
            self.proven = True
        if frame[4] not in _SIGNED:
            return unchanged(side, frame)
        said = decode(frame[4:])
        assert said is not None
        name = type(said).__name__
        if name != self.attack.which:
            return (frame,)
        frames = self._bend(said, frame)
        self.bent = self.bent or list(frames) != [frame]
        return frames

    def _bend(self, said: Frame, frame: bytes) -> Sequence[bytes]:
        rng, name = self._rng, type(said).__name__
        match self.attack.how:
            case "field":
                field = rng.choice(sorted(_FIELDS[name]))
                value = _FIELDS[name][field]
                other = not getattr(said, field) if value is None else value
                return (encode(structs.replace(said, **{field: other})),)
            case "bit":
                at = rng.randrange(8 * 4, 8 * len(frame))
                flipped = bytearray(frame)
                flipped[at // 8] ^= 1 << at % 8
                return (bytes(flipped),)
            case "cut short":
                return (frame[: rng.randrange(4, len(frame))],)
            case "replayed":
                return (self.seen.get(name, frame),)
            case "reflected":
                return (self.seen.get("ConnectRequest", frame),) if name == "ConnectOk" else (frame,)
            case "withheld":
                return ()
            case _:
                return (frame, frame)


@scenario("H1 H3 H5 H6")
async def man_in_the_middle(sim: Simulation) -> None:
    """Handshakes are changed, replayed, reflected, cut short on their way: none is proven. One that is passed on is."""
    rng = sim.rng
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=rng.choice((0.5, 2.0))), handshake_timeout=1.0)
    sim.network.lay(latency=rng.choice((0.001, 0.02)))
    attackers: dict[int, _Attacker] = {}
    plan: dict[int, Attack] = {}
    seen: dict[str, bytes] = {}

    def change(number: int) -> Change:
        if number not in plan:
            return _noting(seen)
        attackers[number] = _Attacker(plan[number], dict(seen))
        return attackers[number]

    middle = Middle(sim, change)
    await middle.start()
    if rng.random() < 0.7:
        await sim.link("a", "b")  # an honest handshake first, of which something may be replayed
    else:
        sim.hold("a", "b")
    for _ in range(rng.randint(2, 5)):
        number = middle.front.count + 1
        plan[number] = attack = Attack(rng.choice(ATTACKS), rng.choice(sorted(_FIELDS)), rng.randint(0, 1 << 30))
        if await sim.inflict(attack):
            await sim.until(lambda: middle.front.count >= number, "another handshake")  # noqa: B023
        else:
            del plan[number]
    await sim.until(lambda: sim.is_up("a", "b"), "a link after the attacks")
    for number, attacker in attackers.items():
        # What is said twice has been said: the first time counts, and the second is an error.
        succeeded = attacker.bent and attacker.proven and attacker.attack.how != "twice"
        assert not succeeded, f"connection {number} was proven: {attacker.attack}"
    value = await sim.ask("a", sim.to("b", "sink"), Question(1))
    assert value == -1, repr(value)
    await sim.settle()


def _noting(seen: dict[str, bytes]) -> Change:
    def change(side: str, frame: bytes) -> Sequence[bytes]:
        if frame[4] in _SIGNED:
            seen[type(decode(frame[4:])).__name__] = frame
        return unchanged(side, frame)

    return change
