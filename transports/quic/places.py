"""Which number of this machine a datagram was sent to, for a socket that is bound to all of them.

An answer has to come from the same number, or the dialer takes it for a stranger's.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, TypeAlias

Ancillary: TypeAlias = tuple[int, int, bytes]
"""Level, kind and content of a control message."""
ROOM: Final = 128
"""Bytes for control messages."""

_IP_PKTINFO: Final[int] = getattr(socket, "IP_PKTINFO", 26 if sys.platform == "darwin" else 8)  # not in every Python
_INDEX: Final = bytes(4)  # of the interface: any, routing decides


def asks_for_places(sock: socket.socket) -> bool:
    """Whether the socket tells it with each datagram from now on: it is bound to all numbers, and the system can."""
    if not ip_address(sock.getsockname()[0]).is_unspecified:
        return False
    six = sock.family == socket.AF_INET6
    option = (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO) if six else (socket.IPPROTO_IP, _IP_PKTINFO)
    try:
        sock.setsockopt(*option, 1)
    except OSError:
        return False
    return True


def place_of(received: Sequence[Ancillary]) -> Ancillary | None:
    """What to send an answer with."""
    for level, kind, content in received:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):  # struct in_pktinfo: index, number, number in the header
            return level, kind, _INDEX + content[4:]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):  # struct in6_pktinfo: number, index
            return level, kind, content[:16] + _INDEX
    return None
