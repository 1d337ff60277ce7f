"""What the people of scripts/hostile do at a node's addresses, and what they saw. They know nothing of targets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random

import trio
from msgspec import Struct, field

from actors.errors import ProtocolError
from actors.events import Connected, DialFailed
from actors.identity import NodeID, NodeKey
from actors.net.messages import Ack, Kind, Lane, Messages, Ping, Pong, RunHead, Want
from actors.net.proving.handshake import HandshakeFailed
from actors.net.wire import encode, encode_messages
from actors.node import Node, open_node
from actors.testing.detour import Detour
from actors.testing.faultproxy import open_fault_proxy
from actors.testing.stranger import Stranger, honest_dialer, stranger_at
from transports.addresses import parse_address
from transports.errors import ConnectFailed, ConnectionLost, FrameError
from transports.tcp.transport import TcpTransport
from transports.tls.certificates import make_certificate
from transports.tls.transport import TlsTransport

AT_ONCE = 12
"""People who shake hands at the same time; a source has 16 places."""
CROWD = 200
"""The same, where each has an address of its own; there are 256 places."""
PACE = 0.002
"""Seconds between two of a crowd: 500 come a second. More at once wait in the kernel until they are accepted."""
PATIENCE = 10.0
"""Seconds after which somebody who was neither answered nor closed counts as stuck."""
GONE = (ConnectionLost, ConnectFailed, ProtocolError, FrameError, HandshakeFailed, OSError)
FOUR_GIB = b"\xff\xff\xff\xff"


async def all_of(count: int, come: Callable[[int], Awaitable[None]], at_once: int = AT_ONCE) -> None:
    """`count` people, so many of them at once."""
    numbers = iter(range(count))

    async def one_after_the_other() -> None:
        for number in numbers:
            await come(number)

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(one_after_the_other)
            await trio.sleep(PACE)


def nonce(random: Random) -> bytes:
    """32 bytes."""
    return random.randbytes(32)


@asynccontextmanager
async def visit(address: str, source: str = "") -> AsyncIterator[Stranger]:
    """Somebody at this address, for the length of the block."""
    if address.startswith("tls"):
        transport = TlsTransport(make_certificate(NodeKey.generate().private_key()))
        stranger = Stranger(await transport.dial(parse_address(address)))
    else:
        stranger = await stranger_at(address, source=source)
    try:
        yield stranger
    finally:
        stranger.stream.abort()


# -- row 11 -----------------------------------------------------------------------------------------------


class Broken(Struct):
    """What came of malformed frames."""

    sent: int = 0
    stuck: int = 0


def _frames(to: NodeID) -> Iterator[bytes]:
    """What a proven peer may say."""
    tells = b"\x92\x92\x01\xc4\x00\x92\x02\xc4\x00"
    yield encode_messages(
        Messages(1, 0, 0, [Lane(1, "", "target")], [RunHead(1, Kind.TELL, 2, 1000, len(tells))]), len(tells)
    ) + tells  # fmt: skip
    yield encode(Want("target", 100))
    yield encode(Ack(0, [], []))
    yield b"\x00\x00\x0b\xb9\x93" + b"\x91" * 3000


def broken(data: bytes, random: Random) -> bytes:
    """Bits turned, a part left out, doubled or made up."""
    changed = bytearray(data)
    at = random.randrange(len(changed))
    match random.randrange(5):
        case 0:
            del changed[at:]
        case 1:
            changed[at:at] = random.randbytes(random.randint(1, 20))
        case 2:
            changed[at : at + 4] = random.choice((b"\xff\xfe\xfd\xfc", FOUR_GIB, b"\0\0\0\0", b"\xc1\xc1\xc1\xc1"))
        case _:
            for _ in range(random.randint(1, 4)):
                changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


async def come_broken(address: str, to: NodeID, sources: Sequence[str], random: Random) -> Broken:
    """One from each source: half before the proof, half after it."""
    seen = Broken()

    async def come(number: int) -> None:
        key = NodeKey.from_seed(random.randbytes(32))
        async with visit(address, sources[number]) as stranger:
            with suppress(*GONE), trio.move_on_after(PATIENCE) as patience:
                if number % 2:
                    await stranger.send(broken(honest_dialer(key, to, nonce=nonce(random)).request(), random))
                else:
                    await stranger.prove(key, to, nonce=nonce(random))
                    await stranger.resume()
                    await stranger.send(broken(b"".join(_frames(to)), random) + encode(Ping(7)))
                seen.sent += 1
                with trio.move_on_after(0.05) as waits:  # for the rest of a frame, as it may; or it answers, or closes
                    while await stranger.hear() != Pong(7):
                        pass
                if waits.cancelled_caught and number % 2:
                    await stranger.wait_closed()
            seen.stuck += patience.cancelled_caught

    await all_of(len(sources), come, at_once=CROWD)
    return seen


# -- row 12 -----------------------------------------------------------------------------------------------


async def promise_four_gib(address: str, to: NodeID, sources: Sequence[str]) -> int:
    """One from each source: every second one is proven first. How many are not closed for it."""
    still_open = 0

    async def come(number: int) -> None:
        nonlocal still_open
        async with visit(address, sources[number]) as stranger:
            with suppress(*GONE), trio.move_on_after(PATIENCE) as patience:
                if number % 2:
                    await stranger.prove(NodeKey.generate(), to)
                    await stranger.resume()
                await stranger.send(FOUR_GIB + bytes(1000))
                await stranger.wait_closed()
            still_open += patience.cancelled_caught

    await all_of(len(sources), come, at_once=CROWD)
    return still_open


# -- row 13 -----------------------------------------------------------------------------------------------


class Slow(Struct):
    """Seconds that the last slow socket was left open, and that each honest handshake took meanwhile."""

    last: float = 0.0
    honest: list[float] = field(default_factory=list)
    failed: int = 0


async def come_slowly(address: str, to: NodeID, sources: Sequence[str], friends: str) -> Slow:
    """All at once, a byte of an honest request a second each; honest people come from elsewhere all the while."""
    seen = Slow()

    async def come(source: str) -> None:
        with suppress(*GONE):
            async with visit(address, source) as stranger:
                began = trio.current_time()
                with suppress(*GONE):
                    await _drip(stranger, honest_dialer(NodeKey.generate(), to).request())
                seen.last = max(seen.last, trio.current_time() - began)

    async def be_honest() -> None:
        while True:
            began = trio.current_time()
            try:
                async with visit(address, friends) as stranger:
                    with trio.fail_after(PATIENCE):
                        await stranger.prove(NodeKey.generate(), to)
                seen.honest.append(trio.current_time() - began)
            except (*GONE, trio.TooSlowError):
                seen.failed += 1
            await trio.sleep(0.02)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(be_honest)
        async with trio.open_nursery() as slow:
            for source in sources:
                slow.start_soon(come, source)
                await trio.sleep(PACE)
        nursery.cancel_scope.cancel()
    return seen


async def _drip(stranger: Stranger, data: bytes) -> None:
    for byte in data:
        with trio.move_on_after(1):
            await stranger.wait_closed()
            return
        await stranger.send(bytes([byte]))


# -- row 16 -----------------------------------------------------------------------------------------------


class Crowd(Struct):
    """What came of more people than there is room for."""

    accepted: int = 0
    unsigned: int = 0
    early: int = 0
    refused: int = 0


async def fill_the_book(address: str, to: NodeID, count: int, friend: Node, advert: str) -> Crowd:
    """All stay who are let in; one more node wants a permanent link; then the friend's connection is cut."""
    seen = Crowd()
    async with trio.open_nursery() as nursery:

        async def come(_: int) -> None:
            stranger = await stranger_at(address)
            nursery.start_soon(_stay, stranger)
            with trio.move_on_after(PATIENCE):
                try:
                    await stranger.prove(NodeKey.generate(), to)
                    await stranger.resume()
                    seen.accepted += 1
                except HandshakeFailed as failed:
                    seen.unsigned += not (failed.signed and failed.reason == "over_capacity" and failed.retry_after > 0)
                except GONE:
                    seen.unsigned += 1

        await all_of(count, come)
        seen.early = await _dials_of_one_more(address, to, advert)
        seen.refused = await _come_again(friend, to)
        nursery.cancel_scope.cancel()
    return seen


async def _stay(stranger: Stranger) -> None:
    """For as long as one is let."""
    try:
        await trio.sleep_forever()
    finally:
        stranger.stream.abort()


async def _dials_of_one_more(address: str, to: NodeID, advert: str) -> int:
    """A real node, refused and asked to wait for 30 s: how often it comes again within 5."""
    async with open_fault_proxy(address) as proxy:
        transport = Detour(TcpTransport(), proxy)
        async with open_node(NodeKey.generate(), listen=(), transports=(transport,), peers=(advert,)) as node:
            events = node.events.subscribe()
            with trio.move_on_after(PATIENCE) as patience:
                async for event in events:
                    if isinstance(event, DialFailed) and "over_capacity" in event.why:
                        break
            await trio.sleep(5)
            return proxy.accepted - (not patience.cancelled_caught)


async def _come_again(friend: Node, to: NodeID) -> int:
    """The friend's connection is cut, five times: how often it was refused before it was back."""
    refused = 0
    for _ in range(5):
        events = friend.events.subscribe()
        friend.cut(to)
        async for event in events:
            refused += isinstance(event, DialFailed)
            if isinstance(event, Connected):
                break
        events.close()
    return refused
