"""Where a node can be reached: one frozen type for each protocol, written as a URL. Pure: looks nothing up."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import force_setattr

from transports.errors import AddressError

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ZONE = re.compile(r"[A-Za-z0-9._-]+")
_PATH = re.compile(r"/(?:[A-Za-z0-9._~/-]|%[0-9A-Fa-f]{2})*")
_MEMORY_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?")
_URL = re.compile(r"([a-z]+)://([\x21-\x7e]+)")
_HOST_AND_PORT = re.compile(r"(\[[^][]+\]|[^][:/]+):([0-9]{1,5})(/.*)?")


class TransportAddress(Struct, frozen=True, gc=False):
    """The address of a listener. `str` gives its one canonical URL, `parse_address` reads it."""

    scheme: ClassVar[str]
    secure: ClassVar[bool] = False
    """Whether its protocol proves who answers and hides what is said (PROTOCOL H12)."""

    @property
    def loopback(self) -> bool:
        """Whether it surely stays on this machine. A name other than localhost does not, until looked up."""
        return False

    @property
    def link_local(self) -> bool:
        """Whether it means something only on one network link."""
        return False


class HostAddress(TransportAddress, frozen=True, gc=False):
    """A host, as name or number, and a port; port 0 is any free one, to listen only.

    The host is kept in its canonical form: lower case, an IPv6 number shortened and without brackets.
    """

    host: str
    port: int

    def __post_init__(self) -> None:
        force_setattr(self, "host", _canonical_host(self.host))
        if not 0 <= self.port <= 0xFFFF:
            raise AddressError(f"{self.port} is no port, they go from 0 to 65535")

    def __str__(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def link_local(self) -> bool:
        number = _number(self.host)
        return number is not None and number.is_link_local


class TCPAddress(HostAddress, frozen=True, gc=False):
    scheme = "tcp"


class TLSAddress(HostAddress, frozen=True, gc=False):
    scheme = "tls"
    secure = True


class QUICAddress(HostAddress, frozen=True, gc=False):
    scheme = "quic"
    secure = True


class UDPAddress(HostAddress, frozen=True, gc=False):
    scheme = "udp"


class WSAddress(HostAddress, frozen=True, gc=False):
    scheme = "ws"
    path: str = "/"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _PATH.fullmatch(self.path):
            raise AddressError(f"{self.path!r} is no path of a URL")

    def __str__(self) -> str:
        return super().__str__() + (self.path if self.path != "/" else "")


class WSSAddress(WSAddress, frozen=True, gc=False):
    scheme = "wss"
    secure = True


class MemoryAddress(TransportAddress, frozen=True, gc=False):
    """A name on one MemoryNetwork."""

    scheme = "memory"
    name: str

    def __post_init__(self) -> None:
        if not _MEMORY_NAME.fullmatch(self.name):
            raise AddressError(f"{self.name!r} is no name on a memory network: letters, digits, '.', '_', '-'")

    def __str__(self) -> str:
        return f"memory://{self.name}"


_HOST_ADDRESSES: dict[str, type[HostAddress]] = {
    kind.scheme: kind for kind in (TCPAddress, TLSAddress, QUICAddress, UDPAddress, WSAddress, WSSAddress)
}


def kinds() -> tuple[type[TransportAddress], ...]:
    """All there are."""
    return (*_HOST_ADDRESSES.values(), MemoryAddress)


def parse_address(url: str) -> TransportAddress:
    """The address that a URL means. Raises AddressError, which says what is wrong with it."""
    try:
        return _parse(url)
    except AddressError as error:
        raise AddressError(f"not an address: {url!r}: {error}") from None


@lru_cache(maxsize=1024)
def _parse(url: str) -> TransportAddress:
    parts = _URL.fullmatch(url)
    if parts is None:
        raise AddressError("it should read like tcp://127.0.0.1:4000")
    scheme, rest = parts.groups()
    if scheme == MemoryAddress.scheme:
        return MemoryAddress(rest)
    kind = _HOST_ADDRESSES.get(scheme)
    if kind is None:
        known = ", ".join(sorted([*_HOST_ADDRESSES, MemoryAddress.scheme]))
        raise AddressError(f"no transport is called {scheme}; there are {known}")
    place = _HOST_AND_PORT.fullmatch(rest)
    if place is None:
        raise AddressError("after :// comes host:port, an IPv6 number in brackets")
    host, port, path = place.groups()
    if host.startswith("["):
        host = host[1:-1]
        if ":" not in host:
            raise AddressError("brackets are for IPv6 numbers")
    if path is None:
        return kind(host, int(port))
    if not issubclass(kind, WSAddress):
        raise AddressError("only ws and wss have a path")
    return kind(host, int(port), path)


@lru_cache(maxsize=1024)
def _number(host: str) -> IPv4Address | IPv6Address | None:
    """The IP number that a host is, an IPv4 number in IPv6's clothes undressed; None for a name."""
    try:
        number = ip_address(host)
    except ValueError:
        return None
    return number.ipv4_mapped or number if isinstance(number, IPv6Address) else number


@lru_cache(maxsize=1024)
def _canonical_host(host: str) -> str:
    number = _number(host)
    if number is None:
        return _canonical_name(host)
    if isinstance(number, IPv6Address) and number.scope_id and not _ZONE.fullmatch(number.scope_id):
        raise AddressError(f"{number.scope_id!r} is no zone of an IPv6 number")
    return str(number)


def _canonical_name(host: str) -> str:
    name = host.lower()
    if not host.isascii() or len(name) > 253 or not _NAME.fullmatch(name):
        raise AddressError(f"{host!r} is no host name and no IP number")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        # The C library reads 127.1, 0177.0.0.1 or 2130706433 as 127.0.0.1: too clever for an address of ours.
        raise AddressError(f"{host!r} is no IP number in its usual form")
    return name


def is_loopback(host: str) -> bool:
    """Whether a host, as number or name, is this machine by definition."""
    number = _number(host)
    if number is not None:
        return number.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def source_of(host: str) -> str:
    """Whom to count an incoming connection against (PROTOCOL H9): the host; in IPv6, where one machine has a
    whole /64 of numbers to come from, that."""
    number = _number(host)
    if not isinstance(number, IPv6Address) or number.is_loopback:
        return str(number or host)
    return f"{IPv6Address(int(number) >> 64 << 64)}/64"
