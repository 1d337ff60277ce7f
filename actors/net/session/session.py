"""The session with one remote node: its two halves, the connections that carry it, and which of them is current.

Everything here happens in one step, between two checkpoints: that is what the rules of PROTOCOL C, S and D ask for.
The Node Proxy decides when to dial and when to end; it hears of what happens here through `Changes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from actors.errors import ProtocolError
from actors.identity import Incarnation, NodeID
from actors.net.connecting.contest import current, superseded
from actors.net.messages import (
    Advert,
    AdvertAccepted,
    AdvertInvalid,
    AdvertStale,
    Datagram,
    Disperse,
    Frame,
    GoAway,
    Idle,
    IdleOk,
    Messages,
    Resume,
    Want,
)
from actors.net.session.conditions import Conditions
from actors.net.session.link import Link
from actors.net.session.outbox import Outbox
from actors.net.session.receive import Engines, OutOfStep, Receive
from actors.net.session.unreliable import enter
from actors.net.wire import encode
from actors.runtime import Alarm, Clock

MISSTEPS = 3
"""Frames in succession, each of which cost a connection, until a half that does not fit is forgotten (S12)."""
IDLE_AFTER = 300.0
"""Seconds without a message, queued, retained or asked, after which an ephemeral end asks to close (D1)."""

_NONE: Final[Mapping[str, int]] = {}


class Half(Protocol):
    """Where the receive half of this peer is kept: the Router's record, which outlives this session (S2)."""

    receive: Receive | None


class Changes(Protocol):
    """What the Node Proxy hears. All of it is synchronous."""

    def resumed(self, link: Link) -> None:
        """A connection can carry messages now."""

    def ended(self, link: Link, reason: str, clean: bool) -> None:
        """A proven end is gone. Clean: nothing was written that is not settled (D4)."""

    def agreed_to_close(self, link: Link) -> None:
        """Both ends were idle: unless something is written first, leave the table, say Bye, end (D3)."""

    def peer_goes_away(self, retry_after: float) -> None:
        """The peer is stopping (D5)."""

    def disperse(self, within: float) -> None:
        """The peer has a crowd (L7)."""

    def advert(self, link: Link, record: Frame) -> None:
        """An advert or a reply to one came."""

    def is_idle(self) -> bool:
        """Whether this end may be closed: ephemeral, nobody waits for an answer, no handshake of its own (D1, D2)."""


