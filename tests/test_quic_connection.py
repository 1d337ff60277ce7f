"""What we ask of aioquic's private parts, and what we change in it: two connections in memory, no sockets."""

from __future__ import annotations

from math import inf

import pytest
import trio
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from aioquic.quic.packet import QuicErrorCode
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import MockClock

from transports.quic.connection import (
    LARGE,
    STREAM,
    WINDOW,
    Connection,
    certificate_of_peer,
    client_configuration,
    delivered,
    sent_for_the_first_time,
    server_configuration,
    terminated,
    towards,
)
from transports.quic.ends import in_words
from transports.quic.line import Line
from transports.quic.timers import FLOOR, Timer, Timers
from transports.tls.certificates import make_certificate
from transports.tls.stream import ALPN

CERTIFICATE = make_certificate(Ed25519PrivateKey.generate())
DIALER, ACCEPTOR = ("192.0.2.1", 1), ("192.0.2.2", 2)


class Pair:
    """A dialer and an acceptor whose datagrams reach the other at once."""

    def __init__(self) -> None:
        self.now = 0.0
        self.dialer = Connection(client_configuration())
        self.dialer.connect(ACCEPTOR, self.now)
        self.acceptor = Connection(
            server_configuration(CERTIFICATE), original=self.dialer.original_destination_connection_id
        )
        self.events: dict[Connection, list[QuicEvent]] = {self.dialer: [], self.acceptor: []}
        self.dialer.send_stream_data(STREAM, b"\0")
        self.settle()

    def settle(self, seconds: float = 0.2) -> None:
        """As much as happens in this time."""
        until = self.now + seconds
        self._exchange()
        while (now := min(self._timer(end) for end in self.events)) <= until:
            self.now = max(now, self.now + FLOOR)
            for end in self.events:
                if self._timer(end) <= self.now:
                    end.handle_timer(self.now)
            self._exchange()
        self.now = until

    def _timer(self, end: Connection) -> float:
        if end is self.acceptor and end.get_peer_address() is None:
            return inf
        at = end.get_timer()
        return inf if at is None else at

    def _exchange(self) -> None:
        moved = True
        while moved:
            moved = False
            for end, other, source in (
                (self.dialer, self.acceptor, DIALER),
                (self.acceptor, self.dialer, ACCEPTOR),
            ):
                for data, _ in end.datagrams_to_send(self.now) if end.get_peer_address() else ():
                    other.receive_datagram(data, source, self.now)
                    moved = True
        for end, events in self.events.items():
            events.extend(iter(end.next_event, None))

    def came(self, end: Connection) -> int:
        return sum(len(event.data) for event in self.events[end] if isinstance(event, StreamDataReceived))


@pytest.fixture
def pair() -> Pair:
    made = Pair()
    assert any(isinstance(event, HandshakeCompleted) for event in made.events[made.dialer])
    return made


def test_the_certificate_that_a_server_has_shown_is_known_when_the_handshake_is_over(pair: Pair) -> None:
    assert certificate_of_peer(pair.dialer) == CERTIFICATE.der
    assert certificate_of_peer(pair.acceptor) == b""


def test_no_ticket_is_given_and_no_session_resumed(pair: Pair) -> None:
    (done,) = [event for event in pair.events[pair.dialer] if isinstance(event, HandshakeCompleted)]
    assert not done.session_resumed
    assert not done.early_data_accepted
    assert pair.dialer.tls.session_ticket is None
    assert pair.acceptor.tls.new_session_ticket_cb is None


def test_a_peer_may_open_one_stream_and_the_other_none(pair: Pair) -> None:
    assert (pair.dialer._remote_max_streams_bidi, pair.dialer._remote_max_streams_uni) == (1, 0)
    assert (pair.acceptor._remote_max_streams_bidi, pair.acceptor._remote_max_streams_uni) == (0, 0)


def test_what_nobody_reads_stays_within_the_window(pair: Pair) -> None:
    pair.dialer.send_stream_data(STREAM, bytes(4 * WINDOW))
    pair.settle(20)
    assert pair.came(pair.acceptor) == WINDOW
    pair.acceptor.send_stream_data(STREAM, bytes(4 * WINDOW))
    pair.settle(20)
    assert pair.came(pair.dialer) == WINDOW


