"""How a link begins, is held, and ends with its node, in each phase of it (PROTOCOL L, D5, D6)."""

from __future__ import annotations

from itertools import permutations
from random import Random

import trio

from actors.errors import Expired
from actors.net.connecting.backoff import BackoffCfg
from actors.net.messages import Bye, Idle, IdleOk
from actors.net.network import NetworkCfg
from actors.net.proving.adverts import NodeAdvert
from actors.net.session.liveness import LivenessCfg
from actors.testing.cluster.hosts import key_of
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Crash, Cut, Fault, HoldDials, IgnoreDials, Refuse, Slow
from actors.testing.history.records import LinkUp, Settled
from actors.testing.scenarios.cast import LONG, Item, Question, Traffic, cast
from actors.testing.scenarios.moments import Crossing, FrameTap, draw_later
from actors.testing.scenarios.registry import scenario

_ALIVE = LivenessCfg(ping_after=1.0, dead_after=3.0)


def _time(rng: Random, least: float, most: float) -> float:
    """Short times more often than long ones, and at times none."""
    return 0.0 if rng.random() < 0.15 else least * float(most / least) ** rng.random()


# -- permanence -------------------------------------------------------------------------------------------


class _Holders:
    """Who holds the link between two nodes for permanent, at either end."""

    def __init__(self, sim: Simulation, names: list[str], latency: float) -> None:
        self.sim = sim
        self.names = names
        self.latency = latency
        self.held: dict[str, set[str]] = {name: set() for name in names}
        self.whims = 0
        """So many times more somebody changes its mind when a link is about to be closed."""
        self.over = False
        FrameTap(sim).on_frame.append(self._see)

    def toggle(self, here: str) -> None:
        """Somebody at this node takes hold, or lets go."""
        (there,) = (name for name in self.names if name != here)
        holder = self.sim.rng.choice(("console", "engine"))
        self.sim[here].set_permanence(key_of(there).id, holder not in self.held[here], holder=holder)
        self.held[here] ^= {holder}

    def _see(self, crossing: Crossing) -> None:
        if self.whims and not self.over and isinstance(crossing.frame, Idle | IdleOk | Bye):
            self.whims -= 1
            self.sim.start_soon(self._toggle, draw_later(self.sim.rng, self.latency))

    async def _toggle(self, later: float) -> None:
        await trio.sleep(later)
        if not self.over:
            self.toggle(self.sim.rng.choice(self.names))

    def let_go(self) -> None:
        """All of them; `Simulation.hold` takes their place, or nobody."""
        self.over = True
        for here, there in permutations(self.names):
            if self.sim.rng.random() < 0.5:
                self.sim.hold(here, there)
            for holder in sorted(self.held[here]):
                self.sim[here].set_permanence(key_of(there).id, False, holder=holder)


@scenario("L1 L2 L3 L4 L5 D3")
async def permanence(sim: Simulation) -> None:
    """Holders come and go in each phase of a link, and in the moment in which its proxy leaves the table."""
    rng = sim.rng
    names = rng.sample(["a", "b"], 2)
    latency = rng.choice((0.001, 0.02))
    idle = rng.choice((0.2, 0.5, 300.0))
    sim.cfg = NetworkCfg(idle_after=idle, backoff=BackoffCfg(cap=2.0), liveness=_ALIVE, handshake_timeout=2.0)
    sim.network.lay(latency=latency)
    await sim.start(*names, setup=cast(sim))
    traffic = Traffic(sim, expiries=(LONG, 5.0, 0.3))
    holders = _Holders(sim, names, latency)
    for _ in range(rng.randint(8, 25)):
        holders.whims = rng.choice((0, 2, 4))
        await _step(sim, traffic, holders, *rng.sample(names, 2))
        pause = idle + latency * rng.uniform(-2, 6) if rng.random() < 0.3 else _time(rng, latency / 10, 1.0)
        await trio.sleep(min(pause, 2.0))
    await sim.heal()
    holders.let_go()
    await trio.sleep(0.2)
    await sim.settle()
    for here, there in permutations(names):
        held = sim[here].is_permanent(key_of(there).id)
        assert held == (there in sim.hosts[here].permanent), f"{here} holds {there}: {held}"


