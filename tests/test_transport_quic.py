"""QUIC over loopback: what the conformance checks do not ask of it."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
import trio
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicPacketType, encode_quic_version_negotiation
from conformance import fill, lost, pattern, read, read_exactly, read_to_end, serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from quic_relay import Relay, every, relayed
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.errors import ConfigError
from actors.node import open_node
from transports.addresses import QUICAddress
from transports.base import ChannelKind, send_all
from transports.certificates import make_certificate
from transports.errors import ConnectFailed, ConnectionLost
from transports.quic import QuicListener, QuicTransport, channel_of
from transports.quic_connection import VERSION, WINDOW, client_configuration
from transports.quic_line import HANDSHAKE, UNSENT
from transports.quic_stateless import SMALLEST_FIRST, header_of
from transports.quic_stream import LINGER, QuicStream
from transports.tcp import TcpTransport

LOOPBACK = QUICAddress("127.0.0.1", 0)
CERTIFICATE = make_certificate(Ed25519PrivateKey.generate())


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with trio.fail_after(600):
            await main()

    trio.run(bounded, clock=MockClock(rate=1, autojump_threshold=0.05))


def transport(**options: float) -> QuicTransport:
    return QuicTransport(make_certificate(Ed25519PrivateKey.generate()), **options)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[QuicTransport, QuicTransport, QuicListener]]:
    """A dialer, an acceptor, and where it listens."""
    dialer, acceptor = transport(), QuicTransport(CERTIFICATE)
    async with serving(dialer, acceptor):
        listener = await acceptor.listen(LOOPBACK)
        yield dialer, acceptor, listener
        await listener.aclose()


async def pair(
    dialer: QuicTransport, listener: QuicListener, at: QUICAddress | None = None
) -> tuple[QuicStream, QuicStream]:
    dialed = await dialer.dial(at or listener.address)
    return dialed, await listener.accept()


async def carried(one: QuicStream, other: QuicStream, size: int) -> None:
    """So many bytes arrive as they were sent."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, one, pattern(0, size))
        assert await read_exactly(other, size) == pattern(0, size)


def drop(*streams: QuicStream) -> None:
    for stream in streams:
        stream.abort()


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
            stolen = make_certificate(Ed25519PrivateKey.generate())
            acceptor._server.certificate = x509.load_der_x509_certificate(stolen.der)
            acceptor._server.private_key = Ed25519PrivateKey.generate()
            with pytest.raises(ConnectFailed, match="QUIC: "):
                await dialer.dial(listener.address)

    run(main)


# -- dialing ----------------------------------------------------------------------------------------------


def test_where_nothing_listens_a_dial_fails_at_once() -> None:
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


# -- strangers --------------------------------------------------------------------------------------------


def first_flight() -> bytes:
    connection = QuicConnection(configuration=client_configuration())
    connection.connect(("127.0.0.1", 1), now=0)
    return connection.datagrams_to_send(now=0)[0][0]


def long_header(version: int, kind: int = 0xC0) -> bytes:
    cids = bytes([8]) + b"D" * 8 + bytes([8]) + b"S" * 8
    return (bytes([kind]) + version.to_bytes(4, "big") + cids).ljust(SMALLEST_FIRST, b"\0")


@asynccontextmanager
async def stranger(listener: QuicListener) -> AsyncIterator[Relay]:
    async with relayed(listener.address) as relay:
        yield relay


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00", id="one byte"),
        pytest.param(b"\x40" + bytes(100), id="an unknown connection"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
        pytest.param(long_header(0x7A7A7A7A)[:1199], id="another version, too short to be answered"),
        pytest.param(long_header(VERSION)[:1199], id="a first flight, too short to be answered"),
        pytest.param(long_header(VERSION, 0xE0), id="a handshake of nobody"),
        pytest.param(long_header(0), id="version negotiation"),
        pytest.param(
            encode_quic_version_negotiation(b"S" * 8, b"D" * 8, [VERSION]).ljust(1300, b"\0"), id="padded negotiation"
        ),
        pytest.param(b"\xff" * 1500, id="ones"),
    ],
)
def test_what_is_no_connections_is_counted_and_not_answered(datagram: bytes) -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener), stranger(listener) as relay:
            answers: list[bytes] = []
            relay.backwards = answers.append
            relay._dialer = ("127.0.0.1", 9)
            relay.inject(datagram)
            await wait_all_tasks_blocked(0.02)
            assert answers == []
            assert listener.ignored == 1
            drop(*await pair(dialer, listener))

    run(main)


