"""Somebody at a node's address who may say anything: honest frames, broken ones, or bytes that are no frames at all.

For tests of what a node does then. A stranger has a stream and no node: it proves to be whoever's key it has, and
what it says afterwards is up to the test.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, IPPROTO_TCP, TCP_NODELAY, socket

import trio

from actors.errors import ConfigError
from actors.identity import Incarnation, NodeID, NodeKey
from actors.net.messages import Frame, Resume
from actors.net.proving.handshake import Dialer
from actors.net.wire import decode, encode
from transports.addresses import HostAddress, parse_address
from transports.base import Stream, receive_frame, send_all
from transports.channels import PLAIN, Channel
from transports.errors import ConnectionLost
from transports.frames import FrameBuffer
from transports.tcp.stream import SocketStream

_LARGEST = 1 << 20


def honest_dialer(
    key: NodeKey, to: NodeID, *, nonce: bytes = b"n" * 32, dial: int = 1, boot: int = 1, channel: Channel = PLAIN
) -> Dialer:
    """The dialing side of a handshake on a connection that is protected by `channel`."""
    return Dialer(
        key,
        to,
        incarnation=Incarnation(boot, 1),
        dial=dial,
        accepted=None,
        nonce=nonce,
        adverts=(0, 0),
        max_frame=_LARGEST,
        channel=channel,
    )


class Stranger:
    """Speaks over a stream, which it owns from now on."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.frames = FrameBuffer(_LARGEST)

    async def send(self, data: bytes) -> None:
        """As they are."""
        await send_all(self.stream, data)

    async def hear(self) -> Frame | None:
        """The next frame."""
        return decode(await receive_frame(self.stream, self.frames))

    async def prove(self, key: NodeKey, to: NodeID, *, boot: int = 1, nonce: bytes = b"n" * 32) -> Resume:
        """An honest handshake; gives the node's Resume. Raises HandshakeFailed, ProtocolError, ConnectionLost."""
        dialer = honest_dialer(key, to, boot=boot, nonce=nonce, channel=self.stream.channel)
        await self.send(dialer.request())
        dialer.reply(await receive_frame(self.stream, self.frames))
        await self.send(dialer.prove(epoch=1, permanent=False))
        dialer.verdict(await receive_frame(self.stream, self.frames))
        resume = await self.hear()
        assert isinstance(resume, Resume), resume
        return resume

    async def resume(self, first: int = 8, first_bytes: int = 1 << 16) -> None:
        """Say that nothing was received yet, and how much may come."""
        await self.send(encode(Resume(1, 0, [], first, first_bytes, [])))

    async def wait_closed(self) -> float:
        """Throw away what comes until the node closes; seconds that it took."""
        began = trio.current_time()
        buffer = memoryview(bytearray(4096))
        try:
            while True:
                await self.stream.wait_readable()
                try:
                    if not self.stream.receive_nowait(buffer):
                        break
                except trio.WouldBlock:
                    continue
        except ConnectionLost:
            pass
        self.stream.abort()
        return trio.current_time() - began


async def stranger_at(address: str, *, source: str = "") -> Stranger:
    """Connected by a plain socket, from this number of this machine if one is given. OSError if nobody answers."""
    where = parse_address(address)
    if not isinstance(where, HostAddress):
        raise ConfigError(f"a stranger comes to a host and a port, not to {address}")
    sock = trio.socket.from_stdlib_socket(socket(AF_INET6 if ":" in where.host else AF_INET))
    try:
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        if source:
            await sock.bind((source, 0))
        await sock.connect((where.host, where.port))
    except BaseException:
        sock.close()
        raise
    raw = socket(fileno=sock.detach())
    raw.setblocking(False)
    return Stranger(SocketStream(raw, local=source, remote=address, source=source))
