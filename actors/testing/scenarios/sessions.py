"""Breaks at every moment of a message's way: acknowledgements, refusals, expiries; an old connection beside a new."""

from __future__ import annotations

from functools import partial

import trio

from actors.errors import Refused
from actors.net.connecting.backoff import BackoffCfg
from actors.net.messages import Ack, Messages, Resume, Settled
from actors.net.network import NetworkCfg
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut, Refuse
from actors.testing.scenarios.breaks import CutOne, HangUp, draw_break
from actors.testing.scenarios.cast import LONG, Item, Traffic, cast
from actors.testing.scenarios.moments import (
    Moments,
    Stroke,
    acknowledges,
    crosses,
    draw_strokes,
    on_connection,
    sets_out,
)
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import (
    all_ended,
    draw_cfg,
    draw_chances,
    nobody_broke_the_protocol,
    one_connection,
    pair,
    quiet,
    slow_first,
    start_hidden,
    talk,
    uneven,
    weather,
)

# -- 1: in the mailbox, and not acknowledged --------------------------------------------------------------


@scenario("S1 S2 S5 S6 S11")
async def ack_lost(sim: Simulation) -> None:
    """A link breaks when messages are in the mailbox and the acknowledgement is not out, several times in a row."""
    holders = await _acks_lost(sim, both=sim.rng.random() < 0.3)
    all_ended(sim, holders, "delivered", "refused bad_message")
    nobody_broke_the_protocol(sim)


@scenario("S2 S12")
async def record_forgotten(sim: Simulation) -> None:
    """As ack-lost, and the receiver has forgotten the session when the sender comes back."""
    sim.chances["peers.forget"] = sim.rng.choice((0.3, 1.0))
    holders = await _acks_lost(sim, both=False, hidden=True)
    all_ended(sim, holders, "delivered", "refused bad_message", "lost session_lost")


async def _acks_lost(sim: Simulation, *, both: bool, hidden: bool = False) -> list[str]:
    """Who holds the link."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    draw_chances(sim, "link.ack_at_once", "link.flush_pause", "outbox.forward_pause")
    latency = await weather(sim)
    ways = [(one, other), (other, one)] if rng.random() < 0.3 else [(one, other)]
    with Moments(sim) as moments:
        setup = cast(sim, slow=0.01)
        await (start_hidden(sim, one, other, setup) if hidden else sim.start(one, other, setup=setup))
        await sim.link(one, other, both=both)
        fault = partial(draw_break, rng, one, other)
        moments.strike(*draw_strokes(rng, rng.randint(1, 4), fault, acknowledges(other, one), nth=4, latency=latency))
        traffic = Traffic(sim, targets=("sink", "sink", "slow"))
        await talk(sim, traffic, ways, moments, rounds=rng.randint(2, 6), gap=rng.choice((0.001, 0.1)))
    await sim.settle()
    return [one, other] if both else [one]


@scenario("S1 S2 L1")
async def ephemeral_lives(sim: Simulation) -> None:
    """An ephemeral sender loses one connection after the other in the middle of a message's way, and begins anew."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    latency = await weather(sim)
    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim))
        if rng.random() < 0.3:
            await sim.link(other, one)
        traffic = Traffic(sim)
        for _ in range(rng.randint(2, 5)):
            fault = partial(draw_break, rng, one, other)
            words = acknowledges(other, one), sets_out(one, other, Messages), crosses(one, other)
            moments.strike(*draw_strokes(rng, 1, fault, *words, nth=3, latency=latency))
            await talk(sim, traffic, [(one, other)], moments, rounds=rng.randint(1, 2), gap=0.01)
            await trio.sleep(rng.choice((0.0, 0.001, 0.3)))
    await sim.settle()
    await trio.sleep(sim.cfg.liveness.dead_after + 1)  # who has a dead connection, knows it now
    last = await sim.send(one, sim.to(other, "sink"), Item(traffic.take()))
    assert last is None, f"with nothing in the way a message comes to {last!r}"
    nobody_broke_the_protocol(sim)


# -- 2: refusals ------------------------------------------------------------------------------------------


@scenario("S7")
async def refusal_lost(sim: Simulation) -> None:
    """Breaks lose refusals, the Resume that repeats them, and the word that they were heard."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    latency = await weather(sim)
    told = sets_out(other, one, Ack, Resume, that=lambda frame: frame.refusals)
    heard = sets_out(one, other, Settled, Messages, that=_settles)
    outcomes: dict[int, object] = {}
    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim))
        await sim.link(one, other, both=rng.random() < 0.3)
        fault = partial(draw_break, rng, one, other)
        moments.strike(*draw_strokes(rng, rng.randint(1, 4), fault, told, told, heard, nth=1, latency=latency))
        for n in range(rng.randint(2, 20)):
            sim.start_soon(_send, sim, one, other, rng.choice(("nobody", "sink")), n, outcomes)
            await trio.sleep(rng.choice((0.0, 0.0, 0.001, 0.1)))
        await quiet(sim, moments, within=10.0)
    await sim.settle()
    await sim.until(lambda: not _unsettled(sim, other, one), "refusals that were heard to be forgotten")
    wrong = {n: value for n, value in outcomes.items() if value is not None}
    assert not wrong, f"what was sent to an engine, or to none, came to {wrong}"
    nobody_broke_the_protocol(sim)


def _settles(frame: Settled | Messages) -> bool:
    return (frame.number if isinstance(frame, Settled) else frame.settled) > 0


async def _send(sim: Simulation, one: str, other: str, target: str, n: int, outcomes: dict[int, object]) -> None:
    """None is what must come of it: refused if there is nobody, else delivered."""
    value = await sim.send(one, sim.to(other, target), Item(n), expiry=LONG)
    refused = isinstance(value, Refused) and value.reason == "no_engine"
    outcomes[n] = None if refused and target == "nobody" else value


def _unsettled(sim: Simulation, name: str, peer: str) -> bool:
    record = sim[name]._network.peers.find(sim.hosts[peer].key.id)
    return record is not None and record.receive is not None and bool(record.receive.refusals)


# -- 3: expiry --------------------------------------------------------------------------------------------


@scenario("S3 S5")
async def expiry_in_the_queue(sim: Simulation) -> None:
    """Messages expire between others before there is a connection to write them on."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    draw_chances(sim, "outbox.forward_pause")
    latency = await weather(sim)
    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim))
        await sim.inflict(Refuse(other, rng.uniform(0.1, 3.0)))
        await sim.link(one, other, wait=False)
        moments.strike(*draw_strokes(rng, 1, lambda: Cut(one, other), crosses(one, other), nth=15, latency=latency))
        traffic = Traffic(sim, expiries=(LONG, LONG, 0.001, 0.05, 1.0))
        await talk(sim, traffic, [(one, other)], moments, rounds=rng.randint(3, 8), gap=0.1)
    await sim.settle()
    all_ended(sim, [one], "delivered", "refused bad_message", "expired")
    nobody_broke_the_protocol(sim)


