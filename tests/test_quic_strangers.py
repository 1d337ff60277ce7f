"""QUIC at a listener's port: garbage, strangers, crowds, and peers that mean harm."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicPacketType, encode_quic_version_negotiation
from conformance import lost, read, read_exactly, read_to_end
from quic_relay import Relay, relayed
from quic_running import carried, drop, pair, run, served
from trio.testing import wait_all_tasks_blocked

from transports.errors import ConnectFailed, ConnectionLost
from transports.quic.connection import VERSION, WINDOW, client_configuration
from transports.quic.line import HANDSHAKE
from transports.quic.stateless import SMALLEST_FIRST, header_of
from transports.quic.stream import QuicStream
from transports.quic.transport import QuicListener

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
    monkeypatch.setattr("transports.quic.listening.SHAKING", 0)

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
    monkeypatch.setattr("transports.quic.listening.SHAKING", 0)

    async def main() -> None:
        async with served() as (dialer, _, listener):
            dialer.dial_timeout = 1
            dialer._client.token = b"open sesame"
            with pytest.raises(ConnectFailed, match="no answer in 1 s"):
                await dialer.dial(listener.address)

    run(main)


def test_no_more_wait_to_be_accepted_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transports.quic.listening.BACKLOG", 2)

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


# -- hostile peers ----------------------------------------------------------------------------------------


async def strange(act: Callable[[QuicStream], None], *, why: str) -> None:
    """The acceptor loses a dialer that does this, and nobody else."""
    async with served() as (dialer, _, listener):
        hostile, victim = await pair(dialer, listener)
        good = await pair(dialer, listener)
        act(hostile)
        hostile.line.pump(trio.current_time())
        await wait_all_tasks_blocked(0.02)
        with pytest.raises(ConnectionLost, match=why):
            await read_to_end(victim)
        await carried(*good, 1000)
        await lost(hostile)
        drop(hostile, victim, *good)


def test_a_second_stream_costs_the_connection() -> None:
    def open_another(stream: QuicStream) -> None:
        stream.line.connection._remote_max_streams_bidi = 9
        stream.line.connection.send_stream_data(4, b"x")

    run(partial(strange, open_another, why="QUIC: too many streams open"))


def test_more_than_the_window_costs_the_connection() -> None:
    def flood(stream: QuicStream) -> None:
        connection = stream.line.connection
        connection._remote_max_data = 1 << 40
        connection._streams[0].max_stream_data_remote = 1 << 40
        connection.send_stream_data(0, bytes(2 * WINDOW))

    run(partial(strange, flood, why="QUIC: over stream data limit"))


@pytest.mark.parametrize("act", ["reset_stream", "stop_stream"])
def test_half_a_reset_is_a_reset(act: str) -> None:
    def reset(stream: QuicStream) -> None:
        getattr(stream.line.connection, act)(0, 7)

    run(partial(strange, reset, why="reset by the peer"))


def test_a_stream_of_an_unknown_kind_costs_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with served() as (dialer, _, listener):
            monkeypatch.setattr(
                "transports.quic.line.Line.dial",
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
