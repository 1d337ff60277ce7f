"""A transport that dials fault proxies where a node thinks that it dials its peers. Adds nothing else.

    Node(transports=(Detour(TcpTransport(), proxy),))     # what it dials at proxy.target goes through the proxy

A node learns its peers' addresses from their adverts, which nobody else can write; so it is not they that change.
"""

from __future__ import annotations

from actors.testing.faultproxy import FaultProxy
from transports.addresses import TransportAddress, parse_address
from transports.base import Listener, Stream, Transport


class Detour:
    """Dials a proxy for its target's address, and the address itself where none stands before it."""

    def __init__(self, transport: Transport, *proxies: FaultProxy) -> None:
        self.scheme = transport.scheme
        self.secure = transport.secure
        self.serve = transport.serve
        self._transport = transport
        self._proxies = proxies

    async def dial(self, address: TransportAddress) -> Stream:
        """See Transport."""
        for proxy in self._proxies:
            if proxy.target == address:
                return await self._transport.dial(parse_address(proxy.address))
        return await self._transport.dial(address)

    async def listen(self, address: TransportAddress) -> Listener:
        """See Transport."""
        return await self._transport.listen(address)
