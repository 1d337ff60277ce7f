"""Connections over plain TCP. They prove and hide nothing: for this machine, or where somebody says insecure=True."""

from __future__ import annotations

from socket import socket

from transports.addresses import TCPAddress, TransportAddress, source_of
from transports.errors import AddressError
from transports.sockets import SocketAddress, SocketListener, connect, host_of, listen
from transports.streams import SocketStream


class TcpTransport:
    """The Transport of `tcp://`.

    insecure: also dial and listen beyond loopback, where everybody on the way can read and write.
    dial_timeout: seconds for one dial, its lookup included.
    """

    scheme = TCPAddress.scheme
    secure = TCPAddress.secure
    serve = None

    def __init__(self, *, insecure: bool = False, dial_timeout: float = 10.0) -> None:
        self.insecure = insecure
        self.dial_timeout = dial_timeout

    async def dial(self, address: TransportAddress) -> SocketStream:
        """See Transport. A name is looked up; its numbers are tried by turns, a quarter second apart."""
        sock, peer = await connect(_own(address), loopback_only=not self.insecure, give_up_after=self.dial_timeout)
        return _stream(sock, peer)

    async def listen(self, address: TransportAddress) -> SocketListener:
        """See Transport. A name stands for the first of its numbers that this machine has; `[::]` is IPv6 only."""
        return await listen(_own(address), _stream, loopback_only=not self.insecure)


def _own(address: TransportAddress) -> TCPAddress:
    if not isinstance(address, TCPAddress):
        raise AddressError(f"{address} is no tcp:// address")
    return address


def _stream(sock: socket, peer: SocketAddress) -> SocketStream:
    return SocketStream(sock, local=_url(sock.getsockname()), remote=_url(peer), source=source_of(host_of(peer)))


def _url(address: SocketAddress) -> str:
    return str(TCPAddress(host_of(address), address[1]))
