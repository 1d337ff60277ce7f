"""Addresses are written in one way, read back as they were, and refused in words."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from transports.addresses import (
    MemoryAddress,
    QUICAddress,
    TCPAddress,
    TLSAddress,
    TransportAddress,
    UDPAddress,
    WSAddress,
    WSSAddress,
    parse_address,
    source_of,
)
from transports.errors import AddressError

HOST_ADDRESSES = (TCPAddress, TLSAddress, QUICAddress, UDPAddress, WSAddress, WSSAddress)

untimed = settings(deadline=None)
labels = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
hosts = st.one_of(
    st.lists(labels, min_size=1, max_size=4).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)


@untimed
@given(st.sampled_from(HOST_ADDRESSES), hosts, st.integers(0, 65535))
def test_an_address_reads_back_as_it_was_written(
    kind: type[TCPAddress | TLSAddress | QUICAddress | UDPAddress | WSAddress], host: str, port: int
) -> None:
    address = kind(host, port)
    assert parse_address(str(address)) == address
    assert str(parse_address(str(address))) == str(address)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("tcp://127.0.0.1:4000", TCPAddress("127.0.0.1", 4000)),
        ("tcp://[::1]:4000", TCPAddress("::1", 4000)),
        ("tls://node.example.org:443", TLSAddress("node.example.org", 443)),
        ("quic://[2001:db8::5]:1", QUICAddress("2001:db8::5", 1)),
        ("udp://10.0.0.1:53", UDPAddress("10.0.0.1", 53)),
        ("ws://localhost:80", WSAddress("localhost", 80)),
        ("wss://my_host:443/actors/a%20b", WSSAddress("my_host", 443, "/actors/a%20b")),
        ("tcp://[fe80::1%eth0]:4000", TCPAddress("fe80::1%eth0", 4000)),
        ("memory://node-1.a", MemoryAddress("node-1.a")),
    ],
)
def test_a_url_means_an_address(url: str, address: TransportAddress) -> None:
    assert parse_address(url) == address
    assert str(address) == url


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("tcp://LocalHost:080", "tcp://localhost:80"),
        ("tcp://[0:0:0:0:0:0:0:1]:1", "tcp://[::1]:1"),
        ("tcp://[2001:DB8::0:1]:1", "tcp://[2001:db8::1]:1"),
        ("tcp://[::ffff:127.0.0.1]:1", "tcp://127.0.0.1:1"),
        ("ws://a:1/", "ws://a:1"),
    ],
)
def test_two_ways_to_write_one_address_become_one(url: str, canonical: str) -> None:
    assert str(parse_address(url)) == canonical


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "should read like"),
        ("127.0.0.1:4000", "should read like"),
        ("TCP://127.0.0.1:4000", "should read like"),
        ("tcp://127.0.0.1:4000\n", "should read like"),
        ("tcp://a b:1", "should read like"),
        ("tcp://münchen:1", "should read like"),
        ("smtp://127.0.0.1:25", "no transport is called smtp"),
        ("tcp://127.0.0.1", "host:port"),
        ("tcp://127.0.0.1:", "host:port"),
        ("tcp://:4000", "host:port"),
        ("tcp://::1:4000", "host:port"),
        ("tcp://user@[::1]:4000", "host:port"),
        ("tcp://a:1?x=1", "host:port"),
        ("tcp://a:-1", "host:port"),
        ("tcp://a:65536", "no port"),
        ("tcp://a:99999", "no port"),
        ("tcp://[localhost]:1", "brackets"),
        ("tcp://[127.0.0.1]:1", "brackets"),
        ("tcp://[::1::2]:1", "no host name"),
        ("tcp://[fe80::1%]:1", "no host name"),
        ("tcp://[fe80::1%a@b]:1", "no zone"),
        ("tcp://-a:1", "no host name"),
        ("tcp://a..b:1", "no host name"),
        ("tcp://user@a:1", "no host name"),
        (f"tcp://{'a' * 64}:1", "no host name"),
        (f"tcp://{'a.' * 127}a:1", "no host name"),
        ("tcp://127.1:1", "usual form"),
        ("tcp://2130706433:1", "usual form"),
        ("tcp://0x7f000001:1", "usual form"),
        ("tcp://127.0.0.01:1", "usual form"),
        ("tcp://1.2.3.4.5:1", "usual form"),
        ("tcp://a:1/path", "only ws and wss"),
        ("ws://a:1/%zz", "no path"),
        ("ws://a:1/a?b", "no path"),
        ("memory://", "should read like"),
        ("memory://A", "no name"),
        ("memory://a/b", "no name"),
        ("memory://a:1", "no name"),
    ],
)
def test_what_is_no_address_is_refused_in_words(url: str, why: str) -> None:
    with pytest.raises(AddressError, match=why) as caught:
        parse_address(url)
    assert repr(url) in str(caught.value)


@untimed
@given(st.text(max_size=40).map("tcp://{}".format) | st.text(max_size=40))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert parse_address(str(address)) == address


def test_a_wrong_field_is_refused_without_a_url_too() -> None:
    with pytest.raises(AddressError):
        TCPAddress("127.0.0.1", -1)
    with pytest.raises(AddressError):
        TCPAddress("[::1]", 1)
    with pytest.raises(AddressError):
        TCPAddress("\N{KELVIN SIGN}elvin", 1)
    with pytest.raises(AddressError):
        structs.replace(WSAddress("a", 1), path="no slash")


def test_an_address_is_a_key_of_its_protocol() -> None:
    keys: set[TransportAddress] = {TCPAddress("a", 1), TCPAddress("A", 1), TLSAddress("a", 1)}
    assert len(keys) == 2


def test_only_tls_quic_and_wss_are_secure() -> None:
    assert {kind.scheme for kind in (*HOST_ADDRESSES, MemoryAddress) if kind.secure} == {"tls", "quic", "wss"}


@pytest.mark.parametrize(
    ("host", "loopback", "link_local"),
    [
        ("127.0.0.1", True, False),
        ("127.8.8.8", True, False),
        ("::1", True, False),
        ("::ffff:127.0.0.1", True, False),
        ("localhost", True, False),
        ("a.localhost", True, False),
        ("notlocalhost", False, False),
        ("localhost.example.org", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("10.0.0.1", False, False),
        ("169.254.1.1", False, True),
        ("fe80::1%eth0", False, True),
        ("2001:db8::1", False, False),
    ],
)
def test_an_address_knows_how_far_it_reaches(host: str, loopback: bool, link_local: bool) -> None:
    address = TCPAddress(host, 1)
    assert (address.loopback, address.link_local) == (loopback, link_local)


def test_a_memory_address_reaches_nobodys_services() -> None:
    assert not MemoryAddress("a").loopback
    assert not MemoryAddress("a").link_local


@untimed
@given(st.ip_addresses(v=6, network="2001:db8::/32"), st.integers(0, 2**64 - 1))
def test_numbers_that_one_ipv6_host_can_take_are_one_source(number: IPv6Address, other: int) -> None:
    neighbour = IPv6Address(int(number) >> 64 << 64 | other)
    assert source_of(str(number)) == source_of(str(neighbour))
    assert source_of(str(number)) != source_of(str(IPv6Address((int(number) + (1 << 64)) % 2**128)))


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a", "a"),
    ],
)
def test_a_source_is_whom_a_connection_is_counted_against(host: str, source: str) -> None:
    assert source_of(host) == source