@scenario("S8 K1 S15")
async def expiry_in_flight(sim: Simulation) -> None:
    """Written messages expire while they, or their acknowledgements, are lost; their numbers are skipped."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=0.3))
    latency = await weather(sim, 0.0, 0.001, 0.005)
    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim))
        await sim.link(one, other)
        traffic = Traffic(sim, expiries=(0.02, 0.1, 0.1, 0.4, LONG))
        for _ in range(rng.randint(1, 12)):
            faults = Cut(one, other), HangUp(one, other), HangUp(other, one), Cut(one, other, other)
            written = sets_out(one, other, Messages)
            fault, words = partial(rng.choice, faults), (written, written, acknowledges(other, one))
            moments.strike(*draw_strokes(rng, 1, fault, *words, nth=2, latency=latency))
            await traffic.one(one, other)
            await trio.sleep(rng.choice((0.0, 0.15, 0.6)))
    await sim.settle()
    await one_connection(sim, one, other)  # who has a dead connection, knows it now
    last = await sim.send(one, sim.to(other, "sink"), Item(traffic.take()), expiry=5.0)
    assert last is None, f"with nothing in the way a message comes to {last!r}"
    all_ended(sim, [one], "delivered", "refused bad_message", "expired")
    nobody_broke_the_protocol(sim)


# -- 8: the old connection beside the new one -------------------------------------------------------------


@scenario("C3 C4 C5 C9 S5 S6")
async def old_connection_delivers(sim: Simulation) -> None:
    """One end gives up a slow connection, and what it had said there arrives when the next one is being greeted."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng, 10.0, 30.0)
    latency = rng.uniform(0.02, 0.08)
    sim.network.lay(latency=latency)
    # A dial takes two latencies, the greeting of the acceptor is there after three more, that of the dialer after five.
    slow_first(sim, rng.uniform(4.5, 8) * latency)
    ways = [(one, other), (other, one)] if rng.random() < 0.3 else [(one, other)]
    traffic = Traffic(sim)
    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim, slow=0.01))
        await sim.link(one, other)
        moments.strike(Stroke(HangUp(one, other), sets_out(one, other, Messages), rng.randint(5, 14)))
        if rng.random() < 0.4:
            fault = partial(rng.choice, (CutOne(1), CutOne(2), CutOne(2, other), CutOne(2, one)))
            moments.strike(*draw_strokes(rng, 1, fault, on_connection(2), nth=12, latency=latency))
        for _ in range(rng.randint(15, 30)):
            for sender, receiver in ways:
                to = sim.to(receiver, rng.choice(("sink", "slow")))
                await sim[sender].tell(to, Item(traffic.take()), expiry=LONG)
            await trio.sleep(traffic.rng.expovariate(2 / latency))
        await quiet(sim, moments, within=10.0)
    await sim.settle()
    await one_connection(sim, one, other)
    all_ended(sim, [one], "delivered")
    nobody_broke_the_protocol(sim)


@scenario("C3 C4 C5 C9 S5 S6 S10")
async def connections_of_unequal_pace(sim: Simulation) -> None:
    """Each connection has a latency of its own: words on one overtake those on another; any of them may break."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng, 10.0, 30.0)
    draw_chances(sim, "acceptor.pause", "dialer.pause", "link.ack_at_once")
    latencies = rng.choice(((0.001, 0.3), (0.02, 0.8), (0.0, 0.001, 0.05, 0.5)))
    uneven(sim, *latencies)
    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim, slow=0.01))
        await sim.link(one, other, both=True, wait=rng.random() < 0.5)
        words, fault = crosses(one, other, Messages, Ack, Resume), partial(draw_break, rng, one, other)
        moments.strike(*draw_strokes(rng, rng.randint(0, 3), fault, words, nth=8, latency=max(latencies)))
        number = rng.randint(1, 4)
        cut = partial(CutOne, number)
        moments.strike(*draw_strokes(rng, 1, cut, on_connection(number), nth=20, latency=min(latencies)))
        traffic = Traffic(sim, targets=("sink", "sink", "slow"))
        ways, rounds = [(one, other), (other, one)], rng.randint(3, 8)
        await talk(sim, traffic, ways, moments, rounds=rounds, gap=rng.choice((0.005, 0.1)))
    await sim.settle()
    await one_connection(sim, one, other)
    all_ended(sim, (one, other), "delivered", "refused bad_message")
    nobody_broke_the_protocol(sim)
