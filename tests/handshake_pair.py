"""Two nodes with fixed keys and both sides of a handshake between them, for tests. No I/O."""

from __future__ import annotations

from typing import TypedDict, Unpack

from actors.identity import Incarnation, NodeID, NodeKey
from actors.net import wire
from actors.net.messages import Accepted, ConnectionID, ConnectOk, Frame
from actors.net.proving.handshake import Acceptor, Dialer, Proven
from transports.channels import Channel

ALICE = NodeKey.from_seed(bytes(range(32)))
BOB = NodeKey.from_seed(bytes(range(32, 64)))
MALLORY = NodeKey.from_seed(b"m" * 32)

ALICE_RUN = Incarnation(1_700_000_000_000, 0xA11CE)
BOB_RUN = Incarnation(1_700_000_000_001, 0xB0B)

TLS = 1
PLAIN_CHANNEL = (0, b"")


class DialerOptions(TypedDict, total=False):
    key: NodeKey
    dst: NodeID
    incarnation: Incarnation
    dial: int
    accepted: ConnectionID | None
    nonce: bytes
    adverts: tuple[int, int]
    max_frame: int
    channel: tuple[int, bytes]
    versions: tuple[int, int]
    retry_caps: tuple[float, float]


class AcceptorOptions(TypedDict, total=False):
    key: NodeKey
    incarnation: Incarnation
    nonce: bytes
    max_frame: int
    channel: tuple[int, bytes]
    adverts: tuple[int, int]
    versions: tuple[int, int]


def dialer(**options: Unpack[DialerOptions]) -> Dialer:
    """Alice, who dials Bob for the seventh time and has accepted his second dial."""
    channel = options.get("channel", PLAIN_CHANNEL)
    return Dialer(
        options.get("key", ALICE),
        options.get("dst", BOB.id),
        incarnation=options.get("incarnation", ALICE_RUN),
        dial=options.get("dial", 7),
        accepted=options.get("accepted", ConnectionID(BOB_RUN, 2)),
        nonce=options.get("nonce", b"d" * 32),
        adverts=options.get("adverts", (3, 4)),
        max_frame=options.get("max_frame", 1 << 20),
        channel=Channel(*channel),
        versions=options.get("versions", (1, 1)),
        retry_caps=options.get("retry_caps", (30.0, 600.0)),
    )


def acceptor(**options: Unpack[AcceptorOptions]) -> Acceptor:
    """Bob, dialed by anyone."""
    channel = options.get("channel", PLAIN_CHANNEL)
    adverts = options.get("adverts", (5, 6))
    return Acceptor(
        options.get("key", BOB),
        incarnation=options.get("incarnation", BOB_RUN),
        nonce=options.get("nonce", b"a" * 32),
        max_frame=options.get("max_frame", 1 << 19),
        channel=Channel(*channel),
        adverts=lambda _: adverts,
        versions=options.get("versions", (1, 1)),
    )


def body(frame: bytes) -> memoryview:
    """A whole frame as a reader hands it on: without its length, which must be right."""
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return memoryview(frame)[4:]


def record(frame: bytes) -> Frame:
    """What a whole frame says."""
    said = wire.decode(body(frame))
    assert said is not None
    return said


def replied(dialer: Dialer, acceptor: Acceptor) -> ConnectOk:
    """The first two steps."""
    reply, go_on = acceptor.request(body(dialer.request()))
    assert go_on
    return dialer.reply(body(reply))


def proven(dialer: Dialer, acceptor: Acceptor, *, epoch: int = 11, permanent: bool = True) -> Proven:
    """The first three steps."""
    replied(dialer, acceptor)
    return acceptor.proof(body(dialer.prove(epoch=epoch, permanent=permanent)))


def accepted(dialer: Dialer, acceptor: Acceptor) -> tuple[Proven, Accepted]:
    """All four."""
    who = proven(dialer, acceptor)
    return who, dialer.verdict(body(acceptor.accept(epoch=22, permanent=False)))
