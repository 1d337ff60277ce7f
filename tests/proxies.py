"""Nodes in one process over one MemoryNetwork, under virtual time: the bench of the test_proxy_* files.

Everything is drawn from a seed: keys, randomness, and the order in which Trio runs its tasks.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import trio

from actors.engine import Engine, on
from actors.errors import SendError
from actors.events import DeadLetter, Disconnected, EngineCrashed, Event, ProxyChanged
from actors.identity import EngineID, NodeKey
from actors.messages import Message, Request
from actors.net.connecting.backoff import BackoffCfg
from actors.net.network import NetworkCfg
from actors.net.session.link import Link
from actors.net.session.receive import Receive
from actors.node import Node, open_node
from actors.snapshots import LedgerSnapshot, ProxySnapshot
from actors.testing.virtual.runner import run_virtual
from transports.addresses import MemoryAddress
from transports.errors import ConnectFailed
from transports.memory.connection import Connection
from transports.memory.network import MemoryNetwork

P = ParamSpec("P")
E = TypeVar("E", bound=Event)

DAY = 86_400.0
BACKOFF = BackoffCfg()
CFG = NetworkCfg()


# -- virtual time -----------------------------------------------------------------------------------------


def virtual(test: Callable[P, Awaitable[object]]) -> Callable[P, None]:
    """Run an async test under a virtual clock; a test that hangs fails after a virtual day."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(partial(test, *args, **kwargs))

    return run


# -- engines that remember --------------------------------------------------------------------------------


class Item(Message):
    """One of a sender's numbered messages."""

    n: int
    pad: bytes = b""


class Question(Request[int]):
    """As Item, answered with -n."""

    n: int


class Wait(Request[str]):
    """Answered after so many seconds."""

    n: int
    seconds: float


class Fail(Request[int]):
    """The handler raises."""


class Unknown(Message):
    """What no engine here has an action for."""


class Mute(Request[int]):
    """What its engine knows and has no guard for."""


class Journal:
    """What engines got, over all their lives: shared, for it is no state of theirs."""

    def __init__(self) -> None:
        self.got: list[tuple[str, int]] = []
        self.began: list[int] = []
        self.ended: list[tuple[int, str]] = []

    def numbers(self, sender: str | None = None) -> list[int]:
        """In the order in which they were handled."""
        return [n for name, n in self.got if sender is None or name == sender]


class Sink(Engine):
    """Takes everything."""

    journal: Journal

    @on(Item)
    def item(self, msg: Item) -> None:
        self.journal.got.append((str(self.sender), msg.n))

    @on(Question)
    def question(self, msg: Question) -> int:
        self.journal.got.append((str(self.sender), msg.n))
        return -msg.n

    @on(Wait)
    async def wait(self, msg: Wait) -> str:
        """Remembers whether it could finish."""
        self.journal.began.append(msg.n)
        try:
            await trio.sleep(msg.seconds)
        except trio.Cancelled:
            self.journal.ended.append((msg.n, "cancelled"))
            raise
        self.journal.ended.append((msg.n, "done"))
        return f"waited for {msg.n}"

    @on(Fail)
    def fail(self, _: Fail) -> int:
        raise ValueError("as told")

    def never(self, _: Mute) -> bool:
        return False

    @on(Mute, when=never)
    def mute(self, _: Mute) -> int:
        return 0


class Gated(Engine):
    """Handles an Item only once the gate is open."""

    journal: Journal
    gate: trio.Event

    @on(Item)
    async def item(self, msg: Item) -> None:
        await self.gate.wait()
        self.journal.got.append((str(self.sender), msg.n))


# -- the network ------------------------------------------------------------------------------------------


class Wires(MemoryNetwork):
    """A network whose dials can fail, hang, or be watched."""

    def __init__(self, seed: int = 0, *, latency: float = 0.001, jitter: float = 0.0, capacity: int = 1 << 20) -> None:
        super().__init__(random.Random(seed), latency=latency, jitter=jitter, capacity=capacity)
        self.refused: set[str] = set()
        """Names of addresses that nobody answers at."""
        self.silent: set[str] = set()
        """Names of addresses that swallow a dial."""
        self.dials: list[tuple[float, str, str]] = []
        """When, from which host, to which name."""

    async def route(self, dialer: str, address: MemoryAddress) -> None:
        self.dials.append((trio.current_time(), dialer, address.name))
        if address.name in self.silent:
            await trio.sleep_forever()
        await super().route(dialer, address)
        if address.name in self.refused:
            raise ConnectFailed(str(address), "connection refused")

    def between(self, one: str, other: str) -> list[Connection]:
        """The connections of two hosts, oldest first."""
        pair = {one, other}
        return [each for each in self.connections if {each.dialer.host, each.acceptor.host} == pair]

    def only(self, one: str, other: str) -> Connection:
        """The one connection of two hosts."""
        (connection,) = self.between(one, other)
        return connection

    def cut(self, one: str, other: str) -> int:
        """Cut all connections of two hosts; both ends notice. How many there were."""
        connections = self.between(one, other)
        for connection in connections:
            connection.cut()
        return len(connections)

    def dialed(self, host: str) -> list[float]:
        """When this host dialed anybody."""
        return [at for at, dialer, _ in self.dials if dialer == host]


