"""Messages that demand something of the connection that carries them: encryption, a transport (C4, C7)."""

from __future__ import annotations

import re
from functools import partial
from typing import Literal

import pytest
import trio
import trio.lowlevel
from hypothesis import given
from hypothesis import strategies as st
from proxies import Item, Journal, Question, Sink, outcome
from test_migration import moved, scheme_of, two_nodes

from actors.errors import Expired, Lost, Refused, SendError
from actors.identity import EngineID
from actors.messages import PREFS, TransportPrefs
from actors.net.messages import Kind
from actors.net.session.demands import ENCRYPTED, carriers
from actors.net.session.runs import Lane, Run
from actors.net.session.transmit import Transmit
from actors.net.wire import HEAD_SIZE, decode_messages
from actors.node import open_node
from transports.schemes import LOOPBACK
from transports.tcp.stream import SocketStream

SECRET = TransportPrefs(security="encrypted")
OVER_TCP = TransportPrefs(transports=("tcp",))
OVER_WSS = TransportPrefs(transports=("wss",))


# -- what may carry it ----------------------------------------------------------------------------------------


def test_preferences_name_the_transports_that_may_carry_a_message() -> None:
    assert carriers(PREFS) is carriers(TransportPrefs(ordering="unordered")) is None
    assert carriers(SECRET) == ENCRYPTED
    assert sorted(ENCRYPTED) == ["memory", "quic", "tls", "wss"]
    assert carriers(OVER_TCP) == frozenset({"tcp"})
    assert carriers(TransportPrefs(security="encrypted", transports=("tcp", "tls"))) == TLS


@pytest.mark.parametrize(
    "prefs", [TransportPrefs(security="encrypted", transports=("tcp",)), TransportPrefs(transports=("pigeon",))]
)
def test_a_demand_that_no_transport_meets_is_refused_in_words(prefs: TransportPrefs) -> None:
    with pytest.raises(Refused, match="no transport is"):
        carriers(prefs)


# -- the transmit half ----------------------------------------------------------------------------------------


class Half:
    """A transmit half with credit for all, and what became of its messages."""

    def __init__(self) -> None:
        self.ended: list[tuple[bytes, SendError]] = []
        self.transmit = Transmit(1, lambda run, outcome: self.ended.extend((i, outcome) for i in run.items or ()))
        self.transmit.resume((100, 10_000), ())
        self.transmit.rewind("tcp")
        self.held = 0
        self.transmit.held = self._held

    def _held(self) -> None:
        self.held += 1

    def tell(self, lane: Lane, item: bytes, only: frozenset[str] | None = None, *, deadline: float = 100) -> None:
        run = Run(lane, Kind.TELL, deadline, [item])
        run.only = only
        self.transmit.admit(run)
        self.transmit.queue(run)

    def lane(self, number: int) -> Lane:
        return Lane(number, f"sender-{number}", self.transmit.target("sink"))

    def written(self, now: float = 0) -> list[bytes]:
        """The items in the frames that may be written now."""
        found = b""
        while parts := self.transmit.write(now, 0):
            found += b"".join(parts)
        return re.findall(rb"<\w>", found)


TLS = frozenset({"tls"})


def test_what_the_connection_may_not_carry_holds_up_its_lane_and_no_other() -> None:
    half = Half()
    one, other = half.lane(1), half.lane(2)
    for item, only in ((b"<A>", None), (b"<B>", TLS), (b"<C>", None)):
        half.tell(one, item, only)
    half.tell(other, b"<D>")
    assert half.written() == [b"<A>", b"<D>"]
    assert (half.held, half.transmit.demanded()) == (1, TLS)
    assert half.transmit.queued == 2
    half.transmit.acknowledge(2, (), ())
    half.transmit.rewind("tls")
    assert half.transmit.demanded() is None
    assert half.written() == [b"<B>", b"<C>"]


