"""The unreliable class (PROTOCOL U): sent at most once, beside the reliable one, and never in its way."""

from __future__ import annotations

import pytest
import trio
from proxies import ID, Gated, Item, Question, Wires, bench, virtual

from actors.engine import Engine, on
from actors.errors import Expired, Lost
from actors.identity import EngineID
from actors.messages import Message, TransportPrefs
from actors.net.messages import Datagram, Kind
from actors.net.session.closing import Asked
from actors.net.session.runs import Lane, Run
from actors.net.session.transmit import Transmit
from actors.net.session.unreliable import WINDOW, Window
from actors.net.wire import encode
from actors.runtime.codec import encode as message
from actors.runtime.mailbox import Mailbox

UNRELIABLE = TransportPrefs(reliability="unreliable")


class Go(Message):
    """Tell `to` so many items, unreliably."""

    to: EngineID
    count: int


class Careless(Engine):
    @on(Go)
    def go(self, msg: Go) -> None:
        for n in range(msg.count):
            self.tell(msg.to, Item(n), prefs=UNRELIABLE)


# -- at the sender -----------------------------------------------------------------------------------------


@virtual
async def test_an_unreliable_message_arrives_and_is_sent_not_delivered() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        for n in range(1000):
            await nodes["a"].tell(nodes.to("b"), Item(n), prefs=UNRELIABLE)
        await nodes.until(lambda: len(nodes.journal("b").numbers()) == 1000)
        ledger = nodes.ledger("a")
        assert (ledger.accepted, ledger.sent, ledger.delivered, ledger.in_flight) == (1000, 1000, 0, 0)
        proxy = nodes.proxy("a", "b")
        assert proxy is not None
        assert proxy.retained == 0
        assert nodes.receive("b", "a").position == 0, "it has a number"
        assert nodes.receive("b", "a").received == 1000


@virtual
async def test_send_returns_when_the_transport_has_an_unreliable_message() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        nodes.wires.only("a", "b").blackhole()
        await nodes["a"].send(nodes.to("b"), Item(1), prefs=UNRELIABLE)  # nobody answers, and nobody has to
        await nodes["a"].send(nodes.to("b", "nobody"), Item(2), prefs=UNRELIABLE)
        assert nodes.ledger("a").sent == 2


@virtual
async def test_an_engine_tells_unreliably() -> None:
    async with bench("a", "b") as nodes:
        nodes["a"].spawn(Careless(), "careless")
        await nodes["a"].tell(EngineID(None, "careless"), Go(nodes.to("b"), 700))
        await nodes.until(lambda: len(nodes.journal("b").numbers()) == 700)
        assert nodes.ledger("a").sent == 700


@virtual
async def test_an_ask_is_reliable_in_any_case() -> None:
    async with bench("a", "b") as nodes:
        assert await nodes["a"].ask(nodes.to("b"), Question(3), prefs=UNRELIABLE) == -3
        assert nodes.ledger("a").delivered == 1
        assert nodes.ledger("a").sent == 0


@virtual
async def test_what_waits_for_a_connection_expires_or_is_lost_unsent() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", know=True)
        await nodes.stop("b")
        told = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(1), prefs=UNRELIABLE, expiry=1.0))
        kept = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(2), prefs=UNRELIABLE, expiry=1000.0))
        expired = await told.wait()
        assert isinstance(expired, Expired)
        assert not expired.maybe_sent
        await nodes.stop("a")
        lost = await kept.wait()
        assert isinstance(lost, Lost)
        assert (lost.reason, lost.maybe_sent) == ("node_stopped", False)


@virtual
async def test_what_fails_unsent_is_a_dead_letter_with_its_reason() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", know=True)
        await nodes.stop("b")
        await nodes["a"].tell(nodes.to("b"), Item(1), prefs=UNRELIABLE, expiry=1.0)
        await nodes.until(lambda: nodes.running["a"].letters())
        assert nodes.running["a"].letters() == ["expired before it was sent"]


