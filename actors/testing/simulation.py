"""A whole cluster in one process: its nodes by name, what happens to them, and the history of it.

Real nodes (`open_node`) over a simulated network, under virtual time. All chance comes from one seed, each purpose
from a stream of its own, so that leaving out a fault changes nothing else that is drawn.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from actors.engine import Engine
from actors.errors import Crashed, SendError
from actors.identity import EngineID, NodeID
from actors.messages import Request
from actors.net.network import NetworkCfg
from actors.node import Node, open_node
from actors.runtime.codec import encode
from actors.testing.history import (
    AnyRecord,
    Ended,
    Fault,
    Finished,
    Handled,
    Healed,
    Held,
    History,
    Ledger,
    Left,
    Stopping,
    Told,
)
from actors.testing.history import Began as HostBegan
from actors.testing.hosts import Host, Setup
from actors.testing.proofs import ProofWatch
from actors.testing.trace import Trace
from actors.testing.watch import CALL, Call, Watch, digest, told
from actors.testing.wires import SimulatedNetwork

if TYPE_CHECKING:
    from actors.testing.storm import Storm

R = TypeVar("R")

WALL = 1_700_000_000.0
"""The wall clock when a simulation begins, seconds since 1970."""
LOOK_EVERY = 0.1
"""Seconds between two looks at whether something waited for is so."""


class NotRunning(LookupError):
    """No run of the node is under way."""


class NotSettled(AssertionError):
    """After all faults have ended, something that is owed did not come."""


class Simulation:
    """`sim`: what a test or scenario is given."""

    def __init__(self, seed: int, nursery: trio.Nursery, *, without: Collection[int] = ()) -> None:
        self.seed = seed
        self.rng = self.stream("scenario")
        self.history: History = []
        self.trace = Trace()
        self.network = SimulatedNetwork(self.stream("network"))
        self.hosts: dict[str, Host] = {}
        self.faults: list[str] = []
        """All faults so far, in words; also those that were left out."""
        self.chances: dict[str, float] = {}
        """Of each fault point, for nodes that start from now on."""
        self.cfg = NetworkCfg()
        """Of nodes that start from now on, where `start` names none."""
        self.strict = False
        self.ending = False
        """Nodes end one after the other, and none begins another run."""
        self.undetected = False
        """Whether a fault left somebody to find out by itself: recovery then takes a heartbeat longer."""
        self.storm: Storm | None = None
        """Faults that strike by themselves, beside the scenario: `settle` waits for the last of them."""
        self._without = frozenset(without)
        self._nursery = nursery
        self._names: dict[NodeID, str] = {}
        self._messages = 0
        self._fullest: dict[tuple[str, str], tuple[int, int]] = {}
        self._proofs = ProofWatch(self.network, self.record, self.now, self.hosts)

    def stream(self, purpose: str) -> Random:
        """Chance for one purpose."""
        return Random(f"{self.seed} {purpose}")  # noqa: S311 - a simulation, no secrets

    # -- the log (`watch.Log`) --------------------------------------------------------------------------

    def now(self) -> float:
        """Virtual seconds since the simulation began."""
        return trio.current_time()

    def record(self, record: AnyRecord) -> None:
        """Add to the history."""
        self.history.append(record)
        self.trace.add(record)

    def next_message(self) -> int:
        """A number for one more message."""
        self._messages += 1
        return self._messages

    def name_of(self, node: NodeID) -> str:
        """A node's name; its short form if it is no node of this simulation."""
        return self._names.get(node, node.short)

    # -- nodes ------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Node:
        """The run of this node that is under way. NotRunning if there is none."""
        host = self.hosts.get(name)
        if host is None or host.node is None:
            raise NotRunning(f"node {name!r} does not run; there are {', '.join(self.running) or 'none'}")
        return host.node

    @property
    def running(self) -> list[str]:
        """Names of the nodes that run, in the order in which they were first started."""
        return [name for name, host in self.hosts.items() if host.node is not None]

    def to(self, name: str, engine: str) -> EngineID:
        """The address of an engine on a node of this name."""
        return EngineID(self._host(name).key.id, engine)

    def _host(self, name: str) -> Host:
        host = self.hosts.get(name)
        if host is None:
            host = self.hosts[name] = Host(name)
            self._names[host.key.id] = name
        return host

    async def start(
        self,
        *names: str,
        setup: Setup | None = None,
        know: bool | Collection[str] = True,
        cfg: NetworkCfg | None = None,
        **options: Any,
    ) -> tuple[Node, ...]:
        """Start nodes of these names; those that run already are left alone.

        know: the nodes whose adverts they are told, at the start of each run of either; by default all. setup: called with the node at the start of each of its runs, to spawn engines. options: as for `open_node`.
        """
        for name in names:
            host = self._host(name)
            if host.node is None:
                host.setup = setup or host.setup
                host.cfg = cfg or host.cfg or self.cfg
                host.options |= options
                host.know = know
                await self._begin(host)
        return tuple(self[name] for name in names)

    async def _begin(self, host: Host, *, lose_state: bool = False) -> None:
        if self.ending:
            return
        host.crashed = False
        boot = host.next_boot(int((WALL + self.now() + host.wall_offset) * 1000), lose_state=lose_state)
        host.run += 1
        self.record(HostBegan(self.now(), host.name, host.run, str(host.key.id), boot, lose_state))
        await self._nursery.start(self._run, host, boot)
        self.introduce()
        for peer in host.permanent:
            self[host.name].set_permanence(self._host(peer).key.id, True, holder="simulation")

    async def _run(self, host: Host, boot: int, *, task_status: trio.TaskStatus[None]) -> None:
        name, run = host.name, host.run
        watch = Watch(self, name, run, self.stream(f"points {name} {run}"), self.chances)
        options: dict[str, Any] = {"listen": (f"memory://{name}",), "strict": self.strict} | host.options
        opened = open_node(
            host.key,
            name=name,
            transports=(self.network.transport(name),),
            boot=boot,
            random=self.stream(f"node {name} {run}"),
            cfg=host.cfg,
            pid=0,
            conditions=watch,
            **options,
        )
        host.watch, host.stopping, host.gone, host.scope = watch, trio.Event(), trio.Event(), trio.CancelScope()
        how, error = "killed", ""
        node: Node | None = None
        try:
            with host.scope:
                async with opened as node:
                    host.node = node
                    if host.setup is not None:
                        made = host.setup(node)
                        if inspect.isawaitable(made):
                            await made
                    task_status.started()
                    await host.stopping.wait()
                    self.record(Stopping(self.now(), name, run))
                how = "stopped"
        except Exception as failure:  # a promise is broken: the judge says which
            how, error = "failed", repr(failure)
        finally:
            host.node = None
            self._end(host, watch, run, how, error, node)
            host.gone.set()

    def _end(self, host: Host, watch: Watch, run: int, how: Any, error: str, node: Node | None) -> None:
        if watch.over:
            return  # it was crashed, and all was recorded then
        if node is not None and how == "stopped":
            self._note_ledger(host, node)
        watch.over = True
        self.record(Ended(self.now(), host.name, run, how, error))
        for what in self.network.left_by(host.name):
            self.record(Left(self.now(), host.name, run, what))

    def introduce(self) -> None:
        """Every node that runs is told the adverts of those that it is to know."""
        running = [(host, host.node) for host in self.hosts.values() if host.node is not None]
        for host, node in running:
            for other, its in running:
                if other is not host and host.knows(other.name):
                    node.learn(its.advert)

    async def stop(self, *names: str) -> None:
        """As leaving their `open_node` blocks: the nodes drain, all at the same time. Returns when they are gone."""
        hosts = [self._running_host(name) for name in names]
        runs = [host.gone for host in hosts]
        for host in hosts:
            host.stopping.set()
        for gone in runs:
            await gone.wait()

    async def crash(self, name: str, *, silently: bool = False) -> None:
        """As `kill -9`: peers see their connections end. Silently, as a loss of power: nobody is told anything."""
        host = self._running_host(name)
        assert host.watch is not None
        self.sample()
        host.watch.over = True
        self.undetected |= silently
        self.record(Ended(self.now(), name, host.run, "killed"))
        self.network.vanish(name, silently=silently)
        host.scope.cancel()
        await host.gone.wait()

    async def restart(self, name: str, *, lose_state: bool = False) -> Node | None:
        """Another run of a node that ended, with a new incarnation; with an empty state folder if it lost its state.

        None when the simulation is ending: then no run begins.
        """
        host = self._host(name)
        if host.node is None:
            await self._begin(host, lose_state=lose_state)
        return host.node

    def set_wall(self, name: str, offset: float) -> None:
        """The node's wall clock is so many seconds ahead of the true one. It is read when a run begins."""
        self._host(name).wall_offset = offset

    def _running_host(self, name: str) -> Host:
        self[name]
        return self.hosts[name]

    # -- links ------------------------------------------------------------------------------------------

    async def link(self, one: str, other: str, *, both: bool = False, wait: bool = True) -> None:
        """A permanent link that `one` holds, or both do; over restarts of theirs, too. Returns when it is up."""
        for here, there in ((one, other), (other, one)) if both else ((one, other),):
            self.hold(here, there)
        if wait:
            await self.until(lambda: self.is_up(one, other) and self.is_up(other, one), f"{one} and {other} linked")

    def hold(self, one: str, other: str, permanent: bool = True) -> None:
        """From now on `one` holds its link to `other` for permanent, or does not any more."""
        host, peer = self._host(one), self._host(other).key.id
        (host.permanent.setdefault if permanent else host.permanent.pop)(other, None)
        if host.node is not None:
            host.node.set_permanence(peer, permanent, holder="simulation")

    def is_up(self, one: str, other: str) -> bool:
        """Whether a connection carries messages from one to the other now."""
        node = self.hosts[one].node
        return node is not None and node.is_connected(self._host(other).key.id)

    # -- messages ---------------------------------------------------------------------------------------

    async def send(self, sender: str, to: EngineID, msg: Request[Any], **options: Any) -> object:
        """As `node.send`; what it comes to is the value: None, or the SendError that was raised."""
        return await self._call(sender, lambda: self[sender].send(to, msg, **options), "delivered")

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
        if host is None or host.watch is None or host.watch.over or sender.node is None or sender.node == engine.id.node:
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

    async def until(self, condition: Callable[[], object], what: str, *, within: float = 120.0) -> None:
        """Wait for something to be so. NotSettled, with what it was, after `within` seconds."""
        deadline = self.now() + within
        while not condition():
            if self.now() >= deadline:
                raise NotSettled(f"waited {within:g} s in vain for {what}; {self.state()}")
            await trio.sleep(LOOK_EVERY)

    def state(self) -> str:
        """Where everything stands, in one line."""
        words = []
        for host in self.hosts.values():
            if host.node is None:
                words.append(f"{host.name} is down")
                continue
            for proxy in host.node.proxies():
                words.append(
                    f"{host.name} -> {self._by_text(proxy.peer_id)} {proxy.permanence} {proxy.state},"
                    f" {proxy.queued} queued, {proxy.retained} retained"
                )
        return "; ".join(words) or "no proxies"

    def _by_text(self, node: str) -> str:
        return next((name for name, host in self.hosts.items() if str(host.key.id) == node), node[:8])

    def start_soon(self, task: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        """Run something beside the scenario; it is cancelled when the simulation ends."""
        self._nursery.start_soon(task, *arguments)

    def cancel(self, name: str = "") -> None:
        """Cancel a node, as whoever opened it may do at any moment; without a name the whole simulation."""
        if not name:
            self._nursery.cancel_scope.cancel()
        elif name in self.hosts:
            self.hosts[name].scope.cancel()

    # -- figures ----------------------------------------------------------------------------------------

    def sample(self) -> None:
        """Note ledgers, and how full queues are, where they were never as full before."""
        for host in self.hosts.values():
            if host.node is not None and host.watch is not None and not host.watch.over:
                self._note_ledger(host, host.node)
                self._note_queues(host, host.node)

    def _note_ledger(self, host: Host, node: Node) -> None:
        ledger = node.snapshot().statistics.ledger
        self.record(
            Ledger(
                self.now(),
                host.name,
                host.run,
                "",
                ledger.accepted,
                ledger.delivered,
                ledger.sent,
                ledger.expired,
                ledger.lost,
                ledger.refused,
                ledger.in_flight,
            )
        )

    def _note_queues(self, host: Host, node: Node) -> None:
        for queue, count, size, most_count, most_size in host.queues(node, self.name_of):
            before = self._fullest.get((host.name, queue), (0, 0))
            if count > before[0] or size > before[1]:
                self._fullest[host.name, queue] = max(count, before[0]), max(size, before[1])
                self.record(Held(self.now(), host.name, host.run, queue, count, size, most_count, most_size))

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
