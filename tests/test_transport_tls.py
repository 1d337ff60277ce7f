"""What is special to TLS: who is let in, what a stranger sees, and what is said to whoever took the wrong door."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest
import trio
from conformance import meet
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from proxies import Journal, Question, Sink
from test_transport_tcp import resolve_with

from actors.events import DialFailed as DialFailedEvent
from actors.events import Event, HostileConnection
from actors.identity import EngineID, NodeKey
from actors.net.proving.adverts import NodeAdvert
from actors.node import Node, open_node
from transports.addresses import TLSAddress
from transports.channels import ChannelKind
from transports.errors import ConnectFailed
from transports.tls.certificates import NotOurs, key_in, make_certificate
from transports.tls.stream import ALPN
from transports.tls.transport import TlsTransport, client_context

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOOPBACK = TLSAddress("127.0.0.1", 0)
PATIENCE = 20.0
Key: TypeAlias = Ed25519PrivateKey | EllipticCurvePrivateKey


# -- certificates -----------------------------------------------------------------------------------------------


def test_a_certificate_says_the_key_and_shows_no_secret() -> None:
    certificate = make_certificate(KEY)
    assert key_in(certificate.der) == KEY.public_key().public_bytes_raw()
    assert KEY.private_bytes_raw().hex() not in repr(certificate)
    assert make_certificate(KEY).digest != certificate.digest


def test_a_certificate_on_another_kind_of_key_or_signed_by_another_is_none_of_ours() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    ours = x509.load_der_x509_certificate(make_certificate(KEY).der)

    def made(subject: Key, signer: Key, algorithm: SHA256 | None) -> bytes:
        begin, end = ours.not_valid_before_utc, ours.not_valid_after_utc
        builder = x509.CertificateBuilder(ours.subject, ours.subject, subject.public_key(), 1, begin, end)
        return builder.sign(signer, algorithm).public_bytes(Encoding.DER)

    curve = generate_private_key(SECP256R1())
    with pytest.raises(NotOurs, match="not on an Ed25519 key"):
        key_in(made(curve, curve, SHA256()))
    with pytest.raises(NotOurs, match="not signed with its own key"):
        key_in(made(KEY, Ed25519PrivateKey.generate(), None))
    with pytest.raises(NotOurs, match="cannot be read"):
        key_in(b"no certificate")


# -- at a node's port -------------------------------------------------------------------------------------------


class Seen:
    """The events of a node so far."""

    def __init__(self) -> None:
        self.all: list[Event] = []
        self._more = trio.Event()

    def add(self, event: Event) -> None:
        self.all.append(event)
        self._more.set()

    async def words(self, words: str) -> Event:
        """The event that says so, once there is one."""
        with trio.fail_after(PATIENCE):
            while True:
                for event in self.all:
                    if words in getattr(event, "why", ""):
                        return event
                self._more = trio.Event()
                await self._more.wait()


@asynccontextmanager
async def node_at(key: NodeKey, seen: Seen) -> AsyncIterator[tuple[Node, int]]:
    """A node that listens by TLS, with an engine `sink`; its events are collected."""
    async with open_node(key, listen=(str(LOOPBACK),)) as node:
        node.spawn(Sink(journal=Journal()), "sink")
        with node.events.subscribe() as events:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(collect, events, seen)
                yield node, int(node.addresses[0].rpartition(":")[2])
                nursery.cancel_scope.cancel()


async def collect(events: AsyncIterable[Event], seen: Seen) -> None:
    async for event in events:
        seen.add(event)


def stdlib_client(port: int, change: Callable[[ssl.SSLContext], object]) -> tuple[str, str]:
    """What a client of the standard library comes to: protocol version and ALPN; or OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([ALPN])
    change(context)
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    with context.wrap_socket(sock) as wrapped:
        wrapped.sendall(b"hello")
        wrapped.recv(1)
        return wrapped.version() or "", wrapped.selected_alpn_protocol() or ""


