"""Connections over plain TCP. They prove and hide nothing: for this machine, or where somebody says insecure=True."""

from __future__ import annotations

from socket import socket

from transports.addresses import HostAddress, TCPAddress, TransportAddress, source_of
from transports.errors import AddressError
from transports.tcp.sockets import SocketAddress, SocketListener, Target, connect, host_of, listen, reach
from transports.tcp.stream import SocketStream


class TcpTransport:
    """The Transport of `tcp://`.

    insecure: also dial and listen beyond loopback, where everybody on the way can read and write.
    dial_timeout: seconds for one dial, its lookup included.
    kind: the type of its addresses; another one for a protocol that lies on TCP.
    """

    serve = None

    def __init__(
        self, *, insecure: bool = False, dial_timeout: float = 10.0, kind: type[HostAddress] = TCPAddress
    ) -> None:
        self.scheme = kind.scheme
        self.secure = kind.secure
        self.insecure = insecure
        self.dial_timeout = dial_timeout
        self._kind = kind

    async def dial(self, address: TransportAddress) -> SocketStream:
        """See Transport. A name is looked up; its numbers are tried by turns, a quarter second apart."""
        return await reach(
            self._own(address),
            self._connect,
            SocketStream.abort,
            loopback_only=not self.insecure,
            give_up_after=self.dial_timeout,
        )

    async def _connect(self, target: Target) -> SocketStream:
        return self._stream(await connect(target), target.address)

    async def listen(self, address: TransportAddress) -> SocketListener:
        """See Transport. A name stands for the first of its numbers that this machine has; `[::]` is IPv6 only."""
        return await listen(self._own(address), self._stream, loopback_only=not self.insecure)

    def _own(self, address: TransportAddress) -> HostAddress:
        if type(address) is not self._kind:
            raise AddressError(f"{address} is no {self.scheme}:// address")
        return address

    def _stream(self, sock: socket, peer: SocketAddress) -> SocketStream:
        local, remote = self._url(sock.getsockname()), self._url(peer)
        return SocketStream(sock, local=local, remote=remote, source=source_of(host_of(peer)))

    def _url(self, address: SocketAddress) -> str:
        return str(self._kind(host_of(address), address[1]))
