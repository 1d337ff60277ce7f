"""QUIC over a path that moves, loses, and ends."""

from __future__ import annotations

import sys

import pytest
import trio
from conformance import pattern, read, read_to_end, serving
from quic_relay import every, relayed
from quic_running import carried, drop, pair, run, served, transport
from trio.testing import wait_all_tasks_blocked

from transports.addresses import QUICAddress
from transports.base import send_all
from transports.errors import ConnectionLost

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


@pytest.mark.parametrize(
    ("everywhere", "number"),
    [
        ("0.0.0.0", "127.0.0.1"),
        pytest.param(
            "0.0.0.0", "127.0.0.2", marks=pytest.mark.skipif(sys.platform != "linux", reason="no such number")
        ),
        ("::", "::1"),
    ],
)
def test_a_listener_everywhere_answers_from_the_number_that_was_dialed(
    everywhere: str, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        dialer, acceptor = transport(), transport()
        async with serving(dialer, acceptor):
            listener = await acceptor.listen(QUICAddress(everywhere, 0))
            place = QUICAddress(number, listener.address.port)
            for _ in range(2):
                streams = await pair(dialer, listener, place)
                assert streams[0].remote == str(place)
                await carried(*streams, 100_000)
                drop(*streams)
                monkeypatch.setattr("transports.quic.listening.SHAKING", 0)  # what needs no memory does so, too
            await listener.aclose()
            await trio.sleep(1)
            assert not listener._endpoint._places

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
