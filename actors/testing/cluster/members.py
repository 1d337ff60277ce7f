"""The nodes of a simulation, by name: started, stopped, killed, started again, linked to each other."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import trio

from actors.errors import IdentityTaken
from actors.identity import EngineID
from actors.net.network import NetworkCfg
from actors.node import Node, open_node
from actors.testing.cluster.chronicle import Chronicle
from actors.testing.cluster.hosts import Host, Setup
from actors.testing.cluster.proofs import ProofWatch
from actors.testing.cluster.watch import Watch
from actors.testing.history.records import Began, Ended, Held, Ledger, Left, Stopping
from actors.testing.network.wires import SimulatedNetwork

WALL = 1_700_000_000.0
"""The wall clock when a simulation begins, seconds since 1970."""
LOOK_EVERY = 0.1
"""Seconds between two looks at whether something waited for is so."""


class NotRunning(LookupError):
    """No run of the node is under way."""


class NotSettled(AssertionError):
    """After all faults have ended, something that is owed did not come."""


class SimulatedCluster(Chronicle):
    """Real nodes (`open_node`) over a simulated network. Their tasks belong to `nursery`."""

    def __init__(self, seed: int, nursery: trio.Nursery) -> None:
        super().__init__(seed)
        self.network = SimulatedNetwork(self.stream("network"))
        self.hosts: dict[str, Host] = {}
        self.chances: dict[str, float] = {}
        """Of each fault point (`actors.net.session.conditions.POINTS`), until the simulation heals."""
        self.cfg = NetworkCfg()
        """Of nodes that start from now on, where `start` names none."""
        self.strict = False
        """Whether local messages go through the codec, of nodes that start from now on."""
        self.ending = False
        self.maimed = False
        """Somebody was cancelled whom the scenario may miss: that it fails from now on says nothing."""
        """Nodes end one after the other, and none begins another run."""
        self.undetected = False
        """Whether a fault left somebody to find out by itself: recovery then takes a heartbeat longer."""
        self._nursery = nursery
        self._fullest: dict[tuple[str, str], tuple[int, int]] = {}
        self._proofs = ProofWatch(self.network, self.record, self.now, self.hosts)

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

        know: the nodes whose adverts they are told, at the start of each run of either; by default all. setup: called
        with the node at the start of each of its runs, to spawn engines. options: as for `open_node`.
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
        self.record(Began(self.now(), host.name, host.run, str(host.key.id), boot, lose_state))
        await self._nursery.start(self._run, host, boot)
        self.introduce()
        for peer in host.permanent:
            self[host.name].set_permanence(self._host(peer).key.id, True, holder="simulation")

    async def _run(self, host: Host, boot: int, *, task_status: trio.TaskStatus[None]) -> None:
        name, run = host.name, host.run
        watch = Watch(self, name, run, self.stream(f"points {name} {run}"), self.chances)
        options: dict[str, Any] = {
            "listen": (f"memory://{name}",),
            "strict": self.strict,
            "transports": (self.network.transport(name),),
        } | host.options
        opened = open_node(
            host.key,
            name=name,
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
                    try:
                        await host.stopping.wait()
                    finally:
                        if host.stopping.is_set() or node._network.taken:
                            self.record(Stopping(self.now(), name, run))
                how = "stopped"
        except IdentityTaken:
            how = "stopped"
        except Exception as failure:  # a promise is broken: the judge says which
            if not (self.maimed and isinstance(failure, NotRunning)):
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

    async def until(self, condition: Callable[[], object], what: str, *, within: float = 120.0) -> None:
        """Wait for something to be so. NotSettled, with what it was, after `within` seconds."""
        deadline = self.now() + within
        while not condition():
            if self.now() >= deadline:
                raise NotSettled(f"waited {within:g} s in vain for {what}; {self.state()}")
            await trio.sleep(LOOK_EVERY)

    def state(self) -> str:
        """Where everything stands, in one line."""
        words = [f"{host.name} is down" for host in self.hosts.values() if host.node is None]
        words += [
            f"{host.name} -> {self._by_text(proxy.peer_id)} {proxy.permanence} {proxy.state},"
            f" {proxy.queued} queued, {proxy.retained} retained"
            for host in self.hosts.values()
            if host.node is not None
            for proxy in host.node.proxies()
        ]
        return "; ".join(words) or "no proxies"

    def _by_text(self, node: str) -> str:
        return next((name for name, host in self.hosts.items() if str(host.key.id) == node), node[:8])

    def start_soon(self, task: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        """Run something beside the scenario; it is cancelled when the simulation ends."""
        if not self._nursery.cancel_scope.cancel_called:
            self._nursery.start_soon(self._beside, task, *arguments)

    async def _beside(self, task: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        try:
            await task(*arguments)
        except Exception:
            if not self.maimed:
                raise

    def cancel(self, name: str = "") -> None:
        """Cancel a node, as whoever opened it may do at any moment; without a name the whole simulation."""
        self.maimed = True
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