class Session:
    """One node's side of it. `engines` are those of this node."""

    def __init__(
        self,
        peer: NodeID,
        outbox: Outbox,
        half: Half,
        *,
        clock: Clock,
        engines: Engines,
        epochs: Callable[[], int],
        idle_after: float = IDLE_AFTER,
        conditions: Conditions | None = None,
    ) -> None:
        self.peer = peer
        self.outbox = outbox
        self.half = half
        self.conditions = conditions or Conditions()
        self.links: list[Link] = []
        self.current: Link | None = None
        self.connections = 0
        self.reconnects = 0
        """Connections that took over while messages were written and not acknowledged."""
        self.dropped: Mapping[str, int] = _NONE
        """Messages of the unreliable class that came and did not go into a mailbox, by reason (U2)."""
        self.changes: Changes = DEAF
        """Who hears of what happens here: the proxy, once it runs."""
        self._clock = clock
        self._engines = engines
        self._epochs = epochs
        self._idle_after = idle_after
        self._active = clock.now()
        self._idle_alarm: Alarm | None = None

    # -- connections come -------------------------------------------------------------------------------

    def receive_half(self, incarnation: Incarnation, epoch: int) -> Receive | None:
        """The receive half for a proven session of the peer, or None if a newer one is known (S1, S10)."""
        have = self.half.receive
        if have is None or have.incarnation != incarnation or have.epoch < epoch:
            if have is not None and have.incarnation == incarnation:
                self._drop_links("another session")
            have = self.half.receive = Receive(incarnation, epoch, self._epochs(), have.inlets if have else None)
        return have if have.epoch == epoch else None

    def peer_restarted(self) -> None:
        """A newer incarnation of the peer has proved itself (S9, I2)."""
        self._drop_links("the peer restarted")
        self.outbox.collect()
        self.outbox.transmit.renew(self.outbox.transmit.epoch, "peer_restarted")
        self.outbox.settled()

    def attach(self, link: Link, greeting: bytes = b"") -> None:
        """A proven end joins; its first frame is our Resume (S6), behind the acceptor's `greeting`."""
        self.links.append(link)
        self.connections += 1
        self._touch()
        link.write(greeting + encode(link.receive.resume()))

    # -- what links report ------------------------------------------------------------------------------

    def may_write(self, link: Link) -> bool:
        """Only on the current connection (C4), and not against a promise (D2)."""
        return link is self.current and link.closing.may_write

    def writing(self, link: Link, now: float) -> None:
        """Only what is written cancels a question (D1): one that is merely accepted may still expire unwritten."""
        link.closing.sending()
        self._active = now

    def on_resume(self, link: Link, record: Resume) -> None:
        """The peer says where it stands: settle that, then see which connection is the best (S6, C4)."""
        transmit = self.outbox.transmit
        if not transmit.known(record.record, record.position):
            return self._session_lost(link)
        in_flight = transmit.unacknowledged > 0
        transmit.acknowledge(record.position, record.refusals, record.credit, self._clock.now())
        self._touch()
        transmit.resume((record.first_count, record.first_size), record.credit)
        self.outbox.settled()
        self.changes.resumed(link)
        self._choose(in_flight)

    def _session_lost(self, link: Link) -> None:
        """The peer no longer knows this session: begin another, over a new connection (S2, S12)."""
        self.outbox.collect()
        self.outbox.transmit.renew(self._epochs(), "session_lost")
        self.outbox.settled()
        self._drop_links("session lost")

    def on_messages(self, link: Link, record: Messages, payload: memoryview, now: float) -> None:
        """Numbered messages; those of a session that is over are dropped unread (S10)."""
        if link.receive is not self.half.receive:
            return
        self._active = now
        link.closing.on_message()
        try:
            link.receive.take(record, payload, link.lanes, now, self._engines)
        except OutOfStep:
            self._out_of_step(link.receive)
            raise
        finally:
            self._heard(link, record.upto, now)  # behind the messages: an answer to one of them does not wait for it
        self.outbox.pump()

    def _heard(self, link: Link, upto: int, now: float) -> None:
        if upto and self.outbox.transmit.acknowledge(upto, (), (), now):
            link.liveness.round_trip(now)
            self.outbox.settled()
        if upto > link.heard:
            link.heard = upto

    def _out_of_step(self, half: Receive) -> None:
        """Forget a half whose sender will never fit it again: the next Resume tells, and it begins anew (S12)."""
        half.missteps += 1
        if half.missteps >= MISSTEPS:
            self.half.receive = Receive(half.incarnation, half.epoch, self._epochs(), half.inlets)

    def in_use(self, now: float) -> None:
        """A message of the unreliable class crosses.

        It neither cancels a question nor frees a promise: the other end may never see it (D1, D4).
        """
        self._active = now

    def on_datagram(self, link: Link, record: Datagram, now: float) -> None:
        """A message of the unreliable class: into a mailbox, or dropped and counted (U2, U3)."""
        self.in_use(now)
        if link.receive is not self.half.receive:
            self._drop("another_session")
        elif not link.window.is_new(record.id):
            link.receive.duplicates += 1
        elif why := enter(record, self._engines.find(record.target)):
            self._drop(why)
        else:
            link.receive.received += 1

    def _drop(self, why: str) -> None:
        self.dropped = {**self.dropped, why: self.dropped.get(why, 0) + 1}

    def on_want(self, link: Link, record: Want) -> None:
        """The peer waits for room for a large message (K4)."""
        link.receive.want(record.target, record.size, self._engines)

    def on_control(self, link: Link, record: Frame) -> None:
        """Everything that is not about messages. ProtocolError for what may not come after the proof."""
        match record:
            case Idle():
                # Whether our own words have crossed its question only this connection can tell (D2): one that expired
                # is unacknowledged, too, and another connection's word may overtake what is on its way here.
                if link is self.current and link.closing.on_idle(self.idle and link.heard >= link.wrote):
                    link.write(encode(IdleOk()))
            case IdleOk():
                if link is self.current and link.closing.on_idle_ok():
                    self.changes.agreed_to_close(link)
            case GoAway(_, retry_after):
                link.going_away = True
                self.changes.peer_goes_away(retry_after)
            case Disperse(within):
                self.changes.disperse(within)
            case Advert() | AdvertAccepted() | AdvertStale() | AdvertInvalid():
                self.changes.advert(link, record)
            case _:
                raise ProtocolError(f"{type(record).__name__} after the proof")

    def ended(self, link: Link, reason: str) -> None:
        """A link is over: another resumed one takes its place, if there is one (C4)."""
        if link not in self.links:
            return
        self.links.remove(link)
        if link is self.current:
            self.current = self.outbox.current = None
            self._choose()
        self._say_again()
        self.changes.ended(link, reason, link.closing.connection_ended())

    # -- which one --------------------------------------------------------------------------------------

    def _choose(self, in_flight: bool = False) -> None:
        """Write on the best resumed end from here on, and close every end that is worse (C4, C5)."""
        proven = {link.contender: link for link in self.links}
        resumed = [link.contender for link in self.links if link.resumed]
        best = current(resumed)
        if best is None:
            return
        if proven[best] is not self.current:
            self.reconnects += in_flight and self.current is None
            self.current = self.outbox.current = proven[best]
            self.outbox.transmit.rewind(self.current.carrier)
        for contender in superseded(proven, resumed):
            proven[contender].close("superseded")
        proven[best].pump()

    def _drop_links(self, reason: str) -> None:
        for link in list(self.links):
            link.close(reason)

    # -- credit and acknowledgements --------------------------------------------------------------------

    def _say_again(self) -> None:
        """The last words on a connection that is gone may be lost; a Resume before them knew nothing of them (K1, S7).

        With no other connection, the Resume of the next one says it all.
        """
        link = self.current or next(iter(self.links), None)
        if link is not None and link.receive is self.half.receive:
            link.receive.repeat()
            link.acknowledge()

    def limit_changed(self) -> None:
        """An engine has made room: say so on the connection that the peer writes on (K2)."""
        if self.current is not None:
            self.current.acknowledge()

    # -- idle close -------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing queued, retained or open here, and the proxy agrees (D1)."""
        return self.outbox.idle and self.changes.is_idle()

    def _touch(self) -> None:
        self._active = self._clock.now()
        if self._idle_alarm is None:
            self._idle_alarm = self._clock.call_at(self._active + self._idle_after, self._look_idle)

    def _look_idle(self) -> None:
        """Ask to close if nothing happened for long enough; look again later in any case."""
        now = self._clock.now()
        self._idle_alarm = None
        if self.current is None:
            return
        quiet_until = self._active + self._idle_after
        if now >= quiet_until and self.idle and self.current.closing.idle():
            self.current.write(encode(Idle()))
        self._idle_alarm = self._clock.call_at(
            quiet_until if quiet_until > now else now + self._idle_after, self._look_idle
        )

    # -- the end ----------------------------------------------------------------------------------------

    def say_goodbye(self, retry_after: float) -> None:
        """The node is stopping: tell the peer on every connection, once (D5)."""
        if self.half.receive is not None:
            self.half.receive.absent = "stopped"
        for link in self.links:
            if not link.leaving:
                link.leaving = True
                link.write(encode(GoAway("stopping", retry_after)))

    def close(self, reason: str) -> None:
        """End all connections. The outbox is the proxy's to settle."""
        if self._idle_alarm is not None:
            self._idle_alarm.cancel()
            self._idle_alarm = None
        self._drop_links(reason)


class _Deaf:
    """Before the proxy runs, and after it: there are no links that anything could happen to."""

    def resumed(self, link: Link) -> None: ...
    def ended(self, link: Link, reason: str, clean: bool) -> None: ...
    def agreed_to_close(self, link: Link) -> None: ...
    def peer_goes_away(self, retry_after: float) -> None: ...
    def disperse(self, within: float) -> None: ...
    def advert(self, link: Link, record: Frame) -> None: ...
    def is_idle(self) -> bool:
        return False


DEAF = _Deaf()
