"""Which hosts mean this machine or its link: an advert from afar must not make us knock there (PROTOCOL A4). Pure."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit


def host_in(url: str) -> str:
    """The host that a URL names; empty if it names none."""
    return urlsplit(url).hostname or ""


def is_local(host: str) -> bool:
    """Whether a host means this machine or its link. A name is to be judged again by what it resolves to.

    What looks like a number without being an address in its usual form is local too: resolvers read
    `127.1` and `0x7f000001` as addresses.
    """
    name = host.lower().rstrip(".")
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return name in ("", "localhost") or name.endswith(".localhost") or _ends_in_a_number(name)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_link_local or address.is_unspecified


def _ends_in_a_number(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.isdigit() or last.startswith("0x")
