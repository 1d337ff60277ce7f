"""A node: its identity, its engines, and its links to other nodes. The composition root of one process' part.

async with open_node() as node:
    node.spawn(Counter(), "counter")
    await node.ask(EngineID(other, "counter"), Add(2))

open_node ─ runtime: users' engines end first, then the network's, then the clock
             └ router ─ a Node Proxy for each remote node
             └ transport.tcp … ─ a Transport Connection for each connection
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import count
from os import PathLike
from random import Random, SystemRandom

import trio

from actors.admission import Admission, Capacity, admit_all, all_of
from actors.config import Limits
from actors.engine import Engine, Policy
from actors.errors import ActorError, ConfigError, IdentityTaken, Lost, Refused
from actors.events import Connected, Event, ProxyChanged
from actors.identity import EngineID, Incarnation, NodeID, NodeKey
from actors.messages.kinds import tag_of
from actors.net.call import Call
from actors.net.connecting.backoff import BackoffCfg
from actors.net.figures import address_snapshots, door_snapshot, link_snapshot, proxy_snapshot, whole_ledger
from actors.net.keeper import Keeper
from actors.net.network import Entry, Network, NetworkCfg
from actors.net.node_proxy import NodeProxy
from actors.net.proving.adverts import NodeAdvert, parse_peer
from actors.net.router import Router
from actors.net.scopes import WITHIN, spawning, watching
from actors.net.session.conditions import Conditions
from actors.net.session.liveness import LivenessCfg
from actors.net.session.runs import FLAT
from actors.net.transport_connection import TransportConnection
from actors.net.transport_protocol import TransportProtocol
from actors.net.vocabulary import (
    KEEPER,
    ROUTER,
    AdvertLearned,
    ConnectedNodes,
    Dial,
    Disconnect,
    Migrate,
    NodeConnectRequest,
    OfferAdvert,
    SetPermanence,
    StopNetwork,
)
from actors.remembered import CONFIGURATION, Remembered
from actors.runtime import Asks, Runtime, Witness, open_service_nursery, unwrapped
from actors.runtime.allocator import keep_freed_memory
from actors.runtime.figures import engine_snapshots, work_snapshot
from actors.snapshots import (
    AddressSnapshot,
    DeadLetterSnapshot,
    EngineSnapshot,
    LinkSnapshot,
    NodeSnapshot,
    NodeStatistics,
    ProxySnapshot,
    WorkSnapshot,
)
from actors.state import StateDir
from transports.addresses import parse_address
from transports.base import Listener, Stream, Transport
from transports.schemes import MISSING

DEFAULT_LISTEN = ("tcp://127.0.0.1:0",)
WEIGHT = 1
_NODE = "node"
"""Who holds the links of `Node.connect` (L5)."""


class Node:
    """What `open_node` gives. Its verbs are those of an engine; here they send as the node itself."""

    def __init__(self, network: Network, name: str, pid: int) -> None:
        runtime = network.runtime
        self.id: NodeID = network.key.id
        self.name = name
        self.addresses: tuple[str, ...] = ()
        self.runtime: Runtime = runtime
        self.events = runtime.events
        self.tell = runtime.tell
        self.send = runtime.send
        self.ask = runtime.ask
        self.tell_nowait = runtime.tell_nowait
        self._network = network
        self._pid = pid
        self._began = runtime.clock.now()

    def spawn(self, engine: Engine, /, name: str, *, policy: Policy = Policy.PERMANENT) -> EngineID:
        """Start an engine; the instance is configuration and initial state. EngineNameError if the name is taken."""
        return self.runtime.spawn(engine, name, policy=policy)

    # -- engines and blocks -----------------------------------------------------------------------------

    def watch(self, engine: EngineID, /, *, within: float = WITHIN) -> AbstractAsyncContextManager[EngineID]:
        """`async with node.watch(engine):` the block is cancelled, and raises Down(reason), when the engine is down.

        For good: restarts after crashes, and connections that break and come back, do not count. The block begins when
        the engine is known to be there; Down, if it is not. A block that ends first ends as it does. within: seconds
        without a sign of life after which the other node is taken for lost; one is asked for four times in them.
        Refused for a node of which nothing is known, or whose version keeps no watch.
        """
        return watching(self._network, engine, within)

    def offer(self, engine: Engine, /, name: str, *, policy: Policy = Policy.PERMANENT) -> None:
        """Let other nodes start copies of this engine here (`spawn_on`), by this name; as `spawn` would.

        Nothing else is ever started for another node. EngineNameError for a name that is malformed or offered already.
        """
        self._network.loans.offer(engine, name, policy)

    def spawn_on(
        self, node: NodeID, engine: str | type[Engine], /, *, within: float = WITHIN
    ) -> AbstractAsyncContextManager[EngineID]:
        """`async with node.spawn_on(peer, "counter") as counter:` an engine of another node, for the block's length.

        The other node offers it by this name; a class stands for its name, `Counter` for `counter`. When the block has
        ended, so has the engine: at once, or, if the other node cannot be told, when it has heard nothing for `within`
        seconds and a quarter of them. If the engine ends first, or the node is lost, the block raises Down, as `watch`
        does.

        Raises Refused (`not_offered`, `too_many`, `unknown_node` …), or Expired or Lost if the node cannot be reached
        within that time, before the block begins.
        """
        name = engine if isinstance(engine, str) else tag_of(engine.__name__)
        return spawning(self._network, node, name, within)

    # -- other nodes ------------------------------------------------------------------------------------

    @property
    def advert(self) -> NodeAdvert:
        """This node's signed word on where it is; `str(advert)` is one line for another node's `learn`."""
        assert self._network.advert is not None
        return self._network.advert

    def learn(self, advert: NodeAdvert | str) -> NodeID:
        """Keep a friend's advert, as an object or as its line. AdvertError if it is none."""
        known = NodeAdvert.parse(advert) if isinstance(advert, str) else advert
        if self._network.keep(known, None):
            self.runtime.tell_nowait(ROUTER, AdvertLearned(known.id))
        elif known != self._network.advert_of(known.id):  # an older one, or a second one of the same version
            self.runtime.tell_nowait(ROUTER, OfferAdvert(known.data, None))
        return known.id

    async def connect(self, node: NodeID, *, permanent: bool = True) -> None:
        """Open a link and return once it is proven. A permanent one is kept, and opened again when it is lost.

        Raises Refused for a node of which nothing is known, Lost if an ephemeral link cannot be opened. Cancelled,
        the link is not taken back: see `set_permanence`.
        """
        with self.events.next(node, _decides) as found:
            self._network.table.outlet(node)
            if permanent:
                self.set_permanence(node, True, holder=_NODE)
            await self.ask(ROUTER, NodeConnectRequest(node))
            if not self.is_connected(node):
                _connected(await found.event())

    def is_connected(self, node: NodeID) -> bool:
        """Whether a connection to this node carries messages now."""
        return self._network.table.is_connected(node)

    def is_permanent(self, node: NodeID) -> bool:
        """Whether anybody holds the link to this node for permanent."""
        return self._network.table.is_permanent(node)

    def set_permanence(self, node: NodeID, permanent: bool, *, holder: str = "console") -> None:
        """`holder` wants the link to be permanent, or does not any more; it is while anybody does.

        Raises PeersFull if there is no room to remember one more node.
        """
        self._network.peers.open(node)
        self.runtime.tell_nowait(ROUTER, SetPermanence(node, permanent, holder))

    def dial_now(self, node: NodeID) -> None:
        """Open a link now, or wake one that waits for its next attempt. Refused for an unknown node."""
        self._network.table.outlet(node)
        self.runtime.tell_nowait(ROUTER, NodeConnectRequest(node))

    def close(self, node: NodeID) -> None:
        """Close the connection; a permanent link opens another."""
        self.runtime.tell_nowait(EngineID(None, str(node)), Disconnect())

    async def migrate(self, node: NodeID, *schemes: str) -> tuple[str, ...]:
        """Move the link to one of these transports, the first that answers; nothing is lost or repeated (PROTOCOL C7).

        From now on they are preferred for this node. Returns the addresses that are dialed: none if it has none that
        may be. Without a link it connects first, as `connect` does.
        """
        if not self.is_connected(node):
            await self.connect(node, permanent=False)
        return await self.runtime.ask(EngineID(None, str(node)), Migrate(schemes))

    def explain(self, node: NodeID) -> list[AddressSnapshot]:
        """Each address of a node: when it would be dialed, in order, and why. Empty for one that is not known."""
        return address_snapshots(self._network, node)

    def cut(self, node: NodeID) -> bool:
        """Sever the current connection as a fault would, without a word. Whether there was one."""
        entry = self._network.table.find(node)
        link = entry.session.current if entry and entry.session else None
        if link is None:
            return False
        link.stream.abort()
        return True

    # -- looking ----------------------------------------------------------------------------------------

    def snapshot(self) -> NodeSnapshot:
        """This moment's figures."""
        network, statistics = self._network, self.runtime.statistics()
        entries = list(network.table)
        return NodeSnapshot(
            name=self.name,
            id=str(self.id),
            state="stopping" if network.table.stopping else "running",
            addresses=self.addresses,
            pid=self._pid,
            statistics=NodeStatistics(
                engines=statistics.engines,
                proxies=len(entries),
                connected=sum(self.is_connected(entry.peer) for entry in entries),
                ledger=whole_ledger(network),
                received=sum(record.receive.received for record in network.peers if record.receive),
                dead_letters=statistics.dead_letters,
                door=door_snapshot(network.door),
                uptime=self.runtime.clock.now() - self._began,
            ),
        )

    def proxies(self) -> list[ProxySnapshot]:
        """Each Node Proxy's figures."""
        now = self.runtime.clock.now()
        return [proxy_snapshot(self.name or self.id.short, entry, now) for entry in self._network.table]

    def engines(self) -> list[EngineSnapshot]:
        """Each engine's figures, the network's own included."""
        return engine_snapshots(self.name or self.id.short, self.runtime)

    def link(self, node: NodeID) -> LinkSnapshot | None:
        """One Node Proxy, looked at closely; None if there is none for this node."""
        entry = self._network.table.find(node)
        return None if entry is None else link_snapshot(self._network, entry)

    def work(self, engine: str) -> WorkSnapshot | None:
        """One engine, looked at closely; None if there is none of this name."""
        cell = self.runtime.find(engine)
        return None if cell is None else work_snapshot(cell)

    def dead_letters(self) -> list[DeadLetterSnapshot]:
        """The last messages that were told and did not arrive, oldest first."""
        now = self.runtime.clock.now()
        return [
            DeadLetterSnapshot(
                ago=now - letter.at,
                to=_whole(letter.to),
                sender=_whole(letter.sender),
                tag=letter.tag,
                outcome=letter.outcome,
                head=letter.head,
            )
            for letter in self.runtime.dead_letters.recent
        ]

    def __repr__(self) -> str:
        return f"<Node {self.name or ''} {self.id.short}: {', '.join(self.addresses) or 'not listening'}>"


