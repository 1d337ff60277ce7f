"""The conformance checks over the memory and TCP transports, and what is special to each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from conformance import CHECKS, Check, Rig, Subject, name_of, run
from conformance_datagrams import DATAGRAM_CHECKS
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from transports.addresses import MemoryAddress, QUICAddress, TCPAddress, TLSAddress, WSAddress, WSSAddress
from transports.base import Transport
from transports.builtin import ws, wss
from transports.faulty.stream import Slowness
from transports.faulty.transport import Faults
from transports.memory.network import MemoryNetwork
from transports.quic.transport import QuicTransport
from transports.tcp.transport import TcpTransport
from transports.tls.certificates import make_certificate
from transports.tls.transport import TlsTransport


@asynccontextmanager
async def memory() -> AsyncIterator[Rig]:
    network = MemoryNetwork()
    network.datagrams = 1200
    yield rig_of(network)
    assert network.connections == []


@asynccontextmanager
async def slow_memory() -> AsyncIterator[Rig]:
    network = MemoryNetwork(latency=0.05, jitter=0.02)
    network.datagrams = 1200
    yield rig_of(network)


def rig_of(network: MemoryNetwork) -> Rig:
    return Rig(
        network.transport("a"),
        network.transport("b"),
        address=MemoryAddress("b"),
        nowhere=MemoryAddress("nowhere"),
        foreign=TCPAddress("127.0.0.1", 0),
    )


@asynccontextmanager
async def tcp4() -> AsyncIterator[Rig]:
    yield tcp_rig("127.0.0.1")


def tcp_rig(host: str) -> Rig:
    transport = TcpTransport()
    return Rig(
        transport,
        transport,
        address=TCPAddress(host, 0),
        nowhere=TCPAddress(host, 9),
        foreign=MemoryAddress("b"),
    )


@asynccontextmanager
async def tcp6() -> AsyncIterator[Rig]:
    yield tcp_rig("::1")


@asynccontextmanager
async def tls4() -> AsyncIterator[Rig]:
    yield tls_rig("127.0.0.1")


def tls_rig(host: str) -> Rig:
    return Rig(
        TlsTransport(make_certificate(Ed25519PrivateKey.generate())),
        TlsTransport(make_certificate(Ed25519PrivateKey.generate())),
        address=TLSAddress(host, 0),
        nowhere=TLSAddress(host, 9),
        foreign=TCPAddress(host, 0),
    )


@asynccontextmanager
async def tls6() -> AsyncIterator[Rig]:
    yield tls_rig("::1")


def troubled(rig: Rig, slowness: Slowness) -> Rig:
    def over(transport: Transport) -> Transport:
        faults = Faults()
        faults.set(slowness=slowness)
        return faults.over(transport)

    dialer = over(rig.dialer)
    acceptor = dialer if rig.acceptor is rig.dialer else over(rig.acceptor)
    return replace(rig, dialer=dialer, acceptor=acceptor)


@asynccontextmanager
async def faulty_memory() -> AsyncIterator[Rig]:
    async with memory() as rig:
        yield troubled(rig, Slowness())


@asynccontextmanager
async def faulty_tls() -> AsyncIterator[Rig]:
    yield troubled(tls_rig("127.0.0.1"), Slowness())


@asynccontextmanager
async def slowed_memory() -> AsyncIterator[Rig]:
    async with memory() as rig:
        yield troubled(rig, Slowness(latency=0.05, rate=1e6))


@asynccontextmanager
async def slowed_tcp() -> AsyncIterator[Rig]:
    yield troubled(tcp_rig("127.0.0.1"), Slowness(latency=0.01, rate=1e8))


@asynccontextmanager
async def quic4() -> AsyncIterator[Rig]:
    yield quic_rig("127.0.0.1")


def quic_rig(host: str) -> Rig:
    return Rig(
        QuicTransport(make_certificate(Ed25519PrivateKey.generate())),
        QuicTransport(make_certificate(Ed25519PrivateKey.generate())),
        address=QUICAddress(host, 0),
        nowhere=QUICAddress(host, 9),
        foreign=TCPAddress(host, 0),
    )


@asynccontextmanager
async def quic6() -> AsyncIterator[Rig]:
    yield quic_rig("::1")


@asynccontextmanager
async def ws4() -> AsyncIterator[Rig]:
    yield ws_rig("127.0.0.1")


def ws_rig(host: str) -> Rig:
    return Rig(
        ws(),
        ws(),
        address=WSAddress(host, 0),
        nowhere=WSAddress(host, 9),
        foreign=TCPAddress(host, 0),
    )


@asynccontextmanager
async def ws6() -> AsyncIterator[Rig]:
    yield ws_rig("::1")


@asynccontextmanager
async def wss4() -> AsyncIterator[Rig]:
    yield Rig(
        wss(make_certificate(Ed25519PrivateKey.generate())),
        wss(make_certificate(Ed25519PrivateKey.generate())),
        address=WSSAddress("127.0.0.1", 0, "/behind/a/front"),
        nowhere=WSSAddress("127.0.0.1", 9),
        foreign=WSAddress("127.0.0.1", 0),
    )


SUBJECTS = (
    Subject("memory", memory, virtual=True),
    Subject("slow_memory", slow_memory, virtual=True),
    Subject("tcp4", tcp4),
    Subject("tcp6", tcp6),
    Subject("tls4", tls4),
    Subject("tls6", tls6),
    Subject("faulty_memory", faulty_memory, virtual=True),
    Subject("faulty_tls", faulty_tls),
    Subject("slowed_memory", slowed_memory, virtual=True),
    Subject("slowed_tcp", slowed_tcp),
    Subject("quic4", quic4),
    Subject("quic6", quic6),
    Subject("ws4", ws4),
    Subject("ws6", ws6),
    Subject("wss4", wss4),
)


WITH_DATAGRAMS = ("memory", "slow_memory", "faulty_memory", "quic4", "quic6")


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
@pytest.mark.parametrize("subject", SUBJECTS, ids=name_of)
def test_the_transport_conforms(subject: Subject, check: Check) -> None:
    run(subject, check)


@pytest.mark.parametrize("check", DATAGRAM_CHECKS, ids=name_of)
@pytest.mark.parametrize("subject", [each for each in SUBJECTS if each.name in WITH_DATAGRAMS], ids=name_of)
def test_the_transport_conforms_in_its_datagrams(subject: Subject, check: Check) -> None:
    run(subject, check)
