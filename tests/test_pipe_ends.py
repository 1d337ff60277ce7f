"""The two ends of a piped stream, and the knife between them, without processes and without a network."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec
import trio
from console_fakes import proxy_snapshot
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from actors.console.cuts import AHEAD, NoCuts, RandomCuts, TimedCuts
from actors.console.cutting import Cutting
from actors.console.errand import Errand, read_line, write_line
from actors.console.intake import Intake
from actors.console.knife import Knife
from actors.console.pipe_engines import LONG, Drain, Finish, Forward, Piece, Received, Source, open_drain
from actors.engine import Detached, Tell, bind
from actors.identity import EngineID, NodeID, NodeKey
from actors.snapshots import LedgerSnapshot, ProxySnapshot

PEER = NodeKey.from_seed(bytes(32)).id


# -- intake -----------------------------------------------------------------------------------------------


async def taken(intake: Intake) -> list[list[bytes]]:
    batches = []
    while pieces := await intake.take():
        batches.append(pieces)
    return batches


async def test_what_is_taken_joins_to_the_input(autojump_clock: MockClock) -> None:
    command, source = memory_stream_pair()
    intake = Intake(source, NoCuts(), already=b"on")
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def write() -> None:
            for part in (b"e\ntw", b"o\nthree"):
                await command.send_all(part)
                await trio.sleep(1)
            await command.send_eof()

        assert await taken(intake) == [[b"one\n"], [b"two\n"], [b"three"]]
    assert intake.taken == 3


async def test_while_cuts_are_left_some_pieces_are_held_back_until_the_end_is_seen() -> None:
    command, source = memory_stream_pair()
    cuts = RandomCuts(1, Random(1), typical=10**9)
    intake = Intake(source, cuts, lines=True)
    lines = [b"%d\n" % n for n in range(AHEAD + 10)]
    await command.send_all(b"".join(lines))
    assert await intake.take() == lines[:10]
    await command.send_eof()
    assert await intake.take() == lines[10:]
    assert any(cuts.due(position, 0.0) for position in range(11, len(lines) + 1))


async def test_a_short_stream_is_cut_finer_so_that_each_cut_finds_a_message() -> None:
    command, source = memory_stream_pair()
    await command.send_all(b"x" * 80)
    await command.send_eof()
    pieces = await Intake(source, RandomCuts(10, Random(1), typical=10**9)).take()
    assert pieces == [b"xx"] * 40


# -- errand -----------------------------------------------------------------------------------------------


def test_an_errand_knows_its_plan() -> None:
    assert isinstance(Errand(to="x").plan(0.0), NoCuts)
    assert isinstance(Errand(to="x", cuts=2).plan(0.0), RandomCuts)
    assert isinstance(Errand(to="x", cut_every=1.0).plan(0.0), TimedCuts)


async def test_bytes_that_follow_an_errand_are_not_lost() -> None:
    command, source = memory_stream_pair()
    await write_line(command, Errand(to="x", lines=True))
    await command.send_all(b"first bytes")
    line, already = await read_line(source)
    assert msgspec.json.decode(line, type=Errand) == Errand(to="x", lines=True)
    assert already in (b"", b"first bytes")


async def test_a_stream_that_ends_without_a_line_gives_none() -> None:
    command, source = memory_stream_pair()
    await command.send_all(b"half")
    await command.send_eof()
    assert await read_line(source) == (b"", b"half")


# -- knife ------------------------------------------------------------------------------------------------


class FakeLink:
    """A node with one link, in a state of its own for each look; the last one stays."""

    def __init__(self, *looks: ProxySnapshot) -> None:
        self.looks = list(looks)
        self.did: list[str] = []

    def proxies(self) -> Sequence[ProxySnapshot]:
        other = proxy_snapshot("a", "x")
        return [other, self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]]

    def cut(self, node_id: NodeID) -> bool:
        self.did.append("cut")
        return True

    def dial_now(self, node_id: NodeID) -> None:
        self.did.append("dial now")


def link(state: str, *, in_flight: int = 0, connections: int = 1, reconnects: int = 0) -> ProxySnapshot:
    return proxy_snapshot(
        "a",
        "b",
        peer_id=str(PEER),
        state=state,
        connections=connections,
        reconnects=reconnects,
        ledger=LedgerSnapshot(accepted=in_flight, in_flight=in_flight),
    )


BEFORE = link("ready")
BACK = link("ready", connections=2, reconnects=1)


async def test_after_a_cut_the_link_is_hurried_up_until_it_has_settled(autojump_clock: MockClock) -> None:
    second = link("ready", connections=3, reconnects=1)
    node = FakeLink(link("ready", in_flight=9), link("backoff", in_flight=9), link("handshaking"), BACK, BACK, second)
    assert await Knife(node).resumed(PEER, BEFORE)
    assert node.did == ["dial now"]
    assert node.looks == [second]
    assert 0.02 < trio.current_time() < 0.1


async def test_a_session_that_was_resumed_with_nothing_in_flight_does_not_count(autojump_clock: MockClock) -> None:
    assert not await Knife(FakeLink(link("backoff"), link("ready", connections=2))).resumed(PEER, BEFORE)


async def test_a_cut_that_does_not_come_is_given_up_once_everything_has_arrived(autojump_clock: MockClock) -> None:
    looks = [link("ready", in_flight=1)] * 1000
    assert not await Knife(FakeLink(*looks, BEFORE)).resumed(PEER, BEFORE)
    assert 2.9 < trio.current_time() < 3.1


def test_an_unknown_sender_is_not_cut() -> None:
    node = FakeLink(BEFORE)
    Knife(node).sever(None)
    assert node.did == []


async def test_one_cut_after_the_other_and_a_missed_one_again(autojump_clock: MockClock) -> None:
    plan = RandomCuts(2, Random(1), typical=1)  # at each message
    node = FakeLink(BEFORE)
    async with trio.open_nursery() as nursery:
        cutting = Cutting(plan, Knife(node), nursery, PEER)
        assert cutting.due(1)
        assert await cutting.begin(1)
        assert not cutting.over.is_set()
        assert cutting.due(2)
        await cutting.over.wait()  # in vain
        node.looks = [BEFORE, BACK]
        assert await cutting.begin(3)
        await cutting.over.wait()
        assert cutting.resumed == 1
        assert cutting.due(4)
        node.looks = [BACK, link("ready", connections=3, reconnects=2)]
        assert await cutting.begin(4)
        await cutting.over.wait()
        assert cutting.resumed == 2
        assert not cutting.due(10**9)


async def test_a_cut_that_was_only_waited_for_is_not_made_twice(autojump_clock: MockClock) -> None:
    plan = RandomCuts(1, Random(1), typical=1)
    async with trio.open_nursery() as nursery:
        cutting = Cutting(plan, Knife(FakeLink(BEFORE, BACK)), nursery, PEER)
        assert await cutting.begin(1)
        assert not await cutting.begin(2)
        assert cutting.resumed == 1


# -- source and drain -------------------------------------------------------------------------------------


def test_the_source_tells_each_piece_and_counts_it() -> None:
    _, stream = memory_stream_pair()
    to, taken = EngineID(PEER, "drain"), trio.Event()
    source = bind(Source(stream=stream, knife=Knife(FakeLink(BEFORE)), drain=to), Detached())
    one, three = Piece(b"one"), Piece(b"three", sever=True)
    source.forward(Forward((one, three), taken))
    assert source.effects == [Tell(to, one, expiry=LONG), Tell(to, three, expiry=LONG)]
    assert (source.messages, source.size) == (2, 8)
    assert taken.is_set()


async def test_the_drain_severs_the_connection_of_who_marked_a_piece() -> None:
    _, stream = memory_stream_pair()
    node = FakeLink(BEFORE)
    drain = bind(open_drain(stream, Knife(node)), Detached(sender=EngineID(PEER, "source")))
    await drain.piece(Piece(b"x"))
    assert node.did == []
    await drain.piece(Piece(b"x", sever=True))
    assert node.did == ["cut"]


def open_drained() -> tuple[Drain, trio.abc.ReceiveStream]:
    """A drain whose bytes go nowhere until somebody reads them."""
    command, stream = lockstep_stream_pair()
    return open_drain(stream, Knife(FakeLink(BEFORE))), command


async def test_the_drain_writes_in_order_and_confirms_only_what_is_written(autojump_clock: MockClock) -> None:
    drain, command = open_drained()
    got = bytearray()
    confirmed: list[Received] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain.port)

        @nursery.start_soon
        async def handle() -> None:
            for n in range(50):
                await drain.piece(Piece(b"%d\n" % n))
            confirmed.append(await drain.finish(Finish()))

        await trio.sleep(1)
        assert not confirmed
        async for part in command:
            got += part
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert bytes(got) == b"".join(b"%d\n" % n for n in range(50))
    assert confirmed == [Received(50, len(got))]


async def test_the_drain_takes_no_more_while_nobody_reads(autojump_clock: MockClock) -> None:
    drain, _ = open_drained()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain.port)
        with trio.move_on_after(1):
            for _ in range(10_000):
                await drain.piece(Piece(b"x"))
        nursery.cancel_scope.cancel()
    assert drain.messages < 200


async def test_what_came_with_the_errand_does_not_wait_for_more(autojump_clock: MockClock) -> None:
    silent, _ = memory_stream_pair()
    with trio.fail_after(1):
        assert await Intake(silent, NoCuts(), lines=True, already=b"first\n").take() == [b"first\n"]
