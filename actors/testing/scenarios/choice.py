"""Two connections at once, connections that are dead at one end only, and which of them stays."""

from __future__ import annotations

from functools import partial

import trio

from actors.net.messages import Ack, Messages
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut, HoldDials, IgnoreDials
from actors.testing.history.records import LinkDown
from actors.testing.scenarios.breaks import CutOne, Swallow
from actors.testing.scenarios.cast import Item, Traffic, cast
from actors.testing.scenarios.moments import Moments, Stroke, crosses, draw_strokes, on_connection
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import (
    all_ended,
    draw_cfg,
    draw_chances,
    nobody_broke_the_protocol,
    one_connection,
    pair,
    talk,
    uneven,
    weather,
)

# -- 6: both dial at once ---------------------------------------------------------------------------------


@scenario("C1 C2 C3 C4 C5 C6")
async def both_dial(sim: Simulation) -> None:
    """Two nodes dial each other at about the same time, and their handshakes interleave in every order."""
    with Moments(sim) as moments:
        await _meet(sim, moments)
    await _one_is_left(sim)


@scenario("C3 C5 C8 S6")
async def winner_dies(sim: Simulation) -> None:
    """As both-dial, and one of the connections dies at any of its frames, for both ends or for one."""
    rng = sim.rng
    with Moments(sim) as moments:
        for number in rng.sample((1, 2, 3), rng.randint(1, 2)):
            end = rng.choice(("", "", "a", "b"))
            fault = Swallow(number) if rng.random() < 0.2 else CutOne(number, end)
            # A handshake has four frames, then come a Resume and an advert each way.
            later = rng.choice((0.0, 0.0005, 0.002, 0.03))
            moments.strike(Stroke(fault, on_connection(number), rng.randint(1, 12), later))
        await _meet(sim, moments)
    await _one_is_left(sim)


@scenario("C5 C6 C8")
async def winner_never_proven(sim: Simulation) -> None:
    """As both-dial, and one of the connections dies before anybody may use it: the other one stays up throughout."""
    rng = sim.rng
    made: list[float] = []
    sim.network.on_connect.append(lambda connection: made.append(sim.now()))
    with Moments(sim) as moments:
        number = rng.choice((1, 2))
        fault = rng.choice((CutOne(number), CutOne(number), Swallow(number)))
        # The fourth frame is the acceptor's verdict. It has not left: for the acceptor the connection is proven now.
        moments.strike(Stroke(fault, on_connection(number), rng.choice((1, 2, 3, 4, 4, 4))))
        await _meet(sim, moments)
        await trio.sleep(2 * sim.cfg.handshake_timeout)
    third = made[2] if len(made) > 2 else sim.now()
    downs = [record for record in sim.history if isinstance(record, LinkDown) and record.at < third]
    assert not (downs and moments.struck), f"a connection that was never used took down the link: {downs}"
    await _one_is_left(sim)


async def _meet(sim: Simulation, moments: Moments) -> None:
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng, 10.0, 30.0)
    draw_chances(sim, "acceptor.pause", "dialer.pause")
    latency = rng.choice((0.0, 0.001, 0.02))
    if rng.random() < 0.5:
        sim.network.lay(latency=latency, jitter=rng.choice((0.0, 0.001, 0.02)))
    else:
        uneven(sim, 0.0, 0.001, 0.005, 0.02)
    addresses = rng.choice((("",), ("",), ("", "-two")))
    for name in (one, other):
        await sim.start(name, setup=cast(sim), listen=[f"memory://{name}{which}" for which in addresses])
    if rng.random() < 0.5:
        await sim.inflict(HoldDials(rng.uniform(0.05, 0.2)))
    sim.hold(one, other)
    await trio.sleep(rng.choice((0.0, 0.0, latency, rng.uniform(0, 8 * latency))))
    sim.hold(other, one)
    ways = [(one, other), (other, one)]
    await talk(sim, Traffic(sim), ways, moments, rounds=rng.randint(2, 5), gap=rng.choice((0.001, 0.02)), within=1.0)


async def _one_is_left(sim: Simulation) -> None:
    await sim.settle()
    await one_connection(sim, "a", "b")
    all_ended(sim, ("a", "b"), "delivered", "refused bad_message")
    nobody_broke_the_protocol(sim)


