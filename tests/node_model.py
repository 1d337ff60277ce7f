"""One node of two, reduced to what decides about its connections with the other. For two_nodes_model.

Real are the table of a proxy's life, the choice between connections, and the questions and promises of an idle close.
Made here: messages with numbers, and a handshake of one step each way. A node changes by what happens to it alone, and
says what it does to others; so each of its steps is worked out once.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from exploring import Broken
from handshake_pair import ALICE, BOB
from msgspec import Struct
from msgspec.structs import asdict

from actors.identity import Incarnation
from actors.net.connecting.contest import Contender, current, superseded
from actors.net.life.phases import Action, Event, Facts, Life, Phase
from actors.net.life.table import step
from actors.net.messages import ConnectionID
from actors.net.session.closing import Asked, Closing

NODES = sorted((ALICE.id, BOB.id))
"""Node 1 has the greater NodeID."""
UNWRITTEN, WRITTEN, DELIVERED, EXPIRED, GONE = "lost unwritten", "lost written", "delivered", "expired", "gone"
"""How messages end. GONE: with the run of the node that had accepted them."""

Dial: TypeAlias = tuple[int, int]
"""A run of the dialer, and the number of its dial in that run."""
Key: TypeAlias = tuple[int, Dial]
"""Of a connection: who dialed, and which dial."""


# -- records --------------------------------------------------------------------------------------------------


class Frame(NamedTuple):
    """What crosses: proof, accepted (which resumes, too), resume, message, ack, idle, idle ok."""

    kind: str
    numbers: frozenset[int] = frozenset()
    """Of messages: which one, or those that its sender has got."""
    session: tuple[int, int] = (0, 0)
    """Of its sender: the run, and the epoch in that run."""
    knew: Dial | None = None
    """The greatest dial of the other node that the dialer had accepted."""

    def __str__(self) -> str:
        return " ".join((self.kind, *map(str, sorted(self.numbers))))


class End(NamedTuple):
    """A node's end of a connection that it dials, or that is proven to it."""

    key: Key
    knew: Dial | None
    up: bool = False
    resumed: bool = False
    asked: Asked = Asked.OPEN
    unheard: frozenset[int] = frozenset()
    """Messages written on it, of which it has not brought the acknowledgement."""


class Variant(Enum):
    """How else the rules could be."""

    EXPIRED_IS_ACKNOWLEDGED = "an end is idle though something that expired was not acknowledged"
    ITS_OWN_ACKNOWLEDGEMENTS = "a question is answered when its connection has brought every acknowledgement"


class Node(Struct, frozen=True, cache_hash=True):
    """A node: its proxy, if it has one (`life`), and what outlives proxies."""

    me: int
    life: Life | None = None
    wanted: bool = False
    """Whether permanence has a holder, in all runs of the node."""
    queue: tuple[int, ...] = ()
    written: tuple[int, ...] = ()
    sent: int = 0
    """Messages accepted, in all runs of the node."""
    open: frozenset[int] = frozenset()
    """Those that have no outcome."""
    buried: frozenset[int] = frozenset()
    """Those that expired when they were written, and are not acknowledged (S8)."""
    ends: tuple[End, ...] = ()
    current: Key | None = None
    timer: bool = False
    connected: bool = False
    """Whether the ephemeral link was connected; the model's own account of `Life.spent`."""
    run: int = 1
    dials: int = 0
    epoch: int = 0
    """Of its proxy: so many there were in this run."""
    known: tuple[int, int] = (0, 0)
    """The peer's newest session, by run and epoch, that has proved itself."""
    accepted: Dial | None = None
    got: frozenset[int] = frozenset()
    """The peer's messages that are in a mailbox of this run."""
    variants: frozenset[Variant] = frozenset()
    late: bool = False
    """Whether what happens to connections is handled later: after what they carry meanwhile, before all else."""
    inbox: tuple[tuple[Event, Key], ...] = ()


class Deeds(NamedTuple):
    """What a node did to others in one step."""

    sent: tuple[tuple[Key, Frame], ...]
    closed: tuple[Key, ...]
    settled: tuple[tuple[int, str], ...]


@cache
def react(node: Node, cause: str, *what: Any) -> tuple[Node, Deeds]:
    """What a node makes of something that happens to it."""
    turn = Turn(node)
    getattr(turn, cause)(*what)
    return turn.rest()


@cache
def _id(node: int, dial: Dial) -> ConnectionID:
    return ConnectionID(Incarnation(dial[0], node), dial[1])


@cache
def _contender(key: Key, knew: Dial | None) -> Contender:
    dialer, dial = key
    return Contender(NODES[dialer], _id(dialer, dial), _id(1 - dialer, knew) if knew else None)


