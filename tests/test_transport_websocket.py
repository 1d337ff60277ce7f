"""What is special to WebSocket: the upgrade, messages that mean nothing, and peers that are no nodes of ours."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import sha1
from itertools import cycle
from struct import pack, unpack

import pytest
import trio
from conformance import fill, lost, parked, pattern, read, read_exactly, read_to_end, serving
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import MockClock, wait_all_tasks_blocked

from transports.addresses import TLSAddress, WSAddress, WSSAddress
from transports.base import Listener, Stream, send_all
from transports.builtin import ws, wss
from transports.errors import AddressError, ConnectFailed, ConnectionLost
from transports.tcp.stream import LINGER
from transports.tls.certificates import make_certificate
from transports.tls.transport import TlsTransport
from transports.websocket.pump import MAX_MESSAGE, SUBPROTOCOL
from transports.websocket.transport import WebSocketTransport

LOOPBACK = WSAddress("127.0.0.1", 0)
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
ANSWER = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
BINARY, TEXT, MORE, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10


def run(main: Callable[[], Awaitable[object]], *, rate: float = 0.0) -> None:
    """Time stands still (or goes at this rate), and jumps when nothing has moved for a little while."""

    async def bounded() -> None:
        with trio.fail_after(300):
            await main()

    trio.run(bounded, clock=MockClock(rate, autojump_threshold=0.05))


# -- a peer that is made by hand --------------------------------------------------------------------------


class ByHand:
    """The other end of a connection, byte for byte."""

    def __init__(self, stream: trio.abc.Stream, *, masks: bool) -> None:
        self.stream = stream
        self.masks = masks
        self.came = b""
        self.key = ""
        """The Sec-WebSocket-Key of whoever dialed it."""

    async def send(self, kind: int, data: bytes = b"", *, last: bool = True) -> None:
        """One frame (RFC 6455 5.2)."""
        size = len(data)
        short = size if size < 126 else 126 if size < 1 << 16 else 127
        head = bytes([last << 7 | kind, self.masks << 7 | short])
        head += b"" if size < 126 else pack(">H" if size < 1 << 16 else ">Q", size)
        if self.masks:
            head += b"mask"
            data = bytes(byte ^ key for byte, key in zip(data, cycle(b"mask"), strict=False))
        await self.stream.send_all(head + data)

    async def exactly(self, size: int) -> bytes:
        while len(self.came) < size:
            more = await self.stream.receive_some(65536)
            assert more, f"ended with {self.came!r}"
            self.came += more
        data, self.came = self.came[:size], self.came[size:]
        return data

    async def frame(self) -> tuple[int, bytes]:
        """The kind and the data of the next whole one, unmasked."""
        first, second = await self.exactly(2)
        assert first & 0x70 == 0, "an extension"
        assert first & 0x80, "a part of a message"
        size = second & 0x7F
        if size > 125:
            size = unpack(">H", await self.exactly(2))[0] if size == 126 else unpack(">Q", await self.exactly(8))[0]
        key = await self.exactly(4) if second & 0x80 else bytes(4)
        data = await self.exactly(size)
        return first & 0x0F, bytes(byte ^ part for byte, part in zip(data, cycle(key), strict=False))

    async def head(self) -> str:
        """Of an HTTP message."""
        while b"\r\n\r\n" not in self.came:
            more = await self.stream.receive_some(65536)
            assert more, f"ended with {self.came!r}"
            self.came += more
        head, _, self.came = self.came.partition(b"\r\n\r\n")
        return head.decode()

    async def rest(self) -> bytes:
        data, self.came = self.came, b""
        while more := await self.stream.receive_some(65536):
            data += more
        return data


def request(path: str = "/", *, host: str = "here", **headers: str) -> bytes:
    fields = {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Protocol": f"chat, {SUBPROTOCOL}",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


@asynccontextmanager
async def listening(address: WSAddress = LOOPBACK) -> AsyncIterator[Listener]:
    transport = ws()
    async with serving(transport):
        listener = await transport.listen(address)
        try:
            yield listener
        finally:
            await listener.aclose()


async def knock(listener: Listener) -> tuple[ByHand, Stream]:
    """A bare socket at a listener of ours, and what our side sees of it."""
    assert isinstance(listener.address, WSAddress)
    stream = await trio.open_tcp_stream(listener.address.host, listener.address.port)
    return ByHand(stream, masks=True), await listener.accept()


@asynccontextmanager
async def accepted() -> AsyncIterator[tuple[ByHand, Stream]]:
    """A client made by hand, upgraded, and the end that our listener gave."""
    async with listening() as listener:
        peer, ours = await knock(listener)
        async with peer.stream:
            await peer.stream.send_all(request())
            assert f"Sec-WebSocket-Accept: {ANSWER}" in await peer.head()
            yield peer, ours
            ours.abort()
            await go_on(listener)


async def connected(transport: WebSocketTransport, listener: Listener) -> tuple[Stream, Stream]:
    """Both ends: an acceptor begins with its upgrade once it is accepted."""
    ends: list[Stream] = []

    async def accept() -> None:
        ends.append(await listener.accept())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        dialer = await transport.dial(listener.address)
    return dialer, ends[0]


async def go_on(listener: Listener) -> None:
    """Whatever has happened: who comes next is served."""
    transport = ws()
    async with serving(transport):
        dialer, acceptor = await connected(transport, listener)
        await send_all(dialer, b"hello")
        assert await read_exactly(acceptor, 5) == b"hello"
        acceptor.abort()
        dialer.abort()


@asynccontextmanager
async def served(answer: Callable[[ByHand], Awaitable[object]]) -> AsyncIterator[WSAddress]:
    """A server made by hand, which answers one request."""

    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            peer = ByHand(stream, masks=False)
            peer.key = (await peer.head()).partition("Sec-WebSocket-Key: ")[2].partition("\r")[0]
            with suppress(trio.BrokenResourceError):
                await answer(peer)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        yield WSAddress("127.0.0.1", listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


def says(head: str, body: str = "") -> Callable[[ByHand], Awaitable[object]]:
    async def answer(peer: ByHand) -> None:
        await peer.stream.send_all(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    return answer


async def dial_fails(address: WSAddress | WSSAddress, transport: WebSocketTransport | None = None) -> str:
    transport = transport or ws()
    async with serving(transport):
        with pytest.raises(ConnectFailed) as caught:
            await transport.dial(address)
    assert caught.value.address == str(address)
    return caught.value.why


# -- bytes and messages -----------------------------------------------------------------------------------


def test_where_messages_begin_and_end_means_nothing() -> None:
    async def main() -> None:
        async with accepted() as (peer, ours):
            await peer.send(BINARY, b"on")
            await peer.send(BINARY)
            await peer.send(BINARY, b"e, t", last=False)
            await peer.send(PING, b"?")
            await peer.send(MORE, b"w", last=False)
            await peer.send(MORE, b"o", last=True)
            assert await read_exactly(ours, 8) == b"one, two"
            assert await peer.frame() == (PONG, b"?")

    run(main)


def test_all_that_waits_goes_into_one_message() -> None:
    async def main() -> None:
        async with accepted() as (peer, ours):
            for number in range(64):
                assert ours.send_nowait(pattern(number * 100, 100)) == 100
            assert await peer.frame() == (BINARY, pattern(0, 6400))

    run(main)


def test_what_is_sent_before_the_upgrade_waits_for_it() -> None:
    async def main() -> None:
        async with listening() as listener:
            peer, ours = await knock(listener)
            assert ours.send_nowait(b"early") == 5
            await peer.stream.send_all(request())
            await peer.head()
            assert await peer.frame() == (BINARY, b"early")
            ours.abort()
            await peer.stream.aclose()

    run(main)


def test_no_extension_is_agreed_on() -> None:
    async def main() -> None:
        async with listening() as listener:
            peer, ours = await knock(listener)
            await peer.stream.send_all(request(Sec_WebSocket_Extensions="permessage-deflate"))
            head = await peer.head()
            assert head.startswith("HTTP/1.1 101")
            assert "extensions" not in head.lower()
            assert f"Sec-WebSocket-Protocol: {SUBPROTOCOL}" in head
            ours.abort()
            await peer.stream.aclose()

    run(main)


def test_what_a_peer_sent_before_its_close_can_be_read_long_after_it() -> None:
    async def main() -> None:
        async with accepted() as (peer, ours), trio.open_nursery() as nursery:

            async def send() -> None:
                for at in range(0, 1_000_000, 100_000):
                    await peer.send(BINARY, pattern(at, 100_000))
                await peer.send(CLOSE, pack(">H", 1001))

            nursery.start_soon(send)
            await trio.sleep(60)
            assert await read_to_end(ours) == pattern(0, 1_000_000)

    run(main)


# -- peers that are no nodes of ours ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400", "missing header, 'connection: upgrade'"),
        (request(Sec_WebSocket_Version="8"), "426", "missing header, 'sec-websocket-version'"),
        (request(Sec_WebSocket_Key=""), "400", "missing header, 'sec-websocket-key'"),
        (request().replace(b"GET", b"POST"), "400", "request method must be get"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400", "bad http message"),
        (b"\x00\x00\x00\x90\x81\x9b\r\n\r\n", "400", "bad http message"),
        (request("/elsewhere"), "404", "the peer asked for the path /elsewhere"),
        (request("/?token=1"), "404", "the peer asked for the path /?token=1"),
        (request(Sec_WebSocket_Protocol=""), "400", f"the peer does not speak {SUBPROTOCOL}"),
        (request(Sec_WebSocket_Protocol="chat"), "400", f"the peer does not speak {SUBPROTOCOL}"),
    ],
)
def test_a_request_that_is_none_for_us_is_refused_with_its_reason(said: bytes, status: str, why: str) -> None:
    async def main() -> None:
        async with listening() as listener:
            peer, ours = await knock(listener)
            async with peer.stream, trio.open_nursery() as nursery:
                await peer.stream.send_all(said)
                with pytest.raises(ConnectionLost) as caught:
                    await read(ours)
                assert caught.value.why == f"WebSocket: {why}"
                await lost(ours)
                nursery.start_soon(ours.aclose)
                assert (await peer.rest()).startswith(f"HTTP/1.1 {status} ".encode())
            await go_on(listener)

    run(main)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (request(host="xn--a" + "\x80"), "WebSocket: UnicodeDecodeError"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, "WebSocket: "),
    ],
)
def test_an_error_in_the_midst_of_an_upgrade_costs_that_connection(said: bytes, why: str) -> None:
    async def main() -> None:
        async with listening() as listener:
            peer, ours = await knock(listener)
            async with peer.stream:
                await peer.stream.send_all(said)
                with pytest.raises(ConnectionLost) as caught:
                    await read(ours)
                assert caught.value.why.startswith(why)
                await ours.aclose()
            await go_on(listener)

    run(main)


def test_who_ends_before_the_upgrade_is_gone() -> None:
    async def main() -> None:
        async with listening() as listener:
            peer, ours = await knock(listener)
            await peer.stream.aclose()
            with pytest.raises(ConnectionLost, match="closed by the peer"):
                await read(ours)
            await ours.aclose()
            await go_on(listener)

    run(main)


def test_a_text_message_is_refused() -> None:
    async def main() -> None:
        async with accepted() as (peer, ours):
            await peer.send(BINARY, b"before")
            await peer.send(TEXT, b"text")
            assert await read_exactly(ours, 6) == b"before"
            with pytest.raises(ConnectionLost, match="text message"):
                await read(ours)
            assert await peer.frame() == (CLOSE, pack(">H", 1003) + b"binary messages only")

    run(main)


def test_a_message_that_is_too_large_is_refused_and_the_largest_is_not() -> None:
    async def main() -> None:
        async with accepted() as (peer, ours), trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, BINARY, bytes(MAX_MESSAGE))
            assert await read_exactly(ours, MAX_MESSAGE) == bytes(MAX_MESSAGE)
            nursery.start_soon(peer.send, BINARY, bytes(MAX_MESSAGE + 1))
            with pytest.raises(ConnectionLost, match=f"1009, Exceeded maximum message size: {MAX_MESSAGE} bytes"):
                await read(ours)
            kind, data = await peer.frame()
            assert (kind, data[:2]) == (CLOSE, pack(">H", 1009))

    run(main)


def test_a_message_that_never_ends_is_refused_although_it_is_empty() -> None:
    async def main() -> None:
        async with accepted() as (peer, ours), trio.open_nursery() as nursery:

            async def send() -> None:
                await peer.send(BINARY, last=False)
                piece = bytes([MORE, 0x80]) + b"mask"
                with suppress(trio.BrokenResourceError):
                    while True:
                        await peer.stream.send_all(piece * 1000)

            nursery.start_soon(send)
            with pytest.raises(ConnectionLost, match="bytes without a message"):
                await read(ours)
            await ours.aclose()

    run(main, rate=1.0)  # a peer that never stops never lets the clock jump


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        (MORE, b"x", "1002, unexpected CONTINUATION"),
        (CLOSE, pack(">H", 1008) + b"no\x1b[31m", r"1008, no \[31m"),
        (3, b"", "1002, Invalid opcode"),
    ],
)
def test_a_broken_frame_or_an_unfriendly_close_is_told_in_words(kind: int, data: bytes, why: str) -> None:
    async def main() -> None:
        async with accepted() as (peer, ours):
            await peer.send(kind, data)
            with pytest.raises(ConnectionLost, match=why):
                await read(ours)

    run(main)


# -- servers that are no nodes of ours --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says("HTTP/1.1 503 Unavailable", "try\r\nlater"), "the server there answered HTTP 503: try  later"),
        (says("HTTP/1.1 302 Found\r\nLocation: /x"), "the server there answered HTTP 302"),
        (says("HTTP/1.1 103 Early Hints"), "the server there answered HTTP 103"),
        (says("SSH-2.0-x"), "WebSocket: bad http message"),
        (says("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade"), "WebSocket: bad accept token"),
        (says(f"HTTP/1.1 200 OK\r\nX: {'x' * 20_000}"), "WebSocket: its upgrade is longer than 16384 bytes"),
    ],
)
def test_a_server_that_does_not_upgrade_is_a_failed_connect_in_words(
    answer: Callable[[ByHand], Awaitable[object]], why: str
) -> None:
    async def main() -> None:
        async with served(answer) as address:
            assert await dial_fails(address) == why

    run(main)


def test_a_server_that_hangs_up_has_closed() -> None:
    async def main() -> None:
        async with served(lambda peer: peer.stream.aclose()) as address:
            assert await dial_fails(address) == "closed by the peer"

    run(main)


def test_a_server_that_does_not_name_our_subprotocol_is_refused() -> None:
    async def main() -> None:
        async def answer(peer: ByHand) -> None:
            accept = b64encode(sha1(peer.key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
            head = f"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}"
            await peer.stream.send_all(f"{head}\r\n\r\n".encode())
            await peer.rest()

        async with served(answer) as address:
            assert await dial_fails(address) == f"the server there does not speak {SUBPROTOCOL}"

    run(main)


def test_a_server_that_says_nothing_has_so_much_time_and_no_more() -> None:
    async def main() -> None:
        async with served(lambda peer: peer.rest()) as address:
            start = trio.current_time()
            assert await dial_fails(address) == "no answer in 10 s"
            assert trio.current_time() - start == 10

    run(main)


def test_a_dial_that_is_cancelled_in_its_upgrade_leaves_nothing() -> None:
    async def main() -> None:
        ended = trio.Event()

        async def answer(peer: ByHand) -> None:
            try:
                await peer.rest()
            finally:
                ended.set()

        transport = ws()
        async with served(answer) as address, serving(transport):
            async with trio.open_nursery() as nursery:
                await parked(nursery, lambda: transport.dial(address))
                nursery.cancel_scope.cancel()
            await ended.wait()
            await wait_all_tasks_blocked()
            assert transport.connections == 0

    run(main)


def test_the_wrong_path_is_a_failed_connect_and_the_right_one_is_none() -> None:
    async def main() -> None:
        async with listening(WSAddress("127.0.0.1", 0, "/a/node")) as listener:
            assert isinstance(listener.address, WSAddress)
            assert listener.address.path == "/a/node"
            elsewhere = WSAddress("127.0.0.1", listener.address.port)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listener.accept)
                assert await dial_fails(elsewhere) == "the server there answered HTTP 404: no node listens at this path"
            await go_on(listener)

    run(main)


# -- the end ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def pair(transport: WebSocketTransport, address: WSAddress = LOOPBACK) -> AsyncIterator[tuple[Stream, Stream]]:
    listener = await transport.listen(address)
    dialer, acceptor = await connected(transport, listener)
    await listener.aclose()
    yield dialer, acceptor
    dialer.abort()
    acceptor.abort()


def test_a_close_waits_for_the_peer_and_no_longer_than_it_may() -> None:
    async def main() -> None:
        transport = ws()
        async with serving(transport), pair(transport) as (dialer, acceptor):
            start = trio.current_time()
            await fill(dialer)
            await dialer.aclose()
            assert start < trio.current_time() <= start + LINGER + 0.5
            with pytest.raises(ConnectionLost):
                await read_to_end(acceptor)
        async with serving(transport), pair(transport) as (dialer, acceptor):
            start = trio.current_time()
            await dialer.aclose()
            await acceptor.aclose()
            assert trio.current_time() == start

    run(main)


def test_no_task_outlives_its_connection() -> None:
    async def main() -> None:
        transport = ws()
        async with serving(transport):
            await wait_all_tasks_blocked()
            idle = trio.lowlevel.current_statistics().tasks_living
            async with pair(transport) as (dialer, acceptor):
                assert trio.lowlevel.current_statistics().tasks_living > idle
                await dialer.aclose()
                assert await read_to_end(acceptor) == b""
                await acceptor.aclose()
            async with pair(transport) as (dialer, acceptor):
                dialer.abort()
                await lost(acceptor)
                acceptor.abort()
            await wait_all_tasks_blocked()
            assert trio.lowlevel.current_statistics().tasks_living == idle
            assert transport.connections == 0

    run(main)


def test_who_closes_while_all_is_cancelled_still_delivers() -> None:
    async def main() -> None:
        near, far = ws(), ws()
        async with serving(far):
            listener = await far.listen(LOOPBACK)
            dialed: list[Stream] = []

            async def own() -> None:
                dialed.append(await near.dial(listener.address))
                try:
                    await trio.sleep_forever()
                finally:
                    dialed[0].send_nowait(b"bye")
                    with trio.CancelScope(shield=True):
                        await dialed[0].aclose()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(near.serve)
                nursery.start_soon(own)
                acceptor = await listener.accept()
                await wait_all_tasks_blocked(0.01)
                nursery.cancel_scope.cancel()
                assert nursery.child_tasks
            assert await read_to_end(acceptor) == b"bye"
            await acceptor.aclose()
            await listener.aclose()

    run(main)


def test_cancelled_it_ends_also_those_that_nobody_closes() -> None:
    async def main() -> None:
        near, far = ws(), ws()
        async with serving(far):
            listener = await far.listen(LOOPBACK)
            async with serving(near):
                dialer, acceptor = await connected(near, listener)
            with pytest.raises(ConnectionLost):
                await read(dialer)
            with pytest.raises(ConnectionLost):
                await read(acceptor)
            await listener.aclose()
            dialer.abort()
            acceptor.abort()

    run(main)


def test_without_its_pump_a_connection_can_still_be_closed() -> None:
    async def main() -> None:
        transport = ws()
        listener = await transport.listen(LOOPBACK)
        assert isinstance(listener.address, WSAddress)
        for at_once in True, False:
            peer, ours = await knock(listener)
            if at_once:
                ours.abort()
            await ours.aclose()
            with pytest.raises(trio.BrokenResourceError if at_once else AssertionError):
                await peer.exactly(1)
            await peer.stream.aclose()
        await listener.aclose()
        async with serving(transport):
            await wait_all_tasks_blocked()
            assert transport.connections == 0

    run(main)


# -- where it may be used, and TLS ------------------------------------------------------------------------


def test_beyond_this_machine_it_has_to_be_allowed() -> None:
    async def main() -> None:
        for use in ws().dial, ws().listen:
            with pytest.raises(AddressError, match="ws:// protects nothing"):
                await use(WSAddress("192.0.2.1", 4000))

    run(main)


def client(*alpn: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("h2", "http/1.1"), ("h2",)])
def test_over_tls_a_browser_or_a_front_may_come(alpn: tuple[str, ...]) -> None:
    async def main() -> None:
        transport = wss(make_certificate(Ed25519PrivateKey.generate()))
        async with serving(transport):
            listener = await transport.listen(WSSAddress("127.0.0.1", 0))
            assert isinstance(listener.address, WSSAddress)
            plain = await trio.open_tcp_stream("127.0.0.1", listener.address.port)
            stream = trio.SSLStream(plain, client(*alpn), https_compatible=True)
            ours = await listener.accept()
            peer = ByHand(stream, masks=True)
            await stream.send_all(request())
            assert (await peer.head()).startswith("HTTP/1.1 101")
            assert stream.selected_alpn_protocol() == ("http/1.1" if "http/1.1" in alpn else None)
            await peer.send(BINARY, b"hello")
            assert await read_exactly(ours, 5) == b"hello"
            ours.abort()
            await trio.aclose_forcefully(stream)
            await listener.aclose()

    run(main)


def test_over_tls_the_dialer_sees_the_nodes_key_and_older_tls_is_refused() -> None:
    async def main() -> None:
        key = Ed25519PrivateKey.generate()
        transport = wss(make_certificate(key))
        async with serving(transport):
            async with pair(transport, WSSAddress("127.0.0.1", 0)) as (dialer, acceptor):
                assert dialer.channel.key == key.public_key().public_bytes_raw()
                assert acceptor.channel.digest == dialer.channel.digest
            listener = await transport.listen(WSSAddress("127.0.0.1", 0))
            assert isinstance(listener.address, WSSAddress)
            plain = await trio.open_tcp_stream("127.0.0.1", listener.address.port)
            ours = await listener.accept()
            with pytest.raises(trio.BrokenResourceError):
                await trio.SSLStream(plain, client(version=ssl.TLSVersion.TLSv1_2)).do_handshake()
            await plain.aclose()
            with pytest.raises(ConnectionLost, match="TLS: unsupported protocol"):
                await read(ours)
            ours.abort()
            await listener.aclose()

    run(main)


def test_tls_and_websocket_over_tls_do_not_take_each_other_for_their_like() -> None:
    async def main() -> None:
        certificate = make_certificate(Ed25519PrivateKey.generate())
        tls, secure = TlsTransport(certificate), wss(certificate)
        async with serving(secure), trio.open_nursery() as nursery:
            listener = await secure.listen(WSSAddress("127.0.0.1", 0))
            assert isinstance(listener.address, WSSAddress)
            nursery.start_soon(listener.accept)
            with pytest.raises(ConnectFailed, match="does not speak trio-actors/1"):
                await tls.dial(TLSAddress("127.0.0.1", listener.address.port))
            await listener.aclose()

            other = await tls.listen(TLSAddress("127.0.0.1", 0))

            async def accept() -> None:
                with pytest.raises(ConnectionLost, match="does not speak trio-actors/1"):
                    await read(stream := await other.accept())
                stream.abort()

            nursery.start_soon(accept)
            assert isinstance(other.address, TLSAddress)
            with pytest.raises(ConnectFailed):
                await secure.dial(WSSAddress("127.0.0.1", other.address.port))
            await other.aclose()

    run(main)