def test_the_window_follows_what_is_read(pair: Pair) -> None:
    pair.dialer.send_stream_data(STREAM, bytes(4 * WINDOW))
    for read in (WINDOW // 4, WINDOW, 3 * WINDOW):
        pair.acceptor.read = read
        assert pair.acceptor.window_is_due
        pair.settle(20)
        assert pair.came(pair.acceptor) == read + WINDOW
        assert not pair.acceptor.window_is_due


def test_a_little_that_was_read_is_not_worth_a_datagram(pair: Pair) -> None:
    pair.acceptor.read = WINDOW // 4 - 1
    assert not pair.acceptor.window_is_due


def test_it_is_known_how_much_has_left(pair: Pair) -> None:
    assert sent_for_the_first_time(pair.dialer) == 1
    pair.dialer.send_stream_data(STREAM, bytes(100))
    assert sent_for_the_first_time(pair.dialer) == 1
    pair.settle()
    assert sent_for_the_first_time(pair.dialer) == 101
    pair.dialer.send_stream_data(STREAM, bytes(2 * WINDOW))
    pair.settle(20)
    assert sent_for_the_first_time(pair.dialer) == WINDOW


def test_a_stream_is_delivered_when_its_end_is_acknowledged(pair: Pair) -> None:
    pair.dialer.send_stream_data(STREAM, bytes(100))
    pair.settle()
    assert not delivered(pair.dialer)
    pair.dialer.send_stream_data(STREAM, b"", end_stream=True)
    assert not delivered(pair.dialer)
    pair.settle()
    assert delivered(pair.dialer)
    assert not delivered(pair.acceptor)


def test_datagrams_are_large_within_one_machine_only() -> None:
    plain = client_configuration()
    assert towards("127.0.0.1", plain).max_datagram_size == towards("::1", plain).max_datagram_size == LARGE
    assert towards("192.0.2.1", plain).max_datagram_size == towards("2001:db8::1", plain).max_datagram_size == 1200
    assert towards("::1", plain).alpn_protocols == plain.alpn_protocols


def test_both_ends_know_at_once_that_it_ends(pair: Pair) -> None:
    assert terminated(pair.dialer) is terminated(pair.acceptor) is None
    pair.dialer.close(error_code=7)
    pair.settle(0)
    for end in pair.dialer, pair.acceptor:
        known = terminated(end)
        assert known is not None
        assert known.error_code == 7
        assert not any(isinstance(event, ConnectionTerminated) for event in pair.events[end])


# -- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (ConnectionTerminated(0, None, ""), "closed by the peer"),
        (ConnectionTerminated(1, None, ""), "connection reset by the peer"),
        (ConnectionTerminated(2, None, "so it is"), "QUIC: so it is"),
        (ConnectionTerminated(99, None, "\x1b[2J\n" + "x" * 1000), "QUIC: ?[2J?" + "x" * 95),
        (ConnectionTerminated(QuicErrorCode.CONNECTION_REFUSED, 0, ""), "connection refused, nothing listens there"),
        (ConnectionTerminated(0x178, 6, "No common ALPN protocols"), "QUIC: no common alpn protocols"),
        (ConnectionTerminated(0x178, 6, ""), "QUIC: TLS alert 120"),
        (ConnectionTerminated(10, 6, ""), "QUIC: error 0xa"),
        (ConnectionTerminated(QuicErrorCode.APPLICATION_ERROR, 0, ""), "connection reset by the peer"),
    ],
)
def test_an_end_is_told_in_words(end: ConnectionTerminated, words: str) -> None:
    assert in_words(end) == words


# -- timers -----------------------------------------------------------------------------------------------


def test_a_timer_rings_once_at_the_earliest_time_that_it_was_set_to() -> None:
    rung: list[float] = []

    async def main() -> None:
        timers = Timers()
        timer = Timer(timers, lambda: rung.append(trio.current_time() - start))
        other = Timer(timers, lambda: timer.set(start + 9, trio.current_time()))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            await trio.sleep(1)
            start = trio.current_time()
            timer.set(start + 5, start)
            timer.set(start + 3, start)
            timer.set(start + 7, start)
            other.set(start + 4, start)
            await trio.sleep(20)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert rung == [3, 9]


def test_a_timer_that_was_stopped_does_not_ring() -> None:
    rung: list[bool] = []

    async def main() -> None:
        timers = Timers()
        timer = Timer(timers, lambda: rung.append(True))
        timer.set(trio.current_time() + 1, trio.current_time())
        timer.stop()
        with trio.move_on_after(5):
            await timers.run()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert rung == []


def test_a_time_in_the_past_does_not_spin() -> None:
    rings = 0

    async def main() -> None:
        def ring() -> None:
            nonlocal rings
            rings += 1
            timer.set(0, trio.current_time())

        timers = Timers()
        timer = Timer(timers, ring)
        timer.set(0, trio.current_time())
        with trio.move_on_after(10.5 * FLOOR):
            await timers.run()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert rings == 10


# -- a line -----------------------------------------------------------------------------------------------


class Nobody:
    """A Host that reaches nobody."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def transmit(self, line: Line, data: bytes, to: object) -> None: ...

    def known_as(self, line: Line, cid: bytes, *, known: bool) -> None: ...

    def opened(self, line: Line) -> None:
        self.told.append("opened")

    def lost(self, line: Line) -> None:
        self.told.append("lost")

    def over(self, line: Line) -> None:
        self.told.append("over")


@pytest.mark.parametrize(("alpn", "told"), [(ALPN, ["opened"]), ("h3", ["lost", "over"]), (None, ["lost", "over"])])
def test_a_server_that_settles_on_nothing_is_not_opened(alpn: str | None, told: list[str]) -> None:
    async def main() -> None:
        host = Nobody()
        line = Line(Connection(client_configuration()), host, Timers(), dialed=True)
        line.dial(ACCEPTOR)
        line._on(HandshakeCompleted(alpn_protocol=alpn, early_data_accepted=False, session_resumed=False))
        assert host.told == told

    trio.run(main)


@pytest.mark.parametrize("event", [StreamReset(error_code=7, stream_id=0), StopSendingReceived(7, 0)])
def test_half_a_reset_ends_the_whole(event: QuicEvent) -> None:
    async def main() -> None:
        line = Line(Connection(client_configuration()), Nobody(), Timers(), dialed=True)
        line.dial(ACCEPTOR)
        line._on(event)
        assert line.lost == "connection reset by the peer"

    trio.run(main)


def test_a_mistake_of_aioquics_costs_the_connection_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> None:
        raise AssertionError("it cannot be")

    async def main() -> None:
        host = Nobody()
        line = Line(Connection(client_configuration()), host, Timers(), dialed=True)
        line.dial(ACCEPTOR)
        monkeypatch.setattr(line.connection, "receive_datagram", mistaken)
        line.take(b"x", ACCEPTOR, 0)
        assert line.lost == "QUIC: AssertionError"
        assert host.told == ["lost", "over"]

    trio.run(main)
