"""More peers than a node can remember, and all peers of a node at once (PROTOCOL H7, H8, S2)."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from actors.events import DialFailed, Event
from actors.net.connecting.backoff import BackoffCfg
from actors.net.network import NetworkCfg
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Crash, Cut
from actors.testing.scenarios.cast import Item, Question, cast
from actors.testing.scenarios.registry import scenario

# -- more than a node can remember ------------------------------------------------------------------------

_CALM = 30.0
"""Seconds for which a node that has no room does not want to be called."""


@scenario("H7 H8 S2 P5 P7")
async def over_capacity(sim: Simulation) -> None:
    """A node has room for a few peers: those that it holds for permanent always come in, the others wait as asked."""
    rng = sim.rng
    friends = ["p", "q"][: rng.randint(1, 2)]
    crowd = [f"c{number}" for number in range(rng.randint(3, 8))]
    room = len(friends) + rng.randint(1, 3)
    sim.network.lay(latency=rng.choice((0.001, 0.02)))
    idle = rng.choice((2.0, 20.0, 300.0))
    backoff = BackoffCfg(cap=rng.choice((2.0, 30.0)))
    await sim.start("hub", setup=cast(sim), know=False, cfg=NetworkCfg(peers=room, idle_after=idle, backoff=backoff))
    sim.cfg = NetworkCfg(backoff=backoff)
    await sim.start(*friends, *crowd, setup=cast(sim), know=False)
    hub = sim["hub"].advert
    for name in (*friends, *crowd):
        sim[name].learn(hub)
    for name in friends:
        sim["hub"].learn(sim[name].advert)
        await sim.link("hub", name)
    dials: dict[str, list[float]] = {name: [] for name in crowd}
    sim.network.on_dial.append(lambda at, host, _: dials[host].append(at) if host in dials else None)
    turned_away = {name: _refusals(sim, name) for name in crowd}
    async with trio.open_nursery() as nursery:
        for number, name in enumerate(crowd):
            nursery.start_soon(_knock, sim, name, number, rng.choice((3.0, 100.0)))
            await trio.sleep(rng.choice((0.0, 0.0, 0.5)))
        for _ in range(rng.randint(1, 3)):
            await trio.sleep(rng.uniform(0, 5))
            name = rng.choice(friends)
            await sim.inflict(Cut("hub", name, rng.choice(("", "", "hub"))))
            value = await sim.ask("hub", sim.to(name, "sink"), Question(sim.next_message()), expiry=60.0)
            assert isinstance(value, int), f"the permanent peer {name} does not come in: {value!r}"
    for name, events in turned_away.items():
        for at in _times(events):
            early = [dial for dial in dials[name] if at < dial < at + _CALM]
            assert not early, f"{name} was asked at {at:.3f} to wait, and dialed at {early[0]:.3f}"
    peers = len(list(sim["hub"]._network.peers))
    assert peers <= room, f"{peers} peers where there is room for {room}"
    await sim.settle()


async def _knock(sim: Simulation, name: str, number: int, expiry: float) -> None:
    await sim.send(name, sim.to("hub", "sink"), Item(number), expiry=expiry)


def _refusals(sim: Simulation, name: str) -> trio.MemoryReceiveChannel[Event]:
    return sim[name].events.subscribe(1000)


def _times(events: trio.MemoryReceiveChannel[Event]) -> list[float]:
    found: list[float] = []
    while True:
        try:
            event = events.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return found
        if isinstance(event, DialFailed) and event.why == "over_capacity":
            found.append(event.at)


# -- all at once ------------------------------------------------------------------------------------------


@scenario("L S11 P6")
async def hub_restarts(sim: Simulation) -> None:
    """A node with many permanent peers is killed and comes back: they all come in, and not all at once."""
    await hub_of(sim, peers=20)


async def hub_of(sim: Simulation, *, peers: int) -> None:
    """With so many peers."""
    rng = sim.rng
    latency = rng.choice((0.001, 0.02))
    cap = rng.choice((10.0, 30.0))
    down = round(rng.choice((0.01, 1.0, 10.0)) * rng.uniform(0.5, 2), 3)
    sim.network.lay(latency=latency, jitter=latency / 2)
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=cap))
    names = [f"n{number:03}" for number in range(peers)]
    await sim.start("hub", *names, setup=cast(sim), know=False)
    for name in names:
        sim[name].learn(sim["hub"].advert)
        sim.hold(name, "hub")
    await sim.until(lambda: all(sim.is_up(name, "hub") for name in names), "all peers linked")
    steady = rng.choice((0.0, 20.0))  # 10 s up start the delays anew, and by then all know how many they are
    await trio.sleep(steady)
    dials: list[float] = []
    sim.network.on_dial.append(lambda at, host, _: dials.append(at))
    began = sim.now()
    silently = rng.random() < 0.2
    if await sim.inflict(Crash("hub", down, silently)):
        await sim.until(lambda: "hub" in sim.running, "the hub to run again", within=down + 1.0)
        if silently:
            await trio.sleep(sim.cfg.liveness.dead_after)  # until then the peers may believe that nothing happened
        else:
            _dispersed(dials, began, peers, told=steady > 0)
    back = sim.now()
    await sim.settle()
    recovery = 1.2 * cap + sim.cfg.handshake_timeout
    assert sim.now() - back <= recovery + sim.cfg.liveness.dead_after, f"all linked after {sim.now() - back:.3f} s"
    for number, name in enumerate(rng.sample(names, 3)):
        value = await sim.ask(name, sim.to("hub", "sink"), Question(number))
        assert value == -number, f"{name} asks the hub and gets {value!r}"


def _dispersed(dials: Sequence[float], since: float, peers: int, *, told: bool) -> None:
    """The delays are drawn: of those that were told how many they are (L7), also the first; attempts drift apart.

    Within one tenth of a second there are no more than 8 in 10 of them, 6 in 10 after two seconds, half after eight.
    """
    for index, at in enumerate(late := sorted(at for at in dials if at > since + (0.0 if told else 2.0))):
        at_once = sum(other < at + 0.1 for other in late[index:])
        most = max(6.0, peers * (0.8 if at < since + 2.0 else 0.6 if at < since + 8.0 else 0.5))
        assert at_once <= most, f"{at_once} of {peers} peers dial within 0.1 s, {at - since:.3f} s after the loss"
