"""Transport Connection: one connection, from its first byte to its last. It proves both ends, then runs the link.

spec: "a Transport Protocol engine ... spawns a Transport Connection per connection". The specification gives it Send
only; here what goes up is what a proxy needs to know that its connection is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio

from actors.admission import Deny, Later, Moment
from actors.engine import Engine, on, own_context
from actors.errors import ProtocolError, SendError
from actors.events import HostileConnection
from actors.identity import EngineID
from actors.net.call import Call, DialFailed
from actors.net.connecting.contest import Contender
from actors.net.connecting.locality import host_in
from actors.net.messages import MAX_FRAME_UNPROVEN, Denied, Incompatible, OverCapacity
from actors.net.network import Network
from actors.net.proving.handshake import Acceptor, Dialer, HandshakeFailed, Proven
from actors.net.session.link import Link
from actors.net.vocabulary import (
    ROUTER,
    Admit,
    Attach,
    Dial,
    Evict,
    HandshakeStarted,
    Settling,
    TurnedAway,
    transport_engine,
)
from transports.base import Stream, Transport, receive_frame, send_all
from transports.errors import ConnectionLost, FrameError, NotSpoken, TransportError
from transports.frames import FrameBuffer

_TURNED_AWAY = 1.0
"""Seconds after which whoever was turned away for no reason of its own may come again."""
_WORDS = {
    "stale_incarnation": "another run with its key, which is newer or as new, is known here",
    "over_capacity": "each record of a peer is in use: see limits.peers",
    "stopping": "this node is stopping",
    "another_session": "it is of an earlier session",
    "wrong_node": "wrong_node: it asked for another node",
    "self": "self: it says that it is this node itself",
    "malformed": "malformed: it named a node that cannot be",
    "incompatible": "incompatible: it speaks no version of the protocol that is spoken here",
}
"""For people of this node."""


class TransportConnection(Engine):
    """One that was accepted, or one to be dialed."""

    network: Network
    transport: Transport
    begin: Stream | Dial | None
    """One that was accepted, or what to dial; None once that has begun."""
    claim: Callable[[Stream | Call], object]
    """Told once this engine will close the stream that was accepted, or end the call."""
    stream: Stream | None = None
    link: Link | None = None
    """What to run once it is proven."""

    # -- port -------------------------------------------------------------------------------------------

    async def port(self) -> None:
        """The connection itself. It is closed when this ends, however it ends."""
        begin, self.begin = self.begin, None
        assert begin is not None
        try:
            await (self._dial(begin) if isinstance(begin, Dial) else self._accept(begin))
            del begin
            if self.link is not None:
                own = own_context(self)
                own.rest()
                await self.link.run(own)
        finally:
            await self._close()

    def _taken(self, link: Link) -> None:
        """The proxy says so in the very step that takes the connection into the session.

        From then on the connection is the session's to close (C5), also if the race it was dialed for is decided by
        another one in this moment (C7).
        """
        self.link = link

    async def _close(self) -> None:
        stream, self.stream = self.stream, None
        if stream is None:
            return
        if self.link is not None:
            self.link.end("cancelled")
        with trio.CancelScope(shield=True):
            await stream.aclose()

    # -- as the dialer ----------------------------------------------------------------------------------

    async def _dial(self, msg: Dial) -> None:
        """Until the link stands, or it is known that there will be none. Who does not want it ends this life."""
        call = msg.call
        self.claim(call)
        call.begin(own_context(self).leave)
        try:
            failed = await self._connect(msg)
            if failed is not None:
                call.end(failed)
        finally:
            call.end(DialFailed("its connection has ended"))  # the first word counts

    async def _connect(self, msg: Dial) -> DialFailed | None:
        """Dial, prove, attach. Whatever goes wrong is the answer; the connection is closed then."""
        try:
            barred = self._barred(msg)
            if barred is not None:
                return barred
            stream = await self.transport.dial(msg.address)
            self.stream = stream
            if stream.channel.speaks_for_server and stream.channel.key != bytes(msg.peer):
                return DialFailed("wrong_key: the certificate there is another node's")  # before a byte is signed
            due = self.now + self.network.cfg.handshake_timeout
            alarm = self.network.clock.call_at(due, partial(self._too_slow, msg.call))
            try:
                await self._prove(stream, msg)
            finally:
                alarm.cancel()
        except HandshakeFailed as failed:
            return DialFailed(failed.reason, failed.retry_after, failed.signed, failed.newest)
        except (TransportError, ProtocolError) as error:
            return DialFailed(str(error))
        except SendError as error:
            return DialFailed(f"the proxy is gone: {error}")
        return None

    def _too_slow(self, call: Call) -> None:
        """The peer has had its time; unless the proxy has taken the link in this moment."""
        if self.link is None:
            call.end(DialFailed("no answer to the handshake in time"))
            own_context(self).leave()

    def _barred(self, msg: Dial) -> DialFailed | None:
        """What this node's own policy has against the dial."""
        match self.network.door.judge(Moment.DIAL, msg.peer, host_in(str(msg.address))):
            case Deny(why):
                return DialFailed(f"this node's policy: {why}", barred=True)
            case Later(seconds, why):
                return DialFailed(f"this node's policy: {why}", retry_after=seconds)
            case _:
                return None

    async def _prove(self, stream: Stream, msg: Dial) -> None:
        network = self.network
        began = self.now
        frames = FrameBuffer(MAX_FRAME_UNPROVEN)
        dialer = Dialer(
            network.key,
            msg.peer,
            incarnation=network.incarnation,
            dial=msg.dial,
            accepted=msg.accepted,
            nonce=network.nonce(),
            adverts=msg.adverts,
            max_frame=network.cfg.max_frame,
            channel=stream.channel,
        )
        await self.send(msg.proxy, HandshakeStarted(msg.call))
        await send_all(stream, dialer.request())
        ok = dialer.reply(await receive_frame(stream, frames))
        rtt = self.now - began
        await self._pause("dialer.pause")
        await send_all(stream, dialer.prove(epoch=msg.epoch, permanent=msg.permanent))
        accepted = dialer.verdict(await receive_frame(stream, frames))
        frames.limit = dialer.max_frame
        link = await self.ask(
            msg.proxy,
            Attach(
                stream,
                frames,
                Contender(network.key.id, dialer.connection, msg.accepted),
                dialer.peer_incarnation,
                accepted.epoch,
                accepted.permanent,
                msg.epoch,
                None,
                dialer.max_frame,
                ok.advert_yours,
                rtt,
                began + network.cfg.handshake_timeout,
                self._taken,
                msg.call,
                str(msg.address),
            ),
        )
        if isinstance(link, TurnedAway):
            raise HandshakeFailed(link.reason)

    # -- as the acceptor --------------------------------------------------------------------------------

    async def _accept(self, stream: Stream) -> None:
        """Let somebody prove who it is. What was wrong is an event."""
        self.stream = stream
        self.claim(stream)
        try:
            with trio.fail_after(self.network.cfg.handshake_timeout):
                await self._be_proven(stream)
        except trio.TooSlowError:
            self._report(stream, "no handshake in time")
        except HandshakeFailed as failed:
            self._report(stream, failed.reason)
        except (ProtocolError, FrameError) as error:
            self._report(stream, str(error))
        except NotSpoken as lost:
            self._report(stream, lost.why)
        except (ConnectionLost, SendError):
            pass
        finally:
            self._settle()

    async def _be_proven(self, stream: Stream) -> None:
        network, door = self.network, self.network.door
        began = self.now
        frames = FrameBuffer(MAX_FRAME_UNPROVEN)
        if self.transport.secure:
            await door.turn(secure=True)  # before the first byte is read, which begins the channel's own handshake
        acceptor = Acceptor(
            network.key,
            incarnation=network.incarnation,
            nonce=network.nonce(),
            max_frame=network.cfg.max_frame,
            channel=stream.channel,
            adverts=network.versions,
        )
        request = await receive_frame(stream, frames)
        if not self.transport.secure:
            await door.turn(secure=False)
        hint = self._hint(stream)
        reply, goes_on = acceptor.request(request, hint)
        await self._pause("acceptor.pause")
        asked = self.now
        await send_all(stream, reply)
        if not goes_on:
            return None if acceptor.hint is hint else self._went_wrong(stream, acceptor.hint)
        proven = acceptor.proof(await receive_frame(stream, frames))
        frames.limit = proven.max_frame
        if network.conditions.point("acceptor.over_capacity"):
            return await send_all(stream, acceptor.refuse("over_capacity", _TURNED_AWAY, None))
        door.counters.proven += 1
        if network.peers.knows(proven.peer, began):
            door.give_back(secure=self.transport.secure)
        link: Link | TurnedAway | None = self._refusal(stream, proven) or self._outlived(proven)
        if link is None:
            with door.arriving(proven.peer):
                link = await self._join(stream, frames, acceptor, proven, self.now - asked, began)
                if isinstance(link, TurnedAway):
                    door.turned_away(proven.peer, host_in(stream.remote), _WORDS.get(link.reason, link.reason))
        if isinstance(link, TurnedAway):
            await send_all(stream, acceptor.refuse(link.reason, link.retry_after, link.newest))

    def _hint(self, stream: Stream) -> Denied | OverCapacity | None:
        """What the policy has against whoever comes from there, before the proof (H5)."""
        match self.network.door.judge(Moment.ACCEPT, None, host_in(stream.remote)):
            case Deny():
                return Denied("policy")
            case Later(seconds):
                return OverCapacity(seconds)
            case _:
                return None

    def _went_wrong(self, stream: Stream, hint: Denied | Incompatible | OverCapacity | None) -> None:
        """It came to the wrong node, or speaks another version: nothing that the policy has looked at."""
        why = hint.reason if isinstance(hint, Denied) else "incompatible"
        self.network.door.turned_away(None, host_in(stream.remote), _WORDS.get(why, why))

    def _refusal(self, stream: Stream, proven: Proven) -> TurnedAway | None:
        """What it has against this node, which has proved itself: a word to be signed (H7)."""
        match self.network.door.judge(Moment.PROOF, proven.peer, host_in(stream.remote)):
            case Deny():
                return TurnedAway("denied")
            case Later(seconds):
                return TurnedAway("over_capacity", seconds)
            case _:
                return None

    def _outlived(self, proven: Proven) -> TurnedAway | None:
        """Whoever only calls, and is never called, says with its `accepted` which run of this node it knows (I3)."""
        newest = None if proven.accepted is None else proven.accepted.incarnation
        if newest is None or not self.network.is_outlived_by(newest):
            return None
        self.network.outlived(proven.peer, newest)
        return TurnedAway("outlived")

    async def _join(
        self, stream: Stream, frames: FrameBuffer, acceptor: Acceptor, proven: Proven, rtt: float, began: float
    ) -> Link | TurnedAway:
        """Attach to the proxy of that node; to the next one if it ends just now (C10)."""
        while True:
            proxy = await self.ask(ROUTER, Admit(proven))
            if isinstance(proxy, TurnedAway):
                return proxy
            attach = Attach(
                stream,
                frames,
                Contender(proven.peer, proven.connection, proven.accepted),
                proven.incarnation,
                proven.epoch,
                proven.permanent,
                None,
                lambda epoch, permanent: acceptor.accept(epoch=epoch, permanent=permanent),
                proven.max_frame,
                proven.advert_yours,
                rtt,
                began + self.network.cfg.handshake_timeout,
                self._taken,
            )
            try:
                return await self.ask(proxy, attach)
            except SendError:
                await trio.sleep(0.01)  # the proxy ends, or does not run yet

    async def _pause(self, point: str) -> None:
        if self.network.conditions.point(point):
            await trio.sleep(self.network.conditions.pause(point))

    def _report(self, stream: Stream, why: str) -> None:
        self.network.runtime.events.emit(HostileConnection(self.now, stream.remote, why))

    def _settle(self) -> None:
        protocol = transport_engine(self.transport.scheme)
        self.network.runtime.tell_nowait(protocol, Settling(EngineID(None, self.id.name)))

    @on(Evict)
    def evict(self, _: Evict) -> None:
        """Somebody else needs the slot (H9)."""
        self.stop()
