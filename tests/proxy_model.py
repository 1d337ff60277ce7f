"""A proxy and its Router, reduced to what `actors.net.life.table` decides about. The bench for test_life.

`happen` feeds an event to the real table, now or when its turn comes, and carries out the actions, checking each
against the world. Where questions and promises of an idle close stand, the real `actors.net.session.closing` says.

    python tests/proxy_model.py --late 3       all orders with more events that wait than the tests have
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from exploring import Broken, Step, explore

from actors.net.life.phases import Action, Event, Facts, Life, Phase
from actors.net.life.table import step
from actors.net.session.closing import Asked, Closing

UNWRITTEN, WRITTEN, DELIVERED, EXPIRED, REFUSED = "lost unwritten", "lost written", "delivered", "expired", "refused"

FED: set[tuple[Life, Event, Facts]] = set()
"""All that was ever fed to the table here."""

_TIMERS = {Action.DIAL, Action.WAIT, Action.WAKE, Action.PARK, Action.CANCEL_WAIT}
"""No RETRY_DUE that was to come before these comes after them, not even one that lies in the mailbox."""


class World(NamedTuple):
    """One proxy at a time (`life` is None without), the Router that makes it, and what may still befall them."""

    life: Life | None = None
    queue: tuple[int, ...] = ()
    written: tuple[int, ...] = ()
    outcomes: tuple[str, ...] = ()
    """By message: how it ended, or empty."""
    awaiting: bool = False
    """Whether a question of ours was delivered and not answered."""
    ends: int = 0
    asked: Asked = Asked.OPEN
    """On the current end."""
    dialing: bool = False
    handshaking: bool = False
    timer: bool = False
    parked: bool = False
    listed: bool = False
    """Whether the Router's table has the proxy."""
    wanted: bool = False
    """Whether permanence has a holder."""
    connected: bool | None = False
    """Whether the ephemeral link was connected; the test's own account of `Life.spent`. None: it is about to hear."""
    stopped: bool = False
    draining: bool = False
    handed_over: tuple[int, ...] = ()
    late: int = 0
    """So many events may wait to be handled; 0: each is handled at once."""
    inbox: tuple[Event | None, ...] = ()
    """None: it was made, and looks for what."""
    called: bool = False
    """Whether somebody asked for a connection before there was a proxy."""
    faults: tuple[str, ...] = ()
    """What may still befall them, each once."""

    @property
    def phase(self) -> Phase | None:
        return None if self.life is None else self.life.phase

    # -- the Router ---------------------------------------------------------------------------------------

    def with_proxy(self) -> World:
        if self.life is not None:
            return self
        return self._replace(life=Life(), listed=True, connected=False, inbox=(None,) if self.late else ())

    def started(self) -> World:
        """What was it made for? If for a connection that is about to attach, it waits."""
        world = self._replace(called=False)
        if self.wanted:
            return world.handle(Event.TO_PERMANENT)
        if self.queue:
            return world.handle(Event.SEND)
        return world.handle(Event.DIAL_NOW) if self.called else world

    def made_for(self, event: Event) -> World:
        """An event for the proxy, or reason to make one."""
        if self.life is not None:
            return self.happen(event)
        return self.with_proxy() if self.late else self.with_proxy().happen(event)

    def send(self) -> World:
        number = len(self.outcomes)
        if self.stopped:
            refused = self._replace(outcomes=(*self.outcomes, REFUSED))
            return refused if self.life is None else refused.happen(Event.SEND)
        return self._replace(outcomes=(*self.outcomes, ""), queue=(*self.queue, number)).made_for(Event.SEND)

    def set_permanent(self, wanted: bool) -> World:
        world = self._replace(wanted=wanted)
        if self.life is None and (self.stopped or not wanted):
            return world
        return world.made_for(Event.TO_PERMANENT if wanted else Event.TO_EPHEMERAL)

    def dial_now(self) -> World:
        return self._replace(called=self.life is None and self.late > 0).made_for(Event.DIAL_NOW)

    def inbound(self) -> World:
        if self.stopped and self.life is None:
            return self
        return self.with_proxy()._replace(ends=self.ends + 1).happen(Event.PROVEN)

    # -- the proxy ----------------------------------------------------------------------------------------

    def facts(self) -> Facts:
        return Facts(
            queued=bool(self.queue),
            retained=bool(self.written),
            awaiting=self.awaiting,
            proven=self.ends,
            dialing=self.dialing,
            handshaking=self.handshaking,
        )

    def happen(self, event: Event) -> World:
        """An event, handled at once, or after those that wait."""
        if self.late:
            return self._replace(inbox=(*self.inbox, event))
        return self.handle(event).consistent()

    def next_event(self) -> World:
        """The first of those that wait is handled."""
        world, event = self._replace(inbox=self.inbox[1:]), self.inbox[0]
        if event is Event.IDLE_AGREED and not world.closing().on_idle_ok():
            return world  # something was written meanwhile, or that end is gone
        world = world.started() if event is None else world.handle(event)
        return world if world.inbox else world.consistent()

    def handle(self, event: Event) -> World:
        """An event through the table, and what it asks for."""
        assert self.life is not None
        before = self.life
        life, actions = take(before, event, self.facts())
        world = self._replace(life=life)
        if event is Event.PROVEN:
            world = world._replace(connected=True)
        if before.permanent and not life.permanent and life.phase is not Phase.READY:
            world = world._replace(connected=None if self.ends else False)  # L4: it is established anew
        if event is Event.IDLE_AGREED or (event is Event.CLEAN_END and not self.ends):
            world = world._replace(connected=False)  # D3, D4: as if by a new proxy
        if Action.SETTLE_LOST in actions:
            world.gives_up(event)
        for action in actions:
            world = world.carry_out(action)
        return world.made_anew() if world.handed_over else world

    def carry_out(self, action: Action) -> World:
        if action in _TIMERS:
            self = self._replace(inbox=tuple(event for event in self.inbox if event is not Event.RETRY_DUE))
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
                return self.settle(self.written, WRITTEN)._replace(written=(), awaiting=False)
            case Action.SETTLE_LOST | Action.SETTLE_STOPPED:
                self.require(not self.listed, "settled while still in the table (C10)")
                self.require(self.stopped or action is Action.SETTLE_LOST, "the node is not stopping")
                world = self.settle(self.queue, UNWRITTEN).settle(self.written, WRITTEN)
                return world._replace(queue=(), written=(), awaiting=False)
            case Action.HAND_OVER:
                self.require(not self.listed, "handed over while still in the table (C10)")
                return self._replace(handed_over=self.queue, queue=())
            case Action.BYE:
                return self.byes()
            case Action.DRAIN:
                return self._replace(dialing=False, handshaking=False, draining=True)
            case Action.END:
                return self.ended()
            case Action.REFUSE_END:
                return self._replace(ends=self.ends - 1, inbox=(*self.inbox, *self.heard(Event.END_LOST)))
            case Action.HAND_ON | Action.REFUSE | Action.WIDEN:
                return self

    def gives_up(self, event: Event) -> None:
        self.require(not self.ends, "ended beside a proven end")
        establishing = self.connected is False and event is not Event.DENIED
        self.require(not (establishing and self.queue), "gave up messages before it was connected (L1)")

    def dials(self) -> World:
        assert self.life is not None
        self.require(not self.dialing, "a second attempt beside the first")
        self.require(not self.ends, "a dial beside a proven end (C7)")
        self.require(self.life.permanent or not self.connected, "an ephemeral link is established a second time")
        return self._replace(dialing=True, timer=False, parked=False)

    def byes(self) -> World:
        """All ends are closed; what is heard of them comes later."""
        current = Event.END_LOST if self.asked is Asked.OPEN else Event.CLEAN_END
        heard = self.heard(*(current, Event.END_LOST)[: self.ends])
        return self._replace(ends=0, asked=Asked.OPEN, inbox=(*self.inbox, *heard))

    def heard(self, *events: Event) -> tuple[Event, ...]:
        """What the proxy hears of its own deeds; nothing new to one that handles everything at once."""
        return events if self.late else ()

    def ended(self) -> World:
        assert self.life is not None
        self.require(not self.listed, "ended, and still in the table")
        self.require(not self.queue and not self.written, "ended with messages unsettled")
        self.require(self.stopped or not self.life.permanent, "a permanent proxy ended")
        closed, ends, inbox = self.life, self.ends, self.inbox
        world = self._replace(life=None, ends=0, asked=Asked.OPEN, dialing=False, handshaking=False, awaiting=False)
        world = world._replace(timer=False, parked=False, draining=False, inbox=())
        if self.wanted and not self.stopped:  # there are holders: the Router's table makes another
            world = world.with_proxy()
        for event in inbox:
            world = world.reached_late(closed, event, Facts(proven=ends)) if event else world
        return world

    def reached_late(self, closed: Life, event: Event, facts: Facts) -> World:
        """What was on its way to a proxy that has ended goes to the Router, or nowhere."""
        life, actions = take(closed, event, facts)
        self.require(life == closed, "closed is closed")
        if Action.HAND_ON not in actions or self.stopped:
            return self
        match event:
            case Event.PROVEN:
                return self.inbound()
            case Event.DIAL_NOW:
                return self.dial_now()
            case _:
                return self  # settled with its queue, or made anew for its holders

    def made_anew(self) -> World:
        """The queue of a clean end goes to a new proxy (D4); a Router that stops makes none."""
        if self.stopped:
            return self.settle(self.handed_over, UNWRITTEN)._replace(handed_over=())
        world = self._replace(queue=(*self.queue, *self.handed_over), handed_over=()).with_proxy()
        return world if self.late else world.handle(Event.SEND)

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
        self.require(not establishing or (phase is Phase.HANDSHAKING) == self.handshaking, f"{phase}, and it is not")
        self.require((phase is Phase.BACKOFF) == (self.timer or self.parked), f"{phase}, timer {self.timer}")
        self.require(phase is not Phase.BACKOFF or self.life.permanent or bool(self.queue), "backing off for nothing")
        self.require(self.stopped or self.life.permanent == self.wanted, "the flag is not what the holders say")
        return self

    def require(self, holds: bool, why: str) -> None:
        if not holds:
            raise Broken(why)

    # -- what is said of a message ------------------------------------------------------------------------

    def write(self) -> World:
        closing = self.closing()
        assert closing.sending()
        world = self._replace(queue=self.queue[1:], written=(*self.written, self.queue[0]), asked=closing.state)
        return world if world.queue else world.happen(Event.QUEUE_EMPTY)

    def acknowledged(self, *, question: bool = False) -> World:
        """Delivered; of a question we wait for the answer."""
        return self.settle(self.written[:1], DELIVERED)._replace(written=self.written[1:], awaiting=question)

    def expire(self, number: int) -> World:
        world = self.settle((number,), EXPIRED)
        world = world._replace(
            queue=tuple(n for n in self.queue if n != number), written=tuple(n for n in self.written if n != number)
        )
        return world if world.queue or not self.queue else world.happen(Event.QUEUE_EMPTY)

    # -- what is said of an end ---------------------------------------------------------------------------

    def closing(self) -> Closing:
        closing = Closing()
        closing.state = self.asked
        return closing

    def idle(self) -> bool:
        """D1, D2: ephemeral, nothing in hand, no dial of its own."""
        return self.life is not None and not (self.life.permanent or self.facts().busy or self.dialing)

    def asks(self) -> World:
        closing = self.closing()
        return self._replace(asked=closing.state) if self.ends and self.idle() and closing.idle() else self

    def is_asked(self) -> World:
        closing = self.closing()
        return self._replace(asked=closing.state) if self.ends and closing.on_idle(self.idle()) else self

    def current_ends(self) -> World:
        """The end that is written on: cleanly, if nothing can lie on it."""
        clean = self.closing().connection_ended()
        self.require(not (clean and self.written), "a clean end with messages unacknowledged")
        event = Event.CLEAN_END if clean else Event.END_LOST
        return self._replace(ends=self.ends - 1, asked=Asked.OPEN).happen(event)

    def attempt_over(self, event: Event) -> World:
        return self._replace(dialing=False, handshaking=False).happen(event)

    # -- everything that may happen -----------------------------------------------------------------------

    def progress(self) -> Iterator[Step[World]]:
        """What goes on by itself."""
        if self.inbox:
            event = self.inbox[0]
            yield Step(f"{event.value} is handled" if event else "started", self.next_event())
        if len(self.inbox) >= self.late > 0:
            return
        if self.dialing and not self.handshaking:
            yield Step("handshake started", self._replace(handshaking=True).happen(Event.HANDSHAKE_STARTED))
        if self.handshaking:
            proven = self._replace(handshaking=False, dialing=False, ends=self.ends + 1)
            yield Step("own dial proven", proven.happen(Event.PROVEN))
        if self.timer:
            yield Step("retry due", self._replace(timer=False).happen(Event.RETRY_DUE))
        if self.ends and self.queue and self.closing().may_write:
            yield Step("write", self.write())
        if self.ends and self.written:
            yield Step("ack", self.acknowledged())
        if self.ends and self.awaiting:
            yield Step("answer", self._replace(awaiting=False, asked=Asked.OPEN))
        if self.asked in (Asked.PROMISED, Asked.CROSSED):
            yield Step("the peer closes", self.current_ends())
        if self.draining and not self.queue and not self.written:
            yield Step("drained", self.happen(Event.DRAINED))
        if self.phase is Phase.IDLE and not self.inbox:
            yield Step("nobody comes", self.happen(Event.SEND if self.queue else Event.QUEUE_EMPTY))

    def whims(self, fault: str) -> Iterator[Step[World]]:
        """What one fault, or one wish, may do here."""
        running = self.life is not None
        match fault:
            case "failure" if self.dialing:
                yield Step("dial fails", self.attempt_over(Event.DIAL_FAILED), True)
            case "failure of one" if self.handshaking:
                yield Step("one address fails", self._replace(handshaking=False).happen(Event.DIAL_STARTED), True)
            case "denial" if self.handshaking:
                yield Step("denied", self.attempt_over(Event.DENIED), True)
            case "loss" if self.ends:
                yield Step("the current end is lost", self.current_ends(), True)
                if self.ends > 1:
                    lost = self._replace(ends=self.ends - 1).happen(Event.END_LOST)
                    yield Step("another end is lost", lost, True)
            case "idle" if self.asks() != self:
                yield Step("asks to close", self.asks(), True)
            case "agreement" if self.closing().on_idle_ok():
                yield Step("the peer agrees", self.happen(Event.IDLE_AGREED), True)
            case "promise" if self.is_asked() != self:
                yield Step("promises silence", self.is_asked(), True)
            case "message" if self.ends and self.asked is not Asked.OPEN:
                yield Step("a message comes", self._replace(asked=Asked.OPEN), True)
            case "question" if self.ends and self.written and not self.awaiting:
                yield Step("ack of a question", self.acknowledged(question=True), True)
            case "no answer" if self.awaiting:
                yield Step("no answer in time", self._replace(awaiting=False), True)
            case "toggle":
                yield Step("toggle permanence", self.set_permanent(not self.wanted), True)
            case "inbound" if self.ends < 2 and (running or not self.stopped):
                yield Step("inbound proven", self.inbound(), True)
            case "admission" if not running and not self.stopped:
                yield Step("somebody is admitted", self.with_proxy(), True)
            case "expiry":
                for number in (*self.queue, *self.written):
                    yield Step(f"{number} expires", self.expire(number), True)
            case "dial now" if running or not self.stopped:
                yield Step("dial now", self.dial_now(), True)
            case "advert" if running:
                yield Step("advert changed", self.happen(Event.ADVERT_CHANGED), True)
            case "stop":
                stopped = self._replace(stopped=True)
                yield Step("stop", stopped.happen(Event.STOP) if running else stopped, True)
            case "time is up" if self.draining:
                yield Step("the time for draining is up", self.happen(Event.DRAINED), True)
            case "second stop" if running:
                yield Step("second stop", self._replace(stopped=True).happen(Event.SECOND_STOP), True)

    def forgetful(self) -> World:
        """Without the messages that are settled; the others are numbered anew."""
        left = [number for number, outcome in enumerate(self.outcomes) if not outcome]
        return self._replace(
            outcomes=("",) * len(left),
            queue=tuple(map(left.index, self.queue)),
            written=tuple(map(left.index, self.written)),
        )


