"""How a link begins, is held, and ends with its node, in each phase of it (PROTOCOL L, D5, D6)."""

from __future__ import annotations

from random import Random

import trio

from actors.errors import Expired
from actors.net.adverts import NodeAdvert
from actors.net.backoff import BackoffCfg
from actors.net.liveness import LivenessCfg
from actors.net.network import NetworkCfg
from actors.testing.faults import Crash, Cut, Fault, HoldDials, IgnoreDials, Refuse, Slow
from actors.testing.hosts import key_of
from actors.testing.scenarios.cast import LONG, Item, Question, Traffic, cast
from actors.testing.scenarios.registry import scenario
from actors.testing.simulation import Simulation

_ALIVE = LivenessCfg(ping_after=1.0, dead_after=3.0)


def _time(rng: Random, least: float, most: float) -> float:
    """Short times more often than long ones, and at times none."""
    return 0.0 if rng.random() < 0.15 else least * float(most / least) ** rng.random()


# -- permanence -------------------------------------------------------------------------------------------


@scenario("L1 L2 L3 L4 L5 D3")
async def permanence(sim: Simulation) -> None:
    """Holders come and go in each phase of a link, and in the moment in which its proxy leaves the table."""
    rng = sim.rng
    one, other = rng.sample(["a", "b"], 2)
    latency = rng.choice((0.001, 0.02))
    idle = rng.choice((0.2, 0.5, 300.0))
    sim.cfg = NetworkCfg(idle_after=idle, backoff=BackoffCfg(cap=2.0), liveness=_ALIVE, handshake_timeout=2.0)
    sim.network.lay(latency=latency)
    await sim.start(one, other, setup=cast(sim))
    traffic = Traffic(sim, expiries=(LONG, 5.0, 0.3))
    held: dict[str, set[str]] = {one: set(), other: set()}
    for _ in range(rng.randint(10, 40)):
        here, there = rng.sample((one, other), 2)
        await _step(sim, traffic, held[here], here, there)
        pause = idle + latency * rng.uniform(-2, 6) if rng.random() < 0.3 else _time(rng, latency / 10, 1.0)
        await trio.sleep(min(pause, 2.0))
    await sim.heal()
    for name, peer in ((one, other), (other, one)):
        if rng.random() < 0.5:
            sim.hold(name, peer)
        for holder in sorted(held[name]):
            sim[name].set_permanence(key_of(peer).id, False, holder=holder)
    await trio.sleep(0.001)
    await sim.settle()
    for name, peer in ((one, other), (other, one)):
        held_here = sim[name].is_permanent(key_of(peer).id)
        assert held_here == (peer in sim.hosts[name].permanent), f"{name} holds {peer}: {held_here}"


async def _step(sim: Simulation, traffic: Traffic, held: set[str], here: str, there: str) -> None:
    """Somebody takes hold or lets go, says something, or something breaks."""
    rng, node, peer = sim.rng, sim[here], key_of(there).id
    match rng.choice(("hold", "hold", "hold", "hold", "send", "send", "fault", "fault", "dial", "close")):
        case "hold":
            holder = rng.choice(("console", "engine"))
            node.set_permanence(peer, holder not in held, holder=holder)
            held ^= {holder}
        case "send":
            await traffic.one(here, there)
        case "fault":
            await sim.inflict(_obstacle(rng, here, there))
        case "dial":
            node.dial_now(peer)
        case _:
            node.close(peer)


def _obstacle(rng: Random, here: str, there: str) -> Fault:
    """What brings a link into one of its phases, or out of it."""
    seconds = round(_time(rng, 0.01, 2.0), 3)
    faults: list[Fault] = [
        IgnoreDials(there, seconds),
        Refuse(there, seconds),
        HoldDials(seconds),
        Slow(here, there, latency=0.2, bandwidth=1e6, seconds=seconds),
        Cut(here, there),
        Cut(here, there, here),
    ]
    return rng.choice(faults)


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
    for outcome in outcomes:
        assert outcome is None or (isinstance(outcome, Expired) and not outcome.maybe_sent), f"{outcome!r}"
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
    idle = rng.choice((0.3, 300.0))
    sim.network.lay(latency=latency)
    sim.cfg = NetworkCfg(
        idle_after=idle, drain_timeout=drain, backoff=BackoffCfg(cap=2.0), liveness=_ALIVE, handshake_timeout=2.0
    )
    await sim.start(one, other, setup=cast(sim, slow=0.05))
    traffic = Traffic(sim, expiries=(LONG, 5.0, 0.5), targets=("sink", "sink", "slow"))
    phase = rng.choice(_PHASES)
    if rng.random() < 0.6:
        await sim.link(one, other, both=rng.random() < 0.3)
    clear = not await _bring(sim, traffic, phase, one, other, idle, latency)
    quick = phase in ("dialing", "backoff") and not clear and not sim.is_up(one, other)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop, sim, one, 0.2 if quick else drain + 1.0)
        await trio.sleep(_time(rng, latency / 10, 8 * latency))
        if rng.random() < 0.5:
            await traffic.one(other, one)
        match rng.choice(("peer stops", "peer stops", "peer crashes", "cut", "nothing", "nothing")):
            case "peer stops":
                nursery.start_soon(_stop, sim, other, drain + 1.0)
            case "peer crashes":
                await sim.inflict(Crash(other, 0.5))
            case "cut":
                await sim.inflict(Cut(one, other, rng.choice(("", one, other))))
            case _:
                pass
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
            broken = await sim.inflict(IgnoreDials(other, LONG))
        case "backoff":
            broken = await sim.inflict(Refuse(other, LONG))
        case "handshaking":
            broken = await sim.inflict(Slow(one, other, latency=0.5, bandwidth=1e6, seconds=LONG))
        case _:
            pass
    if phase in ("dialing", "backoff", "handshaking"):
        await sim.inflict(Cut(one, other))
    for sender, receiver in ((one, other), (other, one)):
        if phase != "idle" or rng.random() < 0.5:
            await traffic.one(sender, receiver)
    match phase:
        case "idle":
            await trio.sleep(max(0.0, idle + latency * rng.uniform(-2, 6)) if idle < 1 else 0.1)
        case "first word":
            pass
        case _:
            await trio.sleep(_time(rng, 0.01, 3.0))
    return broken


async def _stop(sim: Simulation, name: str, most: float) -> None:
    if name in sim.running:
        began = sim.now()
        await sim.stop(name)
        took = sim.now() - began
        assert took <= most, f"{name} took {took:.3f} s to stop, {most:g} were allowed"
