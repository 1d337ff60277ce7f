"""QUIC over loopback: what the conformance checks do not ask of it."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from weakref import ref

import pytest
import trio
from conformance import fill, read, read_exactly, read_to_end, serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from proxies import Journal, Question, Sink
from quic_running import CERTIFICATE, LOOPBACK, carried, drop, pair, run, served, transport
from test_transport_tls import Seen, collect

from actors.errors import ConfigError
from actors.events import HostileConnection
from actors.identity import EngineID, NodeKey
from actors.net.proving.adverts import NodeAdvert
from actors.node import Node, open_node
from transports.addresses import QUICAddress, parse_address
from transports.base import send_all
from transports.channels import ChannelKind
from transports.errors import ConnectFailed, ConnectionLost, ListenerClosed, NotSpoken
from transports.quic.connection import WINDOW
from transports.quic.line import UNSENT
from transports.quic.stream import LINGER, QuicStream
from transports.quic.transport import channel_of
from transports.schemes import _installed
from transports.tcp.transport import TcpTransport
from transports.tls.certificates import make_certificate

# -- who is there -----------------------------------------------------------------------------------------


def test_whoever_dials_sees_the_key_and_both_sign_the_same_certificate() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            dialed, accepted = await pair(dialer, listener)
            assert dialed.channel.key == CERTIFICATE.key.public_key().public_bytes_raw()
            assert accepted.channel.key == b""
            assert dialed.channel.digest == accepted.channel.digest == CERTIFICATE.digest
            assert dialed.channel.kind is accepted.channel.kind is ChannelKind.QUIC
            assert channel_of(CERTIFICATE.der) == dialed.channel
            drop(dialed, accepted)

    run(main)


def test_who_speaks_another_protocol_is_refused_by_either_side() -> None:
    async def main() -> None:
        async with served() as (dialer, acceptor, listener):
            for side in dialer._client, acceptor._server:
                for protocols in (["h3"], None):
                    ours, side.alpn_protocols = side.alpn_protocols, protocols
                    with pytest.raises(ConnectFailed, match="QUIC: no common alpn protocols"):
                        await dialer.dial(listener.address)
                    side.alpn_protocols = ours
                    refused = await listener.accept()
                    with pytest.raises(NotSpoken, match="QUIC: no common alpn protocols"):
                        await read(refused)
                    refused.abort()

    run(main)


def test_a_certificate_that_no_node_makes_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node.invalid")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2000, 1, 1), datetime(9999, 1, 1))

    async def main() -> None:
        async with served() as (dialer, acceptor, listener):
            acceptor._server.certificate = builder.sign(key, hashes.SHA256())
            acceptor._server.private_key = key
            with pytest.raises(ConnectFailed, match="its certificate is not on an Ed25519 key"):
                await dialer.dial(listener.address)
            assert not dialer._lines._lines
            stolen = make_certificate(Ed25519PrivateKey.generate())
            acceptor._server.certificate = x509.load_der_x509_certificate(stolen.der)
            acceptor._server.private_key = Ed25519PrivateKey.generate()
            with pytest.raises(ConnectFailed, match="QUIC: "):
                await dialer.dial(listener.address)

    run(main)


@asynccontextmanager
async def node_at(seen: Seen) -> AsyncIterator[Node]:
    """A node that listens by QUIC, with an engine `sink`; its events are collected."""
    async with open_node(listen=(str(LOOPBACK),)) as node:
        node.spawn(Sink(journal=Journal()), "sink")
        with node.events.subscribe() as events:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(collect, events, seen)
                yield node
                nursery.cancel_scope.cancel()


async def test_two_nodes_talk_over_quic() -> None:
    async with node_at(Seen()) as a, node_at(Seen()) as b:
        a.learn(b.advert)
        with trio.fail_after(60):
            assert await a.ask(EngineID(b.id, "sink"), Question(7)) == -7


async def test_an_address_that_leads_to_another_node_gets_no_byte_of_ours() -> None:
    seen, heard = Seen(), Seen()
    other = NodeKey.generate()
    async with node_at(seen) as a, node_at(heard) as b:
        a.learn(NodeAdvert.sign(other, [(b.addresses[0], 1)], version=1, created=0))
        a.tell_nowait(EngineID(other.id, "sink"), Question(7))
        await seen.words("wrong_key")
    assert not [event for event in heard.all if isinstance(event, HostileConnection)]


async def test_a_node_says_why_it_refused_a_stranger() -> None:
    seen = Seen()
    dialer = transport()
    dialer._client.alpn_protocols = ["h3"]
    async with node_at(seen) as node, serving(dialer):
        with pytest.raises(ConnectFailed, match="no common alpn protocols"):
            await dialer.dial(parse_address(node.addresses[0]))
        await seen.words("QUIC: no common alpn protocols")
    assert any(isinstance(event, HostileConnection) for event in seen.all)


# -- dialing ----------------------------------------------------------------------------------------------


def test_where_nothing_listens_a_dial_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transports.quic.timers.Timers.add", lambda timers, timer: None)  # nothing is sent twice

    async def main() -> None:
        async with served() as (dialer, _, listener):
            start = trio.current_time()
            with pytest.raises(ConnectFailed, match="connection refused, nothing listens there"):
                await dialer.dial(QUICAddress("127.0.0.1", 9))
            kept = await pair(dialer, listener)
            await listener.aclose()
            with pytest.raises(ConnectFailed, match="connection refused, nothing listens there"):
                await dialer.dial(listener.address)
            assert trio.current_time() - start < 5
            drop(*kept)

    run(main)


def test_a_dial_gives_up_after_its_time() -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            dialer = transport(dial_timeout=3)
            async with serving(dialer):
                with pytest.raises(ConnectFailed, match="no answer in 3 s"):
                    await dialer.dial(QUICAddress(*silent.getsockname()))

    run(main)


def test_no_socket_is_left_of_a_cancelled_dial_or_of_a_transport_that_has_ended() -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            before = sorted(os.listdir("/dev/fd"))
            async with served() as (dialer, _, listener):
                between = sorted(os.listdir("/dev/fd"))
                with trio.move_on_after(1):
                    await dialer.dial(QUICAddress(*silent.getsockname()))
                assert sorted(os.listdir("/dev/fd")) == between
                await pair(dialer, listener)
            assert sorted(os.listdir("/dev/fd")) == before
            with pytest.raises(ConnectFailed, match="this transport has ended"):
                await dialer.dial(listener.address)

    run(main)


def test_localhost_is_a_name_like_others() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            streams = await pair(dialer, listener, QUICAddress("localhost", listener.address.port))
            assert streams[0].remote == str(listener.address)
            drop(*streams)

    run(main)


# -- what is held -----------------------------------------------------------------------------------------


def test_what_a_peer_does_not_read_is_bounded_at_both_ends() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            dialed, accepted = await pair(dialer, listener)
            taken = await fill(dialed)
            assert len(accepted.line.inbox) <= WINDOW
            assert UNSENT < len(taken) <= WINDOW + UNSENT
            assert await read_exactly(accepted, len(taken)) == taken
            drop(dialed, accepted)

    run(main)


def test_many_times_the_window_passes() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            dialed, accepted = await pair(dialer, listener)
            await carried(dialed, accepted, 3 * WINDOW)
            await carried(accepted, dialed, 3 * WINDOW)
            drop(dialed, accepted)

    run(main)


# -- the end ----------------------------------------------------------------------------------------------


def test_a_close_is_over_when_all_has_arrived_and_no_later() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            dialed, accepted = await pair(dialer, listener)
            await send_all(dialed, b"bye")
            start = trio.current_time()
            await dialed.aclose()
            assert trio.current_time() - start < LINGER
            assert await read_to_end(accepted) == b"bye"
            await accepted.aclose()

    run(main)


def test_a_close_against_a_peer_that_does_not_read_ends_in_time_and_is_no_clean_end() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            dialed, accepted = await pair(dialer, listener)
            await fill(dialed)
            start = trio.current_time()
            await dialed.aclose()
            assert LINGER <= trio.current_time() - start < 2 * LINGER
            with pytest.raises(ConnectionLost):
                await read_to_end(accepted)
            drop(accepted)

    run(main)


def test_streams_that_are_closed_while_the_transport_ends_deliver() -> None:
    async def main() -> None:
        dialer, acceptor = transport(), transport()
        async with serving(acceptor):
            listener = await acceptor.listen(LOOPBACK)
            async with trio.open_nursery() as outer:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(dialer.serve)
                    dialed, accepted = await pair(dialer, listener)
                    data = await fill(dialed)
                    start = trio.current_time()
                    outer.start_soon(read_all, accepted, data)
                    nursery.cancel_scope.cancel()
                    with trio.CancelScope(shield=True):
                        await dialed.aclose()
                assert trio.current_time() - start < LINGER
            await listener.aclose()

    run(main)


async def read_all(stream: QuicStream, data: bytes) -> None:
    assert await read_to_end(stream) == data


def test_nothing_keeps_a_connection_that_is_over() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            streams = list(await pair(dialer, listener))
            lines = [ref(stream.line) for stream in streams]
            await trio.sleep(1)  # only the time of an idle connection is set now
            drop(*streams)
            streams.clear()
            drop(*await pair(dialer, listener))
            await trio.sleep(1)
            gc.collect()
            assert [line() for line in lines] == [None, None]

    run(main)


def test_a_transport_that_ends_takes_its_streams_with_it() -> None:
    async def main() -> None:
        dialer, acceptor = transport(), transport()
        async with serving(acceptor):
            listener = await acceptor.listen(LOOPBACK)
            async with serving(dialer):
                dialed, accepted = await pair(dialer, listener)
            with pytest.raises(ConnectionLost):
                dialed.send_nowait(b"x")
            drop(dialed, accepted)
            await listener.aclose()

    run(main)


def test_a_place_can_be_listened_at_again_while_its_old_connections_go_on() -> None:
    async def main() -> None:
        async with served() as (dialer, acceptor, listener):
            old = await pair(dialer, listener)
            await listener.aclose()
            again = await acceptor.listen(listener.address)
            new = await pair(dialer, again)
            with pytest.raises(ListenerClosed):
                await listener.accept()
            for streams in old, new:
                await carried(*streams, 1000)
            await again.aclose()
            drop(*old, *new)
            await trio.sleep(1)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind((listener.address.host, listener.address.port))

    run(main)


def test_a_cancelled_wait_for_the_end_leaves_the_rest_to_the_transport() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            dialed, accepted = await pair(dialer, listener)
            data = await fill(dialed)
            with trio.CancelScope() as scope:
                scope.cancel()
                await dialed.aclose()
            assert scope.cancelled_caught
            assert await read_to_end(accepted) == data
            drop(accepted)

    run(main)


# -- without aioquic --------------------------------------------------------------------------------------


def test_a_node_that_lacks_the_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.node.MISSING", {"quic": "pip install trio-actors[quic]"})

    async def main() -> None:
        with pytest.raises(ConfigError, match="no transport for quic:") as caught:
            async with open_node(listen=("quic://127.0.0.1:0",), transports=(TcpTransport(),)):
                pass
        assert caught.value.hint == "pip install trio-actors[quic]"

    trio.run(main)


@pytest.mark.parametrize("installed", ["1.7.0", "1.10.2", "2.0"])
def test_a_version_that_will_do(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transports.schemes.version", lambda name: installed)
    assert _installed("aioquic", (1, 7))


@pytest.mark.parametrize("installed", ["1.6.9", "0.9.25", "odd"])
def test_a_version_that_is_too_old_counts_as_none(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transports.schemes.version", lambda name: installed)
    assert not _installed("aioquic", (1, 7))
    assert not _installed("no_such_package", (0, 0))


@pytest.mark.slow
def test_all_else_works_without_aioquic() -> None:
    command = "import sys; sys.modules['aioquic'] = None; from actors.console.main import main; sys.exit(main({}))"
    for arguments, code, said in (
        (["pipe", "--transport", "quic"], 2, "hint  pip install trio-actors[quic]"),
        (["pipe", "--nodes", "2"], 0, "all delivered"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", command.format(arguments)],
            input=b"x\n",
            capture_output=True,
            cwd=Path(__file__).parents[1],
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert said in done.stderr.decode()
