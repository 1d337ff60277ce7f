"""What is special to TCP: names, several numbers, what leaves the machine, and errors of the system."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from socket import AddressFamily, SocketKind
from typing import Literal, TypeAlias

import pytest
import trio
from conformance import InTheLoop, fill, lost, read, read_to_end
from trio.testing import MockClock, wait_all_tasks_blocked

from transports.addresses import TCPAddress, TransportAddress, parse_address
from transports.base import send_all
from transports.errors import (
    AddressError,
    AddressInUse,
    ConnectFailed,
    ConnectionLost,
    ListenFailed,
    TransportError,
    in_words,
)
from transports.tcp.sockets import PAUSE, STAGGER, UNSENT, SocketListener
from transports.tcp.stream import LINGER, SocketStream
from transports.tcp.transport import TcpTransport

LOOPBACK = TCPAddress("127.0.0.1", 0)
NAME = TCPAddress("node.example", 4000)

SocketAddress: TypeAlias = tuple[str, int]
Four: TypeAlias = tuple[Literal[AddressFamily.AF_INET], SocketKind, int, str, SocketAddress]
Six: TypeAlias = tuple[
    Literal[AddressFamily.AF_INET6], SocketKind, int, str, tuple[str, int, int, int] | tuple[int, bytes]
]


def run(main: Callable[[], Awaitable[object]]) -> None:
    """Time stands still, and jumps when nothing has moved for a little while."""

    async def looking() -> None:
        trio.socket.set_custom_hostname_resolver(InTheLoop())
        await main()

    trio.run(looking, clock=MockClock(autojump_threshold=0.05))


def entry(host: str, port: int) -> Four | Six:
    """As getaddrinfo gives it."""
    if ":" in host:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)


class Resolver(trio.abc.HostnameResolver):
    """A name service that knows one name."""

    def __init__(self, *numbers: SocketAddress) -> None:
        self.numbers = numbers
        self.asked = 0

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Four | Six]:
        self.asked += 1
        if host != b"node.example" or not self.numbers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [entry(*number) for number in self.numbers]

    async def getnameinfo(self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int) -> tuple[str, str]:
        raise NotImplementedError


def resolve_with(*numbers: SocketAddress) -> Resolver:
    resolver = Resolver(*numbers)
    trio.socket.set_custom_hostname_resolver(resolver)
    return resolver


@contextmanager
def deaf() -> Iterator[SocketAddress]:
    """A number that does not answer: its queue is full and nobody accepts."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in first, second:
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()


