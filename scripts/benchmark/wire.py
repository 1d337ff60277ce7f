"""What the raw floors put on the wire: a typed envelope, length-prefixed. And their certificate."""

from __future__ import annotations

import ssl
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct, msgpack

from benchmark.worker import MAILBOX, SENDER, TARGET, clock, middle
from transports.tls.certificates import make_certificate


class Envelope(Struct, array_like=True, gc=False):
    """Who to whom, and what: the cheapest typed form that msgspec has."""

    sender: str
    target: str
    mailbox: str
    msg: bytes


RECEIVE = 64 << 10
GO, DONE = b"go", b"done"
"""What the other end says before it counts, and once it has counted."""
LENGTH = struct.Struct("!I")
_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Envelope).decode


def envelope(body: bytes) -> Envelope:
    """One message."""
    return Envelope(SENDER, TARGET, MAILBOX, body)


def frame(message: Envelope) -> bytes:
    """One frame."""
    data = _encode(message)
    return LENGTH.pack(len(data)) + data


def frames(message: Envelope, count: int) -> bytes:
    """So many, each encoded for itself, in one buffer."""
    encode, pack = _encode, LENGTH.pack
    parts: list[bytes] = []
    add = parts.append
    for _ in range(count):
        data = encode(message)
        add(pack(len(data)))
        add(data)
    return b"".join(parts)


def split(data: bytes | bytearray) -> tuple[int, Envelope | None, bytes]:
    """How many whole frames were decoded, the last of them, and what is left over."""
    view, unpack, decode = memoryview(data), LENGTH.unpack_from, _decode
    position, size, count, message = 0, len(data), 0, None
    while size - position >= LENGTH.size:
        end = position + LENGTH.size + unpack(view, position)[0]
        if end > size:
            break
        message = decode(view[position + LENGTH.size : end])
        position, count = end, count + 1
    return count, message, bytes(view[position:]) if position < size else b""


class Wire(Protocol):
    """A stream, or what looks like one, of whatever library."""

    async def send_all(self, data: bytes) -> None: ...
    async def receive_some(self, most: int) -> bytes | bytearray: ...


async def tells(wire: Wire, message: Envelope, count: int, per_send: int) -> float:
    """Seconds for each of so many frames, counted at the other end."""
    await wire.send_all(b"%d" % count)
    assert await wire.receive_some(64) == GO
    began, left = clock(), count
    if per_send == 1:
        for _ in range(count):
            await wire.send_all(frame(message))
    else:
        while left:
            size = min(per_send, left)
            await wire.send_all(frames(message, size))
            left -= size
    assert await wire.receive_some(64) == DONE
    return (clock() - began) / count


async def pings(wire: Wire, message: Envelope, count: int) -> float:
    """The middle of so many round trips of one frame, in seconds."""
    latencies = []
    for _ in range(count):
        began, tail, got = clock(), b"", 0
        await wire.send_all(frame(message))
        while not got:
            got, _answer, tail = split(tail + await wire.receive_some(RECEIVE))
        latencies.append(clock() - began)
    return middle(latencies)


@cache
def server_context() -> ssl.SSLContext:
    """TLS 1.3 with a key of the kind that nodes have."""
    certificate = make_certificate(Ed25519PrivateKey.generate())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pem"
        path.write_bytes(certificate.secret_pem() + certificate.pem())
        context.load_cert_chain(path)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """As a node's: any certificate will do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