def test_another_version_is_told_which_is_spoken() -> None:
    async def main() -> None:
        async with served() as (_, _, listener), stranger(listener) as relay:
            answers: list[bytes] = []
            relay.backwards = answers.append
            relay._dialer = ("127.0.0.1", 9)
            relay.inject(long_header(0x7A7A7A7A))
            await wait_all_tasks_blocked(0.02)
            (answer,) = answers
            header = header_of(answer)
            assert header is not None
            assert header.packet_type is QuicPacketType.VERSION_NEGOTIATION
            assert header.supported_versions == [VERSION]

    run(main)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_flights_hurt_nobody_else(seed: int) -> None:
    draw = random.Random(seed)

    def damaged(data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(draw.randint(1, 8)):
            changed[draw.choice((draw.randrange(len(data)), draw.randrange(min(40, len(data)))))] = draw.randrange(256)
        return bytes(changed)

    async def main() -> None:
        async with served() as (dialer, _, listener), relayed(listener.address) as relay:
            for _ in range(20):
                relay.inject(damaged(first_flight()))
            streams = await pair(dialer, listener, relay.address)
            clean, relay.forwards = relay.forwards, damaged
            streams[0].send_nowait(bytes(5000))
            await wait_all_tasks_blocked(0.01)
            relay.forwards = clean
            assert await read_exactly(streams[1], 5000) == bytes(5000)
            await carried(*streams, 20_000)
            drop(*streams)

    run(main)


def test_when_many_shake_hands_a_dialer_has_to_show_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transports.quic_listening.SHAKING", 0)

    async def main() -> None:
        async with served() as (dialer, _, listener), relayed(listener.address) as relay:
            seen: list[QuicPacketType] = []

            def noted(data: bytes) -> bytes:
                header = header_of(data)
                assert header is not None
                seen.append(header.packet_type)
                return data

            relay.backwards = noted
            streams = await pair(dialer, listener, relay.address)
            assert seen[0] is QuicPacketType.RETRY
            await carried(*streams, 1000)
            drop(*streams)

    run(main)


def test_an_invented_token_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transports.quic_listening.SHAKING", 0)

    async def main() -> None:
        async with served() as (dialer, _, listener):
            dialer.dial_timeout = 1
            dialer._client.token = b"open sesame"
            with pytest.raises(ConnectFailed, match="no answer in 1 s"):
                await dialer.dial(listener.address)

    run(main)


def test_no_more_wait_to_be_accepted_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transports.quic_listening.BACKLOG", 2)

    async def main() -> None:
        async with served() as (dialer, _, listener):
            streams = [await dialer.dial(listener.address) for _ in range(2)]
            with pytest.raises(ConnectFailed, match="connection refused"):
                await dialer.dial(listener.address)
            drop(*streams)

    run(main)


def test_a_handshake_that_goes_no_further_is_given_up() -> None:
    async def main() -> None:
        async with served() as (_, acceptor, listener), relayed(listener.address) as relay:
            relay.inject(first_flight())
            await wait_all_tasks_blocked(0.02)
            assert len(listener._endpoint._shaking) == 1
            await trio.sleep(HANDSHAKE)
            await wait_all_tasks_blocked(0.02)
            assert not listener._endpoint._shaking
            assert not listener._endpoint._routes
            assert not acceptor._lines._lines

    run(main)


# -- on the way -------------------------------------------------------------------------------------------


def test_a_dialer_whose_address_changes_stays_connected() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener), relayed(listener.address) as relay:
            dialed, accepted = await pair(dialer, listener, relay.address)
            await carried(dialed, accepted, 100_000)
            for moves in range(3):
                relay.move()
                await carried(dialed, accepted, 100_000)
                await carried(accepted, dialed, 100_000)
                assert len(relay.ports) == moves + 2
            drop(dialed, accepted)

    run(main)


def test_what_is_lost_on_the_way_is_sent_again() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener), relayed(listener.address) as relay:
            relay.forwards, relay.backwards = every(5), every(7)
            dialed, accepted = await pair(dialer, listener, relay.address)
            await carried(dialed, accepted, 200_000)
            await carried(accepted, dialed, 200_000)
            drop(dialed, accepted)

    run(main)


