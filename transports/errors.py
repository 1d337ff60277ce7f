"""What can go wrong below the protocol, in words for people. Pure."""

from __future__ import annotations

import errno
import socket


class TransportError(Exception):
    """The root of every error that this package raises on purpose."""


class AddressError(TransportError, ValueError):
    """Text that is no address, or an address that this transport does not use."""


class FrameError(TransportError):
    """A frame whose length is zero or over the limit. The connection cannot be read any further."""


class ConnectFailed(TransportError):
    """A dial that reached nobody. `why` is a short reason without the address."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(address, why)
        self.address = address
        self.why = why

    def __str__(self) -> str:
        return f"cannot connect to {self.address}: {self.why}"


class ConnectionLost(TransportError):
    """The connection carries nothing more in this direction. `why` is a short reason."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NotSpoken(ConnectionLost):
    """What came is not what this transport speaks: somebody took the wrong door, or means harm."""


class ListenFailed(TransportError):
    """Nothing can listen at this address. `why` is a short reason without the address."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(address, why)
        self.address = address
        self.why = why

    def __str__(self) -> str:
        return f"cannot listen at {self.address}: {self.why}"


class AddressInUse(ListenFailed):
    """Somebody listens at this address already."""


class ListenerClosed(TransportError):
    """The listener was closed: it accepts nothing any more."""


CLOSED_HERE = "closed here"
CLOSED_BY_PEER = "closed by the peer"
RESET_BY_PEER = "connection reset by the peer"

_WORDS = {
    errno.ECONNREFUSED: "connection refused, nothing listens there",
    errno.ETIMEDOUT: "timed out",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "host unreachable",
    errno.EADDRNOTAVAIL: "the address does not belong to this machine",
    errno.EADDRINUSE: "the address is in use",
    errno.EACCES: "not permitted",
    errno.ECONNRESET: RESET_BY_PEER,
    errno.EPIPE: CLOSED_BY_PEER,
    errno.EMFILE: "this process has too many open files",
    errno.ENFILE: "the system has too many open files",
}

_LOOKUP_WORDS = {
    socket.EAI_NONAME: "name not known",
    socket.EAI_AGAIN: "the name service does not answer",
}


def in_words(error: OSError) -> str:
    """An operating system's error for people: what happened, no number, no address."""
    known = _LOOKUP_WORDS if isinstance(error, socket.gaierror) else _WORDS
    return known.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__