WHIMS = (
    *("failure", "failure of one", "denial", "loss", "idle", "agreement", "promise", "message", "question"),
    *("no answer", "toggle", "inbound", "admission", "expiry", "dial now", "advert", "stop", "time is up"),
    "second stop",
)
"""Every fault and wish there is."""


def steps(world: World, messages: int) -> Iterator[Step[World]]:
    """With so many messages in all, and each of the world's faults once."""
    yield from world.progress()
    if len(world.outcomes) < messages:
        yield Step("send", world.send())
    for at, fault in enumerate(world.faults):
        if fault not in world.faults[:at]:
            rest = world._replace(faults=world.faults[:at] + world.faults[at + 1 :])
            yield from rest.whims(fault)


def endless(world: World, messages: int, whims: tuple[str, ...] = WHIMS) -> Iterator[Step[World]]:
    """With so many messages at a time, and all that may befall them, again and again."""
    following = [*world.progress()]
    if not len(world.inbox) >= world.late > 0:
        if len(world.outcomes) < messages:
            following.append(Step("send", world.send(), True))
        following += [each for whim in whims for each in world.whims(whim)]
    for each in following:
        yield each._replace(state=each.state.forgetful())


def unfinished(world: World, messages: int = 0) -> str:
    if world.parked:
        return ""  # until the peer's advert changes
    if len(world.outcomes) < messages:
        return "not all sent"
    if world.inbox:
        return f"{world.inbox} is not handled"
    if not all(world.outcomes):
        return f"without outcome: {world.outcomes}"
    if world.stopped and world.life is not None:
        return f"stopped, and {world.phase}"
    if world.phase not in (None, Phase.READY) or (world.phase is None and world.wanted and not world.stopped):
        return f"rests {world.phase}"
    return ""


