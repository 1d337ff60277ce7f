"""A proxy and its Router, reduced to what `actors.net.life` decides about. The bench for test_life.

`happen` feeds one event through the real table and carries out the actions, checking each against the world.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from exploring import Broken, Step

from actors.net.life import step
from actors.net.phases import Action, Event, Facts, Life, Phase

UNWRITTEN, WRITTEN, DELIVERED, EXPIRED, REFUSED = "lost unwritten", "lost written", "delivered", "expired", "refused"


class World(NamedTuple):
    """One proxy at a time (`life` is None without), the Router that makes it, and what faults are still to come."""

    life: Life | None = None
    queue: tuple[int, ...] = ()
    written: tuple[int, ...] = ()
    outcomes: tuple[str, ...] = ()
    """By message: how it ended, or empty."""
    ends: int = 0
    dialing: bool = False
    handshaking: bool = False
    timer: bool = False
    parked: bool = False
    listed: bool = False
    """Whether the Router's table has the proxy."""
    wanted: bool = False
    """Whether permanence has a holder."""
    connected: bool = False
    """Whether the ephemeral link was connected; the test's own account of `Life.spent`."""
    stopped: bool = False
    draining: bool = False
    handed_over: tuple[int, ...] = ()
    made: int = 0
    """Proxies made so far."""
    faults: tuple[str, ...] = ()

    @property
    def phase(self) -> Phase | None:
        return None if self.life is None else self.life.phase

    # -- the Router ---------------------------------------------------------------------------------------

    def with_proxy(self) -> World:
        if self.life is not None:
            return self
        return self._replace(life=Life(), listed=True, connected=False, made=self.made + 1)

    def send(self) -> World:
        number = len(self.outcomes)
        if self.stopped:
            return self._replace(outcomes=(*self.outcomes, REFUSED))
        world = self._replace(outcomes=(*self.outcomes, ""), queue=(*self.queue, number)).with_proxy()
        return world.happen(Event.SEND)

    def set_permanent(self, wanted: bool) -> World:
        world = self._replace(wanted=wanted)
        if not wanted:
            return world if world.life is None else world.happen(Event.TO_EPHEMERAL)
        return world.with_proxy().happen(Event.TO_PERMANENT)

    def inbound(self) -> World:
        return self.with_proxy()._replace(ends=self.ends + 1).happen(Event.PROVEN)

    # -- the proxy ----------------------------------------------------------------------------------------

    def facts(self) -> Facts:
        return Facts(
            queued=bool(self.queue),
            retained=bool(self.written),
            proven=self.ends,
            dialing=self.dialing,
            handshaking=self.handshaking,
        )

    def happen(self, event: Event) -> World:
        """An event, handled at once."""
        return self.handle(event).consistent()

    def handle(self, event: Event) -> World:
        """An event through the table, and what it asks for."""
        assert self.life is not None
        before = self.life
        life, actions = step(before, event, self.facts())
        world = self._replace(life=life)
        if event is Event.PROVEN:
            world = world._replace(connected=True)
        if before.permanent and not life.permanent and life.phase is not Phase.READY:
            world = world._replace(connected=False)  # L4: it is established anew
        if event in (Event.CLEAN_END, Event.IDLE_AGREED):
            world = world._replace(connected=False)  # D3, D4: as if by a new proxy
        for action in actions:
            world = world.carry_out(action)
        return world.made_anew() if world.handed_over else world

    def carry_out(self, action: Action) -> World:
        match action:
            case Action.DIAL:
                return self.dials()
            case Action.WAIT:
                self.require(not self.timer, "a second retry timer")
                return self._replace(timer=True)
            case Action.WAKE:
                return self._replace(timer=True, parked=False)
            case Action.PARK:
                return self._replace(timer=False, parked=True)
            case Action.CANCEL_WAIT:
                return self._replace(timer=False, parked=False)
            case Action.LEAVE:
                return self._replace(listed=False)
            case Action.SETTLE_WRITTEN:
                return self.settle(self.written, WRITTEN)._replace(written=())
            case Action.SETTLE_LOST | Action.SETTLE_STOPPED:
                self.require(not self.listed, "settled while still in the table (C10)")
                self.require(self.stopped or action is Action.SETTLE_LOST, "the node is not stopping")
                world = self.settle(self.queue, UNWRITTEN).settle(self.written, WRITTEN)
                return world._replace(queue=(), written=())
            case Action.HAND_OVER:
                self.require(not self.listed, "handed over while still in the table (C10)")
                return self._replace(handed_over=self.queue, queue=())
            case Action.BYE:
                return self._replace(ends=0)
            case Action.DRAIN:
                return self._replace(dialing=False, handshaking=False, draining=True)
            case Action.END:
                return self.ended()
            case Action.HAND_ON | Action.REFUSE | Action.REFUSE_END | Action.WIDEN:
                return self

    def dials(self) -> World:
        assert self.life is not None
        self.require(not self.dialing, "a second attempt beside the first")
        self.require(not self.ends, "a dial beside a proven end (C7)")
        self.require(self.life.permanent or not self.connected, "an ephemeral link is established a second time")
        return self._replace(dialing=True, timer=False, parked=False)

    def ended(self) -> World:
        assert self.life is not None
        self.require(not self.listed, "ended, and still in the table")
        self.require(not self.queue and not self.written, "ended with messages unsettled")
        self.require(self.stopped or not self.life.permanent, "a permanent proxy ended")
        return self._replace(
            life=None, ends=0, dialing=False, handshaking=False, timer=False, parked=False, draining=False
        )

    def made_anew(self) -> World:
        """The queue of a clean end goes to a new proxy (D4); a Router that stops makes none."""
        if self.stopped:
            return self.settle(self.handed_over, UNWRITTEN)._replace(handed_over=())
        return self._replace(queue=self.handed_over, handed_over=()).with_proxy().handle(Event.SEND)

    def settle(self, numbers: tuple[int, ...], outcome: str) -> World:
        outcomes = list(self.outcomes)
        for number in numbers:
            self.require(not outcomes[number], f"message {number} ended twice: {outcomes[number]}, {outcome}")
            outcomes[number] = outcome
        return self._replace(outcomes=tuple(outcomes))

    def consistent(self) -> World:
        """A proxy at rest waits for something, and its phase says for what."""
        if self.life is None:
            return self
        phase = self.life.phase
        self.require((phase in (Phase.READY, Phase.DRAINING)) == (self.ends > 0), f"{phase} with {self.ends} ends")
        establishing = phase in (Phase.DIALING, Phase.HANDSHAKING)
        self.require(not establishing or self.dialing, f"{phase} and no dial")
        self.require((phase is Phase.BACKOFF) == (self.timer or self.parked), f"{phase}, timer {self.timer}")
        self.require(phase is not Phase.BACKOFF or self.life.permanent or bool(self.queue), "backing off for nothing")
        self.require(self.life.permanent == self.wanted, "the flag is not what the holders say")
        return self

    def require(self, holds: bool, why: str) -> None:
        if not holds:
            raise Broken(why)

    # -- what is said of a message ------------------------------------------------------------------------

    def write(self) -> World:
        world = self._replace(queue=self.queue[1:], written=(*self.written, self.queue[0]))
        return world if world.queue else world.happen(Event.QUEUE_EMPTY)

    def acknowledged(self) -> World:
        return self.settle(self.written[:1], DELIVERED)._replace(written=self.written[1:])

    def expire(self, number: int) -> World:
        world = self.settle((number,), EXPIRED)
        world = world._replace(
            queue=tuple(n for n in self.queue if n != number), written=tuple(n for n in self.written if n != number)
        )
        return world if world.queue or not self.queue else world.happen(Event.QUEUE_EMPTY)

    # -- everything that may happen -----------------------------------------------------------------------

    def progress(self, messages: int) -> Iterator[Step[World]]:
        """What goes on by itself."""
        if len(self.outcomes) < messages:
            yield Step("send", self.send())
        if self.dialing and not self.handshaking:
            yield Step("handshake started", self._replace(handshaking=True).happen(Event.HANDSHAKE_STARTED))
        if self.handshaking:
            yield Step("own dial proven", self._proven())
        if self.timer:
            yield Step("retry due", self._replace(timer=False).happen(Event.RETRY_DUE))
        if self.ends and self.queue:
            yield Step("write", self.write())
        if self.ends and self.written:
            yield Step("ack", self.acknowledged())
        if self.draining and not self.queue and not self.written:
            yield Step("drained", self.happen(Event.DRAINED))

    def _proven(self) -> World:
        return self._replace(handshaking=False, dialing=False, ends=self.ends + 1).happen(Event.PROVEN)

    def whims(self, fault: str) -> Iterator[Step[World]]:
        """What one fault, or one wish, may do here."""
        running = self.life is not None
        match fault:
            case "failure" if self.dialing:
                failed = self._replace(dialing=False, handshaking=False)
                yield Step("dial fails", failed.happen(Event.DIAL_FAILED), True)
            case "denial" if self.handshaking:
                failed = self._replace(dialing=False, handshaking=False)
                yield Step("denied", failed.happen(Event.DENIED), True)
            case "loss" if self.ends:
                yield Step("end lost", self._replace(ends=self.ends - 1).happen(Event.END_LOST), True)
            case "idle" if self.phase is Phase.READY and not self.facts().busy and not self.wanted:
                yield Step("idle agreed", self.happen(Event.IDLE_AGREED), True)
            case "promise" if self.phase is Phase.READY and not self.written:
                yield Step("clean end", self._replace(ends=self.ends - 1).happen(Event.CLEAN_END), True)
            case "toggle" if not self.stopped:
                yield Step("toggle permanence", self.set_permanent(not self.wanted), True)
            case "inbound" if not self.stopped and self.ends < 2:
                yield Step("inbound proven", self.inbound(), True)
            case "expiry":
                for number in (*self.queue, *self.written):
                    yield Step(f"{number} expires", self.expire(number), True)
            case "dial now" if running:
                yield Step("dial now", self.happen(Event.DIAL_NOW), True)
            case "advert" if running:
                yield Step("advert changed", self.happen(Event.ADVERT_CHANGED), True)
            case "stop":
                stopped = self._replace(stopped=True)
                yield Step("stop", stopped.happen(Event.STOP) if running else stopped, True)
            case "second stop" if self.stopped and running:
                yield Step("second stop", self.happen(Event.SECOND_STOP), True)


def steps(world: World, messages: int) -> Iterator[Step[World]]:
    yield from world.progress(messages)
    for at, fault in enumerate(world.faults):
        if fault in world.faults[:at]:
            continue
        rest = world._replace(faults=world.faults[:at] + world.faults[at + 1 :])
        yield from rest.whims(fault)


def unfinished(world: World, messages: int) -> str:
    if world.parked:
        return ""  # until the peer's advert changes
    if len(world.outcomes) < messages:
        return "not all sent"
    if not all(world.outcomes):
        return f"without outcome: {world.outcomes}"
    if world.wanted and not world.stopped and world.phase is not Phase.READY:
        return f"permanent, and {world.phase}"
    return ""
