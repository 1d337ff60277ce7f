"""TLS 1.3 over a connected socket, as a Stream.

`ssl.SSLObject` reads and writes memory; what it says crosses the socket below without waiting, so that the hot path
is that of TCP: `trio.SSLStream` has no such calls. The handshake happens in the first reads and writes.
"""

from __future__ import annotations

import ssl
import threading
from contextlib import suppress
from typing import Final, NamedTuple

import trio

from transports.channels import Channel
from transports.errors import CLOSED_BY_PEER, ConnectionLost, NotSpoken
from transports.tcp.stream import SocketStream


class Alpn(NamedTuple):
    """What is spoken inside TLS (RFC 7301)."""

    name: str
    required: bool = True
    """Whether a peer that names no protocol at all is turned away."""


ALPN: Final = "trio-actors/1"
OURS: Final = Alpn(ALPN)
_CHUNK: Final = 64 << 10
"""Bytes that are encrypted at a time; as many wait for the socket at most."""


_NOTHING: Final = memoryview(b"")


class _Scratch(threading.local):
    """Room for what comes from below, and is handed to TLS in the same step: of each thread, not of each connection."""

    def __init__(self) -> None:
        self.room = memoryview(bytearray(_CHUNK))


_scratch = _Scratch()


class TlsStream:
    """A Stream over a socket's, which it owns."""

    datagrams = None
    __slots__ = (
        "_alpn",
        "_below",
        "_drained",
        "_dry",
        "_ended",
        "_in",
        "_out",
        "_owed",
        "_sealed",
        "_settled",
        "_tls",
        "channel",
        "local",
        "remote",
    )

    def __init__(
        self,
        below: SocketStream,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        channel: Channel,
        local: str,
        remote: str,
        alpn: Alpn = OURS,
    ) -> None:
        self._below = below
        self._alpn = alpn
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side)
        self._sealed = _NOTHING
        """Encrypted, and not yet taken by the socket."""
        self._owed = 0
        """The bytes that are in it, and were not yet said to be sent."""
        self._dry = True
        """Whether nothing can be read before more comes from below."""
        self._ended = False
        """Whether the peer has said that nothing more comes."""
        self._drained = False
        """Whether the socket had no more than it gave when it was read last."""
        self._settled = False
        """Whether the handshake is over, and what it agreed on has been looked at."""
        self.channel = channel
        self.local = local
        self.remote = remote

    @property
    def source(self) -> str:
        """See Stream."""
        return self._below.source

    # -- sending ----------------------------------------------------------------------------------------

    def send_nowait(self, data: bytes | memoryview) -> int:
        """See Stream."""
        if not self._flush():
            return 0
        sent, self._owed = self._owed, 0
        view = memoryview(data)
        while sent < len(view):
            count = self._write(view[sent : sent + _CHUNK])
            if not self._flush():
                self._owed = count
                break
            if not count:
                break
            sent += count
        return sent

    def _write(self, data: memoryview) -> int:
        try:
            return self._tls.write(data)
        except ssl.SSLWantReadError:  # the handshake is not over
            return 0
        except ssl.SSLError as error:
            raise self._lost(error) from error

    def _flush(self) -> bool:
        """Hand over what is encrypted. Whether all of it is gone."""
        while self._sealed or self._out.pending:
            sealed = self._sealed or memoryview(self._out.read())
            self._sealed = sealed[self._below.send_nowait(sealed) :]
            if self._sealed:
                return False
            self._sealed = _NOTHING  # what has gone need not be kept
        return True

    async def wait_writable(self) -> None:
        """See Stream."""
        await self._below.wait_writable()
        while not self._flush():
            await self._below.wait_writable()

    # -- receiving --------------------------------------------------------------------------------------

    def receive_nowait(self, buffer: memoryview) -> int:
        """See Stream. A peer that ends without saying so in TLS is a ConnectionLost."""
        count = 0
        while count < len(buffer):
            if self._is_empty and not self._refill(count):
                return count
            try:
                got = self._tls.read(len(buffer) - count, buffer[count:])
            except ssl.SSLWantReadError:
                if not self._fill(wait=not count):
                    return count
                continue
            except ssl.SSLZeroReturnError:
                got = b""
            except ssl.SSLError as error:
                raise self._lost(error) from error
            self._look()
            if not got:
                self._ended, self._dry = True, False  # who waits for more learns it at once, whatever the socket says
                return count
            count += int(got)
        self._dry = False
        return count

    @property
    def _is_empty(self) -> bool:
        """Whether TLS would say that it has nothing: an error, which costs more than to know it."""
        return self._settled and not (self._in.pending or self._ended or self._tls.pending())

    def _refill(self, count: int) -> bool:
        """More from below, where so much was read already: not from a socket that has just given all it had."""
        if count and self._drained:
            self._dry = True
            return False
        return self._fill(wait=not count)

    def _fill(self, *, wait: bool) -> bool:
        """More from below, for TLS to read. False: there is none now; `wait`: say so by WouldBlock."""
        self._dry = True
        self._flush()
        try:
            sealed = _scratch.room
            count = self._below.receive_nowait(sealed)
        except trio.WouldBlock:
            if wait:
                raise
            return False
        if not count:
            if wait:
                raise ConnectionLost(CLOSED_BY_PEER)
            self._dry = False  # the next call will say it
            return False
        self._in.write(sealed[:count])
        self._drained = count < len(sealed)
        return True

    async def wait_readable(self) -> None:
        """See Stream."""
        if self._dry:
            await self._below.wait_readable()
        else:
            await trio.lowlevel.checkpoint()

    # -- the handshake ----------------------------------------------------------------------------------

    async def do_handshake(self) -> bytes:
        """As the dialer: until it is over; the server's certificate (DER). ConnectionLost."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                if not self._flush():
                    await self.wait_writable()
                await self._more()
            except ssl.SSLError as error:
                raise self._lost(error) from error
            else:
                break
        if not self._flush():
            await self.wait_writable()
        self._look()
        return self._tls.getpeercert(binary_form=True) or b""

    async def _more(self) -> None:
        """An answer takes a while: wait first."""
        while True:
            await self._below.wait_readable()
            with suppress(trio.WouldBlock):
                self._fill(wait=True)
                return

    def _look(self) -> None:
        if self._settled:
            return
        agreed = self._tls.selected_alpn_protocol()
        if agreed != self._alpn.name and (agreed is not None or self._alpn.required):
            raise NotSpoken(f"TLS: the peer does not speak {self._alpn.name}")
        self._settled = True

    def _lost(self, error: ssl.SSLError) -> ConnectionLost:
        with suppress(ConnectionLost):
            self._flush()  # the alert that tells the peer why
        if isinstance(error, ssl.SSLEOFError):
            return ConnectionLost(CLOSED_BY_PEER)
        return NotSpoken(f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}")

    # -- the end ----------------------------------------------------------------------------------------

    def abort(self) -> None:
        """See Stream."""
        self._below.abort()

    async def aclose(self) -> None:
        """See Stream."""
        with suppress(ssl.SSLError, ValueError):  # it waits for the peer's own end, or there has been no handshake
            self._tls.unwrap()
        await self._below.aclose(bytes(self._sealed) + self._out.read())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.local} -> {self.remote}>"
