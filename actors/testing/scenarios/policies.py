"""Policies under faults: who may come in, who has to wait, and who is never to come again (PROTOCOL H5, H7, H8)."""

from __future__ import annotations

import trio

from actors.admission import ADMIT, Capacity, Deny, Moment, Verdict, Visit, all_of
from actors.events import DialFailed, Event
from actors.net.connecting.backoff import BackoffCfg
from actors.net.network import NetworkCfg
from actors.testing.cluster.hosts import key_of
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut
from actors.testing.scenarios.cast import Item, Question, cast
from actors.testing.scenarios.registry import scenario


class _Refusals:
    """What the hub has told each of the others, and when each of them has dialed."""

    def __init__(self, sim: Simulation, names: list[str]) -> None:
        self.dials: dict[str, list[float]] = {name: [] for name in names}
        self.told: dict[str, list[tuple[float, str]]] = {name: [] for name in names}
        sim.network.on_dial.append(lambda at, host, _: self.dials[host].append(at) if host in self.dials else None)
        for name in names:
            sim[name].events.taps.append(lambda event, name=name: self._hear(name, event))  # type: ignore[misc]

    def _hear(self, name: str, event: Event) -> None:
        if isinstance(event, DialFailed):
            self.told[name].append((event.at, event.why))

    def early(self, calm: float) -> list[str]:
        """Who has dialed again within so many seconds after it heard that there is no room, or ever after a denial."""
        return [
            f"{name} was told at {at:.3f} ({why}) and dialed at {dial:.3f}"
            for name, words in self.told.items()
            for at, why in words
            for dial in self.dials[name]
            if (why == "over_capacity" and at < dial < at + calm) or (why == "denied" and dial > at)
        ]


@scenario("H7 H8 P5 P7")
async def policies(sim: Simulation) -> None:
    """A hub denies some, has room for a few: permanent peers always come in, the others wait as told, or for ever."""
    rng = sim.rng
    friends, denied = ["p", "q"][: rng.randint(1, 2)], ["x", "y"][: rng.randint(0, 2)]
    crowd = [f"c{number}" for number in range(rng.randint(2, 6))]
    links, calm = len(friends) + rng.randint(1, 2), rng.choice((3.0, 40.0))
    enemies = {key_of(name).id for name in denied}

    def unwelcome(visit: Visit) -> Verdict:
        denies = visit.moment is Moment.PROOF and visit.node in enemies
        return Deny("an enemy") if denies else ADMIT

    policy = all_of(unwelcome, Capacity(links=links, kept=len(friends), retry_after=calm))
    sim.network.lay(latency=rng.choice((0.001, 0.02)))
    cfg = NetworkCfg(idle_after=rng.choice((2.0, 20.0)), backoff=BackoffCfg(cap=rng.choice((2.0, 30.0))))
    await sim.start("hub", setup=cast(sim), know=False, cfg=cfg, policy=policy)
    sim.cfg = cfg
    names = [*friends, *crowd, *denied]
    await sim.start(*names, setup=cast(sim), know=False)
    for name in names:
        sim[name].learn(sim["hub"].advert)
    late = friends[rng.randint(0, len(friends)) :]  # held only when the crowd is there
    for name in friends:
        sim["hub"].learn(sim[name].advert)
        if name not in late:
            sim.hold("hub", name)
            if rng.random() < 0.5:
                sim.hold(name, "hub")
    refusals = _Refusals(sim, names)
    async with trio.open_nursery() as nursery:
        for name in rng.sample([*crowd, *denied] * 2, 2 * len(crowd + denied)):
            nursery.start_soon(_knock, sim, name, rng.choice((1.0, 3.0, 100.0)))
            await trio.sleep(rng.choice((0.0, 0.0, 0.5, 5.0)))
        for name in late:
            sim.hold("hub", name)
        for _ in range(rng.randint(1, 3)):
            await trio.sleep(rng.uniform(0, 5))
            await sim.inflict(Cut("hub", rng.choice(friends + crowd), rng.choice(("", "", "hub"))))
            proxies = len(sim["hub"].proxies())
            assert proxies <= links, f"{proxies} proxies where there are places for {links}"
        for name in friends:
            value = await sim.ask("hub", sim.to(name, "sink"), Question(sim.next_message()), expiry=60.0)
            assert isinstance(value, int), f"the permanent peer {name} does not come in: {value!r}"
    assert not refusals.early(calm), refusals.early(calm)
    assert not any(why == "over_capacity" for name in friends for _, why in refusals.told[name])
    await sim.settle()


async def _knock(sim: Simulation, name: str, expiry: float) -> None:
    await sim.send(name, sim.to("hub", "sink"), Item(sim.next_message()), expiry=expiry)