def test_what_was_written_is_not_written_again_on_a_connection_that_may_not_carry_it_nor_is_anything_behind_it() -> (
    None
):
    half = Half()
    half.transmit.rewind("tls")
    half.tell(half.lane(1), b"<A>", TLS, deadline=10)
    half.tell(half.lane(2), b"<B>")
    assert half.written() == [b"<A>", b"<B>"]
    half.transmit.rewind("tcp")
    half.tell(half.lane(3), b"<C>")
    assert half.written() == []
    assert half.transmit.demanded() == TLS
    half.transmit.expire(11)
    assert half.written(11) == [b"<B>", b"<C>"]  # a Skip goes in its place
    assert [(item, type(outcome)) for item, outcome in half.ended] == [(b"<A>", Expired)]


def test_what_will_never_be_carried_is_given_up_and_the_rest_goes_on() -> None:
    half = Half()
    half.transmit.rewind("tls")
    half.tell(half.lane(1), b"<A>", TLS)
    half.written()
    half.transmit.rewind("tcp")
    lane = half.lane(2)
    for item, only in ((b"<B>", TLS), (b"<C>", None), (b"<D>", TLS)):
        half.tell(lane, item, only)
    assert half.written() == []
    half.transmit.give_up_barred(TLS, "in words")
    assert half.written() == []  # what was behind the gap is found out to wait for it as well
    assert half.held == 2
    half.transmit.give_up_barred(TLS, "in words")
    assert half.written() == [b"<C>"]
    assert [(item, repr(outcome)) for item, outcome in half.ended] == [
        (b"<A>", repr(Lost("no_transport", maybe_sent=True))),
        (b"<B>", repr(Refused("no_transport", "in words"))),
        (b"<D>", repr(Refused("no_transport", "in words"))),
    ]


# -- over real sockets ----------------------------------------------------------------------------------------


@pytest.fixture
def overheard(monkeypatch: pytest.MonkeyPatch) -> bytearray:
    """All that goes through TCP sockets of this process, as somebody on the way reads it."""
    heard, send = bytearray(), SocketStream.send_nowait

    def send_nowait(self: SocketStream, data: bytes | memoryview) -> int:
        heard.extend(data)
        return send(self, data)

    monkeypatch.setattr(SocketStream, "send_nowait", send_nowait)
    return heard


async def test_a_secret_waits_for_an_encrypted_connection_and_everything_keeps_its_order(overheard: bytearray) -> None:
    async with two_nodes(insecure=True) as (a, b, journal):
        target = EngineID(b.id, "sink")
        await a.connect(b.id, permanent=True)
        for start in (0, 100):
            await moved(a, b, "tcp")
            await a.send(target, Item(start, b"in plain sight"))
            for n in range(start + 1, start + 100):
                secret = n % 10 == 0
                await a.tell(
                    target, Item(n, b"for your eyes only" if secret else b""), prefs=SECRET if secret else PREFS
                )
                if n % 40 == 20:
                    a.cut(b.id)
                await trio.lowlevel.checkpoint()
            await a.send(target, Item(start + 99 + 100 * 99, b"for your eyes only"), prefs=SECRET)
            assert scheme_of(a) in ENCRYPTED
        numbers = [n for n in journal.numbers() if n < 1000]
        assert numbers == [*range(200)]
    assert b"in plain sight" in overheard
    assert b"for your eyes only" not in overheard


@pytest.mark.parametrize("verb", ["tell", "tell_nowait", "send", "ask"])
async def test_a_message_over_one_transport_moves_the_link_there(
    verb: Literal["tell", "tell_nowait", "send", "ask"],
) -> None:
    async with two_nodes(insecure=False) as (a, b, journal):
        target = EngineID(b.id, "sink")
        await moved(a, b, "tls")
        match verb:
            case "ask":
                assert await a.ask(target, Question(1), prefs=OVER_WSS) == -1
            case "send":
                await a.send(target, Item(1), prefs=OVER_WSS)
            case "tell":
                await a.tell(target, Item(1), prefs=OVER_WSS)
            case _:
                a.tell_nowait(target, Item(1), prefs=OVER_WSS)
        await a.send(target, Item(2))
        assert journal.numbers() == [1, 2]
        assert scheme_of(a) == "wss"


