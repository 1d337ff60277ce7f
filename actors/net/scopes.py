"""Blocks that end with an engine, here or on another node: `Node.watch` and `Node.spawn_on` (PROTOCOL W).

The other node is asked to say when the engine ends, and answers from time to time even if it does not: each answer
is a sign of life. A connection may break meanwhile; a question that was lost with it is asked again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

import trio

from actors.errors import ActorError, Crashed, Down, Lost, Refused, SendError
from actors.identity import EngineID, Incarnation, NodeID
from actors.messages import Request
from actors.net.keeping import Find, Gone, Hold, Lend, NotLent, Release
from actors.net.network import Network
from actors.net.vocabulary import KEEPER
from actors.runtime import unwrapped

R = TypeVar("R")

WITHIN: Final = 30.0
"""Seconds without a sign of life after which another node is taken for lost."""
_LONGEST: Final = 86_400 / 2
_PAUSE: Final = 0.2
"""Seconds before a question that was lost is asked again; it may be lost as soon as the last one."""
_SIGNS: Final = 4
"""A sign of life is asked for so many times in that time."""


@asynccontextmanager
async def watching(network: Network, engine: EngineID, within: float) -> AsyncIterator[EngineID]:
    """See `Node.watch`."""
    runtime = network.runtime
    if engine.node in (None, runtime.id):
        cell = runtime.find(engine.name)
        if cell is None:
            raise Down(str(engine), "no_engine")

        async def ended() -> str:
            await cell.gone.wait()
            return cell.end
    else:
        assert engine.node is not None
        far = _Far(network, engine.node, within)
        found = await far.first(Find(engine.name), engine)
        if isinstance(found, Gone):
            raise Down(str(engine), found.reason)

        async def ended() -> str:
            return await far.end(engine.name, found.stay)

    async with _until(ended, engine):
        yield engine


@asynccontextmanager
async def spawning(network: Network, peer: NodeID, offer: str, within: float) -> AsyncIterator[EngineID]:
    """See `Node.spawn_on`."""
    far, token = _Far(network, peer, within), network.random.getrandbits(62)
    engine: EngineID | None = None
    owed = True
    try:
        lent = await far.ask(lambda: Lend(offer, token, far.lease))
        if isinstance(lent, NotLent):
            raise Refused(lent.reason, _WORDS.get(lent.reason, "node {node} refuses").format(node=peer.short, it=offer))
        engine = EngineID(peer, lent.name)
        async with _until(lambda: far.end(lent.name, lent.stay), engine):
            yield engine
    except Refused:
        owed = engine is not None  # what the block itself raises says nothing of the loan
        raise
    finally:
        if owed:
            await far.release(token)


_WORDS: Final = {
    "not_offered": "the app of node {node} offers no engine {it!r}; it would call node.offer(..., {it!r})",
    "too_many": "node {node} runs as many engines for this one as it allows",
    "stopping": "node {node} is stopping",
}


@asynccontextmanager
async def _until(ended: Callable[[], Awaitable[str]], engine: EngineID) -> AsyncIterator[None]:
    """The block, and Down with the reason that `ended` gives if that comes first."""
    reason, scope = "", trio.CancelScope()

    async def look() -> None:
        nonlocal reason
        reason = await ended()
        scope.cancel()

    with unwrapped() as body:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            with body, scope:
                yield
            nursery.cancel_scope.cancel()
    if scope.cancelled_caught:
        raise Down(str(engine), reason)


class _Far:
    """Another node, for as long as it says something at least every `within` seconds."""

    def __init__(self, network: Network, peer: NodeID, within: float) -> None:
        if not 0 < within <= _LONGEST:
            raise ValueError(f"within is a number of seconds, up to {_LONGEST:g}, not {within!r}")
        self.peer = peer
        self.within = within
        self._network = network
        self._runtime = network.runtime
        self._keeper = EngineID(peer, KEEPER)
        self._every = within / _SIGNS
        self.lease = within + self._every
        self._heard = self._runtime.clock.now() - self._every
        """When the last question was asked that was answered. Not when it was answered: counted from here, this side
        gives up before the other one does, whose time begins when a question arrives."""

    @property
    def left(self) -> float:
        """Seconds until it is taken for lost."""
        return self._heard + self.lease - self._runtime.clock.now()

    async def ask(self, question: Callable[[], Request[R]]) -> R:
        """The answer, over as many connections as it takes. Raises Expired when the time is up, Lost, Refused."""
        if self.peer == self._runtime.id:
            self._runtime.demand(KEEPER)
        while True:
            asked = self._runtime.clock.now()
            try:
                answer = await self._runtime.ask(self._keeper, question(), expiry=max(self.left, 0.0))
            except (Lost, Crashed) as error:
                if isinstance(error, Lost) and error.reason in ("peer_restarted", "node_stopped"):
                    raise
                if self.left <= _PAUSE:
                    raise
            except Refused as refused:
                if refused.reason == "no_engine":
                    words = (
                        f"node {self.peer.short} keeps no engines for others: it runs another version, or is stopping"
                    )
                    raise Refused("unsupported", words) from None
                raise
            else:
                self._heard = asked
                return answer
            await trio.sleep(_PAUSE)

    async def first(self, question: Request[R], engine: EngineID) -> R:
        """As `ask`; that the node cannot be reached is an end of the engine like any other."""
        try:
            return await self.ask(lambda: question)
        except SendError as error:
            if isinstance(error, Refused) and error.reason not in _STOPPED:
                raise
            raise Down(str(engine), _reason(error)) from error

    async def end(self, name: str, stay: int) -> str:
        """Why that engine is down, once it is."""
        run = self._run

        def hold() -> Hold:
            return Hold(name, stay, max(min(self._every, self.left / 3), 0.001), self.lease)

        while True:
            try:
                answer = await self.ask(hold)
            except SendError as error:
                return _reason(error)
            if isinstance(answer, Gone):
                return "peer_restarted" if self._run != run else answer.reason

    async def release(self, token: int) -> None:
        """The engine is not needed any more. Returns when it is gone; cancelled, or without an answer: it will be."""
        sure = False
        try:
            if self.left > 0:
                await self.ask(lambda: Release(token))
                sure = True
        except SendError:
            pass
        finally:
            if not sure:
                with suppress(ActorError):
                    self._runtime.tell_nowait(self._keeper, Release(token), expiry=self.within)

    @property
    def _run(self) -> Incarnation | None:
        record = self._network.peers.find(self.peer)
        return record.incarnation if record else None


_STOPPED: Final = ("stopped", "stopping", "unsupported")


def _reason(error: SendError) -> str:
    match error:
        case Lost(reason=("peer_restarted" | "node_stopped") as reason):
            return reason
        case Refused(reason=reason):
            return "node_stopped" if reason in _STOPPED else reason
        case Crashed():
            return "crashed"
        case _:
            return "connection_lost"