def _whole(engine: EngineID) -> str:
    """With the whole NodeID: who shows it knows the name."""
    return f"{engine.node or ''}/{engine.name}"


# -- opening ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_node(
    key: NodeKey | None = None,
    *,
    name: str = "",
    listen: Sequence[str] = DEFAULT_LISTEN,
    adverts: Iterable[NodeAdvert | str] = (),
    peers: Iterable[NodeAdvert | NodeID | str] = (),
    state_dir: str | PathLike[str] | None = None,
    transports: Sequence[Transport] | None = None,
    insecure: bool = False,
    limits: Limits | None = None,
    policy: Admission = admit_all,
    cfg: NetworkCfg | None = None,
    strict: bool = False,
    random: Random | None = None,
    boot: int | None = None,
    pid: int | None = None,
    conditions: Conditions | None = None,
    witness: Witness | None = None,
) -> AsyncIterator[Node]:
    """Run a node for the length of the block.

    key: who the node is; by default the key of `state_dir`, else a new one. listen: URLs to accept connections on.
    adverts: other nodes to know from the start; peers: those to keep a permanent link to, by their adverts, or by
    their NodeIDs where `adverts` or `state_dir` know the rest. state_dir: a folder to remember by: key, boot number,
    adverts, who holds links for permanent; nothing is remembered without one. insecure: allow plain
    transports beyond the loopback interface. limits: what bounds the node.
    policy: whom it dials and lets in (`actors.admission`).

    For tests and simulations: transports, in place of the built-in ones; strict, so that every local message goes
    through the codec; random and boot, in place of the system's randomness and clock; cfg, every number of the
    network, in place of what `limits` and `insecure` say; conditions, who looks on. For recording: witness, who sees
    all that users' engines get.

    Leaving the block drains: what was accepted is sent and acknowledged, within `cfg.drain_timeout`. An exception
    or cancellation ends it at once. Raises ConfigError, AddressInUse, AddressError, before the block begins; and
    IdentityTaken from within it, which is cancelled, when a second node with this key has taken its place.
    """
    keep_freed_memory()
    state = StateDir(state_dir) if state_dir is not None else None
    key = key or (state.key() if state else NodeKey.generate())
    wall_ms = boot if boot is not None else int(time.time() * 1000)
    random = random or SystemRandom()
    incarnation = Incarnation(state.next_boot(wall_ms) if state else wall_ms, random.getrandbits(64))
    limits = limits or Limits()
    policy = all_of(policy, Capacity(links=limits.links, kept=limits.links_kept))
    cfg = cfg or _network_cfg(limits, insecure)
    runtime = Runtime(key.id, strict=strict, capacity=limits.mailbox_messages, capacity_bytes=limits.mailbox_bytes)
    runtime.witness = witness
    runtime.asks = Asks(random.getrandbits(62))
    network = Network(key, incarnation, runtime, random, cfg, conditions, policy)
    memory = Remembered(state, network) if state else None
    runtime.next_stay = count(incarnation.random >> 1).__next__
    runtime.gateway = network.table.outlet
    runtime.on_demand[KEEPER] = lambda: Keeper(runtime=runtime, loans=network.loans)
    node = Node(network, name, os.getpid() if pid is None else pid)
    if not transports:
        from transports.builtin import built_in  # whoever brings its own need not wait for the import of these

        transports = built_in(key.private_key(), insecure=cfg.insecure)
    by_scheme = {transport.scheme: transport for transport in transports}
    network.schemes = frozenset(by_scheme)
    async with _listening(listen, by_scheme) as listeners:
        node.addresses = tuple(str(listener.address) for _, listener in listeners)
        weighted = [(url, WEIGHT) for url in node.addresses]
        network.advert = (
            memory.advertise(weighted, now_ms=wall_ms)
            if memory
            else NodeAdvert.sign(key, weighted, version=max(1, wall_ms), created=wall_ms)
        )
        with unwrapped() as body:
            try:
                async with open_service_nursery() as services:
                    await services.start(runtime.serve)
                    try:
                        await _start_network(network, by_scheme, listeners)
                        if memory:
                            services.start_soon(memory.serve)
                            memory.restore()
                        for advert in adverts:
                            node.learn(advert)
                        for peer in peers:
                            node.set_permanence(_met(node, peer), True, holder=CONFIGURATION)
                        with body:
                            with network.stay:
                                yield node
                            if network.taken:
                                raise IdentityTaken(network.taken)
                        await _stop_network(network, listeners)
                    finally:
                        runtime.stopping = network.table.stopping = True  # whoever sends from here on hears of it
                        services.cancel_scope.cancel()
            finally:
                network.table.close()


