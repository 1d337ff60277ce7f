"""The unreliable class beside the reliable one, through everything that befalls connections (PROTOCOL U, O1)."""

from __future__ import annotations

from contextlib import suppress

import trio

from actors.errors import SendError
from actors.identity import EngineID
from actors.messages import TransportPrefs
from actors.net.messages import Kind
from actors.runtime.codec import encode
from actors.testing.cluster.simulation import NotRunning, Simulation
from actors.testing.cluster.watch import content
from actors.testing.faults import Bounce, Cut, Scatter
from actors.testing.history.records import Entered
from actors.testing.scenarios.cast import LONG, Item, Traffic, cast
from actors.testing.scenarios.migrations import move
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.stage import draw_cfg, pair

UNRELIABLE = TransportPrefs(reliability="unreliable")
_DATAGRAM = 1200
_ROUNDS = 12


@scenario("U1 U2 U3 O1 S5 S6 C5")
async def unreliable(sim: Simulation) -> None:
    """Both classes at once, as datagrams or in the stream, while links move, break, and carry datagrams twice."""
    rng, (one, other) = sim.rng, pair(sim)
    sim.cfg = draw_cfg(rng)
    sim.network.datagrams = rng.choice((0, _DATAGRAM, _DATAGRAM))
    sim.network.lay(latency=rng.choice((0.0, 0.001, 0.05)), jitter=rng.choice((0.0, 0.02)))
    await sim.start(one, other, setup=cast(sim, slow=0.02))
    if rng.random() < 0.7:
        await sim.link(one, other, both=rng.random() < 0.5)
    traffic = Traffic(sim, expiries=(LONG, 5.0, 0.1))
    async with trio.open_nursery() as nursery:
        for sender, receiver in ((one, other), (other, one)):
            gap = rng.choice((0.1, 0.4))
            nursery.start_soon(lambda s=sender, r=receiver, g=gap: traffic.flow(s, r, gap=g))  # type: ignore[misc]
            nursery.start_soon(_careless, sim, traffic, sender, receiver, gap)
        for _ in range(_ROUNDS):
            await trio.sleep(rng.uniform(0.0, 0.4))
            await _befall(sim, nursery, *rng.sample((one, other), 2))
        nursery.cancel_scope.cancel()
    await sim.settle()
    await _both_classes_arrive(sim, traffic, one, other)


async def _befall(sim: Simulation, nursery: trio.Nursery, here: str, there: str) -> None:
    """Something, or nothing."""
    rng, what = sim.rng, sim.rng.random()
    if what < 0.4 and sim.is_up(here, there):
        nursery.start_soon(move, sim, here, there)
    elif what < 0.6:
        await sim.inflict(Cut(here, there, rng.choice(("", "", here))))
    elif what < 0.8:
        loss, copies = rng.choice((0.0, 0.2)), rng.choice((0.3, 1.0))
        await sim.inflict(Scatter(here, there, loss, copies, rng.uniform(0.0, 0.5), rng.uniform(0.1, 5.0)))
    elif what < 0.85:
        await sim.inflict(Bounce(there, rng.uniform(0.01, 2.0)))


async def _careless(sim: Simulation, traffic: Traffic, sender: str, receiver: str, gap: float) -> None:
    """Bursts of unreliable messages, some for nobody, some for a slow engine, some that no datagram can carry."""
    rng = sim.stream(f"careless {sender}")
    while True:
        to = sim.to(receiver, rng.choice(("sink", "sink", "slow", "nobody")))
        pad = bytes(rng.choice((0, 0, 0, 0, 2 * _DATAGRAM)))
        expiry = rng.choice((LONG, 5.0, 0.1))
        with suppress(NotRunning, SendError):
            if rng.random() < 0.3:
                sim.start_soon(_sent, sim, sender, to, Item(traffic.take(), pad), expiry)
            else:
                for _ in range(rng.randint(1, 12)):
                    await sim[sender].tell(to, Item(traffic.take(), pad), prefs=UNRELIABLE, expiry=expiry)
        await trio.sleep(rng.expovariate(1 / gap))


async def _sent(sim: Simulation, sender: str, to: EngineID, item: Item, expiry: float) -> None:
    with suppress(NotRunning):
        await sim.send(sender, to, item, prefs=UNRELIABLE, expiry=expiry)


async def _both_classes_arrive(sim: Simulation, traffic: Traffic, sender: str, receiver: str) -> None:
    """In peace, over a connection that carries messages both ways, so does what is unreliable."""
    await trio.sleep(sim.cfg.liveness.dead_after + sim.cfg.handshake_timeout)  # what is half-open is found
    sink, last = sim.to(receiver, "sink"), Item(traffic.take())
    failed = await sim.send(sender, sink, Item(traffic.take()))
    assert failed is None, f"in peace a reliable message was {failed}"
    failed = await sim.send(sender, sink, last, prefs=UNRELIABLE)
    assert failed is None, f"in peace an unreliable message was {failed}"
    entered = content(Kind.TELL, encode(last))
    await sim.until(
        lambda: any(isinstance(record, Entered) and record.content == entered for record in sim.history),
        "an unreliable message that was sent in peace",
        within=5.0,
    )