def older(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


STRANGERS = {
    "tls-1.2": (older, "TLS: unsupported protocol"),
    "another-alpn": (lambda context: context.set_alpn_protocols(["h2"]), f"does not speak {ALPN}"),
    "no-alpn": (lambda context: context.set_alpn_protocols([]), f"does not speak {ALPN}"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_who_speaks_another_tls_is_refused_and_the_node_says_why(stranger: str) -> None:
    change, words = STRANGERS[stranger]
    seen = Seen()
    async with node_at(NodeKey.generate(), seen) as (_, port):
        try:
            got = await trio.to_thread.run_sync(stdlib_client, port, change)
            assert got[1] != ALPN
        except OSError:
            pass
        await seen.words(words)
    assert any(isinstance(event, HostileConnection) for event in seen.all)


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\xff\xff" + bytes(50)])
async def test_who_speaks_no_tls_is_refused_and_the_node_says_why(words: bytes) -> None:
    seen = Seen()
    async with node_at(NodeKey.generate(), seen) as (_, port):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(words)
            await seen.words("TLS: ")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command here")
async def test_openssl_sees_tls_1_3_and_the_key_of_the_node() -> None:
    key = NodeKey.generate()
    async with node_at(key, Seen()) as (_, port):
        options = ["-connect", f"127.0.0.1:{port}", "-alpn", ALPN, "-showcerts"]
        ended = await trio.run_process(["openssl", "s_client", *options], capture_stdout=True, capture_stderr=True)
    text = ended.stdout.decode()
    assert "TLSv1.3" in text
    assert f"ALPN protocol: {ALPN}" in text
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    pem = begin + text.split(begin)[1].split(end)[0] + end
    assert key_in(ssl.PEM_cert_to_DER_cert(pem)) == bytes(key.id)


# -- between nodes ----------------------------------------------------------------------------------------------


async def test_two_nodes_talk_over_tls() -> None:
    async with node_at(NodeKey.generate(), Seen()) as (a, _), node_at(NodeKey.generate(), Seen()) as (b, _):
        a.learn(b.advert)
        with trio.fail_after(PATIENCE):
            assert await a.ask(EngineID(b.id, "sink"), Question(7)) == -7


async def test_an_address_that_leads_to_another_node_gets_no_byte_of_ours() -> None:
    """The certificate's key is compared before anything is signed, and the dialer says so."""
    seen = Seen()
    heard = Seen()
    other = NodeKey.generate()
    async with node_at(NodeKey.generate(), seen) as (a, _), node_at(NodeKey.generate(), heard) as (b, _):
        a.learn(NodeAdvert.sign(other, [(b.addresses[0], 1)], version=1, created=0))
        a.tell_nowait(EngineID(other.id, "sink"), Question(7))
        await seen.words("wrong_key")
    assert any(isinstance(event, DialFailedEvent) for event in seen.all)
    assert not [event for event in heard.all if isinstance(event, HostileConnection)]


async def test_a_server_with_an_older_tls_or_another_certificate_is_a_failed_dial_in_words() -> None:
    dialer = TlsTransport(make_certificate(KEY), dial_timeout=PATIENCE)

    async def serve(stream: trio.SocketStream) -> None:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\0" * 8)
        await stream.receive_some(10)
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        port = listener.socket.getsockname()[1]
        with pytest.raises(ConnectFailed, match="TLS: wrong version number"):
            await dialer.dial(TLSAddress("127.0.0.1", port))
        nursery.cancel_scope.cancel()


async def test_a_number_that_says_nothing_in_tls_does_not_keep_the_next_from_being_dialed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("transports.tcp.sockets.STAGGER", 0.0)
    listener = await TlsTransport(make_certificate(KEY)).listen(LOOPBACK)
    assert isinstance(listener.address, TLSAddress)
    port = listener.address.port
    (mute,) = await trio.open_tcp_listeners(port, host="127.0.0.2")
    resolve_with(("127.0.0.2", port), ("127.0.0.1", port))
    dialer = TlsTransport(make_certificate(Ed25519PrivateKey.generate()), dial_timeout=PATIENCE)
    ends = await meet(dialer, listener, TLSAddress("node.example", port))
    assert ends[0].remote == f"tls://127.0.0.1:{port}"
    for end in ends:
        end.abort()
    await mute.aclose()
    await listener.aclose()


async def test_the_dialer_knows_the_servers_key_and_both_the_same_digest() -> None:
    server = TlsTransport(make_certificate(KEY))
    listener = await server.listen(LOOPBACK)
    dialer = TlsTransport(make_certificate(Ed25519PrivateKey.generate()))
    stream, accepted = await meet(dialer, listener, listener.address)
    channel = accepted.channel
    assert channel.kind is stream.channel.kind is ChannelKind.TLS
    assert channel.digest == stream.channel.digest
    assert stream.channel.key == KEY.public_key().public_bytes_raw()
    for end in (stream, accepted):
        end.abort()
    await listener.aclose()


def test_a_client_asks_for_tls_1_3_and_nothing_else() -> None:
    context = client_context()
    assert context.minimum_version == context.maximum_version == ssl.TLSVersion.TLSv1_3