def _met(node: Node, peer: NodeAdvert | NodeID | str) -> NodeID:
    """A peer that the settings name: by its advert, or by its NodeID alone."""
    if isinstance(peer, str):
        peer = parse_peer(peer)
    return peer if isinstance(peer, NodeID) else node.learn(peer)


def _network_cfg(limits: Limits, insecure: bool) -> NetworkCfg:
    return NetworkCfg(
        backoff=BackoffCfg(cap=limits.backoff_cap_seconds),
        liveness=LivenessCfg(ping_after=limits.heartbeat_seconds, dead_after=limits.dead_seconds),
        handshake_timeout=limits.handshake_seconds,
        attempt_timeout=limits.backoff_cap_seconds,
        idle_after=limits.idle_seconds,
        drain_timeout=limits.drain_seconds,
        outbox=min(limits.outbox_bytes, limits.outbox_messages * FLAT),
        max_frame=limits.frame_bytes,
        peers=limits.peers,
        loans=limits.loans_per_peer,
        watches=limits.watches_per_peer,
        unproven=limits.unproven,
        unproven_per_source=limits.unproven_per_source,
        handshakes=limits.handshakes_per_second,
        secure_handshakes=limits.secure_handshakes_per_second,
        insecure=insecure,
    )


@asynccontextmanager
async def _listening(
    urls: Sequence[str], transports: dict[str, Transport]
) -> AsyncIterator[list[tuple[str, Listener]]]:
    """Listeners with their schemes. Whatever happens before or while an engine has them: they are closed at the end."""
    listeners: list[tuple[str, Listener]] = []
    try:
        for url in urls:
            address = parse_address(url)
            transport = transports.get(address.scheme)
            if transport is None:
                known = ", ".join(f"{scheme}://" for scheme in transports)
                error = ConfigError(f"no transport for {url} here; there is {known}")
                error.hint = MISSING.get(address.scheme, "")
                raise error
            listeners.append((address.scheme, await transport.listen(address)))
        yield listeners
    finally:
        with trio.CancelScope(shield=True):
            for _, listener in listeners:
                await listener.aclose()