@virtual
async def test_an_unreliable_message_is_not_sent_again_over_the_next_connection() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        nodes.wires.only("a", "b").blackhole(nodes.wires.only("a", "b").dialer)
        nodes.wires.only("a", "b").blackhole(nodes.wires.only("a", "b").acceptor)
        await nodes["a"].tell(nodes.to("b"), Item(1), prefs=UNRELIABLE)
        await nodes["a"].tell(nodes.to("b"), Item(2))
        await trio.sleep(0.5)
        await nodes.reconnect("a", "b")
        await nodes["a"].tell(nodes.to("b"), Item(3), prefs=UNRELIABLE)
        await nodes.until(lambda: len(nodes.journal("b").numbers()) == 2)
        await trio.sleep(5)
        assert sorted(nodes.journal("b").numbers()) == [2, 3]
        ledger = nodes.ledger("a")
        assert (ledger.accepted, ledger.sent, ledger.delivered) == (3, 2, 1)


@virtual
async def test_the_two_classes_do_not_hold_up_each_other() -> None:
    """A narrow line that either class alone could fill."""
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        (pipe,) = [pipe for end, pipe in nodes.wires.only("a", "b").ways if end.host == "a"]
        pipe.resize(2000)
        numbers = nodes.journal("b").numbers
        async with trio.open_nursery() as nursery:

            async def flood(first: int, prefs: TransportPrefs) -> None:
                for n in range(first, first + 3000):
                    await nodes["a"].tell(nodes.to("b"), Item(n, bytes(200)), prefs=prefs)

            nursery.start_soon(flood, 0, UNRELIABLE)
            nursery.start_soon(flood, 3000, TransportPrefs())
        await nodes.until(lambda: len(numbers()) == 6000)
        half = numbers()[:3000]
        share = sum(n < 3000 for n in half)
        assert 1000 < share < 2000, f"of the first 3000 {share} were unreliable"


def test_lanes_of_the_class_have_their_turns() -> None:
    transmit = Transmit(1, lambda run, outcome: None)
    lanes = [Lane(0, sender, transmit.target("t"), unreliable=True) for sender in ("x", "y", "z")]
    for lane in lanes:
        for _ in range(3):
            run = Run(lane, Kind.TELL, 9.0, [b"one", b"two"])
            transmit.admit(run)
            transmit.queue(run)
    turns = []
    while (found := transmit.next_unreliable(1.0)) is not None:
        turns.append(found.lane.sender)
        transmit.sent(found, found.count)
    assert turns == ["x", "y", "z"] * 3
    assert (transmit.ledger.accepted, transmit.ledger.sent) == (18, 18)
    assert transmit.empty
    assert not transmit.can_write
    assert not transmit.retained


@virtual
async def test_whoever_waited_for_room_in_an_outbox_that_ends_goes_on_in_the_same_class() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        port = nodes["a"]._network.table.outlet(ID["b"]).lane("", "sink")
        assert port.beside is port.beside
        assert port.beside.unreliable
        assert not port.unreliable
        assert port.beside._successor() is port.beside
        assert port._successor() is port


def test_what_has_expired_is_not_sent() -> None:
    transmit = Transmit(1, lambda run, outcome: None)
    run = Run(Lane(0, "x", transmit.target("t"), unreliable=True), Kind.TELL, 9.0, [b"one"])
    transmit.admit(run)
    transmit.queue(run)
    assert transmit.next_unreliable(9.0) is None
    assert transmit.ledger.expired == 1


# -- at the receiver ---------------------------------------------------------------------------------------


@virtual
async def test_what_nobody_can_take_is_dropped_and_counted() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        await nodes["a"].tell(nodes.to("b", "nobody"), Item(1), prefs=UNRELIABLE)
        await nodes["a"].tell(nodes.to("b"), Go(nodes.to("b"), 1), prefs=UNRELIABLE)
        entry = nodes["b"]._network.table.find(ID["a"])
        assert entry is not None
        assert entry.session is not None
        session = entry.session
        await nodes.until(lambda: sum(session.dropped.values()) == 2)
        assert session.dropped == {"no_engine": 1, "bad_message": 1}
        proxy = nodes.proxy("b", "a")
        assert proxy is not None
        assert proxy.dropped == 2
        assert nodes.ledger("a").sent == 2
        assert not nodes.running["a"].letters()


