"""Row 20 of scripts/hostile: many peers that take nothing, and give as much as they can.

Each peer is proven, allows the node to send whatever it likes, asks for more than an outbox holds, and reads none of
it: the outbox fills. It asks for signs of life, whose answers wait to be sent. It leaves its allowance with an engine
that does not come to its messages. And it begins the largest frame there is, and does not end it.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from socket import AF_INET, SO_RCVBUF, SOL_SOCKET, socket

import trio
from msgspec import msgpack
from target import CARGO, Beg, Cargo

from actors.identity import NodeID, NodeKey
from actors.messages import Message
from actors.net.messages import Kind, Lane, Messages, Ping, RunHead
from actors.net.wire import LENGTH, encode, encode_messages
from actors.testing.stranger import Stranger
from transports.addresses import HostAddress, parse_address
from transports.tcp.stream import SocketStream

MUCH = 1 << 40
"""Credit without end."""
SMALL = 4096
"""Bytes of its receive buffer: what the kernel holds for a peer is in no process."""
PINGS = 60_000
"""Their answers, of 15 bytes each, and the rest of a Cargo are a little less than what may wait to be sent."""
ALLOWANCE = 64 << 10
"""Bytes that every engine takes of every peer (PROTOCOL K3)."""


async def come_greedily(
    stack: AsyncExitStack, address: str, to: NodeID, source: str, *, outbox: int, frame: int
) -> None:
    """One peer, which stays for as long as the stack does. The sizes are the node's limits."""
    stranger = await _visit(address, source)
    stack.callback(stranger.stream.abort)
    await stranger.prove(NodeKey.generate(), to)
    await stranger.resume(first=MUCH, first_bytes=MUCH)
    await stranger.send(_tell(1, "target", Beg(2 * outbox // CARGO)))
    await stranger.send(_tell(2, "asleep", Cargo(bytes(ALLOWANCE - 100))))
    await trio.sleep(0.1)
    for _ in range(PINGS // 1000):
        await stranger.send(encode(Ping((1 << 64) - 1)) * 1000)
    await stranger.send(LENGTH.pack(frame) + b"\x91" + bytes(frame - 2))


async def _visit(address: str, source: str) -> Stranger:
    where = parse_address(address)
    assert isinstance(where, HostAddress)
    sock = trio.socket.from_stdlib_socket(socket(AF_INET))
    sock.setsockopt(SOL_SOCKET, SO_RCVBUF, SMALL)
    await sock.bind((source, 0))
    await sock.connect((where.host, where.port))
    raw = socket(fileno=sock.detach())
    raw.setblocking(False)
    return Stranger(SocketStream(raw, local=source, remote=address, source=source))


def _tell(number: int, target: str, message: Message) -> bytes:
    payload = msgpack.encode([message])
    run = RunHead(number, Kind.TELL, 1, 60_000, len(payload))
    head = Messages(number, 0, 0, [Lane(number, "greedy", target)], [run])
    return encode_messages(head, len(payload)) + payload