async def _step(sim: Simulation, traffic: Traffic, holders: _Holders, here: str, there: str) -> None:
    """Somebody takes hold or lets go, says something, or something breaks."""
    rng, node, peer = sim.rng, sim[here], key_of(there).id
    match rng.choice(("hold", "hold", "hold", "hold", "send", "send", "fault", "fault", "dial", "close")):
        case "hold":
            holders.toggle(here)
        case "send":
            await traffic.one(here, there)
        case "fault":
            for fault in _obstacle(rng, here, there):
                await sim.inflict(fault)
                await trio.sleep(_time(rng, 0.001, 0.5))
            holders.toggle(here)
        case "dial":
            node.dial_now(peer)
        case _:
            node.close(peer)


def _obstacle(rng: Random, here: str, there: str) -> list[Fault]:
    """What brings a link into one of its phases, or out of it."""
    seconds = round(_time(rng, 0.01, 2.0), 3)
    faults: list[Fault] = [
        IgnoreDials(there, seconds),
        Refuse(there, seconds),
        Refuse(there, seconds),
        HoldDials(seconds),
        Slow(here, there, latency=0.2, bandwidth=1e6, seconds=seconds),
    ]
    cut = Cut(here, there, rng.choice(("", "", here)))
    return [*rng.sample(faults, rng.choice((0, 1, 1))), *rng.choice(([cut], [cut], []))]


# -- addresses --------------------------------------------------------------------------------------------

_DIALS_PER_SECOND = 3
_STAGGER = 0.25


@scenario("L1 C7 A4 H5")
async def addresses(sim: Simulation) -> None:
    """An ephemeral link begins where some of the peer's addresses lead nowhere, or all of them for a time."""
    rng = sim.rng
    latency = rng.choice((0.001, 0.02, 0.1))
    sim.network.lay(latency=latency)
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=rng.choice((2.0, 30.0))), handshake_timeout=rng.choice((1.0, 5.0)))
    dials: list[float] = []
    sim.network.on_dial.append(lambda at, host, _: dials.append(at) if host == "a" else None)
    await sim.start("a", "b", "c", setup=cast(sim), know=False)
    offers = _offers(rng)
    sim["a"].learn(NodeAdvert.sign(key_of("b"), offers, version=1, created=0))
    for url, _ in offers:
        if "silent" in url:
            await sim.inflict(IgnoreDials(url.removeprefix("memory://"), LONG))
    seconds = rng.choice((0.0, 0.0, round(_time(rng, 0.1, 20.0), 3), LONG))
    blocked = seconds > 0 and await sim.inflict(rng.choice((Refuse, IgnoreDials))("b", seconds))
    began = sim.now()
    expiry = rng.choice((0.3, 3.0, 12.0))
    outcomes: list[object] = []
    async with trio.open_nursery() as nursery:
        for n in range(rng.randint(1, 4)):
            nursery.start_soon(_first_word, sim, n, expiry, outcomes)
            if rng.random() < 0.3:
                await trio.sleep(expiry * rng.random())
    found = any(isinstance(record, LinkUp) for record in sim.history)
    for outcome in outcomes:
        assert outcome is None or (isinstance(outcome, Expired) and found >= outcome.maybe_sent), f"{outcome!r}"
    _three_a_second(dials)
    reached = None in outcomes
    if not blocked:
        most = (_STAGGER + 1 / _DIALS_PER_SECOND) * len(offers) + 16 * latency + 0.1
        assert reached or expiry <= most, f"none of {offers} was reached in {sim.now() - began:.3f} s"
    if not reached:
        await trio.sleep(0.3)
        phases = [proxy.state for proxy in sim["a"].proxies()]  # a handshake that is out goes on
        assert not {"dialing", "backoff"} & {*phases}, f"nothing is left to be sent, and yet: {sim.state()}"
    await sim.heal()
    sim["a"].learn(sim["b"].advert)
    value = await sim.ask("a", sim.to("b", "sink"), Question(100), expiry=60.0)
    assert value == -100, f"b has come back, and said {value!r}"
    await sim.settle()


def _offers(rng: Random) -> list[tuple[str, int]]:
    """Addresses of b by b's word: where nobody listens, where dials hang, where somebody else listens, and b's own."""
    dead = rng.sample(["memory://nobody-1", "memory://nobody-2", "memory://silent-1", "memory://silent-2"], 4)
    urls = [*dead[: rng.randint(0, 3)], *rng.choice(([], ["memory://c"], ["memory://a"])), "memory://b"]
    return [(url, rng.randint(1, 9)) for url in urls]


async def _first_word(sim: Simulation, n: int, expiry: float, outcomes: list[object]) -> None:
    outcomes.append(await sim.send("a", sim.to("b", "sink"), Item(n), expiry=expiry))


