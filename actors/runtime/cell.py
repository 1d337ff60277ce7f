"""One engine's stay on a node: a task, with one life after another. What the runtime keeps of an engine.

A life is a nursery with the loop, the port beside it, and the children. A crash ends the life, with port, children
and timers; name, mailbox and what is left in hand stay for the next one, if the policy grants one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import checkpoint_if_cancelled

from actors.engine import Engine, Policy, fresh, has_port
from actors.events import EngineCrashed, EngineFailed, EngineRestarted, EngineStarted, EngineStopped
from actors.identity import EngineID
from actors.messages import ChildFailed, Local, Request, Started
from actors.runtime.codec import Codec
from actors.runtime.containment import Containment, words
from actors.runtime.dead_letters import tag_of
from actors.runtime.life import Life
from actors.runtime.loop import Loop
from actors.runtime.mailbox import Batch, Kind, Mailbox, Origin
from actors.runtime.statistics import EngineStatistics, State
from actors.runtime.supervision import Supervision, Verdict
from actors.runtime.verbs import Verbs
from actors.runtime.work import Work

if TYPE_CHECKING:
    from actors.runtime.runtime import Runtime

_log = logging.getLogger("actors.runtime")
_log.addHandler(logging.NullHandler())  # a traceback is shown only where the program asks for it


class Cell:
    """`Runtime.find(name)` gives it; only the runtime and the network act on it.

    `spawner` is the life that it ends with; None for an engine of the node itself. A child is `reserved` as its
    spawner is.
    """

    def __init__(
        self,
        runtime: Runtime,
        engine: Engine,
        name: str,
        policy: Policy,
        *,
        capacity: int,
        reserved: bool = False,
        spawner: Life | None = None,
    ) -> None:
        self.runtime = runtime
        self.name = name
        self.id = EngineID(runtime.id, name)
        self.spawner = spawner
        self.reserved: bool = reserved if spawner is None else spawner.cell.reserved
        self.once = self.reserved and policy.restart == "temporary"
        """The network's own engine for one connection or one peer: made for its one life, and not copied for it."""
        self.pristine = engine if self.once else fresh(engine)
        self.codec = Codec.of(type(engine))
        self.mailbox: Mailbox = Mailbox(capacity, runtime.capacity_bytes)
        self.verbs = Verbs(runtime, self.id)
        self.stay = runtime.next_stay()
        """Tells this engine from another that gets its name later; never the same in a run of the node."""
        self._gone: trio.Event | None = None
        self._is_gone = self._cancelled = False
        self.restarts = self.crashes = 0
        self._loop = Loop(self)
        self._life: Life | None = None
        self._supervision = Supervision.of(policy)
        self._failure: Exception | None = None

    # -- the stay ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the first life to the last. Ends when the engine has stopped, failed or been cancelled."""
        events = self.runtime.events
        events.emit(EngineStarted(self._now(), self.id))
        try:
            while await self._live() is Verdict.RESTART:
                self._part()
                self.restarts += 1
                events.emit(EngineRestarted(self._now(), self.id, self.restarts))
        finally:
            self._leave()

    def cancel(self) -> None:
        """End the engine. A handler that waits is cancelled, its cleanup runs; `gone` says when all is done."""
        self._cancelled = True
        if self._life is not None:
            self._life.nursery.cancel_scope.cancel()

    @property
    def gone(self) -> trio.Event:
        """Set when the engine has ended for good."""
        if self._gone is None:
            self._gone = trio.Event()
            if self._is_gone:
                self._gone.set()
        return self._gone

    async def _live(self) -> Verdict:
        await checkpoint_if_cancelled()  # no life begins in a cancelled scope
        if self._cancelled:
            return Verdict.END
        verdict = Verdict.END
        try:
            async with trio.open_nursery() as nursery:
                self._life = Life(self, nursery)
                await self._main(self._life)
        finally:
            if self._life is not None:
                verdict = self._over(self._life)
                self._life.engine._ended()
        return verdict

    def _main(self, life: Life) -> Awaitable[None]:
        """What this task does meanwhile. The few messages of a connection get a task when there are any."""
        if not has_port(life.engine):
            return self._handle(life)
        if self.once and Started not in type(life.engine).table:
            self.mailbox.begin_by(self._begin_messages)
            return self._open_port(life)
        life.nursery.start_soon(self._open_port, life, name=f"port of {self.name}")
        return self._handle(life)

    def _begin_messages(self) -> None:
        """Unless its port has ended: then the life does in this moment, and what has come is refused."""
        life = self._life
        if life is not None and not life.port_over:
            life.nursery.start_soon(partial(self._handle, life, lasting=False), name=f"messages of {self.name}")

    async def _handle(self, life: Life, *, lasting: bool = True) -> None:
        """Messages, until the engine stops or crashes: the end of its life. If not `lasting`, those that are there."""
        crash, waits = Containment(), False
        try:
            with crash:
                await checkpoint_if_cancelled()  # what comes to a life that is cancelled is refused
                waits = await self._loop.run(life, lasting=lasting)
        finally:
            if waits:
                self.mailbox.begin_by(self._begin_messages)
            else:
                self._over(life, crash.error, self._loop.message)

    def _over(self, life: Life, error: Exception | None = None, message: Request[Any] | None = None) -> Verdict:
        """Now: whoever waits for this engine need not wait until port and children have ended. What follows: once."""
        life.end()
        self._note(life, error, message)
        if life.verdict is None:
            life.verdict = self._judge(life)
            self._loop.give_up(life.error)
            if life.verdict is not Verdict.RESTART:
                self._loop.turn_away(self.mailbox.close())
            life.nursery.cancel_scope.cancel()
        return life.verdict

    async def _open_port(self, life: Life) -> None:
        crash = Containment()
        try:
            with crash:
                await life.engine.port()
        finally:
            life.port_over = True
            self._note(life, crash.error, None)
        life.port_returned = crash.error is None
        life.nursery.cancel_scope.cancel()

    async def run_beside(self, life: Life, work: Callable[[], Awaitable[object]]) -> None:
        """See OwnContext.beside."""
        crash = Containment()
        with crash:
            await work()
        if crash.error is not None:
            self.crash(life, crash.error)

    def crash(self, life: Life, error: Exception) -> None:
        """Work beside this life has raised: it ends, as with a handler that does."""
        self._note(life, error, None)
        life.nursery.cancel_scope.cancel()

    def _note(self, life: Life, error: Exception | None, message: Request[Any] | None) -> None:
        """Some part of this life raised. The first to do so is why it ends."""
        if error is None:
            return
        life.error = life.error or error
        self.crashes += 1
        tag = "" if message is None else tag_of(message)
        if message is not None:
            self._loop.work.crashed(life.sender, message, self._now())
        fields = {"code": "crashed", "event": "engine-crashed", "engine": self.name}
        _log.error("%s crashed in %s", self.id, tag or "its port", exc_info=error, extra=fields)
        if self.runtime.witness is not None and not self.reserved:
            self.runtime.witness.crashed(life, error, message)
        self.runtime.events.emit(EngineCrashed(self._now(), self.id, words(error), tag))

    def _judge(self, life: Life) -> Verdict:
        """What follows on this life. If it neither asked to stop, crashed, nor lost its port, it was cancelled."""
        cancelled = self._cancelled or not (life.error or life.port_returned)
        if life.stopping or cancelled:
            return Verdict.END
        verdict = self._supervision.judge(self._now(), crashed=life.error is not None)
        if verdict is Verdict.FAIL:
            self._failure = life.error or RuntimeError("its port returned, again and again")
        return verdict

    def _leave(self) -> None:
        """The name is free again. Whatever is still to be handled is refused."""
        self.runtime.forget(self)
        self._loop.turn_away(self.mailbox.close())
        self.verbs.ports.close()
        now, failure, emit = self._now(), self._failure, self.runtime.events.emit
        emit(EngineStopped(now, self.id) if failure is None else EngineFailed(now, self.id, words(failure)))
        if self.spawner is not None:
            self.spawner.cell.lose(self, self.spawner, failure)
        self._part()
        self._loop.leave()
        self._is_gone = True
        if self._gone is not None:
            self._gone.set()

    def _part(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            life.part()

    @property
    def end(self) -> str:
        """How it ended, once it is gone: `stopped`, `crashed` (more often than its policy allows), `node_stopped`."""
        if self._failure is not None:
            return "crashed"
        return "node_stopped" if self.runtime.stopping else "stopped"

    def lose(self, child: Cell, life: Life, failure: Exception | None) -> None:
        """A child of this life has ended. If it failed, the engine is told, or fails with it.

        spec gap: TEMPORARY children are expected to fail now and then. An engine that wants to know has an action
        for ChildFailed; one that has none is not concerned.
        """
        life.children.pop(child.name, None)
        fatal = child._supervision.policy.restart != "temporary"
        if failure is not None and not life.over and (fatal or ChildFailed in type(self.pristine).table):
            told = ChildFailed(child.id, words(failure))
            self.mailbox.put(Batch(child.id, Kind.POST, [(life, told, fatal)]))

    # -- from elsewhere ----------------------------------------------------------------------------------

    def post(self, message: Local[Any], life: Life) -> None:
        """Into the own mailbox, at once. What a life posted is dropped when that life is over."""
        if not life.over:
            self.mailbox.put(Batch(self.id, Kind.POST, [(life, message, False)]))

    def cancel_ask(self, origin: Origin, correlation: int) -> None:
        """Another node withdraws its ask (PROTOCOL Q1): its handler is cancelled, or it is not handled at all."""
        self._loop.cancel_ask(origin, correlation)

    # -- looking -----------------------------------------------------------------------------------------

    @property
    def handled(self) -> int:
        """Messages that are done, those that crashed or were refused included."""
        return self._loop.handled

    @property
    def work(self) -> Work:
        """What it did lately."""
        return self._loop.work

    @property
    def owes(self) -> bool:
        """Whether it has still to handle what it was told."""
        return self._loop.owes or self.mailbox.owes

    @property
    def state(self) -> State:
        """What it does at this moment."""
        if self.mailbox.closed or self._cancelled:
            return "stopping"
        if self._life is None:
            return "starting"
        if self._life.stopping:
            return "stopping"
        return "running" if self._loop.busy else "idle"

    def statistics(self) -> EngineStatistics:
        """This moment's figures."""
        life, loop, now = self._life, self._loop, self._now()
        return EngineStatistics(
            name=self.name,
            type=type(self.pristine).__name__,
            state=self.state,
            spawner=self.spawner.id.name if self.spawner else "",
            children=len(life.children) if life else 0,
            timers=len(life.timers()) if life else 0,
            mailbox=self.mailbox.statistics(),
            reserved=self.mailbox.reserved,
            waiting=self.mailbox.waiting,
            handled=loop.handled,
            crashes=self.crashes,
            restarts=self.restarts,
            late=loop.late,
            unhandled=loop.unhandled,
            took_p50=loop.work.took.percentile(0.5, now),
            took_p99=loop.work.took.percentile(0.99, now),
        )

    def __repr__(self) -> str:
        kind, box = type(self.pristine).__name__, self.mailbox.statistics()
        return f"<Cell {self.name} ({kind}): {self.state}, {box.held} of {box.capacity} held>"

    def _now(self) -> float:
        return self.runtime.clock.now()
