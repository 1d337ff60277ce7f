"""The two nodes of scripts/kills: who tells, who is killed, and when the connection between them is cut."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import msgspec
import trio
import trio.testing
from kills_receiver import FILE, WRITER, Count, Note
from kills_verdict import Fate
from msgspec import Struct

from actors.cluster import lives, open_cluster
from actors.control.client import open_control
from actors.control.server import serve_control
from actors.control.sockets import NodeSocket
from actors.control.troubled import Troubled
from actors.errors import ActorError, Delivered, Lost, Outcome
from actors.identity import EngineID, NodeID
from actors.net.session.conditions import Conditions
from actors.net.session.receive import Arrived
from actors.net.session.runs import Run
from actors.node import Node, open_node
from actors.snapshots import ProxySnapshot
from transports.tcp.transport import TcpTransport

LONG: Final = 86_400.0
"""Seconds for which a tell is worth delivering: here none expires."""
AHEAD: Final = 3_000
"""Tells that may follow the moment of a fault before the fault has happened."""
SETTLED: Final = 60.0
"""Seconds after the last tell and the last fault in which everything has its outcome; and without any, the end."""
PAUSE: Final = 0.02
"""Seconds after its moment in which a fault happens."""
LOOK: Final = 0.002
"""Seconds between two looks at what nobody tells."""
PATIENCE: Final = 5.0
"""Seconds for the receiving process to cut."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is to happen."""

    tells: int
    kills: int
    cuts: int
    seed: int

    def moments(self, count: int, random: Random) -> list[int]:
        """After how many tells each of so many faults happens; the last ones still find tells on their way."""
        return sorted(random.randrange(max(1, self.tells * 49 // 50)) for _ in range(count))


class Fates(Conditions):
    """Sees what becomes of each tell."""

    def __init__(self, tells: int) -> None:
        self.of = bytearray(tells)
        self.several = 0

    def onlooker(self, peer: NodeID) -> Fates:
        """See Conditions."""
        return self

    def accepted(self, run: Run) -> None:
        """See Onlooker."""

    def settled(self, run: Run, outcome: Outcome) -> None:
        """See Onlooker."""
        if run.lane.target.name != WRITER:
            return
        fate = _fate(outcome)
        for item in run.items or ():
            tag, *fields = msgspec.msgpack.decode(item)
            if tag == "kills.note":
                self.several += self.of[fields[0]] != Fate.NOTHING
                self.of[fields[0]] = fate

    def withdrawn(self, run: Run) -> None:
        """See Onlooker."""

    def arrived(self, run: Arrived) -> None:
        """See Onlooker."""

    def offered(self, sender: str, target: str, message: object) -> None:
        """See Onlooker."""


def _fate(outcome: Outcome) -> Fate:
    match outcome:
        case Delivered():
            return Fate.DELIVERED
        case Lost(reason="peer_restarted", maybe_sent=True):
            return Fate.LOST
    return Fate.OTHER


class World:
    """The two nodes, and what is done to them."""

    def __init__(self, plan: Plan, sender: Node, receiver: NodeSocket, peer: NodeID) -> None:
        self.plan = plan
        self.sender = sender
        self.receiver = receiver
        self.peer = peer
        self.pids = [lives.process_of(receiver)]
        self.cuts = self.cuts_in_flight = 0
        self._to = EngineID(peer, WRITER)
        self._told = 0
        self._up = True
        self._due: dict[str, int] = {}
        self._moved = trio.Event()

    async def run(self) -> None:
        """Returns when all is told, all faults have happened, and every tell has its outcome or had the time for it."""
        random = Random(self.plan.seed)
        kills, cuts = (self.plan.moments(count, random) for count in (self.plan.kills, self.plan.cuts))
        async with trio.open_nursery() as impatient:
            impatient.start_soon(self._hurry)
            async with trio.open_nursery() as nursery:
                impatient.start_soon(self._give_up, nursery.cancel_scope)
                nursery.start_soon(self._faults, "kill", kills, self._kill, Random(random.random()))
                nursery.start_soon(self._faults, "cut", cuts, self._cut, Random(random.random()))
                await trio.testing.wait_all_tasks_blocked()
                await self._tell_all()
            with trio.move_on_after(SETTLED), suppress(ActorError):
                await self.sender.ask(self._to, Count(), expiry=SETTLED)
                while self.link().ledger.in_flight:  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(LOOK)
            impatient.cancel_scope.cancel()

    def link(self) -> ProxySnapshot:
        """The sender's proxy."""
        return next(proxy for proxy in self.sender.proxies() if proxy.peer_id == str(self.peer))

    async def _tell_all(self) -> None:
        for number in range(self.plan.tells):
            while number > AHEAD + min(self._due.values(), default=number):
                await self._moved.wait()
            await self.sender.tell(self._to, Note(number), expiry=LONG)
            self._told = number + 1
            if self._told in self._due.values():
                self._move()
        self._move()

    def _move(self) -> None:
        self._moved.set()
        self._moved = trio.Event()

    async def _faults(
        self, name: str, moments: Sequence[int], fault: Callable[[Random], Awaitable[None]], random: Random
    ) -> None:
        for moment in moments:
            self._due[name] = moment
            while self._told < moment:
                await self._moved.wait()
            await trio.sleep(random.uniform(0, PAUSE))
            await fault(random)
            del self._due[name]
            self._move()

    async def _kill(self, _: Random) -> None:
        self._up = False
        await lives.kill(self.receiver)
        await lives.restart(self.receiver)
        self.pids.append(lives.process_of(self.receiver))
        self._up = True

    async def _cut(self, random: Random) -> None:
        cut = random.choice([self._cut_here, self._cut_there])
        in_flight = self.link().ledger.in_flight
        while not await cut():
            await trio.sleep(LOOK)
            in_flight = self.link().ledger.in_flight
        self.cuts += 1
        self.cuts_in_flight += in_flight > 0

    async def _cut_here(self) -> bool:
        return self.sender.cut(self.peer)

    async def _cut_there(self) -> bool:
        with suppress(ActorError), trio.move_on_after(PATIENCE):  # it may be killed at the same time
            async with open_control(self.receiver.path) as control:
                await control.cut(str(self.sender.id))
                return True
        return False

    async def _give_up(self, scope: trio.CancelScope) -> None:
        """When nothing happens any more: what was not told has no outcome then."""
        before = None
        while before != (before := (self._told, self.cuts, len(self.pids))):  # noqa: ASYNC110 - nobody tells
            await trio.sleep(SETTLED)
        scope.cancel()

    async def _hurry(self) -> None:
        """The pauses between attempts are tested elsewhere: here they would be most of the time."""
        while True:
            await trio.sleep(5 * LOOK)
            if self._up and self.link().state == "backoff":
                self.sender.dial_now(self.peer)


@asynccontextmanager
async def open_world(plan: Plan, folder: Path, fates: Fates) -> AsyncIterator[World]:
    """The receiver is a process; the sender, in this one, serves a control socket beside that one's."""
    os.environ[FILE] = str(folder / "notes")
    troubled = Troubled()
    async with AsyncExitStack() as stack:
        (b,) = await stack.enter_async_context(
            open_cluster(1, processes=True, names=["b"], app="scripts.kills_receiver:setup")
        )
        receiver = NodeSocket(b.control.path.parent.name, b.name, b.control.path)
        sender = open_node(name="a", transports=[troubled.over(TcpTransport())], conditions=fates)
        a = await stack.enter_async_context(sender)
        nursery = await stack.enter_async_context(trio.open_nursery())
        path = b.control.path.with_name("a.sock")
        await nursery.start(partial(serve_control, a, path, stop=nursery.cancel_scope.cancel, troubled=troubled))
        a.learn(await b.control.advert())
        await b.control.learn(str(a.advert))
        await a.connect(b.id, permanent=True)
        await b.control.connect(str(a.id), permanent=True)
        yield World(plan, a, receiver, b.id)
        nursery.cancel_scope.cancel()