def _three_a_second(dials: list[float]) -> None:
    for first, fourth in zip(dials, dials[_DIALS_PER_SECOND:], strict=False):
        assert fourth - first >= 1.0 - 1e-6, f"four dials in {fourth - first:.3f} s, from {first:.3f}"


# -- the end of a node ------------------------------------------------------------------------------------

_PHASES = ("ready", "ready", "idle", "dialing", "backoff", "handshaking", "first word")


@scenario("D5 D6 O3 L")
async def stops(sim: Simulation) -> None:
    """Nodes stop, one or both at once, in each phase of their link and with traffic each way; then they run again."""
    rng = sim.rng
    one, other = rng.sample(["a", "b"], 2)
    latency = rng.choice((0.001, 0.02, 0.1))
    drain = rng.choice((0.5, 2.0, 10.0))
    phase = rng.choice(_PHASES)
    idle = 0.3 if phase == "idle" else rng.choice((0.3, 300.0))
    sim.network.lay(latency=latency)
    sim.cfg = NetworkCfg(
        idle_after=idle, drain_timeout=drain, backoff=BackoffCfg(cap=2.0), liveness=_ALIVE, handshake_timeout=2.0
    )
    await sim.start(one, other, setup=cast(sim, slow=0.05))
    traffic = Traffic(sim, expiries=(LONG, 5.0, 0.5), targets=("sink", "sink", "slow"))
    if phase != "idle" and rng.random() < 0.6:
        await sim.link(one, other, both=rng.random() < 0.3)
    clear = not await _bring(sim, traffic, phase, one, other, idle, latency)
    proven = any(proxy.state == "ready" for proxy in sim[one].proxies())
    quick = phase in ("dialing", "backoff") and not clear and not proven
    up = sim.is_up(one, other)
    meanwhile = rng.choice(("peer stops", "peer stops", "peer crashes", "cut", "nothing", "nothing"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop, sim, one, 0.2 if quick else drain + 1.0)
        await trio.sleep(_time(rng, latency / 10, 8 * latency))
        if rng.random() < 0.5:
            await traffic.one(other, one)
        match meanwhile:
            case "peer stops":
                nursery.start_soon(_stop, sim, other, drain + 1.0)
            case "peer crashes":
                await sim.inflict(Crash(other, 0.5))
            case "cut":
                await sim.inflict(Cut(one, other, rng.choice(("", one, other))))
            case _:
                pass
    if up and drain == 10.0 and meanwhile == "nothing" and phase in ("ready", "idle"):
        ends = [record for record in sim.history if isinstance(record, Settled) and record.node == one]
        lost = [record for record in ends if record.outcome == "lost"]
        assert not lost, f"there was time for all that {one} had to say, and yet: {lost[:3]}"
    await trio.sleep(_time(rng, 0.01, 3.0))
    for name in (one, other):
        await sim.restart(name)
    for sender, receiver in ((one, other), (other, one)):
        await traffic.one(sender, receiver)
    await sim.settle()


async def _bring(
    sim: Simulation, traffic: Traffic, phase: str, one: str, other: str, idle: float, latency: float
) -> bool:
    """Into that phase, as far as it can be; whether something was broken for it."""
    rng, broken = sim.rng, False
    match phase:
        case "dialing":
            broken = await sim.inflict(IgnoreDials(other, LONG)) & await sim.inflict(IgnoreDials(one, LONG))
        case "backoff":
            broken = await sim.inflict(Refuse(other, LONG)) & await sim.inflict(Refuse(one, LONG))
        case "handshaking":
            broken = await sim.inflict(Slow(one, other, latency=0.5, bandwidth=1e6, seconds=LONG))
        case _:
            pass
    if phase in ("dialing", "backoff", "handshaking"):
        await sim.inflict(Cut(one, other))
    for sender, receiver in ((one, other), (other, one)):
        if phase != "idle" or sender == one:
            await traffic.one(sender, receiver)
    match phase:
        case "idle":
            await trio.sleep(idle + latency * rng.uniform(4, 14))  # its first word takes the time of a handshake
        case "first word":
            pass
        case "handshaking":
            await trio.sleep(1.0 + rng.uniform(0, 2))  # so long takes a dial
        case _:
            await trio.sleep(_time(rng, 0.01, 3.0))
    return broken


async def _stop(sim: Simulation, name: str, most: float) -> None:
    if name in sim.running:
        began = sim.now()
        await sim.stop(name)
        took = sim.now() - began
        assert took <= most, f"{name} took {took:.3f} s to stop, {most:g} were allowed"