def closing_of(end: End) -> Closing:
    closing = Closing()
    closing.state = end.asked
    return closing


class Turn:
    """A node in the middle of a step."""

    life: Life | None
    wanted: bool
    queue: tuple[int, ...]
    written: tuple[int, ...]
    sent: int
    open: frozenset[int]
    buried: frozenset[int]
    current: Key | None
    timer: bool
    connected: bool
    run: int
    dials: int
    epoch: int
    known: tuple[int, int]
    accepted: Dial | None
    got: frozenset[int]
    variants: frozenset[Variant]
    late: bool
    inbox: tuple[tuple[Event, Key], ...]

    def __init__(self, node: Node) -> None:
        vars(self).update(asdict(node))
        self.me = node.me
        self.ends = {end.key: end for end in node.ends}
        self.frames: list[tuple[Key, Frame]] = []
        self.closed: list[Key] = []
        self.settled: list[tuple[int, str]] = []
        self.handed_over: tuple[int, ...] = ()

    def rest(self) -> tuple[Node, Deeds]:
        self.consistent()
        fields = {name: getattr(self, name) for name in Node.__struct_fields__}
        fields["ends"] = tuple(sorted(self.ends.values(), key=lambda end: end.key))
        return Node(**fields), Deeds(tuple(self.frames), tuple(self.closed), tuple(self.settled))

    def require(self, holds: bool, why: str) -> None:
        if not holds:
            raise Broken(f"{self.me} {why}")

    def consistent(self) -> None:
        """What holds whenever the node rests."""
        self.require({*self.queue, *self.written} == self.open, "forgot messages that have no outcome")
        if self.inbox:
            return
        self.require(len(self.asked) < 2, "makes two attempts at a time")
        if self.life is None:
            self.require(not (self.wanted or self.ends or self.open), "has no proxy, and needs one")
            return
        phase, up = self.life.phase, len(self.up)
        self.require(self.life.permanent == self.wanted, "is permanent against the will of its holders, or is not")
        self.require((phase is Phase.READY) == bool(up), f"is {phase} with {up} ends")
        self.require(phase not in (Phase.DIALING, Phase.HANDSHAKING) or bool(self.asked), f"is {phase} without a dial")
        self.require((phase is Phase.BACKOFF) == self.timer, f"is {phase}, timer {self.timer}")
        self.require(phase is not Phase.BACKOFF or self.wanted or bool(self.queue), "backs off for nothing")

    # -- connections --------------------------------------------------------------------------------------

    @property
    def up(self) -> list[End]:
        return [end for end in self.ends.values() if end.up]

    @property
    def asked(self) -> list[End]:
        return [end for end in self.ends.values() if not end.up]

    def say(self, key: Key, kind: str, numbers: frozenset[int] = frozenset(), **more: Any) -> None:
        self.frames.append((key, Frame(kind, numbers, **more)))

    def close(self, key: Key) -> Event:
        """What the proxy is to hear of it, if it was proven."""
        clean = closing_of(self.ends.pop(key)).connection_ended()
        self.closed.append(key)
        if self.current == key:
            self.current = None
        return Event.CLEAN_END if clean else Event.END_LOST

    def end(self, key: Key) -> None:
        """A proven end is over, whoever closed it."""
        was_current = key == self.current
        event = self.close(key)
        if was_current:
            self.choose()
        self.hear(event, key)

    def choose(self) -> None:
        """Write on the best resumed end; close those that are worse (C4, C5)."""
        up = {_contender(end.key, end.knew): end for end in self.up}
        resumed = [contender for contender, end in up.items() if end.resumed]
        best = current(resumed)
        if best is None:
            return
        if up[best].key != self.current:
            self.current = up[best].key
            self.write(self.written)  # S6: first what was written before
        for contender in superseded(up, resumed):
            self.end(up[contender].key)
        self.pump()

    def pump(self) -> None:
        """Write what is queued, if there is a current connection and no promise forbids it."""
        if self.current is None or not self.queue:
            return
        closing = closing_of(self.ends[self.current])
        if closing.sending():
            self.ends[self.current] = self.ends[self.current]._replace(asked=closing.state)
            self.write(self.queue)
            self.queue, self.written = (), self.written + self.queue

    def write(self, numbers: tuple[int, ...]) -> None:
        assert self.current is not None
        for number in numbers:
            self.say(self.current, "message", frozenset((number,)))
        if Variant.ITS_OWN_ACKNOWLEDGEMENTS in self.variants:
            end = self.ends[self.current]
            self.ends[self.current] = end._replace(unheard=end.unheard | {*numbers})

    # -- the proxy ----------------------------------------------------------------------------------------

    def facts(self) -> Facts:
        dials = bool(self.asked)
        return Facts(
            queued=bool(self.queue),
            retained=bool(self.written),
            proven=len(self.up),
            dialing=dials,
            handshaking=dials,
        )

    def idle(self) -> bool:
        """D1, D2: ephemeral, nothing in hand, no dial of its own."""
        buried = self.buried and Variant.EXPIRED_IS_ACKNOWLEDGED not in self.variants
        return self.life is not None and not (self.life.permanent or self.facts().busy or self.asked or buried)

    def with_proxy(self) -> None:
        if self.life is None:
            self.life, self.connected, self.epoch = Life(), False, self.epoch + 1

    def hear(self, event: Event, key: Key) -> None:
        """What happened to a connection, now or later."""
        if self.late:
            self.inbox = (*self.inbox, (event, key))
        else:
            self.happen(event)

    def handles(self) -> None:
        (event, key), *rest = self.inbox
        self.inbox = tuple(rest)
        if event is not Event.IDLE_AGREED or (key == self.current and closing_of(self.ends[key]).on_idle_ok()):
            self.happen(event)

    def catch_up(self) -> None:
        while self.inbox:
            self.handles()

    def happen(self, event: Event) -> None:
        """An event for the proxy, if there is one, and what is to be done about it."""
        before = self.life
        if before is None:
            return
        self.life, actions = step(before, event, self.facts())
        self.connected |= event is Event.PROVEN
        if before.permanent and not self.life.permanent and self.life.phase is not Phase.READY:
            self.connected = False  # L4: without a connection it is established anew
        if event is Event.IDLE_AGREED or (event is Event.CLEAN_END and not self.up):
            self.connected = False  # D3, D4: as if by a new proxy
        for action in actions:
            self.carry_out(action)

    def carry_out(self, action: Action) -> None:
        match action:
            case Action.DIAL:
                self.dial()
            case Action.WAIT | Action.WAKE:
                self.timer = True
            case Action.CANCEL_WAIT:
                self.timer = False
            case Action.SETTLE_WRITTEN:
                self.settle(self.written, WRITTEN)
            case Action.SETTLE_LOST:
                self.require(not self.up, "ends its proxy beside a proven end")
                self.require(self.connected or not self.queue, "gives up messages before it was connected (L1)")
                self.settle(self.queue, UNWRITTEN)
                self.settle(self.written, WRITTEN)
            case Action.HAND_OVER:
                self.queue, self.handed_over = (), self.queue
            case Action.BYE:
                for end in self.up:
                    self.close(end.key)
            case Action.END:
                self.proxy_ends()
            case Action.LEAVE:
                pass
            case _:
                raise Broken(f"{self.me}: {action} has no place here")

    def dial(self) -> None:
        assert self.life is not None
        self.require(not self.asked, "begins a second attempt beside the first")
        self.require(not self.up, "dials beside a proven end (C7)")
        self.require(self.life.permanent or not self.connected, "establishes an ephemeral link a second time")
        self.timer, self.dials = False, self.dials + 1
        end = End((self.me, (self.run, self.dials)), self.accepted)
        self.ends[end.key] = end
        self.say(end.key, "proof", session=(self.run, self.epoch), knew=end.knew)
        self.happen(Event.HANDSHAKE_STARTED)

    def proxy_ends(self) -> None:
        assert self.life is not None
        self.require(not self.queue and not self.written, "ends its proxy with messages unsettled")
        self.require(not self.life.permanent, "ends a permanent proxy")
        for key in list(self.ends):
            self.close(key)
        self.life, self.timer, self.connected, self.inbox, self.buried = None, False, False, (), frozenset()
        if self.handed_over:  # D4
            self.queue, self.handed_over = self.handed_over, ()
            self.with_proxy()
            self.happen(Event.SEND)

    def settle(self, numbers: tuple[int, ...], outcome: str) -> None:
        for number in numbers:
            self.require(number in self.open, f"gives message {number} a second outcome, {outcome}")
            self.open -= {number}
            self.settled.append((number, outcome))
        self.queue = tuple(number for number in self.queue if number in self.open)
        self.written = tuple(number for number in self.written if number in self.open)

    # -- what happens -------------------------------------------------------------------------------------

    def arrives(self, key: Key, frame: Frame) -> None:
        end = self.ends.get(key)
        match frame.kind:
            case "proof":
                self.accepts(key, frame)
            case _ if end is None:
                pass
            case "accepted":
                self.is_accepted(end, frame)
            case "resume":
                self.resumes(key, frame.numbers)
            case "message":
                closing = closing_of(end)
                closing.on_message()
                self.ends[key] = end._replace(asked=closing.state)
                self.got |= frame.numbers
                self.say(key, "ack", frame.numbers)
                self.pump()
            case "ack":
                self.ends[key] = end._replace(unheard=end.unheard - frame.numbers)
                self.acknowledged(frame.numbers)
            case "idle" if key == self.current:
                closing = closing_of(end)
                if closing.on_idle(self.idle() and not end.unheard):
                    self.ends[key] = end._replace(asked=closing.state)
                    self.say(key, "idle ok")
            case "idle ok" if key == self.current and closing_of(end).on_idle_ok():
                self.hear(Event.IDLE_AGREED, key)

    def accepts(self, key: Key, frame: Frame) -> None:
        """The dialer has proved itself; to its acceptor the connection is proven."""
        self.catch_up()
        if frame.session < self.known:  # S10, I2
            self.closed.append(key)
            return
        heard = self.judge(frame.session)
        self.accepted = key[1] if self.accepted is None else max(self.accepted, key[1])  # C2
        self.with_proxy()
        self.ends[key] = End(key, frame.knew, up=True)
        self.say(key, "accepted", self.got, session=(self.run, self.epoch))
        self.joins(heard)

    def is_accepted(self, end: End, frame: Frame) -> None:
        """The acceptor has said so; to its dialer the connection is proven, and the attempt over."""
        self.catch_up()
        if end.key not in self.ends:
            return None
        if frame.session < self.known:
            self.close(end.key)
            return self.happen(Event.DIAL_FAILED)
        heard = self.judge(frame.session)
        self.ends[end.key] = end._replace(up=True)
        self.say(end.key, "resume", self.got)
        self.joins(heard)
        self.hear(Event.DIAL_FAILED, end.key)  # as every attempt ends
        self.resumes(end.key, frame.numbers)

    def judge(self, session: tuple[int, int]) -> list[tuple[Event, Key]]:
        """A newer session ends all connections of older ones (S9, S10, I2). What the proxy is to hear of that."""
        before, self.known = self.known, session
        if before in ((0, 0), session):
            return []
        if before[0] < session[0]:
            self.accepted, self.buried = None, frozenset()
            self.settle(self.written, WRITTEN)
        return [(self.close(end.key), end.key) for end in self.up]

    def joins(self, heard: list[tuple[Event, Key]]) -> None:
        self.happen(Event.PROVEN)
        for event, key in heard:
            self.hear(event, key)

    def resumes(self, key: Key, numbers: frozenset[int]) -> None:
        """The other end says what it has got (S6)."""
        self.acknowledged(numbers)
        if key in self.ends:
            self.ends[key] = self.ends[key]._replace(resumed=True)
            self.choose()

    def acknowledged(self, numbers: frozenset[int]) -> None:
        self.buried -= numbers
        self.settle(tuple(number for number in self.written if number in numbers), DELIVERED)

    def sees_the_end(self, key: Key) -> None:
        if self.ends[key].up:
            return self.end(key)
        self.close(key)
        self.hear(Event.DIAL_FAILED, key)

    def retries(self) -> None:
        self.catch_up()
        self.timer = False
        self.happen(Event.RETRY_DUE)

    def sends(self) -> None:
        self.queue, self.open, self.sent = (*self.queue, self.sent), self.open | {self.sent}, self.sent + 1
        if self.life is None:
            self.with_proxy()
            self.happen(Event.SEND)
        self.pump()

    def toggles(self) -> None:
        self.catch_up()
        self.wanted = not self.wanted
        if self.wanted:
            self.with_proxy()
        self.happen(Event.TO_PERMANENT if self.wanted else Event.TO_EPHEMERAL)

    def dials_now(self) -> None:
        self.catch_up()
        self.with_proxy()
        self.happen(Event.DIAL_NOW)

    def expires(self, number: int) -> None:
        self.catch_up()
        if number not in self.open:
            return
        if number in self.written:
            self.buried |= {number}
        self.settle((number,), EXPIRED)
        if not self.queue and not self.written:
            self.happen(Event.QUEUE_EMPTY)

    def asks(self) -> None:
        assert self.current is not None
        closing = closing_of(self.ends[self.current])
        if closing.idle():
            self.ends[self.current] = self.ends[self.current]._replace(asked=closing.state)
            self.say(self.current, "idle")

    def restarts(self) -> None:
        """A new run of the node: what it held is gone, and so are its ends."""
        self.settle(self.queue + self.written, GONE)
        kept = {name: getattr(self, name) for name in ("me", "wanted", "sent", "variants", "late")}
        new = Turn(Node(run=self.run + 1, **kept))
        vars(self).update({**vars(new), "settled": self.settled})
        if self.wanted:
            self.with_proxy()
            self.happen(Event.TO_PERMANENT)
