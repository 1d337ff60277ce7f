"""One proven connection at work: frames in, frames out, and the little that must happen between them at once.

With `outbox` this is the hot path between nodes. Everything but `run` is synchronous, so that nothing can come
between a frame and its effect.

    run ─ read: stream ▶ FrameBuffer ▶ on_frame ▶ Receive.take ▶ mailboxes      (one task)
        ├ flush: what the socket did not take                 (a task, while there is something)
        └ hear: what comes beside the stream            (a task, where the transport has datagrams)
    pump: Transmit.write ▶ Ack + Messages in one send                            (whoever has something to write)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Protocol

import trio

from actors.engine import OwnContext
from actors.errors import ProtocolError
from actors.net.connecting.contest import Contender
from actors.net.messages import (
    Ack,
    Bye,
    Datagram,
    Frame,
    Messages,
    Ping,
    Pong,
    Resume,
    Settled,
    Want,
)
from actors.net.session.closing import Closing
from actors.net.session.conditions import Conditions
from actors.net.session.liveness import DEAD, LOOK, Ask, Liveness, LivenessCfg
from actors.net.session.outbox import Outbox
from actors.net.session.receive import Receive
from actors.net.session.runs import Run
from actors.net.session.unreliable import Window, beside, frames, too_large
from actors.net.wire import MESSAGES, decode, decode_messages, encode
from actors.runtime import Alarm, Clock
from transports.base import Datagrams, Stream
from transports.errors import ConnectionLost, FrameError
from transports.frames import FrameBuffer

ACK_EVERY = 256
"""Messages after which an Ack does not wait."""
ACK_DELAY = 0.005
"""Seconds that an Ack may wait for something to ride on."""
QUICK = 16
"""Lone asks of one read that may be handled by the reader itself."""
_SLICE = 1024
"""Frames of one read that are handled before others have their turn: small ones take 3 us each."""
_MAX_BACKLOG = 1 << 20
_AT_ONCE = 256 << 10
"""Bytes of a backlog that are handed to the stream in one call."""
_PROTOCOL_ERROR = "protocol error"
"""How a Bye begins whose sender could not take what we wrote (S14)."""


class Owner(Protocol):
    """The session that a link belongs to. All its methods are synchronous."""

    outbox: Outbox
    conditions: Conditions

    def may_write(self, link: Link) -> bool:
        """Whether the link is the current one, and no promise forbids to write (C4, D2)."""

    def writing(self, link: Link, now: float) -> None:
        """Messages are written on it, here and now (D1)."""

    def on_resume(self, link: Link, record: Resume) -> None: ...
    def on_messages(self, link: Link, record: Messages, payload: memoryview, now: float) -> None: ...
    def on_datagram(self, link: Link, record: Datagram, now: float) -> None: ...
    def in_use(self, now: float) -> None:
        """A message of the unreliable class is written: the connection is in use, and no question is cancelled (D1)."""

    def on_want(self, link: Link, record: Want) -> None: ...
    def on_control(self, link: Link, record: Frame) -> None: ...
    def ended(self, link: Link, reason: str) -> None: ...


class Link:
    """A proven end of a connection, from its proof to its end."""

    def __init__(
        self,
        stream: Stream,
        frames: FrameBuffer,
        contender: Contender,
        owner: Owner,
        receive: Receive,
        clock: Clock,
        *,
        deadline: float,
        rtt: float | None = None,
        liveness: LivenessCfg | None = None,
    ) -> None:
        self.stream = stream
        self.contender = contender
        self.carrier = stream.remote.partition(":")[0]
        """Its transport."""
        self.owner = owner
        self.receive = receive
        self.closing = Closing()
        self.liveness = Liveness(clock.now(), liveness)
        if rtt is not None:
            self.liveness.sample(rtt)
        self.dialed = ""
        """The URL that this node dialed, as the peer's advert has it; empty if the peer did."""
        self.resumed = False
        """Whether the peer's Resume has arrived (C4)."""
        self.going_away = False
        """The peer stops: nothing new is written to it (D5)."""
        self.leaving = False
        """It was told that this node stops."""
        self.wrote = self.heard = 0
        """The greatest number that may have been written here, and that was acknowledged here."""
        self.reason: str | None = None
        """Why it ended; None while it lives."""
        self.lanes: dict[int, tuple[str, str]] = {}
        self.window = Window()
        self.skipped = 0
        """Unknown optional frames (H11)."""
        self._frames = frames
        self._datagrams = stream.datagrams
        if self._datagrams is not None:
            _forget(self._datagrams)
        self._clock = clock
        self._out = bytearray()
        """What the stream did not take. It grows by small answers: each must not cost a copy of all."""
        self._flushes = False
        self._host: OwnContext | None = None
        self._owes_settled = False
        self._ack_alarm: Alarm | None = None
        self._beat_alarm: Alarm | None = None
        self._resume_alarm: Alarm | None = clock.call_at(deadline, self._not_resumed)

    # -- life -------------------------------------------------------------------------------------------

    async def run(self, host: OwnContext) -> None:
        """Read and write until the connection ends; `reason` says why. Cancelled, it ends too.

        `host` is lent to the engine of the connection: it begins what is only needed now and then, and ends it all.
        """
        try:
            if self.reason is None:
                self._host = host
                if self._out:
                    self._begin_to_flush()
                if self._datagrams is not None:
                    host.beside(partial(self._hear, self._datagrams))
                self._beat()
                await self._read()
        finally:
            self.end("cancelled")

    def end(self, reason: str) -> None:
        """It is over, now. Idempotent; the first reason stands."""
        if self.reason is not None:
            return
        self.reason = reason
        for alarm in (self._ack_alarm, self._beat_alarm, self._resume_alarm):
            if alarm is not None:
                alarm.cancel()
        host, self._host = self._host, None
        self.owner.ended(self, reason)
        if host is not None:
            host.leave()

    def close(self, reason: str) -> None:
        """Say Bye, then end."""
        if self.reason is None:
            self.acknowledge()  # its sender would have to give up as perhaps sent what was taken
            self.write(encode(Bye("".join(filter(str.isprintable, reason))[:200])))
            self.end(reason)

    def _not_resumed(self) -> None:
        self._resume_alarm = None
        self.close("handshake_timeout")

    # -- writing ----------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send now what fits, keep the rest for `flush`."""
        if self.reason is not None:
            return
        if self._out:
            self._out += data
            if len(self._out) > _MAX_BACKLOG + len(data):
                self.end("not_reading")
            return
        try:
            sent = self.stream.send_nowait(data)
        except ConnectionLost as error:
            return self.end(str(error))
        if sent < len(data):
            self._out += memoryview(data)[sent:]
            self._begin_to_flush()

    def send_lone(self, run: Run) -> bool:
        """Write a run that finds nothing before it. False, and nothing has happened, if it has to wait."""
        owner = self.owner
        if self._out or self.reason is not None or self.going_away or not owner.may_write(self):
            return False
        receive, now = self.receive, self._clock.now()
        parts = owner.outbox.transmit.write_lone(run, now, receive.position)
        if parts is None:
            return False
        self._write_messages(parts, now)
        return True

    def _write_messages(self, parts: list[bytes], now: float) -> None:
        receive = self.receive
        self.owner.writing(self, now)
        self._owes_settled = False
        if receive.news or receive.refusals:
            parts.insert(0, encode(receive.ack()))
        receive.acknowledged = receive.position
        self.wrote = self.owner.outbox.transmit.newest
        self.write(b"".join(parts))

    def pump(self) -> None:
        """Write what the transmit half lets us; the acknowledgement that is owed rides on it (S11)."""
        if self.reason is not None or self.going_away:
            return
        transmit, receive, in_stream = self.owner.outbox.transmit, self.receive, self._datagrams is None
        now = self._clock.now()
        if transmit.unreliable and not in_stream:
            while self.owner.may_write(self) and self._write_unreliable(now):
                pass
        if self._out:
            return
        while transmit.can_write and not self._out and self.owner.may_write(self):
            parts = transmit.write(now, receive.position)
            if parts is not None:
                self._write_messages(parts, now)  # spec S5: "… and Transport Connection engine instances"
            wrote = in_stream and transmit.unreliable and self._write_unreliable(now)
            if parts is None and not wrote:
                break
        while transmit.wants:
            self.write(encode(transmit.wants.popleft()))
        if self._owes_settled:
            self._owes_settled = False
            self.write(encode(Settled(transmit.settled)))

    def _write_unreliable(self, now: float) -> bool:
        """One turn of the unreliable class (U1), beside each frame of the other one. Whether that changed anything."""
        outbox = self.owner.outbox
        run = outbox.transmit.next_unreliable(now)
        if run is None or self.reason is not None:
            return False
        before, written = run.count, frames(run, now, outbox.office.datagram)
        if self._datagrams is not None:
            self._throw(self._datagrams, run, written)
        else:
            self._write_all(run, b"".join(written))
        changed = run.count < before
        if changed:
            self.owner.in_use(now)
            outbox.settled()
        return changed

    def _write_all(self, run: Run, data: bytes) -> None:
        if self._out:
            self._out += data  # behind a frame of the other class, which else might always be first
        else:
            self.write(data)
        if self.reason is None:
            self.owner.outbox.transmit.sent(run, run.count)

    def _throw(self, datagrams: Datagrams, run: Run, written: Iterator[bytes]) -> None:
        """Beside the stream, as many as there is room for; what no datagram can carry is refused."""
        transmit, count, lost = self.owner.outbox.transmit, 0, ""
        for data in map(beside, written):
            if len(data) > datagrams.largest:
                transmit.sent(run, count)
                transmit.refuse(run, too_large(len(data), datagrams.largest))
                count = 0
                continue
            try:
                if not datagrams.send_nowait(data):
                    break
            except ConnectionLost as error:
                lost = str(error)
                break
            count += 1
        transmit.sent(run, count)
        if lost:
            self.end(lost)

    def _begin_to_flush(self) -> None:
        """There is something that the stream did not take. A task waits until it does, and then ends."""
        host = self._host
        if host is not None and not self._flushes:
            self._flushes = True
            host.beside(self._flush)

    async def _flush(self) -> None:
        conditions = self.owner.conditions
        if conditions.point("link.flush_pause"):
            await trio.sleep(conditions.pause("link.flush_pause"))
        while self._out:
            try:
                await self.stream.wait_writable()
                sent = self.stream.send_nowait(bytes(memoryview(self._out)[:_AT_ONCE]))
            except ConnectionLost as error:
                return self.end(str(error))
            del self._out[:sent]
            # It had taken no more: what it takes now, it takes because something has left it.
            self.liveness.wrote(self._clock.now(), sent)
            if not self._out:
                self.pump()
        self._flushes = False

    def acknowledge(self) -> None:
        """Write an Ack if there is anything to say."""
        if self.receive.owes and self.reason is None:
            self.write(encode(self.receive.ack()))

    def _ack_late(self) -> None:
        self._ack_alarm = None
        self.acknowledge()

    # -- reading ----------------------------------------------------------------------------------------

    async def _read(self) -> None:
        await self._handle_all()  # what came behind the handshake's last frame
        while self.reason is None:
            try:
                if not await self._take() and self.reason is None:
                    self._frames.rest()
                    await self.stream.wait_readable()
            except ConnectionLost as error:
                self.end(str(error))

    async def _take(self) -> bool:
        """Read once, and handle that. Whether more may be there."""
        frames, count = self._frames, self._receive()
        if not count:
            return False
        full = frames.full
        await self._handle_all()
        if frames.pending:
            self.liveness.reading(self._clock.now(), count)
        if full:
            await trio.lowlevel.checkpoint()
        return full

    def _receive(self) -> int:
        """Bytes that have come; 0 if there are none now, or never again."""
        try:
            count = self.stream.receive_nowait(self._frames.writable())
        except trio.WouldBlock:
            self.liveness.dry(self._clock.now())
            return 0
        except ConnectionLost as error:
            self.end(str(error))
            return 0
        if count:
            self._frames.commit(count)
        else:
            self.end("closed by the peer")
        return count

    async def _hear(self, datagrams: Datagrams) -> None:
        """What comes beside the stream; and what waits for room there."""
        with suppress(ConnectionLost):  # whoever reads the stream says why
            while self.reason is None:
                await datagrams.wait()
                with suppress(trio.WouldBlock):
                    while self.reason is None:
                        self._on_beside(datagrams.receive_nowait())
                self.pump()

    def _on_beside(self, data: bytes) -> None:
        """A datagram: it may come before the Resume, which it has overtaken then."""
        now = self._clock.now()
        self.liveness.received(now)
        try:
            record = decode(data)
            if not isinstance(record, Datagram):
                raise ProtocolError("a datagram that holds no Datagram")
            self.owner.on_datagram(self, record, now)
        except ProtocolError as error:
            self.close(f"{_PROTOCOL_ERROR}: {error}")

    async def _handle_all(self) -> None:
        """All whole frames that have come. Twenty thousand small ones fit in one read: others have their turns, too."""
        while self._handle():
            await trio.lowlevel.checkpoint()

    def _handle(self) -> bool:
        """Whole frames that have come, then the acknowledgement they ask for (S11). Whether there may be more."""
        now = self._clock.now()
        self.liveness.received(now)
        self.receive.quick = QUICK
        next_frame = self._frames.next_frame
        left = _SLICE
        try:
            while left and self.reason is None and (frame := next_frame()) is not None:
                self.on_frame(frame, now)
                left -= 1
        except (ProtocolError, FrameError) as error:
            self.owner.outbox.transmit.blame()
            self.close(f"{_PROTOCOL_ERROR}: {error}")
            return False
        receive = self.receive
        at_once = receive.news or receive.position - receive.acknowledged >= ACK_EVERY
        if at_once or self.owner.conditions.point("link.ack_at_once"):
            self.acknowledge()
        elif receive.position > receive.acknowledged and self._ack_alarm is None and self.reason is None:
            # It is not cancelled when an Ack has gone earlier: one alarm in 5 ms, not one for each message.
            self._ack_alarm = self._clock.call_at(now + ACK_DELAY, self._ack_late)
        return not left

    def on_frame(self, frame: memoryview, now: float) -> None:
        """One frame, without its length. Raises ProtocolError."""
        if frame[0] == MESSAGES and self.resumed:
            record, payload = decode_messages(frame)
            return self.owner.on_messages(self, record, payload, now)
        decoded = decode(frame)
        if not self.resumed and not isinstance(decoded, Resume | Bye):
            raise ProtocolError("a frame before the Resume")  # S6
        match decoded:
            case Ack(upto, refusals, credit):
                self._owes_settled |= bool(refusals)
                if self.owner.outbox.transmit.acknowledge(upto, refusals, credit, now):
                    self.liveness.round_trip(now)
                self.heard = max(self.heard, upto)
                self.owner.outbox.settled()
                self.pump()
            case Settled(number):
                self.receive.settled(number)
            case Ping(token):
                self.write(encode(Pong(token)))
            case Pong(token):
                self.liveness.pong(self._clock.now(), token)
            case Want() as want:
                self.owner.on_want(self, want)
            case Resume() as resume:
                self._on_resume(resume)
            case Bye(reason):
                if reason.startswith(_PROTOCOL_ERROR):
                    self.owner.outbox.transmit.blame()
                self.end(f"bye: {reason}")
            case Datagram() as datagram:
                self.owner.on_datagram(self, datagram, now)
            case None:
                self.skipped += 1
            case other:
                self.owner.on_control(self, other)

    def _on_resume(self, resume: Resume) -> None:
        if self.resumed:
            raise ProtocolError("a second Resume")
        self.resumed = True
        if self._resume_alarm is not None:
            self._resume_alarm.cancel()
            self._resume_alarm = None
        self._owes_settled = bool(resume.refusals)
        self.owner.on_resume(self, resume)

    # -- liveness ---------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """Ask, look, or give up, as the judgement says (T1, T2)."""
        self._beat_alarm = None
        now = self._clock.now()
        due = self.liveness.due(now)
        if due is LOOK:
            self._look()
            due = self.liveness.due(now)
        if due is DEAD:
            self.stream.abort()
            return self.end("no heartbeat")
        if isinstance(due, Ask):
            self.write(encode(Ping(due.token)))
            self.liveness.ping_sent(now)
        self.owner.outbox.transmit.want_again()
        self.pump()
        if self.reason is None:
            # An answer to what was just asked makes the next question due before the judgement would be (T1).
            soon = min(self.liveness.next_deadline(), now + self.liveness.cfg.ping_after)
            self._beat_alarm = self._clock.call_at(max(soon, now + 0.01), self._beat)

    def _look(self) -> None:
        """Read once more before judging: a loop that was stalled must not take its own sleep for the peer's death."""
        if self._receive():
            self._handle()
        self._frames.rest()


def _forget(datagrams: Datagrams) -> None:
    """What came before the proof was nobody's (H1)."""
    with suppress(trio.WouldBlock, ConnectionLost):
        while True:
            datagrams.receive_nowait()