@virtual
async def test_a_full_mailbox_drops_unreliable_messages_and_keeps_the_room_that_was_promised() -> None:
    async with bench("a", "b") as nodes:
        nodes["b"].spawn(Gated(journal=nodes.journal("b"), gate=trio.Event()), "gated")
        await nodes.link("a", "b")
        cell = nodes["b"].runtime.find("gated")
        assert cell is not None
        box = cell.mailbox
        await nodes["a"].send(nodes.to("b", "gated"), Item(0))
        reserved = box.reserved
        for n in range(1, 2 * box.capacity):
            await nodes["a"].tell(nodes.to("b", "gated"), Item(n), prefs=UNRELIABLE)
        await nodes.until(lambda: nodes.ledger("a").sent == 2 * box.capacity - 1)
        await trio.sleep(1)
        assert box.held + box.reserved <= box.capacity
        assert box.reserved == reserved, "promised room was used"
        entry = nodes["b"]._network.table.find(ID["a"])
        assert entry is not None
        assert entry.session is not None
        assert entry.session.dropped["full"] == box.capacity - 1
        await nodes["a"].send(nodes.to("b", "gated"), Item(1))  # what was promised before is there


@virtual
async def test_a_copy_of_a_datagram_is_not_taken() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        link = nodes.current("a", "b")
        frame = encode(Datagram(7, "sink", "", 1000, message(Item(1))))
        link.write(frame + frame)
        await trio.sleep(1)
        link.write(frame)
        await trio.sleep(1)
        assert nodes.journal("b").numbers() == [1]
        assert nodes.receive("b", "a").duplicates == 2


def test_a_mailbox_spares_what_nobody_has_or_waits_for() -> None:
    box = Mailbox(capacity=3, capacity_bytes=100)
    assert box.spares(100)
    assert not box.spares(101)
    box.reserved_bytes = 60
    assert box.spares(40)
    assert not box.spares(41)
    box.reserved = 3
    assert not box.spares(1)
    box.reserved = 2
    assert box.spares(1)
    box.waiting = 1
    assert not box.spares(1)
    box.waiting = 0
    box.close()
    assert not box.spares(1)


def test_the_window_knows_the_last_numbers_and_no_more() -> None:
    window = Window()
    assert all(window.is_new(number) for number in range(WINDOW))
    assert not any(window.is_new(number) for number in range(WINDOW))
    assert window.is_new(WINDOW)
    assert window.is_new(0), "it remembers more than the window"
    assert not window.is_new(2)


# -- closing -----------------------------------------------------------------------------------------------


@virtual
async def test_unreliable_messages_keep_a_connection_in_use_and_bind_nobody() -> None:
    """A datagram that cancelled a question might be lost, and leave the other end bound by its answer (D1, D2)."""
    async with bench("a", "b") as nodes:
        await nodes["a"].send(nodes.to("b"), Item(1))
        link = nodes.current("a", "b")
        for n in range(40):
            await trio.sleep(20)
            await nodes["a"].tell(nodes.to("b"), Item(2 + n), prefs=UNRELIABLE)
        assert nodes.current("a", "b") is link, "a connection in use was closed"
        await trio.sleep(1000)
        assert nodes.state("a", "b") == nodes.state("b", "a") == "none", "it was never closed"


@virtual
async def test_a_question_stands_whatever_unreliable_messages_cross_it() -> None:
    async with bench("a", "b") as nodes:
        await nodes["a"].send(nodes.to("b"), Item(1))
        link = nodes.current("a", "b")
        assert link.closing.idle()
        await nodes["a"].send(nodes.to("b"), Item(2), prefs=UNRELIABLE)
        await nodes["b"].send(nodes.to("a"), Item(3), prefs=UNRELIABLE)
        await nodes.until(lambda: nodes.journal("a").numbers() == [3])
        assert link.closing.state is Asked.ASKING, "it is forgotten, and who answers it is bound for ever"


@virtual
@pytest.mark.parametrize("datagrams", [0, 1200])
async def test_after_a_promise_unreliable_messages_wait_for_the_next_connection(datagrams: int) -> None:
    wires = Wires()
    wires.datagrams = datagrams
    async with bench("a", "b", wires=wires) as nodes:
        await nodes["a"].send(nodes.to("b"), Item(1))
        link = nodes.current("a", "b")
        assert link.closing.on_idle(idle_here=True)
        await nodes["a"].tell(nodes.to("b"), Item(2), prefs=UNRELIABLE)
        await trio.sleep(1)
        assert nodes.journal("b").numbers() == [1]
        nodes.wires.cut("a", "b")
        await nodes.until(lambda: nodes.journal("b").numbers() == [1, 2])
        ledger = nodes.ledger("a")
        assert (ledger.accepted, ledger.delivered, ledger.sent) == (2, 1, 1)
