"""The unreliable class as datagrams beside a stream: what is lost, doubled, late or strange (PROTOCOL U)."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

import pytest
import trio
from conformance import Check, Rig, Subject, name_of
from conformance import run as run_check
from conformance_datagrams import DATAGRAM_CHECKS, both
from proxies import ID, Bench, Item, Wires, bench, virtual
from test_simulated_bytes import rigged

from actors.errors import Refused
from actors.messages import TransportPrefs
from actors.net.messages import Datagram, Ping
from actors.net.session.link import Link
from actors.net.session.unreliable import beside
from actors.net.wire import encode
from actors.runtime.codec import encode as message
from actors.testing.network.wires import SimulatedNetwork
from transports.base import Datagrams
from transports.errors import ConnectionLost
from transports.memory.connection import Connection
from transports.quic.beside import UNREAD, UNSENT, Beside
from transports.quic.connection import Connection as QuicConnection

UNRELIABLE = TransportPrefs(reliability="unreliable")


def wires() -> Wires:
    network = Wires()
    network.datagrams = 1200
    return network


def thrown(n: int, number: int) -> bytes:
    """An item for the sink, as the datagram of this number."""
    return beside(encode(Datagram(number, "sink", "", 1000, message(Item(n)))))


def datagrams_of(link: Link) -> Datagrams:
    assert link.stream.datagrams is not None
    return link.stream.datagrams


# -- between nodes -----------------------------------------------------------------------------------------


@virtual
async def test_they_go_beside_a_stream_that_takes_nothing() -> None:
    async with bench("a", "b", wires=wires()) as nodes:
        await nodes.link("a", "b")
        (stream,) = [pipe for end, pipe in nodes.wires.only("a", "b").ways if end.host == "a"]
        stream.resize(0)
        await nodes["a"].tell(nodes.to("b"), Item(1000))
        for n in range(600):
            await nodes["a"].tell(nodes.to("b"), Item(n), prefs=UNRELIABLE)
        await nodes.until(lambda: len(nodes.journal("b").numbers()) == 600, within=3)
        assert nodes.ledger("a").sent == 600
        stream.resize(1 << 20)
        await nodes.until(lambda: 1000 in nodes.journal("b").numbers())


@virtual
async def test_what_no_datagram_can_carry_is_refused_in_its_turn() -> None:
    async with bench("a", "b", wires=wires()) as nodes:
        await nodes.link("a", "b")
        sizes = [0, 5000, 0, 0, 1300, 1000, 1200]
        for n, size in enumerate(sizes):
            await nodes["a"].tell(nodes.to("b"), Item(n, bytes(size)), prefs=UNRELIABLE)
        await nodes.until(lambda: not nodes.ledger("a").in_flight)
        await trio.sleep(1)
        assert nodes.journal("b").numbers() == [0, 2, 3, 5]
        assert (nodes.ledger("a").sent, nodes.ledger("a").refused) == (4, 3)
        assert all("too_large" in letter for letter in nodes.running["a"].letters())
        with pytest.raises(Refused, match="too_large"):
            await nodes["a"].send(nodes.to("b"), Item(9, bytes(1200)), prefs=UNRELIABLE)


@virtual
async def test_a_copy_is_not_taken_however_it_comes() -> None:
    async with bench("a", "b", wires=wires()) as nodes:
        await nodes.link("a", "b")
        link = nodes.current("a", "b")
        assert datagrams_of(link).send_nowait(thrown(1, 7))
        assert datagrams_of(link).send_nowait(thrown(1, 7))
        link.write(encode(Datagram(7, "sink", "", 1000, message(Item(1)))))
        await trio.sleep(1)
        assert nodes.journal("b").numbers() == [1]
        assert nodes.receive("b", "a").duplicates == 2


@virtual
async def test_a_datagram_that_overtakes_the_resume_is_taken() -> None:
    async with bench("a", "b", wires=wires()) as nodes:
        await nodes.link("a", "b")
        link = nodes.current("b", "a")
        link.resumed = False
        assert datagrams_of(nodes.current("a", "b")).send_nowait(thrown(1, 7))
        await nodes.until(lambda: nodes.journal("b").numbers() == [1])
        link.resumed = True


@virtual
async def test_a_datagram_of_a_session_that_is_over_is_dropped() -> None:
    async with bench("a", "b", wires=wires()) as nodes:
        await nodes.link("a", "b")
        link = nodes.current("b", "a")
        link.receive = type(link.receive)(link.receive.incarnation, 99, 99)
        assert datagrams_of(nodes.current("a", "b")).send_nowait(thrown(1, 7))
        await trio.sleep(1)
        entry = nodes["b"]._network.table.find(ID["a"])
        assert entry is not None
        assert entry.session is not None
        assert entry.session.dropped == {"another_session": 1}
        assert nodes.journal("b").numbers() == []


@virtual
@pytest.mark.parametrize("strange", [b"", b"\x91", b"\x40\x90", encode(Ping(1))[4:], b"\x41\x90"], ids=bytes.hex)
async def test_a_datagram_that_is_none_costs_its_connection(strange: bytes) -> None:
    async with bench("a", "b", wires=wires()) as nodes:
        await nodes.link("a", "b")
        link = nodes.current("b", "a")
        assert datagrams_of(nodes.current("a", "b")).send_nowait(strange)
        await nodes.until(lambda: link.reason is not None)
        assert "protocol error" in str(link.reason)
        await nodes.until(lambda: nodes.ready("a", "b"))
        await nodes["a"].send(nodes.to("b"), Item(1))


@virtual
async def test_a_datagram_that_came_before_the_proof_is_nobodys() -> None:
    network = wires()
    async with bench("a", "b", wires=network) as nodes:
        early: list[bool] = []

        def throw(connection: Connection) -> None:
            for end in connection.dialer, connection.acceptor:
                assert end.datagrams is not None
                early.append(end.datagrams.send_nowait(thrown(1, 7)))

        network.connected = throw  # type: ignore[method-assign]
        await nodes["a"].send(nodes.to("b"), Item(2))
        await trio.sleep(1)
        assert early == [True, True]
        assert nodes.journal("b").numbers() == [2]
        assert nodes.journal("a").numbers() == []


class Breaking:
    """Takes some datagrams; then the connection turns out to be lost."""

    largest = 1200

    def __init__(self, takes: int) -> None:
        self.takes = takes

    def send_nowait(self, data: bytes) -> bool:
        if not self.takes:
            raise ConnectionLost("broken")
        self.takes -= 1
        return True

    def receive_nowait(self) -> bytes:
        raise trio.WouldBlock

    async def wait(self) -> None:
        await trio.sleep_forever()


async def _broken(nodes: Bench, takes: int) -> None:
    nodes.current("a", "b")._datagrams = Breaking(takes)
    for n in range(5):
        await nodes["a"].tell(nodes.to("b"), Item(n), prefs=UNRELIABLE)
    await nodes.until(lambda: nodes.ledger("a").sent == 5)


@virtual
@pytest.mark.parametrize("takes", [0, 2])
async def test_what_went_before_a_connection_was_found_broken_is_not_sent_again(takes: int) -> None:
    async with bench("a", "b", wires=wires()) as nodes:
        await nodes.link("a", "b")
        await _broken(nodes, takes)
        await trio.sleep(1)
        assert nodes.journal("b").numbers() == list(range(takes, 5))


# -- the simulated network ---------------------------------------------------------------------------------


def with_datagrams(network: SimulatedNetwork) -> None:
    network.datagrams = 1200


def narrow(network: SimulatedNetwork) -> None:
    with_datagrams(network)
    network.slow(latency=0.05, jitter=0.02, bandwidth=1e6)


@pytest.mark.parametrize("check", DATAGRAM_CHECKS, ids=name_of)
@pytest.mark.parametrize("subject", [rigged("healthy", with_datagrams), rigged("narrow", narrow)], ids=name_of)
def test_the_simulated_network_conforms_in_its_datagrams(subject: Subject, check: Check) -> None:
    run_check(subject, check)


@pytest.mark.parametrize(
    ("loss", "copies", "least", "most"),
    [(0.0, 0.0, 200, 200), (0.0, 1.0, 400, 400), (0.5, 0.0, 60, 140), (1.0, 1.0, 0, 0)],
)
def test_datagrams_are_lost_and_doubled_as_it_is_said(loss: float, copies: float, least: int, most: int) -> None:
    got: list[bytes] = []

    async def check(rig: Rig) -> None:
        async with both(rig) as (dialer, acceptor):
            for n in range(200):
                assert dialer.send_nowait(b"%d" % n)
                if n % 50 == 49:
                    await trio.sleep(5)
                    while True:
                        try:
                            got.append(acceptor.receive_nowait())
                        except trio.WouldBlock:
                            break

    def troubled(network: SimulatedNetwork) -> None:
        with_datagrams(network)
        network.scatter(loss=loss, copies=copies, spread=2.0)

    run_check(rigged("scattered", troubled), check)
    assert least <= len(got) <= most
    assert len(got) < 2 or got != sorted(got, key=int) or not copies


@pytest.mark.parametrize("wrong", [{"loss": 1.1}, {"copies": -0.1}, {"spread": -1.0}])
def test_what_cannot_be_said_of_datagrams(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"probabilities|at least 0"):
        SimulatedNetwork(Random(0)).scatter(**wrong)  # type: ignore[arg-type]


# -- QUIC --------------------------------------------------------------------------------------------------


class Narrow(QuicConnection):
    """Of a connection: that it sends datagrams before anything of the stream, and how little it may send at a time."""

    def __init__(self) -> None:
        self._datagrams_pending = deque()
        self.streamed = self.thrown = 0

    def send_datagram_frame(self, data: bytes) -> None:
        self._datagrams_pending.append(data)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Any]]:
        """Two packets in each turn: whoever is first has them all."""
        if self.window:
            if self._datagrams_pending:
                self.thrown += len([self._datagrams_pending.popleft() for _ in range(2)])
            else:
                self.streamed += 2
            self.window = False
        return []

    window = True


def test_neither_the_stream_nor_datagrams_ever_wait_for_the_other_to_be_done() -> None:
    connection, waiting = Narrow(), Beside()
    for now in range(100):
        while waiting.put(bytes(1000)):
            pass
        connection.window = True
        waiting.leaving(connection, now)
        assert not connection._datagrams_pending
    assert connection.streamed == connection.thrown == 100


def test_datagrams_that_nobody_sends_or_reads_are_bounded() -> None:
    waiting = Beside()
    taken = sum(waiting.put(bytes(1000)) for _ in range(1000))
    assert 0 < taken * 1000 <= UNSENT
    for _ in range(1000):
        waiting.came(bytes(1000))
    assert 0 < len(waiting.inbox) * 1000 <= UNREAD
    assert waiting.missed == 1000 - len(waiting.inbox)
    waiting.read()
    waiting.came(b"x")
    assert waiting.inbox[-1] == b"x"
    for _ in range(100_000):
        waiting.came(b"")
    assert len(waiting.inbox) < 10_000, "empty ones take no room"