@contextmanager
def unused() -> Iterator[SocketAddress]:
    """A number that refuses: bound, so that nobody else gets it, and not listening."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()


async def greeted(listener: SocketListener) -> bytes:
    stream = await listener.accept()
    greeting = await read(stream)
    stream.abort()
    return greeting


async def greet(transport: TcpTransport, address: TransportAddress) -> SocketStream:
    stream = await transport.dial(address)
    await send_all(stream, b"hello")
    return stream


# -- names and numbers ------------------------------------------------------------------------------------


def test_a_number_needs_no_lookup() -> None:
    async def main() -> None:
        resolver = resolve_with()
        listener = await TcpTransport().listen(LOOPBACK)
        stream = await greet(TcpTransport(), listener.address)
        assert await greeted(listener) == b"hello"
        assert resolver.asked == 0
        stream.abort()
        await listener.aclose()

    run(main)


def test_a_name_is_tried_number_by_number_until_one_answers() -> None:
    async def main() -> None:
        listener = await TcpTransport().listen(LOOPBACK)
        with unused() as refusing:
            resolve_with(refusing, refusing, ("127.0.0.1", listener.address.port))
            start = trio.current_time()
            stream = await greet(TcpTransport(), NAME)
            assert trio.current_time() == start
        assert await greeted(listener) == b"hello"
        assert stream.remote == str(listener.address)
        stream.abort()
        await listener.aclose()

    run(main)


def test_a_number_that_does_not_answer_is_passed_after_a_while() -> None:
    async def main() -> None:
        listener = await TcpTransport().listen(LOOPBACK)
        with deaf() as silent:
            resolve_with(silent, ("127.0.0.1", listener.address.port))
            start = trio.current_time()
            stream = await greet(TcpTransport(), NAME)
            assert trio.current_time() - start == STAGGER
        assert await greeted(listener) == b"hello"
        stream.abort()
        await listener.aclose()

    run(main)


def test_families_take_turns() -> None:
    async def main() -> None:
        listener = await TcpTransport().listen(TCPAddress("::1", 0))
        with deaf() as silent:
            resolve_with(silent, silent, silent, ("::1", listener.address.port))
            start = trio.current_time()
            stream = await greet(TcpTransport(), NAME)
            assert trio.current_time() - start == STAGGER
        assert await greeted(listener) == b"hello"
        stream.abort()
        await listener.aclose()

    run(main)


def test_all_that_went_wrong_is_told_once() -> None:
    async def main() -> None:
        with unused() as refusing:
            resolve_with(refusing, refusing)
            with pytest.raises(ConnectFailed) as caught:
                await TcpTransport().dial(NAME)
        assert caught.value.address == "tcp://node.example:4000"
        assert caught.value.why == "connection refused, nothing listens there"

    run(main)


def test_a_dial_gives_up_after_its_time() -> None:
    async def main() -> None:
        with deaf() as (host, port), pytest.raises(ConnectFailed, match="no answer in 3 s"):
            await TcpTransport(dial_timeout=3).dial(TCPAddress(host, port))

    run(main)


def test_a_name_that_nobody_knows_is_a_failed_connect() -> None:
    async def main() -> None:
        resolve_with()
        with pytest.raises(ConnectFailed, match="name not known"):
            await TcpTransport().dial(NAME)
        with pytest.raises(ListenFailed, match="name not known"):
            await TcpTransport().listen(NAME)

    run(main)


def test_a_cancelled_dial_leaves_no_socket_behind() -> None:
    async def main() -> None:
        with deaf() as silent:
            resolve_with(silent, silent, silent)
            before = os.listdir("/dev/fd")
            with trio.move_on_after(3 * STAGGER):
                await TcpTransport().dial(NAME)
            assert os.listdir("/dev/fd") == before

    run(main)


def test_localhost_is_a_name_like_others() -> None:
    async def main() -> None:
        listener = await TcpTransport().listen(TCPAddress("localhost", 0))
        stream = await greet(TcpTransport(), TCPAddress("localhost", listener.address.port))
        assert await greeted(listener) == b"hello"
        stream.abort()
        await listener.aclose()

    trio.run(main)


def test_ipv6_and_ipv4_share_a_port() -> None:
    async def main() -> None:
        transport = TcpTransport(insecure=True)
        six = await transport.listen(TCPAddress("::", 0))
        four = await transport.listen(TCPAddress("0.0.0.0", six.address.port))
        stream = await greet(transport, TCPAddress("::1", six.address.port))
        assert await greeted(six) == b"hello"
        stream.abort()
        await six.aclose()
        await four.aclose()

    run(main)


def test_a_dial_that_reaches_itself_reached_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class SelfDialing(socket.socket):
        """Its own port happens to be the one it dials."""

        def connect(self, address: object) -> None:
            assert isinstance(address, tuple)
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.bind(address)
            super().connect(address)

    async def main() -> None:
        with unused() as (host, port):
            pass
        monkeypatch.setattr("transports.tcp.sockets.socket.socket", SelfDialing)
        with pytest.raises(ConnectFailed, match="nothing listens there"):
            await TcpTransport().dial(TCPAddress(host, port))

    run(main)


# -- what leaves the machine ------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://192.0.2.7:4000", "tcp://[2001:db8::1]:1"])
def test_what_protects_nothing_stays_on_this_machine(url: str) -> None:
    async def main() -> None:
        for use in TcpTransport().dial, TcpTransport().listen:
            with pytest.raises(AddressError, match="insecure=True") as caught:
                await use(parse_address(url))
            assert url in str(caught.value)

    run(main)


def test_a_name_counts_by_its_numbers() -> None:
    async def main() -> None:
        listener = await TcpTransport().listen(LOOPBACK)
        resolve_with(("192.0.2.7", 4000))
        with pytest.raises(AddressError, match="insecure=True"):
            await TcpTransport().dial(NAME)
        resolve_with(("192.0.2.7", 4000), ("127.0.0.1", listener.address.port))
        stream = await greet(TcpTransport(), NAME)
        assert stream.remote == str(listener.address)
        stream.abort()
        await listener.aclose()

    run(main)


def test_a_listener_passes_over_numbers_that_this_machine_does_not_have() -> None:
    async def main() -> None:
        resolve_with(("2001:db8::77", 0), ("127.0.0.1", 0))
        listener = await TcpTransport(insecure=True).listen(NAME)
        assert listener.address.host == "127.0.0.1"
        resolve_with(("127.0.0.1", listener.address.port), ("::1", 0))
        with pytest.raises(AddressInUse):
            await TcpTransport().listen(NAME)
        await listener.aclose()

    run(main)


def test_insecure_is_said_in_words() -> None:
    async def main() -> None:
        listener = await TcpTransport(insecure=True).listen(TCPAddress("0.0.0.0", 0))
        assert listener.address.host == "0.0.0.0"
        assert listener.address.port
        await listener.aclose()

    run(main)


# -- errors of the system ---------------------------------------------------------------------------------


class Troubled(socket.socket):
    """A listening socket whose first accepts fail."""

    troubles: list[int]

    def accept(self) -> tuple[socket.socket, SocketAddress]:
        if self.troubles:
            raise OSError(self.troubles.pop(0), "trouble")
        return super().accept()


def troubled(*troubles: int) -> SocketListener:
    sock = Troubled()
    sock.troubles = list(troubles)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return SocketListener(sock, LOOPBACK, lambda sock, peer: SocketStream(sock, local="", remote="", source=""))


@pytest.mark.parametrize("trouble", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EINVAL])
def test_accepting_survives_a_system_without_room_and_does_not_spin(trouble: int) -> None:
    async def main() -> None:
        listener = troubled(*[trouble] * 3)
        stream = await greet(TcpTransport(), listener.address)
        start = trio.current_time()
        assert await greeted(listener) == b"hello"
        assert trio.current_time() - start == pytest.approx(3 * PAUSE)
        stream.abort()
        await listener.aclose()

    run(main)


def test_accepting_passes_over_connections_that_are_gone() -> None:
    async def main() -> None:
        listener = troubled(errno.ECONNABORTED, errno.EPROTO)
        stream = await greet(TcpTransport(), listener.address)
        start = trio.current_time()
        assert await greeted(listener) == b"hello"
        assert trio.current_time() == start
        stream.abort()
        await listener.aclose()

    run(main)


def test_accepting_passes_over_a_socket_that_cannot_be_wrapped() -> None:
    failures = [OSError(errno.EINVAL, "gone")]
    opened: list[socket.socket] = []

    def wrap(sock: socket.socket, peer: object) -> SocketStream:
        opened.append(sock)
        if failures:
            raise failures.pop()
        return SocketStream(sock, local="", remote="", source="")

    async def main() -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        listener = SocketListener(sock, LOOPBACK, wrap)
        first = await greet(TcpTransport(), listener.address)
        second = await greet(TcpTransport(), listener.address)
        assert await greeted(listener) == b"hello"
        assert opened[0].fileno() == -1
        first.abort()
        second.abort()
        await listener.aclose()

    run(main)


def test_a_place_that_is_not_ours_cannot_be_listened_at() -> None:
    async def main() -> None:
        with pytest.raises(ListenFailed, match="does not belong to this machine") as caught:
            await TcpTransport(insecure=True).listen(TCPAddress("192.0.2.77", 0))
        assert isinstance(caught.value, TransportError)

    run(main)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNRESET, "x"), "connection reset by the peer"),
        (OSError(errno.EPIPE, "x"), "closed by the peer"),
        (OSError(errno.ENETUNREACH, "x"), "network unreachable"),
        (OSError(errno.ETIMEDOUT, "x"), "timed out"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("odd"), "odd"),
        (OSError(), "OSError"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "the name service does not answer"),
        (socket.gaierror(socket.EAI_FAIL, "failed for good"), "failed for good"),
    ],
)
def test_errors_of_the_system_are_told_in_words(error: OSError, words: str) -> None:
    assert in_words(error) == words


# -- a stream ---------------------------------------------------------------------------------------------


async def pair() -> tuple[SocketStream, SocketStream]:
    listener = await TcpTransport().listen(LOOPBACK)
    dialer = await TcpTransport().dial(listener.address)
    acceptor = await listener.accept()
    await listener.aclose()
    assert isinstance(acceptor, SocketStream)
    return dialer, acceptor


def test_a_close_waits_for_the_peer_to_end_and_no_longer() -> None:
    async def main() -> None:
        dialer, acceptor = await pair()
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dialer.aclose)
            await wait_all_tasks_blocked()
            await acceptor.aclose()
        assert trio.current_time() == start
        dialer, acceptor = await pair()
        start = trio.current_time()
        await dialer.aclose()
        assert trio.current_time() - start == LINGER
        acceptor.abort()

    run(main)


def test_an_abort_ends_a_close_that_waits() -> None:
    async def main() -> None:
        dialer, acceptor = await pair()
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dialer.aclose)
            await wait_all_tasks_blocked()
            dialer.abort()
        assert trio.current_time() == start
        await lost(acceptor)
        acceptor.abort()

    run(main)


def test_an_abort_throws_away_what_the_kernel_holds() -> None:
    async def main() -> None:
        dialer, acceptor = await pair()
        await fill(dialer)
        dialer.abort()
        with pytest.raises(ConnectionLost, match="reset by the peer"):
            await read_to_end(acceptor)
        acceptor.abort()

    run(main)


def test_bytes_wait_with_us_not_in_the_kernel() -> None:
    async def main() -> None:
        dialer, acceptor = await pair()
        level = dialer._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        assert level == UNSENT
        assert dialer._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        dialer.abort()
        acceptor.abort()

    run(main)