@pytest.mark.slow
async def test_demands_that_one_connection_cannot_meet_take_turns() -> None:
    async with two_nodes(insecure=True) as (a, b, journal), trio.open_nursery() as nursery:
        target = EngineID(b.id, "sink")
        a.learn(b.advert)
        await moved(a, b, "tcp")
        for n in range(3):
            nursery.start_soon(partial(a.send, target, Item(n), prefs=OVER_WSS if n % 2 else OVER_TCP))
            await trio.sleep(0.01)
    assert sorted(journal.numbers()) == [*range(3)]


async def test_a_node_without_such_an_address_is_told_at_once() -> None:
    journal = Journal()
    async with open_node(listen=(LOOPBACK["tcp"],)) as b, open_node(listen=()) as a:
        b.spawn(Sink(journal=journal), "sink")
        target = EngineID(a.learn(b.advert), "sink")
        refused = await outcome(lambda: a.send(target, Item(1), prefs=SECRET))
        assert isinstance(refused, Refused)
        assert refused.reason == "no_transport"
        assert "quic or tls" in str(refused)
        await a.send(target, Item(2))
        assert journal.numbers() == [2]


async def test_a_plain_transport_is_not_had_by_demanding_it() -> None:
    async with two_nodes(insecure=True) as (a, b, _):
        refused = await outcome(lambda: a.send(EngineID(b.id, "sink"), Item(1), prefs=OVER_TCP))
        assert isinstance(refused, Refused), refused


async def test_an_unreliable_message_is_not_sent_over_what_may_not_carry_it_either(overheard: bytearray) -> None:
    async with two_nodes(insecure=True) as (a, b, journal):
        target, prefs = EngineID(b.id, "sink"), TransportPrefs(reliability="unreliable", security="encrypted")
        await moved(a, b, "tcp")
        await a.send(target, Item(1, b"for your eyes only"), prefs=prefs)
        await a.tell(target, Item(2, b"for your eyes only"), prefs=prefs)
        while journal.numbers() != [1, 2]:  # noqa: ASYNC110 - nobody tells of its arrival
            await trio.sleep(0.01)
        assert scheme_of(a) in ENCRYPTED
    assert b"for your eyes only" not in overheard


# -- whatever happens -----------------------------------------------------------------------------------------

_TELL = st.tuples(st.integers(0, 2), st.sampled_from([None, TLS, frozenset({"tcp"})]))
_STEPS = st.lists(_TELL | st.sampled_from(["tls", "tcp", "write", "acknowledge"]), max_size=40)


@given(_STEPS)
def test_each_lane_keeps_its_order_and_each_message_its_demand_over_any_connections(
    steps: list[tuple[int, frozenset[str] | None] | str],
) -> None:
    half = Half()
    lanes, told = [half.lane(number) for number in range(3)], dict[bytes, tuple[int, frozenset[str] | None]]()
    position, arrived = 0, list[bytes]()

    def write() -> None:
        nonlocal position
        while parts := half.transmit.write(0, 0):
            record, payload = decode_messages(memoryview(b"".join(parts))[HEAD_SIZE:])
            for number, item in enumerate(re.findall(rb"<\d+>", bytes(payload)), record.first):
                only = told[item][1]
                assert only is None or half.transmit.carrier in only
                assert number <= position + 1, "a gap"
                if number == position + 1:
                    position += 1
                    arrived.append(item)

    for step in [*steps, *(("write", "acknowledge", "tls", "write", "acknowledge", "tcp") * (len(steps) + 1))]:
        match step:
            case "write":
                write()
            case "acknowledge":
                half.transmit.acknowledge(position, (), ())
            case str(carrier):
                half.transmit.rewind(carrier)
            case (lane, only):
                item = b"<%d>" % len(told)
                told[item] = (lane, only)
                half.tell(lanes[lane], item, only)
    assert half.transmit.empty
    for lane in range(3):
        assert [item for item in arrived if told[item][0] == lane] == [item for item in told if told[item][0] == lane]
