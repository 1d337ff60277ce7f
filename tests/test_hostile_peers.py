"""Somebody who means harm at a node's address, before and after a proof: it costs a connection, nothing more (P7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import trio
from proxies import ID, KEYS, Bench, Question, bench, virtual

from actors.events import Disconnected, HostileConnection
from actors.net.messages import (
    Ack,
    Frame,
    Kind,
    Lane,
    Messages,
    Ping,
    Pong,
    Resume,
    RunHead,
    Settled,
    Want,
)
from actors.net.proving.handshake import HandshakeFailed
from actors.net.wire import encode, encode_messages
from actors.testing.stranger import Stranger, honest_dialer
from transports.addresses import MemoryAddress
from transports.errors import ConnectionLost
from transports.memory.connection import MemoryStream

BYTES = {
    "garbage": b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
    "a header that says 4 GiB": b"\xff\xff\xff\xff\x81",
    "a frame over the limit before the proof": (4097).to_bytes(4, "big") + b"\x81",
    "an empty frame": b"\0\0\0\0",
    "an unknown critical frame": b"\0\0\0\x01\xfe",
    "an unknown optional frame": b"\0\0\0\x01\x7e",
    "a message before the proof": encode_messages(Messages(1, 0, 0, [], []), 0),
    "half a ConnectRequest": b"\0\0\0\x80\x81\x9b\x01\x01",
    "nothing at all": b"",
}


async def stranger_at(nodes: Bench, name: str) -> Stranger:
    """At this node's address, from a host of its own."""
    return Stranger(await nodes.wires.transport("stranger").dial(MemoryAddress(name)))


async def _goes_on(nodes: Bench) -> None:
    """Traffic between honest nodes is as it was, and the node's own engines run."""
    assert await nodes["b"].ask(nodes.to("a"), Question(5)) == -5


@pytest.mark.parametrize("what", BYTES)
@virtual
async def test_a_stranger_who_talks_nonsense_is_closed_within_five_seconds(what: str) -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("b", "a")
        stranger = await stranger_at(nodes, "a")
        await stranger.send(BYTES[what])
        assert await stranger.wait_closed() <= 5.1
        (event,) = nodes.running["a"].events(HostileConnection)
        assert event.why
        assert nodes["a"].snapshot().statistics.proxies == 1, "nobody has proved to be anybody"
        await _goes_on(nodes)


@virtual
async def test_a_stranger_who_sends_one_byte_a_second_has_five_seconds() -> None:
    async with bench("a", "b") as nodes:
        stranger = await stranger_at(nodes, "a")
        began = trio.current_time()
        with suppress(ConnectionLost):
            while trio.current_time() < began + 60:
                await stranger.send(b"\0")
                await trio.sleep(1)
        assert trio.current_time() - began <= 6.1
        await _goes_on(nodes)


@virtual
async def test_half_a_handshake_ends_in_five_seconds_and_proves_nothing() -> None:
    async with bench("a", "b") as nodes:
        stranger = await stranger_at(nodes, "a")
        await stranger.send(honest_dialer(KEYS["h"], ID["a"]).request())
        await stranger.hear()
        await trio.sleep(1)
        assert await stranger.wait_closed() <= 4.1
        assert "h" not in [proxy.peer for proxy in nodes["a"].proxies()]
        await _goes_on(nodes)


@virtual
async def test_a_peer_that_asks_for_another_node_is_told_so_and_closed() -> None:
    async with bench("a", "b") as nodes:
        stranger = await stranger_at(nodes, "a")
        with pytest.raises(HandshakeFailed, match="wrong_node"):
            await stranger.prove(KEYS["h"], ID["b"])
        assert await stranger.wait_closed() <= 1


@virtual
async def test_strangers_who_fill_the_slots_push_each_other_out_and_not_the_honest() -> None:
    async with bench("a", "b") as nodes:
        strangers = [await stranger_at(nodes, "a") for _ in range(100)]
        await nodes.link("b", "a")
        assert nodes.ready("b", "a")
        await trio.sleep(0.1)
        assert len([stranger for stranger in strangers if not _ended(stranger)]) <= 16, "of one source, 16 may wait"
        await _goes_on(nodes)


