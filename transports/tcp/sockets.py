"""How sockets get connected: lookups, dialing, listening, accepting. Knows no protocol above TCP."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from typing import NamedTuple, TypeAlias, TypeVar

import trio
from msgspec.structs import replace

from transports.addresses import HostAddress, is_loopback
from transports.base import Stream
from transports.errors import AddressError, AddressInUse, ConnectFailed, ListenerClosed, ListenFailed, in_words

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
T = TypeVar("T")
Wrap: TypeAlias = Callable[[socket.socket, SocketAddress], Stream]
"""Makes the stream of an accepted socket; the second argument is the peer's address."""

STAGGER = 0.25
"""Seconds that a number of a name may take before the next one is tried beside it (RFC 8305)."""
BACKLOG = 1024
UNSENT = 128 << 10
"""Bytes that wait unsent in the kernel before a socket counts as full. It bounds what a Ping waits behind on a slow
link and what a slow peer costs; bytes under way are not counted, so a fast one loses nothing."""
PAUSE = 0.1
"""Seconds until the next try after the system had no room for an incoming connection."""

_GONE = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH)
"""What accept says of a connection that ended before it was accepted. Anything else is trouble of our own."""
_NOT_SPOKEN = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class Target(NamedTuple):
    """One of the numbers that a host stands for."""

    family: int
    address: SocketAddress


async def resolve(address: HostAddress, *, loopback_only: bool) -> list[Target]:
    """The numbers behind an address, best first, families by turns. A number needs no lookup.

    `loopback_only` is for protocols that protect nothing: numbers elsewhere are left out, and if none remain
    it is an AddressError. Raises OSError when the name is not known.
    """
    found = await trio.socket.getaddrinfo(address.host.encode(), address.port, type=socket.SOCK_STREAM)
    targets = [Target(family, target) for family, _, _, _, target in found if isinstance(target[0], str)]
    allowed = [target for target in targets if not loopback_only or is_loopback(target.address[0])]
    if targets and not allowed:
        raise AddressError(
            f"{address} reaches beyond this machine and {address.scheme}:// protects nothing: "
            "use a secure transport, or allow it with insecure=True"
        )
    if not allowed:
        raise socket.gaierror(socket.EAI_NONAME, "")
    return _by_turns(allowed)


def _by_turns(targets: Sequence[Target]) -> list[Target]:
    """RFC 8305: after one that does not answer comes one of the other family."""
    first = [target for target in targets if target.family == targets[0].family]
    others = [target for target in targets if target.family != targets[0].family]
    return [target for target in chain.from_iterable(zip_longest(first, others)) if target is not None]


async def reach(
    address: HostAddress,
    attempt: Callable[[Target], Awaitable[T]],
    discard: Callable[[T], object],
    *,
    loopback_only: bool,
    give_up_after: float,
) -> T:
    """The first of the numbers behind an address where an attempt succeeds.

    An attempt raises OSError; what a slower one gives is discarded. Raises ConnectFailed; AddressError as `resolve`.
    """
    failures: list[OSError] = []
    with trio.move_on_after(give_up_after) as scope:
        try:
            targets = await resolve(address, loopback_only=loopback_only)
        except OSError as error:
            raise ConnectFailed(str(address), in_words(error)) from error
        won = await _race(targets, attempt, discard, failures)
        if won is not None:
            return won
    if scope.cancelled_caught:
        raise ConnectFailed(str(address), f"no answer in {give_up_after:g} s")
    words = dict.fromkeys(map(in_words, failures))
    raise ConnectFailed(str(address), "; ".join(words)) from failures[0]


async def _race(
    targets: Sequence[Target],
    attempt: Callable[[Target], Awaitable[T]],
    discard: Callable[[T], object],
    failures: list[OSError],
) -> T | None:
    """The first that answers. The next is tried when one fails, or has not answered after a while."""
    if len(targets) == 1:
        try:
            return await attempt(targets[0])
        except OSError as error:
            failures.append(error)
            return None
    won: list[T] = []

    async def tried(target: Target, failed: trio.Event) -> None:
        try:
            won.append(await attempt(target))
        except OSError as error:
            failures.append(error)
            failed.set()
        else:
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for target in targets:
                failed = trio.Event()
                nursery.start_soon(tried, target, failed)
                with trio.move_on_after(STAGGER):
                    await failed.wait()
    except BaseException:
        for unwanted in won:
            discard(unwanted)
        raise
    for unwanted in won[1:]:
        discard(unwanted)
    return won[0] if won else None


async def connect(target: Target) -> socket.socket:
    """A connected, non-blocking socket. Raises OSError."""
    sock = socket.socket(target.family, socket.SOCK_STREAM)
    try:
        _prepare(sock)
        try:
            sock.connect(target.address)
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
        failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, "")
        if sock.getsockname() == sock.getpeername():
            # The dialing port happened to be the dialed one: TCP connects it to itself, and nobody listens there.
            raise OSError(errno.ECONNREFUSED, "")
    except BaseException:
        sock.close()
        raise
    return sock


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # frames are written whole: nothing to wait for
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)


async def listen(address: HostAddress, wrap: Wrap, *, loopback_only: bool) -> SocketListener:
    """Listen at one number of the address. Raises AddressInUse, ListenFailed; AddressError as `resolve` does."""
    try:
        sock = bind_first(await resolve(address, loopback_only=loopback_only), _bind)
    except OSError as error:
        kind = AddressInUse if error.errno == errno.EADDRINUSE else ListenFailed
        raise kind(str(address), in_words(error)) from error
    return SocketListener(sock, address, wrap)


def bind_first(targets: Sequence[Target], bind: Callable[[Target], socket.socket]) -> socket.socket:
    """Bound to the first number, but for those of a family that this machine does not speak."""
    *others, last = targets
    for target in others:
        try:
            return bind(target)
        except OSError as error:
            if error.errno not in _NOT_SPOKEN:
                raise
    return bind(last)


def _bind(target: Target) -> socket.socket:
    sock = socket.socket(target.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if target.family == socket.AF_INET6:
            # One listener, one family: otherwise [::] would take 0.0.0.0's port too.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(target.address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


class SocketListener:
    """A Listener over a listening socket, which it owns from now on."""

    def __init__(self, sock: socket.socket, address: HostAddress, wrap: Wrap) -> None:
        self._socket = sock
        self._wrap = wrap
        self.address = replace(address, host=host_of(sock.getsockname()), port=sock.getsockname()[1])

    async def accept(self) -> Stream:
        """See Listener. Survives connections that are gone before they are accepted, and a system without room."""
        while True:
            await self._wait()
            try:
                sock, peer = self._socket.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno not in _GONE:
                    await trio.sleep(PAUSE)
                continue
            try:
                _prepare(sock)
                return self._wrap(sock, peer)
            except OSError:
                sock.close()

    async def _wait(self) -> None:
        """Before the accepting, not after it: a cancelled accept must not hold a connection."""
        if self._socket.fileno() < 0:
            raise ListenerClosed(f"{self.address} is closed")
        try:
            await trio.lowlevel.wait_readable(self._socket)
        except trio.ClosedResourceError as error:
            raise ListenerClosed(f"{self.address} is closed") from error

    async def aclose(self) -> None:
        """See Listener."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}{' closed' if self._socket.fileno() < 0 else ''}>"


def host_of(address: SocketAddress) -> str:
    """The host of a socket's address, with the link that a link-local one belongs to."""
    host = address[0]
    return f"{host}%{address[3]}" if len(address) == 4 and address[3] and "%" not in host else host