@scenario("C6 C7 T4")
async def own_dial_never_answered(sim: Simulation) -> None:
    """A node's dial hangs, or its handshake does; the other node's dial comes through, and nothing disturbs it."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng, 10.0, 30.0)
    latency = await weather(sim, 0.0, 0.001, 0.02)
    hangs = rng.choice(("dial", "handshake"))
    with Moments(sim) as moments:
        await sim.start(one, setup=cast(sim))
        more = [f"memory://{other}-two"] if hangs == "dial" else []
        await sim.start(other, setup=cast(sim), listen=[f"memory://{other}", *more])
        inflicted = hangs == "dial" and await sim.inflict(IgnoreDials(other, 60.0))
        if hangs == "handshake":
            moments.strike(Stroke(Swallow(1), on_connection(1), rng.randint(1, 3)))
        sim.hold(one, other)
        await trio.sleep(rng.choice((8 * latency, 0.1, rng.uniform(0.0, 3.0))))
        begun = sim.now()
        await sim.link(other, one)
        took = sim.now() - begun
        assert took < 1.0, f"with the other's dial hanging it took {took} s until the link was up"
        up, dials = sim.now(), list[str]()
        sim.network.on_dial.append(lambda at, host, address: dials.append(f"{address} by {host} at {at:.3f}"))
        await talk(sim, Traffic(sim), [(one, other), (other, one)], moments, rounds=3, gap=1.0, within=0.0)
        await trio.sleep(rng.uniform(20, 60))
    downs = [record for record in sim.history if isinstance(record, LinkDown) and record.at >= up]
    if inflicted or moments.struck:
        assert not downs, f"a dial that was never answered took down the link: {downs}"
        assert not dials, f"who has a link dials no more (C7): {dials}"
    await sim.settle()
    await one_connection(sim, one, other)
    all_ended(sim, (one, other), "delivered", "refused bad_message")
    nobody_broke_the_protocol(sim)


# -- 7: half-open -----------------------------------------------------------------------------------------


@scenario("C2 C3 C7 T1 S5")
async def half_open(sim: Simulation) -> None:
    """A connection breaks for one end only, again and again; the other is told by the next, or by no heartbeat."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    latency = await weather(sim, 0.0, 0.001, 0.02)
    holders = rng.choice(([one], [one, other]))
    with Moments(sim) as moments:
        await sim.start(one, other, setup=cast(sim))
        await sim.link(one, other, both=len(holders) == 2)
        traffic = Traffic(sim)
        for _ in range(rng.randint(1, 4)):
            await trio.sleep(rng.choice((0.0, 1.0, 12.0)))
            fault, words = partial(Cut, one, other, rng.choice((one, other))), crosses(one, other, Messages, Ack)
            moments.strike(*draw_strokes(rng, 1, fault, words, nth=4, latency=latency))
            ways = [(one, other), (other, one)] if len(holders) == 2 else [(one, other)]
            await talk(sim, traffic, ways, moments, rounds=rng.randint(1, 3), gap=0.05, within=2.0)
    await sim.settle()
    await one_connection(sim, one, other)
    all_ended(sim, holders, "delivered", "refused bad_message")
    nobody_broke_the_protocol(sim)


@scenario("C3 C7 T1")
async def half_open_at_rest(sim: Simulation) -> None:
    """As half-open, on a link that has stood for long: there is one dial for each break, and it comes in time."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    await weather(sim, 0.0, 0.001, 0.02)
    holders = rng.choice(([one], [one, other]))
    await sim.start(one, other, setup=cast(sim))
    await sim.link(one, other, both=len(holders) == 2)
    dials: list[str] = []
    for n in range(rng.randint(1, 4)):
        await trio.sleep(rng.uniform(11.0, 13.0))  # long enough up that the next attempt comes soon
        await one_connection(sim, one, other)
        dials.clear()
        if not n:
            sim.network.on_dial.append(lambda at, host, address: dials.append(f"{host} at {at:.3f}"))
        noticed_by = rng.choice((one, other))
        if not await sim.inflict(Cut(one, other, noticed_by)):
            continue
        begun = sim.now()
        value = await sim.send(one, sim.to(other, "sink"), Item(n), expiry=60.0)
        took, least = sim.now() - begun, 0.0 if noticed_by in holders else sim.cfg.liveness.dead_after
        assert value is None, f"over a link that {holders} hold a message comes to {value!r}"
        assert took < least + 1.0, f"{noticed_by} noticed, {holders} hold the link, and a message took {took} s"
        await trio.sleep(2 * sim.cfg.liveness.dead_after)
        assert len(dials) == 1, f"{noticed_by} noticed a break, {holders} hold the link, and there were dials: {dials}"
    await sim.settle()
    nobody_broke_the_protocol(sim)
