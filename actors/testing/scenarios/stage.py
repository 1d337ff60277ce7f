"""Where scenarios play: who is who, what lies between them, and what must hold at the end of many of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import trio

from actors.net.connecting.backoff import BackoffCfg
from actors.net.network import Entry, NetworkCfg
from actors.net.session.liveness import LivenessCfg
from actors.node import Node
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import ShortParts
from actors.testing.history.records import Accepted, LinkDown, Phase, Settled, Withdrawn
from actors.testing.scenarios.cast import Traffic
from actors.testing.scenarios.moments import Moments
from transports.memory.connection import Connection

LATENCIES = (0.0, 0.001, 0.001, 0.02, 0.1)


def pair(sim: Simulation) -> tuple[str, str]:
    """Names of two nodes; the first one has now the greater, now the smaller NodeID."""
    one, other = sim.rng.sample(("a", "b"), 2)
    return one, other


async def start_hidden(sim: Simulation, one: str, other: str, setup: Callable[[Node], None]) -> None:
    """Start two nodes. `one` knows the other, which nobody tells of anybody: so it may forget who has called."""

    def knowing(node: Node) -> None:
        setup(node)
        node.learn(sim[other].advert)

    await sim.start(other, setup=setup, know=False)
    await sim.start(one, setup=knowing, know=False)


async def weather(sim: Simulation, *latencies: float, parts: tuple[int, ...] = (60, 500, 3000)) -> float:
    """Latency and jitter between all nodes, and now and then writes and reads in small parts; the latency."""
    latency = sim.rng.choice(latencies or LATENCIES)
    sim.network.lay(latency=latency, jitter=sim.rng.choice((0.0, 0.0, latency)))
    if sim.rng.random() < 0.15:
        await sim.inflict(ShortParts(sim.rng.choice(parts), sim.rng.choice((2000, 20_000)), 3600.0))
    return latency


def uneven(sim: Simulation, *latencies: float) -> None:
    """From now on each connection has a latency of its own, one of these."""
    rng, network = sim.stream("uneven"), sim.network
    network.on_connect.append(lambda connection: network.slow_over(connection, latency=rng.choice(latencies)))


def slow_first(sim: Simulation, latency: float) -> None:
    """The first connection has this latency, whatever those have that follow."""
    network = sim.network

    def made(connection: Connection) -> None:
        if connection.number == 1:
            network.slow_over(connection, latency=latency, jitter=0.0)

    network.on_connect.append(made)


def draw_cfg(rng: Random, *caps: float) -> NetworkCfg:
    """Heartbeats and backoff of different pace. An attempt takes no longer than the cap, which a handshake fits in."""
    return NetworkCfg(
        backoff=BackoffCfg(cap=rng.choice(caps or (2.0, 30.0))),
        liveness=rng.choice((LivenessCfg(), LivenessCfg(ping_after=0.5, dead_after=2.0))),
    )


def draw_chances(sim: Simulation, *points: str) -> None:
    """These fault points, in nodes that start from now on."""
    for point in points:
        sim.chances[point] = sim.rng.choice((0.0, 0.05, 0.5))


async def talk(
    sim: Simulation,
    traffic: Traffic,
    ways: Sequence[tuple[str, str]],
    moments: Moments,
    *,
    rounds: int,
    gap: float,
    within: float = 10.0,
) -> None:
    """So many rounds of messages, each way that is named, with pauses of `gap` seconds on average.

    Then faults have so many seconds more to find their moment.
    """
    for _ in range(rounds):
        for sender, receiver in ways:
            await traffic.one(sender, receiver)
        await trio.sleep(traffic.rng.expovariate(1 / gap))
    await quiet(sim, moments, within=within)


async def quiet(sim: Simulation, moments: Moments, *, within: float) -> None:
    """Until nothing waits for its moment, but no longer than so many seconds."""
    deadline = sim.now() + within
    while moments.pending and sim.now() < deadline:  # noqa: ASYNC110 - no event tells of it
        await trio.sleep(0.1)


# -- inside ------------------------------------------------------------------------------------------------


def entry(sim: Simulation, name: str, peer: str) -> Entry | None:
    """A node's entry for a peer in the Router's table; None if it has no proxy for it."""
    return sim[name]._network.table.find(sim.hosts[peer].key.id)


# -- what must hold ----------------------------------------------------------------------------------------


def outcomes(sim: Simulation, *senders: str) -> Counter[str]:
    """How many messages, of these nodes or of all, ended how: `delivered`, `lost connection_lost` …

    Without answers, for whoever asked may be gone, and without what was given up: these end as they may.
    """
    accepted = [record for record in sim.history if isinstance(record, Accepted) and record.kind in ("tell", "ask")]
    given_up = {record.message for record in sim.history if isinstance(record, Withdrawn)}
    counted = {record.message for record in accepted} - given_up
    ends = [record for record in sim.history if isinstance(record, Settled) and record.message in counted]
    return Counter(f"{end.outcome} {end.reason}".rstrip() for end in ends if not senders or end.node in senders)


def all_ended(sim: Simulation, senders: Sequence[str], *ways: str) -> None:
    """Every message of these nodes ended in one of these ways (see `outcomes`)."""
    others = {way: count for way, count in outcomes(sim, *senders).items() if way not in ways}
    assert not others, f"messages of {' and '.join(senders)} should only be {' or '.join(ways)}, and there are {others}"


def nobody_broke_the_protocol(sim: Simulation) -> None:
    """No connection ended because one node took the other's words for a breach."""
    whys = [(record.at, record.why) for record in sim.history if isinstance(record, LinkDown | Phase)]
    breaches = [f"{at:.3f} {why}" for at, why in whys if "protocol error" in why or "session lost" in why]
    assert not breaches, f"the protocol was broken: {breaches}"


async def one_connection(sim: Simulation, one: str, other: str) -> None:
    """Once all that is dead was found to be so, one connection of two nodes is left, and both write on it."""

    def is_so() -> bool:
        used = [_current(sim, *names) for names in ((one, other), (other, one))]
        return len(sim.network.between(one, other)) == 1 and used[0] == used[1] is not None

    await trio.sleep(sim.cfg.liveness.dead_after + sim.cfg.handshake_timeout)
    left = sim.network.between(one, other)
    await sim.until(is_so, f"one connection between {one} and {other}, where there are {left}", within=30.0)


def _current(sim: Simulation, name: str, peer: str) -> object:
    found = entry(sim, name, peer)
    link = found.session.current if found is not None and found.session is not None else None
    return None if link is None else link.contender.id