def half_open(connection: Connection, noticed_by: str) -> None:
    """One host notices that the connection broke, the other never does."""
    ends = {connection.dialer.host: connection.dialer, connection.acceptor.host: connection.acceptor}
    connection.cut(ends[noticed_by])


def mute(connection: Connection, host: str) -> None:
    """From now on nothing arrives of what this host says; it hears the other."""
    connection.blackhole(connection.dialer if connection.dialer.host == host else connection.acceptor)


# -- nodes ------------------------------------------------------------------------------------------------


def _keys() -> Iterator[NodeKey]:
    """In ascending order of their NodeIDs: a is the smallest."""
    yield from sorted((NodeKey.from_seed(bytes([n]) * 32) for n in range(1, 9)), key=lambda key: key.id)


KEYS = dict(zip("abcdefgh", _keys(), strict=True))
ID = {name: key.id for name, key in KEYS.items()}


class Running:
    """One run of a node, in a task of its own, so that it can stop or be killed at any moment."""

    def __init__(self, node: Node, journal: Journal, events: trio.MemoryReceiveChannel[Event]) -> None:
        self.node = node
        self.journal = journal
        self.scope = trio.CancelScope()
        self.stopping = trio.Event()
        self.gone = trio.Event()
        self._events = events
        self._seen: list[Event] = []

    def events(self, kind: type[E]) -> list[E]:
        """All of this kind since the node started."""
        while True:
            try:
                self._seen.append(self._events.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                return [event for event in self._seen if isinstance(event, kind)]

    def phases(self, peer: str) -> list[str]:
        """What the proxies for this peer went through."""
        return [event.new for event in self.events(ProxyChanged) if event.peer == ID[peer]]

    def letters(self) -> list[str]:
        """The outcomes of dead letters."""
        return [event.outcome for event in self.events(DeadLetter)]


class Sending:
    """A `send` or `ask` under way, and what it came to."""

    def __init__(self) -> None:
        self.value: object = None
        self.over = trio.Event()
        self._scope = trio.CancelScope()

    async def run(self, verb: Callable[[], Awaitable[object]]) -> None:
        with self._scope:
            self.value = await outcome(verb)
        self.over.set()

    async def wait(self) -> object:
        """The value, or the SendError that was raised."""
        await self.over.wait()
        return self.value

    async def cancel(self) -> None:
        """Whoever waited gives up."""
        self._scope.cancel()
        await self.over.wait()


class Bench:
    """Several nodes and what lies between them. Nodes know each other's adverts, unless told otherwise."""

    def __init__(self, wires: Wires, nursery: trio.Nursery, seed: int) -> None:
        self.wires = wires
        self.seed = seed
        self.running: dict[str, Running] = {}
        self.all: list[tuple[str, Running]] = []
        self.crashes_expected = False
        self._nursery = nursery
        self._boots: dict[str, int] = {}

    def __getitem__(self, name: str) -> Node:
        return self.running[name].node

    def to(self, name: str, engine: str = "sink") -> EngineID:
        """An engine's address. Every node has a `sink`."""
        return EngineID(ID[name], engine)

    def journal(self, name: str) -> Journal:
        """What the sinks of this node got, in this run of the node."""
        return self.running[name].journal

    def proxy(self, name: str, peer: str) -> ProxySnapshot | None:
        """What the node shows of its proxy for the peer."""
        return next((proxy for proxy in self[name].proxies() if proxy.peer_id == str(ID[peer])), None)

    def state(self, name: str, peer: str) -> str:
        """The proxy's; "none" if there is no proxy."""
        proxy = self.proxy(name, peer)
        return proxy.state if proxy else "none"

    def ready(self, name: str, peer: str) -> bool:
        """Whether a connection carries messages now."""
        return self[name].is_connected(ID[peer])

    async def start(self, name: str, *, know: bool = True, boot: int | None = None, **options: Any) -> Node:
        """Run a node of this name; again, it is the next run of the same node."""
        self._boots[name] = boot if boot is not None else self._boots.get(name, 0) + 1
        options.setdefault("listen", (f"memory://{name}",))
        options.setdefault("random", random.Random(f"{self.seed} {name} {self._boots[name]}"))
        running: Running = await self._nursery.start(self._run, name, self._boots[name], options)
        self.running[name] = running
        self.all.append((name, running))
        if know:
            introduce(*(each.node for each in self.running.values()))
        return running.node

    async def _run(
        self, name: str, boot: int, options: dict[str, Any], *, task_status: trio.TaskStatus[Running]
    ) -> None:
        transports = (self.wires.transport(name),)
        opened = open_node(KEYS[name], name=name, transports=transports, boot=boot, **options)
        with trio.CancelScope() as scope:
            async with opened as node:
                running = Running(node, Journal(), node.events.subscribe(1 << 20))
                running.scope = scope
                node.spawn(Sink(journal=running.journal), "sink")
                task_status.started(running)
                await running.stopping.wait()
        running.gone.set()

    async def stop(self, *names: str) -> None:
        """As leaving the `open_node` block does: the nodes drain, at the same time."""
        ending = [self.running.pop(name) for name in names]
        for running in ending:
            running.stopping.set()
        for running in ending:
            await running.gone.wait()

    async def kill(self, name: str, *, silently: bool = False) -> None:
        """As a crash of the process does. Silently: as a loss of power does, nobody is told."""
        running = self.running.pop(name)
        if silently:
            for connection in self.wires.connections:
                if name in (connection.dialer.host, connection.acceptor.host):
                    connection.blackhole()
        running.scope.cancel()
        await running.gone.wait()

    async def link(self, one: str, other: str) -> None:
        """A permanent link, held by the first; both ends are ready."""
        await self[one].connect(ID[other])
        await self.until(lambda: self.ready(other, one))

    def receive(self, name: str, peer: str) -> Receive:
        """What the node has received of the peer, over all proxies and connections."""
        record = self[name]._network.peers.find(ID[peer])
        assert record is not None
        assert record.receive is not None
        return record.receive

    def current(self, name: str, peer: str) -> Link:
        """The link that carries the node's messages to the peer."""
        entry = self[name]._network.table.find(ID[peer])
        assert entry is not None
        assert entry.session is not None
        assert entry.session.current is not None
        return entry.session.current

    async def reconnect(self, one: str, other: str, *, within: float = 60.0) -> None:
        """Cut what connections there are, and wait until another one carries messages both ways."""
        before = {self.current(one, other), self.current(other, one)}
        self.wires.cut(one, other)
        with trio.fail_after(within):
            for here, there in ((one, other), (other, one)):
                while not self.ready(here, there) or self.current(here, there) in before:  # noqa: ASYNC110
                    await trio.sleep(0.01)

    def sending(self, verb: Callable[[], Awaitable[object]]) -> Sending:
        """Let a `send` or `ask` wait in a task of its own."""
        sending = Sending()
        self._nursery.start_soon(sending.run, verb)
        return sending

    def ledger(self, name: str) -> LedgerSnapshot:
        """The node's, of all its proxies that are and were."""
        return self[name].snapshot().statistics.ledger

    async def until(self, condition: Callable[[], object], *, within: float = 120.0, every: float = 0.001) -> None:
        """Wait for something to be so."""
        with trio.fail_after(within):
            while not condition():  # noqa: ASYNC110 - whatever it is, no event tells of it
                await trio.sleep(every)

    def broken_rules(self) -> list[str]:
        """Why connections ended, where one end said that the other broke the protocol."""
        events = [event for _, running in self.all for event in running.events(Disconnected)]
        return [event.why for event in events if "protocol error" in event.why]

    def check(self) -> None:
        """Every ledger balances, and no engine crashed."""
        assert_ledgers_balance(running.node for running in self.running.values())
        if not self.crashes_expected:
            for name, running in self.all:
                assert running.events(EngineCrashed) == [], name


@asynccontextmanager
async def bench(
    *names: str, seed: int = 0, wires: Wires | None = None, cfg: NetworkCfg | None = None, **options: Any
) -> AsyncIterator[Bench]:
    """Nodes that know each other. At the end of the block ledgers must balance, then all nodes stop."""
    async with trio.open_nursery() as nursery:
        made = Bench(wires or Wires(seed), nursery, seed)
        for name in names:
            await made.start(name, cfg=cfg or CFG, **options)
        yield made
        made.check()
        await made.stop(*made.running)
        made.check()
        for name, running in made.all:
            settled = running.node.snapshot().statistics.ledger
            assert settled.in_flight == 0, f"{name} left messages without outcome: {settled}"


def introduce(*nodes: Node) -> None:
    """Everybody learns everybody's advert."""
    for node in nodes:
        for other in nodes:
            if other is not node:
                node.learn(other.advert)


def assert_ledgers_balance(nodes: Iterable[Node]) -> None:
    """accepted = delivered + sent + expired + lost + refused + in flight, for each proxy and for the node (P1)."""
    for node in nodes:
        assert balanced(node.snapshot().statistics.ledger), f"{node}: {node.snapshot().statistics.ledger}"
        for proxy in node.proxies():
            assert balanced(proxy.ledger), f"{node}: {proxy}"


def balanced(ledger: LedgerSnapshot) -> bool:
    """Nothing came to an end twice, or never."""
    parts = (ledger.delivered, ledger.sent, ledger.expired, ledger.lost, ledger.refused, ledger.in_flight)
    return ledger.balanced and min(parts) >= 0


async def outcome(verb: Callable[[], Awaitable[object]]) -> object:
    """What a `send` or `ask` comes to: its value, or the SendError that it raises."""
    try:
        return await verb()
    except SendError as error:
        return error
