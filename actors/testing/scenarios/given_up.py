"""Asks that are given up, through breaks: their handlers end, on the next node and on the one after (PROTOCOL Q)."""

from __future__ import annotations

from random import Random

import trio

from actors.engine import Engine, on
from actors.errors import SendError
from actors.identity import EngineID
from actors.messages import Request
from actors.net.connecting.backoff import BackoffCfg
from actors.net.network import NetworkCfg
from actors.net.session.liveness import LivenessCfg
from actors.node import Node
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Cut
from actors.testing.scenarios.cast import LONG
from actors.testing.scenarios.registry import scenario

_ALIVE = LivenessCfg(ping_after=0.5, dead_after=2.0)


class Toil(Request[int]):
    """Work for so many seconds, here or, if `then` names somebody, there; answered with n."""

    n: int
    seconds: float
    then: EngineID | None = None


class Handlers:
    """Those that run, by node and number, and those that ended too late."""

    def __init__(self) -> None:
        self.running: set[tuple[str, int]] = set()
        self.overdue: list[str] = []


class Askers:
    """By when each asker is gone at the latest, by the number of its ask; and when each was gone."""

    def __init__(self) -> None:
        self.due: dict[int, float] = {}
        self.gone: dict[int, float] = {}


class Toiler(Engine):
    """An engine for one ask at a time."""

    node: str
    handlers: Handlers
    askers: Askers

    @on(Toil)
    async def toil(self, msg: Toil) -> int:
        key, began = (self.node, msg.n), self.now
        self.handlers.running.add(key)
        try:
            if msg.then is not None:
                return await self.ask(msg.then, Toil(msg.n, msg.seconds), expiry=LONG)
            await trio.sleep(msg.seconds)
        finally:
            self.handlers.running.discard(key)
            late = self.now - max(began, self.askers.due[msg.n])  # one that begins too late does not wait for anything
            if late > 0:
                self.handlers.overdue.append(f"{msg.n} on {self.node} by {late:.3f} s")
        return msg.n


@scenario("Q1 Q2 S8")
async def given_up(sim: Simulation) -> None:
    """Asks are cancelled or expire while connections break: no handler outlives its asker, two nodes away neither."""
    rng = sim.rng
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0), liveness=_ALIVE)
    latency = rng.choice((0.0, 0.001, 0.02, 0.1))
    sim.network.lay(latency=latency, jitter=rng.choice((0.0, latency)))
    handlers, askers = Handlers(), Askers()

    def setup(node: Node) -> None:
        for number in range(3):
            node.spawn(Toiler(node=node.name, handlers=handlers, askers=askers), f"toiler{number}")

    await sim.start("a", "b", "c", setup=setup)
    permanent = rng.random() < 0.6
    if permanent:
        await sim.link("a", "b")
        await sim.link("b", "c")
    # What is left is measured at each write (S15): to the asker's time come the ways, and a turn of the loop.
    slack = 2 * 2 * latency + 0.1
    for n in range(rng.randint(10, 30)):
        sim.start_soon(_ask, sim, rng, n, askers, slack)
        await trio.sleep(rng.uniform(0, 0.3))
        if rng.random() < 0.2:
            await sim.inflict(Cut(*rng.sample(("a", "b", "c"), 2)))
    await sim.settle()
    await trio.sleep(1.0)
    assert not handlers.overdue, f"handlers outlived their askers: {handlers.overdue}"
    if permanent:  # every CANCEL has come; else it may be lost with its connection, and time ends the handler
        before = sim.now() - 1.0
        left = [f"{n} on {node}" for node, n in handlers.running if askers.gone.get(n, LONG) < before]
        assert not left, f"handlers of asks that were given up still run: {left}"


async def _ask(sim: Simulation, rng: Random, n: int, askers: Askers, slack: float) -> None:
    """It is answered, expires, or is cancelled: by hand, or by a scope whose time is over."""
    expiry, given_up = rng.choice((0.3, 1.0, 5.0, LONG)), rng.choice((LONG, rng.uniform(0, 0.5)))
    by_hand = rng.random() < 0.5
    askers.due[n] = sim.now() + (expiry if by_hand else min(expiry, given_up)) + slack
    msg = Toil(n, rng.choice((0.05, 0.5, 10.0)), sim.to("c", "toiler0") if rng.random() < 0.4 else None)
    to = sim.to("b", f"toiler{rng.randrange(3)}")
    scope = trio.CancelScope()
    if by_hand:
        sim.start_soon(_cancel_later, scope, given_up)
    else:
        scope.deadline = sim.now() + given_up
    try:
        with scope:
            value = await sim.ask("a", to, msg, expiry=expiry)
            assert value == n or isinstance(value, SendError), value
    finally:
        askers.gone[n] = sim.now()


async def _cancel_later(scope: trio.CancelScope, seconds: float) -> None:
    await trio.sleep(seconds)
    scope.cancel()