def take(life: Life, event: Event, facts: Facts) -> tuple[Life, tuple[Action, ...]]:
    """The real step, remembered."""
    FED.add((life, event, facts))
    return step(life, event, facts)


class Figures(NamedTuple):
    """Of one exploration. Seconds of the processor."""

    states: int
    transitions: int
    seconds: float


def undisturbed(exploration: Callable[[], int]) -> int:
    """Millions of small steps: neither the collector of garbage nor a measurer of coverage looks at each of them.

    What they run has tests of its own.
    """
    collected, tracer = gc.isenabled(), sys.gettrace()
    gc.disable()
    sys.settrace(None)
    try:
        return exploration()
    finally:
        sys.settrace(tracer)
        if collected:
            gc.enable()


def explored(late: int, messages: int, whims: tuple[str, ...] = WHIMS) -> Figures:
    """Everything in every order, while so many events may wait, with so many messages at a time."""
    transitions = 0

    def steps(world: World) -> Iterator[Step[World]]:
        nonlocal transitions
        for each in endless(world, messages, whims):
            transitions += 1
            yield each

    began = time.process_time()
    states = undisturbed(lambda: explore(World(late=late), steps, unfinished))
    return Figures(states, transitions, round(time.process_time() - began, 2))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--late", type=int, default=2, help="events that may wait (2)")
    parser.add_argument("--messages", type=int, default=1, help="messages at a time (1)")
    options = parser.parse_args()
    print(explored(options.late, options.messages), f"fed to the table: {len(FED)}")


if __name__ == "__main__":
    main()