def _ended(stranger: Stranger) -> bool:
    assert isinstance(stranger.stream, MemoryStream)
    if stranger.stream.lost is not None:
        return True
    try:
        return stranger.stream.receive_nowait(memoryview(bytearray(16))) == 0
    except trio.WouldBlock:
        return False
    except ConnectionLost:
        return True


AFTER_PROOF = {
    "a message that skips numbers": encode_messages(Messages(7, 0, 0, [], []), 0),
    "an acknowledgement of what was never written": encode(Ack(99, [], [])),
    "a second Resume": encode(Resume(1, 0, [], 8, 8, [])),
    "a lane that was never declared": encode_messages(
        Messages(1, 0, 0, [], [RunHead(5, Kind.TELL, 1, 1000, 1)]), 1
    ) + b"\x90",
    "a run that is longer than its frame": encode_messages(
        Messages(1, 0, 0, [Lane(1, "", "sink")], [RunHead(1, Kind.TELL, 1, 1000, 999)]), 0
    ),
    "more messages than it has credit for": encode_messages(
        Messages(1, 0, 0, [Lane(1, "", "sink")], [RunHead(1, Kind.TELL, 9, 1000, 19)]), 19
    ) + b"\x99" + b"\x91\x01" * 9,
    "a run that is no array": encode_messages(
        Messages(1, 0, 0, [Lane(1, "", "sink")], [RunHead(1, Kind.TELL, 1, 1000, 1)]), 1
    ) + b"\xc1",
    "bytes behind the last run": encode_messages(Messages(1, 0, 0, [], []), 1) + b"\0",
    "an unknown critical frame": b"\0\0\0\x01\xfe",
    "a header that says 4 GiB": b"\xff\xff\xff\xff\x91",
}  # fmt: skip


@pytest.mark.parametrize("what", AFTER_PROOF)
@virtual
async def test_a_proven_peer_that_breaks_the_protocol_loses_its_connection_only(what: str) -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("b", "a")
        stranger = await stranger_at(nodes, "a")
        await stranger.prove(KEYS["h"], ID["a"])
        await stranger.resume()
        await stranger.send(AFTER_PROOF[what])
        assert await stranger.wait_closed() <= 1
        await nodes.until(lambda: not any(p.peer_id == str(ID["h"]) for p in nodes["a"].proxies()))
        (event,) = [e for e in nodes.running["a"].events(Disconnected) if e.peer == ID["h"]]
        assert event.why.startswith("protocol error"), event.why
        await _goes_on(nodes)


@virtual
async def test_nothing_but_a_resume_may_come_first_on_a_proven_connection() -> None:
    async with bench("a", "b") as nodes:
        stranger = await stranger_at(nodes, "a")
        await stranger.prove(KEYS["h"], ID["a"])
        await stranger.send(encode(Ping(1)))
        assert await stranger.wait_closed() <= 1


@virtual
async def test_what_is_legal_is_answered_also_to_a_stranger_peer() -> None:
    async with bench("a", "b") as nodes:
        stranger = await stranger_at(nodes, "a")
        await stranger.prove(KEYS["h"], ID["a"])
        await stranger.resume()
        await stranger.send(b"\0\0\0\x05\x7enew!")  # optional, of a later version: skipped and counted
        await stranger.send(encode(Want("sink", 100)) + encode(Settled(0)) + encode(Ping(77)))
        heard = [type(frame).__name__ async for frame in _until_pong(stranger)]
        assert heard[-1] == "Pong"
        stranger.stream.abort()
        await nodes.until(lambda: not nodes["a"].proxies())


async def _until_pong(stranger: Stranger) -> AsyncIterator[Frame | None]:
    while True:
        frame = await stranger.hear()
        yield frame
        if isinstance(frame, Pong):
            assert frame.token == 77
            return