async def _start_network(
    network: Network, transports: dict[str, Transport], listeners: list[tuple[str, Listener]]
) -> None:
    def make_proxy(entry: Entry) -> Engine:
        return NodeProxy.of(network, entry)

    def make_connection(transport: Transport, begin: Stream | Dial, claim: Callable[[Stream | Call], object]) -> Engine:
        return TransportConnection(network=network, transport=transport, begin=begin, claim=claim)

    runtime = network.runtime
    runtime.spawn(Router(network=network, make_proxy=make_proxy), "router", reserved=True)
    for scheme, transport in transports.items():
        protocol = TransportProtocol(
            network=network,
            transport=transport,
            listeners=tuple(listener for its, listener in listeners if its == scheme),
            make_connection=make_connection,
        )
        runtime.spawn(protocol, f"transport.{scheme}", reserved=True)
    await runtime.ask(ROUTER, ConnectedNodes())  # it has started when it answers


async def _stop_network(network: Network, listeners: list[tuple[str, Listener]]) -> None:
    """Nobody comes any more; users' engines handle what they have, and end; then every proxy drains (D5)."""
    runtime, within = network.runtime, network.cfg.drain_timeout
    for _, listener in listeners:
        await listener.aclose()
    network.say_goodbye()
    await runtime.stop_engines(within / 2)
    with trio.move_on_after(within + 5), suppress(ActorError):
        for proxy in await runtime.ask(ROUTER, StopNetwork()):
            cell = runtime.find(proxy.name)
            if cell is not None:
                await cell.gone.wait()


def _decides(event: Event) -> bool:
    """Whether a link to its peer stands now, or nobody tries to open one any more."""
    return isinstance(event, Connected) or (isinstance(event, ProxyChanged) and event.new == "closed")


def _connected(event: Event | None) -> None:
    if isinstance(event, ProxyChanged):
        raise Lost(event.why)
    if event is None:
        raise Refused("stopping", "this node has stopped")
