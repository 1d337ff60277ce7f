"""Long random histories: every promise about messages holds through cuts, restarts and changes of permanence."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import pytest
import trio
from proxies import DAY, ID, Bench, Item, Journal, Question, Wires, bench, half_open, outcome

from actors.errors import Expired, Lost, Refused, SendError
from actors.events import HostileConnection
from actors.net.network import NetworkCfg
from actors.net.session.liveness import LivenessCfg
from actors.node import Node
from actors.testing.virtual.runner import run_virtual
from transports.memory.connection import Connection
from transports.memory.pipes import Pipe

SEEDS = 20


class Uneven(Wires):
    """Each connection has its own latency, each way."""

    def make_pipe(self, sender: str, receiver: str) -> Pipe:
        latency = self.rng.choice([0.0, 0.001, 0.02, 0.1])
        return Pipe(lambda: latency, capacity=self.capacity)


def _wires(rng: random.Random, seed: int) -> Wires:
    kind = rng.choice([Wires, Uneven])
    latency, jitter = rng.choice([0.0, 0.001, 0.02]), rng.choice([0.0, 0.001, 0.05])
    return kind(seed, latency=latency, jitter=jitter, capacity=rng.choice([4096, 1 << 16, 1 << 20]))


def _harm(connection: Connection, rng: random.Random) -> None:
    ends = connection.dialer, connection.acceptor
    match rng.choice(["cut", "cut", "half-open", "blackhole", "abort"]):
        case "cut":
            connection.cut()
        case "half-open":
            half_open(connection, rng.choice(ends).host)
        case "blackhole":
            connection.blackhole(rng.choice([None, *ends]))
        case "abort":
            rng.choice(ends).abort()


def _nobody_broke_a_rule(nodes: Bench) -> None:
    assert nodes.broken_rules() == []
    for _, running in nodes.all:
        assert {e.why for e in running.events(HostileConnection)} <= {"no handshake in time"}
        assert [letter for letter in running.letters() if "session_lost" in letter or "poison" in letter] == []


# -- a permanent link -------------------------------------------------------------------------------------------


async def _stream(
    nodes: Bench, here: str, there: str, rng: random.Random, over: trio.Event, counts: dict[str, int]
) -> None:
    """Tell, send and ask in turn, until the cuts are over; everything must arrive."""
    node, to, n = nodes[here], nodes.to(there), 0
    while not over.is_set():
        match rng.choice(["tell", "tell", "send", "ask", "burst"]):
            case "tell":
                await node.tell(to, Item(n), expiry=DAY)
            case "send":
                await node.send(to, Item(n), expiry=DAY)
            case "ask":
                assert await node.ask(to, Question(n), expiry=DAY) == -n
            case "burst":
                for _ in range(rng.randrange(40)):
                    await node.tell(to, Item(n, bytes(rng.choice([0, 10, 3000]))), expiry=DAY)
                    n += 1
                continue
        n += 1
        await trio.sleep(rng.choice([0, 0, 0.001, 0.02, 0.1]))
    counts[here] = n


async def _fifty_cuts(seed: int) -> None:
    rng = random.Random(seed)
    async with bench("a", "b", seed=seed, wires=_wires(rng, seed)) as nodes:
        for one, other in ("ab", "ba"):
            nodes[one].set_permanence(ID[other], True)
        await nodes.until(lambda: nodes.ready("a", "b") and nodes.ready("b", "a"))
        over, counts, cuts = trio.Event(), dict[str, int](), 0
        async with trio.open_nursery() as nursery:
            for one, other in ("ab", "ba"):
                nursery.start_soon(_stream, nodes, one, other, random.Random(f"{seed} {one}"), over, counts)
            while cuts < 50:
                await trio.sleep(rng.choice([0.01, 0.1, 0.5, 2.0]) * rng.random())
                for connection in nodes.wires.connections:
                    _harm(connection, rng)
                    cuts += 1
            over.set()
        await nodes.until(lambda: not nodes.ledger("a").in_flight and not nodes.ledger("b").in_flight, every=0.1)
        for one, other in ("ab", "ba"):
            assert nodes.journal(other).numbers() == list(range(counts[one]))
            assert nodes.running[one].letters() == []
        _nobody_broke_a_rule(nodes)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_permanent_link_delivers_once_and_in_order_over_fifty_cuts(seed: int) -> None:
    run_virtual(partial(_fifty_cuts, seed), seed=seed)


# -- anything at all --------------------------------------------------------------------------------------------


class Sent:
    """A message of a history, and what its sender heard."""

    def __init__(self, n: int, verb: str) -> None:
        self.n = n
        self.verb = verb
        self.heard: object = "nothing"


class History:
    """What happened to a few nodes, drawn from a seed; and whether the promises held."""

    def __init__(self, nodes: Bench, names: str, rng: random.Random) -> None:
        self.nodes = nodes
        self.names = names
        self.rng = rng
        self.sent: list[Sent] = []
        self.journals: list[tuple[str, Journal]] = [(name, nodes.journal(name)) for name in names]

    async def run(self) -> None:
        """Then everybody runs again, and nothing stands in the way."""
        async with trio.open_nursery() as nursery:
            for _ in range(self.rng.randrange(20, 100)):
                await trio.sleep(self.rng.choice([0, 0.001, 0.01, 0.1, 1]) * self.rng.random())
                acts: list[Callable[[trio.Nursery], object]] = [
                    self._send,
                    self._harm,
                    self._hold,
                    self._block,
                    self._turn,
                ]
                act = self.rng.choices(acts, [60, 15, 10, 5, 7])[0]
                if act == self._turn:
                    await self._turn(nursery)
                else:
                    act(nursery)
                self.nodes.check()
            self.nodes.wires.silent.clear()
            self.nodes.wires.refused.clear()
            for name in self.names:
                await self._ensure(name)

    def _two(self) -> tuple[str, str] | None:
        running = list(self.nodes.running)
        if not running:
            return None
        here = self.rng.choice(running)
        return here, self.rng.choice([name for name in self.names if name != here])

    def _send(self, nursery: trio.Nursery) -> None:
        if (pair := self._two()) is None:
            return
        here, there = pair
        for _ in range(self.rng.choice([1, 1, 5, 30])):
            sent = Sent(len(self.sent), self.rng.choice(["tell", "send", "ask"]))
            self.sent.append(sent)
            nursery.start_soon(self._one, self.nodes[here], there, sent)

    async def _one(self, node: Node, there: str, sent: Sent) -> None:
        to, expiry = self.nodes.to(there), self.rng.choice([0.01, 0.3, 3, 30])
        pad = bytes(self.rng.choice([0, 0, 100, 70_000]))
        msg = Question(sent.n) if sent.verb == "ask" else Item(sent.n, pad)
        patience = self.rng.choice([0.005, 0.1, DAY, DAY, DAY])
        with trio.move_on_after(patience):
            sent.heard = await outcome(lambda: getattr(node, sent.verb)(to, msg, expiry=expiry))

    def _harm(self, _: trio.Nursery) -> None:
        for connection in self.nodes.wires.connections:
            if self.rng.random() < 0.8:
                _harm(connection, self.rng)

    def _hold(self, _: trio.Nursery) -> None:
        if pair := self._two():
            self.nodes[pair[0]].set_permanence(ID[pair[1]], self.rng.random() < 0.6)

    def _block(self, _: trio.Nursery) -> None:
        wires = self.nodes.wires
        self.rng.choice([wires.silent, wires.refused]).symmetric_difference_update({self.rng.choice(self.names)})

    async def _turn(self, _: trio.Nursery) -> None:
        """Stop, kill or start a node."""
        name = self.rng.choice(self.names)
        if name not in self.nodes.running:
            await self._ensure(name)
        elif self.rng.random() < 0.4:
            began = trio.current_time()
            drain = self.nodes[name]._network.cfg.drain_timeout
            await self.nodes.stop(name)
            assert trio.current_time() - began <= drain + 0.5
        else:
            await self.nodes.kill(name, silently=self.rng.random() < 0.5)

    async def _ensure(self, name: str) -> None:
        if name not in self.nodes.running:
            await self.nodes.start(name, cfg=self._cfg)
            self.journals.append((name, self.nodes.journal(name)))

    _cfg: NetworkCfg

    def judge(self) -> None:
        """Once at most; delivered, if it is said so; never, if that is said."""
        got = [n for _, journal in self.journals for n in journal.numbers()]
        assert len(set(got)) == len(got)
        for sent in self.sent:
            match sent.heard:
                case Lost(maybe_sent=False) | Expired(maybe_sent=False):
                    assert sent.n not in got, sent.heard
                case Refused(reason=reason):
                    assert sent.n not in got or (sent.verb, reason) == ("ask", "stopped")
                case int() as answer:
                    assert answer == -sent.n
                    assert sent.n in got
                case _:
                    pass


async def _history(seed: int) -> None:
    rng = random.Random(seed)
    cfg = NetworkCfg(
        idle_after=rng.choice([0.05, 0.3, 2.0, 300.0]),
        liveness=LivenessCfg(ping_after=1, dead_after=3),
        drain_timeout=rng.choice([0.1, 3.0, 10.0]),
    )
    names = rng.choice(["ab", "ab", "abc"])
    async with bench(*names, seed=seed, wires=_wires(rng, seed), cfg=cfg) as nodes:
        history = History(nodes, names, rng)
        history._cfg = cfg
        await history.run()
        await trio.sleep(61)  # now everything has its outcome
        history.judge()
        _nobody_broke_a_rule(nodes)
        pairs = [(one, other) for one in names for other in names if one != other]
        for name in names:
            assert nodes.ledger(name).in_flight == 0
        for one, other in pairs:
            first = await outcome(lambda: nodes[one].ask(nodes.to(other), Question(1)))  # noqa: B023 - awaited here
            if isinstance(first, SendError):  # it went into the end of an idle connection
                assert await nodes[one].ask(nodes.to(other), Question(1)) == -1
        for one, other in pairs:
            nodes[one].set_permanence(ID[other], False)
        await trio.sleep(4 * cfg.idle_after + 30)
        assert [nodes[name].proxies() for name in names] == [[] for _ in names]
        assert nodes.wires.connections == []


@pytest.mark.parametrize("seed", range(SEEDS))
def test_in_a_random_history_every_outcome_is_true_and_nothing_is_left(seed: int) -> None:
    run_virtual(partial(_history, seed), seed=seed)