def test_what_was_closed_arrives_although_datagrams_are_lost() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener), relayed(listener.address) as relay:
            dialed, accepted = await pair(dialer, listener, relay.address)
            relay.forwards = every(4)
            await send_all(dialed, pattern(0, 100_000))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(dialed.aclose)
                assert await read_to_end(accepted) == pattern(0, 100_000)
            drop(accepted)

    run(main)


def test_a_farewell_that_was_lost_is_said_again() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener), relayed(listener.address) as relay:
            dialed, accepted = await pair(dialer, listener, relay.address)
            await carried(dialed, accepted, 1000)
            relay.forwards = every(1)
            dialed.abort()
            await wait_all_tasks_blocked(0.001)
            relay.forwards = bytes
            accepted.send_nowait(b"still there?")
            with pytest.raises(ConnectionLost, match="reset by the peer"):
                await read(accepted)
            drop(accepted)

    run(main)


def test_a_peer_whose_process_has_ended_is_missed_as_soon_as_something_is_sent() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            dialed, _ = await pair(dialer, listener)
            start = trio.current_time()
            listener._endpoint._socket.close()  # nothing is said, as when a process ends
            dialed.send_nowait(b"are you there?")
            with pytest.raises(ConnectionLost, match="nothing listens there"):
                await read(dialed)
            assert trio.current_time() - start < 10

    run(main)


# -- what is held -----------------------------------------------------------------------------------------


def test_what_a_peer_does_not_read_is_bounded_at_both_ends() -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            dialed, accepted = await pair(dialer, listener)
            taken = await fill(dialed)
            assert len(accepted._line.inbox) <= WINDOW
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


# -- hostile peers ----------------------------------------------------------------------------------------


async def strange(act: Callable[[QuicStream], None], *, why: str) -> None:
    """The acceptor loses a dialer that does this, and nobody else."""
    async with served() as (dialer, _, listener):
        hostile, victim = await pair(dialer, listener)
        good = await pair(dialer, listener)
        act(hostile)
        hostile._line.pump(trio.current_time())
        await wait_all_tasks_blocked(0.02)
        with pytest.raises(ConnectionLost, match=why):
            await read_to_end(victim)
        await carried(*good, 1000)
        await lost(hostile)
        drop(hostile, victim, *good)


def test_a_second_stream_costs_the_connection() -> None:
    def open_another(stream: QuicStream) -> None:
        stream._line.connection._remote_max_streams_bidi = 9
        stream._line.connection.send_stream_data(4, b"x")

    run(partial(strange, open_another, why="QUIC: too many streams open"))


def test_more_than_the_window_costs_the_connection() -> None:
    def flood(stream: QuicStream) -> None:
        connection = stream._line.connection
        connection._remote_max_data = 1 << 40
        connection._streams[0].max_stream_data_remote = 1 << 40
        connection.send_stream_data(0, bytes(2 * WINDOW))

    run(partial(strange, flood, why="QUIC: over stream data limit"))


@pytest.mark.parametrize("act", ["reset_stream", "stop_stream"])
def test_half_a_reset_is_a_reset(act: str) -> None:
    def reset(stream: QuicStream) -> None:
        getattr(stream._line.connection, act)(0, 7)

    run(partial(strange, reset, why="reset by the peer"))


def test_a_stream_of_an_unknown_kind_costs_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            monkeypatch.setattr(
                "transports.quic_line.Line.dial",
                lambda line, peer: (
                    line.connection.connect(peer, trio.current_time()),
                    line.connection.send_stream_data(0, b"\x07"),
                    line.pump(trio.current_time()),
                ),
            )
            stream = await dialer.dial(listener.address)
            with pytest.raises(ConnectionLost, match="QUIC: the peer opened a stream of an unknown kind"):
                await read(stream)

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
            async with trio.open_nursery() as nursery:
                nursery.start_soon(dialer.serve)
                dialed, accepted = await pair(dialer, listener)
                await send_all(dialed, data := pattern(0, 3 * UNSENT))
                nursery.start_soon(read_exactly_into, accepted, data)
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await dialed.aclose()
            await listener.aclose()

    run(main)


async def read_exactly_into(stream: QuicStream, data: bytes) -> None:
    with trio.CancelScope(shield=True):
        assert await read_to_end(stream) == data


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
