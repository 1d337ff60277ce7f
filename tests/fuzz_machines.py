"""Both sides of a handshake, and the link after it, as machines that bytes go into."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import cache
from typing import cast

from fuzz_engine import Add, Counter
from fuzz_seeds import honest
from handshake_pair import ALICE, BOB, BOB_RUN, acceptor, dialer
from msgspec import msgpack

from actors.errors import ProtocolError, SendError
from actors.identity import Incarnation
from actors.net import wire
from actors.net.connecting.contest import Contender
from actors.net.messages import MAX_FRAME_UNPROVEN, ConnectionID, Kind
from actors.net.proving.handshake import HandshakeFailed
from actors.net.session.credit import FIRST, Inlet
from actors.net.session.delivery import Delivery
from actors.net.session.link import Link
from actors.net.session.outbox import Outbox, Port
from actors.net.session.receive import Arrived, Receive
from actors.net.session.runs import Run
from actors.net.session.session import Session
from actors.runtime import Clock, Runtime, Slot
from actors.runtime.codec import Codec
from transports.base import Stream
from transports.errors import FrameError
from transports.frames import FrameBuffer


def _fed(data: bytes, limit: int) -> FrameBuffer:
    """A buffer into which all of this has come."""
    buffer = FrameBuffer(limit)
    while data:
        room = buffer.writable()
        count = min(len(room), len(data))
        if not count:
            break
        room[:count], data = data[:count], data[count:]
        buffer.commit(count)
        if buffer.pending > limit:
            break
    return buffer


# -- the handshake ------------------------------------------------------------------------------------------


def to_an_acceptor(data: bytes) -> None:
    """What somebody sends who dials. Nobody is proven but by the very request and proof that Alice signed."""
    frames, bob, steps = _fed(data, MAX_FRAME_UNPROVEN), acceptor(), honest()
    with suppress(ProtocolError, FrameError, HandshakeFailed):
        request = frames.next_frame()
        if request is None:
            return
        asked = bytes(request)
        reply, goes_on = bob.request(request)
        assert wire.decode(reply[4:]) is not None
        proof = frames.next_frame()
        if not goes_on or proof is None:
            return
        proven = bob.proof(proof)
        assert asked == steps["request"][4:], "a request that nobody signed"
        assert (proven.peer, proven.epoch, proven.permanent) == (ALICE.id, 11, True)
        bob.accept(epoch=22, permanent=False)


def to_a_dialer(data: bytes) -> None:
    """What somebody answers who was dialed. Nothing is believed but what Bob signed for this very request."""
    frames, alice, steps = _fed(data, MAX_FRAME_UNPROVEN), dialer(), honest()
    alice.request()
    try:
        reply = frames.next_frame()
        if reply is None:
            return
        answered = bytes(reply)
        alice.reply(reply)
        assert answered[:-64] == steps["reply"][4:-64], "a reply that nobody signed"
        alice.prove(epoch=11, permanent=True)
        verdict = frames.next_frame()
        if verdict is not None:
            accepted = alice.verdict(verdict)
            assert (accepted.epoch, accepted.permanent) == (22, False)
    except (ProtocolError, FrameError):
        pass
    except HandshakeFailed as failed:
        _check_refusal(failed)


def _check_refusal(failed: HandshakeFailed) -> None:
    assert failed.retry_after <= (600 if failed.signed else 30)
    assert not failed.signed or failed.reason == "over_capacity", "a refusal that nobody signed"


# -- the link -----------------------------------------------------------------------------------------------


@cache
def _codec() -> Codec:
    return Codec.of(Counter)


class Mailbox:
    """A mailbox that holds its owner to the room that was promised. Every other message is handled at once."""

    def __init__(self) -> None:
        self.capacity, self.capacity_bytes = 16, 1 << 20
        self.held = self.held_bytes = self.reserved = self.reserved_bytes = 0
        self.waiting = deque[Arrived]()

    @property
    def room(self) -> Mailbox:
        return self

    def tells(self, body: memoryview, count: int) -> list[object]:
        return cast("list[object]", _codec().tells(body, count))

    def asks(self, body: memoryview, count: int) -> list[tuple[int, object]]:
        return cast("list[tuple[int, object]]", _codec().asks(body, count))

    def offer(self, sender: str, message: object, size: int) -> bool:
        return self.held < self.capacity

    def deliver(self, run: Arrived) -> None:
        assert run.items
        self.held += len(run.items)
        self.held_bytes += run.size
        assert self.held <= self.capacity + FIRST[0], "more than was promised"
        self.waiting.append(run)
        if len(self.waiting) > 1:
            done = self.waiting.popleft()
            self.held -= len(done.items)
            self.held_bytes -= done.size
            done.inlet.consumed(len(done.items), done.size)

    def cancel(self, inlet: Inlet, correlations: list[int]) -> None:
        assert all(number >= 0 for number in correlations)


class Sink:
    """A connection that takes whatever is written, up to a bound: then its peer has stopped reading."""

    datagrams = None
    remote = "memory://peer"

    def __init__(self) -> None:
        self.taken = 0

    def send_nowait(self, data: bytes) -> int:
        count = min(len(data), max(0, (1 << 18) - self.taken))
        self.taken += count
        return count

    def abort(self) -> None: ...


class Half:
    """Where the receive half lies."""

    receive: Receive | None = None


class Engines:
    """One mailbox, and whoever waits for answers."""

    def __init__(self, box: Mailbox, delivery: Delivery) -> None:
        self.box = box
        self.answer = delivery.answer

    def find(self, name: str) -> Mailbox | None:
        return self.box if name == "counter" else None


class Bench:
    """A node that has told, sent and asked, and whose link to a peer is proven and not resumed."""

    def __init__(self) -> None:
        self.now = 100.0
        self.clock = Clock()
        self.clock.now = lambda: self.now
        self.runtime = Runtime(ALICE.id)
        self.runtime.asks._next = 1000
        self.half = Half()
        self.datagrams = 0
        self.box = Mailbox()
        self.outbox = Outbox(
            "bob",
            1,
            clock=self.clock,
            pace=self.runtime.pace,
            office=self,
        )
        delivery = Delivery(self.runtime, BOB.id, self.half, self.outbox, lambda _: None, lambda _: None)
        self.session = Session(
            BOB.id,
            self.outbox,
            self.half,
            clock=self.clock,
            engines=Engines(self.box, delivery),
            epochs=iter(range(2, 1 << 40)).__next__,
        )
        receive = self.session.receive_half(BOB_RUN, 22)
        assert receive is not None
        contender = Contender(ALICE.id, ConnectionID(Incarnation(1, 1), 7), None)
        stream = cast(Stream, Sink())
        self.link = Link(
            stream, FrameBuffer(1 << 20), contender, self.session, receive, self.clock, deadline=self.now + 5
        )
        self._say()
        self.session.attach(self.link)

    def _say(self) -> None:
        tell = msgpack.encode(Add(1))
        told = Run(self.outbox.lane("client", "counter"), Kind.TELL, self.now + 30, [tell, tell])
        self.outbox.hand_over(told)
        for target in ("counter", "other"):
            slot: Slot = self.runtime.asks.open(self.now + 30, Add, BOB.id)
            asked = b"\x92" + msgpack.encode(slot.correlation) + tell
            self.outbox.hand_over(Run(self.outbox.lane("client", target), Kind.ASK, slot.deadline, [asked], [slot]))

    def report(self, run: Run, outcome: SendError) -> None: ...

    def reroute(self, sender: str, target: str) -> Port:
        raise AssertionError("no outbox was closed yet")

    def demand(self, transports: frozenset[str]) -> None: ...

    def datagram(self) -> int:
        self.datagrams += 1
        return self.datagrams

    def hear(self, frame: memoryview) -> None:
        """One frame, as the link's reader hands it on; a little later its answers have gone."""
        self.link.on_frame(frame, self.now)
        self.now += 0.01
        self.clock._ring_due(self.now)
        self.outbox.reply(7, 0, 5, self.now + 1)
        self.outbox.flush_replies()

    def end(self) -> None:
        """The connection and the proxy are over: every message has its outcome."""
        self.link.close("over")
        self.outbox.close("connection_lost")
        ledger = self.outbox.transmit.ledger
        ended = ledger.delivered + ledger.sent + ledger.expired + ledger.lost + ledger.refused
        assert ledger.accepted == ended, "a message without an outcome"
        assert self.outbox.transmit.weight == 0
        receive = self.half.receive
        assert receive is not None
        receive.release()


def to_a_proven_link(data: bytes) -> None:
    """What a peer says that has proved who it is: to a session with messages on their way."""
    bench, frames = Bench(), _fed(data, 1 << 20)
    try:
        while bench.link.reason is None and (frame := frames.next_frame()) is not None:
            bench.hear(frame)
    except (ProtocolError, FrameError):
        bench.outbox.transmit.blame()
    bench.end()
