"""A whole cluster in one process: its nodes by name, what happens to them, and the history of it.

Real nodes (`open_node`) over a simulated network, under virtual time. All chance comes from one seed, each purpose
from a stream of its own, so that leaving out a fault changes nothing else that is drawn.

    chronicle    what is written down, and where chance comes from
    cluster      nodes and links
    here         messages, faults, and how it all comes to rest
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from actors.engine import Engine
from actors.errors import Crashed, SendError
from actors.identity import EngineID, NodeID
from actors.messages import PREFS, Request
from actors.runtime.codec import encode
from actors.testing.cluster.members import NotRunning, NotSettled, SimulatedCluster
from actors.testing.cluster.watch import CALL, Call, digest, told
from actors.testing.history.records import Fault, Finished, Handled, Healed, Told

if TYPE_CHECKING:
    from actors.testing.seeds.storm import Storm

__all__ = ["NotRunning", "NotSettled", "Simulation", "open_simulation"]


class Simulation(SimulatedCluster):
    """`sim`: what a test or scenario is given."""

    def __init__(self, seed: int, nursery: trio.Nursery, *, without: Collection[int] = ()) -> None:
        super().__init__(seed, nursery)
        self.rng = self.stream("scenario")
        self.faults: list[str] = []
        """All faults so far, in words; also those that were left out."""
        self.storm: Storm | None = None
        """Faults that strike by themselves, beside the scenario: `settle` waits for the last of them."""
        self._without = frozenset(without)

    # -- messages ---------------------------------------------------------------------------------------

    async def send(self, sender: str, to: EngineID, msg: Request[Any], **options: Any) -> object:
        """As `node.send`; what it comes to is the value: None, or the SendError that was raised."""
        reliable = options.get("prefs", PREFS).reliability == "reliable"
        good = "delivered" if reliable else "sent"
        return await self._call(sender, lambda: self[sender].send(to, msg, **options), good)

    async def ask(self, sender: str, to: EngineID, msg: Request[Any], **options: Any) -> object:
        """As `node.ask`; what it comes to is the value: the answer, or the SendError that was raised."""
        return await self._call(sender, lambda: self[sender].ask(to, msg, **options), "answered")

    async def _call(self, sender: str, verb: Callable[[], Awaitable[object]], good: Any) -> object:
        call, run = Call(), self.hosts[sender].run
        token = CALL.set(call)
        outcome, value = (good, "", False), None
        try:
            value = await verb()
        except Crashed as crash:
            outcome, value = ("crashed", "", False), crash
        except SendError as error:
            outcome, value = told(error), error  # type: ignore[arg-type]
        except trio.Cancelled:
            outcome = ("cancelled", "", False)
            raise
        finally:
            CALL.reset(token)
            if call.message is not None and not self._is_over(sender, run):
                self.record(Told(self.now(), sender, run, call.message, *outcome))
        return value

    def _is_over(self, name: str, run: int) -> bool:
        host = self.hosts[name]
        return host.run != run or host.watch is None or host.watch.over

    def handled(self, engine: Engine, msg: Request[Any]) -> None:
        """For engines made for simulations: it was given this to handle."""
        name = self.name_of(engine.id.node or NodeID(bytes(32)))
        host, sender = self.hosts.get(name), engine.sender
        if host is None or self._is_over(name, host.run) or sender.node is None or sender.node == engine.id.node:
            return
        peer, content = self.name_of(sender.node), digest(encode(msg))
        self.record(Handled(self.now(), name, host.run, peer, sender.name, engine.id.name, content))

    # -- faults -----------------------------------------------------------------------------------------

    async def inflict(self, fault: Any) -> bool:
        """Let something happen to the cluster (`actors.testing.faults`). False: it was left out of this run.

        Every fault goes through here. It has a number, its place in `faults`, by which it can be left out.
        """
        number = len(self.faults)
        self.faults.append(str(fault))
        if number in self._without:
            return False
        node = fault.at_host
        self.record(Fault(self.now(), node, self._run_of(node), str(fault), fault.corrupts, fault.stalls))
        self.undetected |= fault.undetected
        await fault.apply(self)
        self.sample()
        return True

    def _run_of(self, name: str) -> int:
        return self.hosts[name].run if name in self.hosts else 0

    async def heal(self) -> None:
        """No fault is in force any more, none will strike, and nodes that are down run again."""
        if self.storm is not None:
            await self.storm.end()
        self.network.heal()
        self.chances.clear()
        for host in list(self.hosts.values()):
            host.wall_offset = 0.0
            if host.crashed:
                if host.node is not None:
                    await host.gone.wait()  # it is about to be stopped, or is being stopped
                await self._begin(host)
        cfgs = [host.cfg or self.cfg for host in self.hosts.values()]
        recovery = max((1.2 * cfg.backoff.cap + cfg.handshake_timeout for cfg in cfgs), default=0.0)
        if self.undetected:
            recovery += max((cfg.liveness.dead_after for cfg in cfgs), default=0.0)
        self.undetected = False
        self.record(Healed(self.now(), "", 0, recovery))

    async def settle(self, *, within: float = 600.0) -> None:
        """`heal`, then wait until every permanent link is up and every message has its outcome. NotSettled otherwise.

        Before that, what is to strike by itself does. within: seconds for messages, after the links are up.
        """
        if self.storm is not None:
            await self.storm.wait_over()
        await self.heal()
        await self.until(self._all_up, "every permanent link up again", within=120.0)
        await self.until(lambda: not self._in_flight(), "every message to have its outcome", within=within)

    def _all_up(self) -> bool:
        return all(
            self.is_up(host.name, peer) and self.is_up(peer, host.name)
            for host in self.hosts.values()
            if host.node is not None
            for peer in host.permanent
            if self.hosts[peer].node is not None
        )

    def _in_flight(self) -> int:
        nodes = [host.node for host in self.hosts.values() if host.node is not None]
        return sum(node.snapshot().statistics.ledger.in_flight for node in nodes)

    # -- the end ----------------------------------------------------------------------------------------

    async def finish(self, *, settled: bool = True) -> None:
        """Stop every node that runs. `settled`: all of them end in order, so that nothing may be left open."""
        self.sample()
        self.ending = True
        while self.running:
            await self.stop(*self.running)
        self.record(Finished(self.now(), "", 0, settled))


@asynccontextmanager
async def open_simulation(
    seed: int, *, without: Iterable[int] = (), chances: dict[str, float] | None = None
) -> AsyncIterator[Simulation]:
    """A simulation for the length of the block; at its end nodes stop. Only under `run_virtual`."""
    async with trio.open_nursery() as nursery:
        sim = Simulation(seed, nursery, without=frozenset(without))
        sim.chances.update(chances or {})
        yield sim
        await sim.finish()
        nursery.cancel_scope.cancel()
