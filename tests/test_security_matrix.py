"""Every transport against everybody who is not who they should be: what an engine says crosses to the right node only.

Rows are transports, columns are impostors, at both ends: who comes to a node's address, and who waits at an address
that a node dials. Each refusal says why, where it was refused and to who came. (PROTOCOL H, RELIABILITY row 15.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from impostors import GONE, MALLORY, Mallory, acceptor, mallory, older_tls, posing, strange_alpn
from loopback import ID, KEYS, Item, Live, in_time, live
from msgspec import msgpack

from actors import EngineID, NodeAdvert
from actors.events import Connected, DialFailed, Event, HostileConnection
from actors.net.messages import Kind, Lane, Messages, RunHead
from actors.net.wire import encode_messages
from actors.testing.stranger import Stranger, honest_dialer
from transports.base import Stream, receive_frame, send_all
from transports.errors import TransportError
from transports.frames import FrameBuffer

PLAIN = ("tcp", "ws")
SECURE = ("tls", "wss", "quic")
EVERY = PLAIN + SECURE

SECRET = 0x41504C59
MARK = SECRET.to_bytes(4, "big")
"""How that number looks in a message, whoever reads it."""

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_2:DeprecationWarning")


@asynccontextmanager
async def node(name: str, scheme: str) -> AsyncIterator[Live]:
    """One that listens there, and nowhere else."""
    async with live(name, listen=(f"{scheme}://127.0.0.1:0",)) as running:
        yield running


def misdirect(running: Live, to: str, url: str) -> None:
    """It believes that this node is there, and has a secret to tell it; the advert is genuine."""
    running.node.learn(NodeAdvert.sign(KEYS[to], [(url, 1)], version=1, created=0))
    running.node.tell_nowait(EngineID(ID[to], "sink"), Item(SECRET))


def said(running: Live) -> list[str]:
    """Why somebody was refused, in the words of the node's events."""
    return [event.why for event in running.events(Event) if not isinstance(event, Connected) and hasattr(event, "why")]


async def says(running: Live, words: str) -> None:
    try:
        with trio.fail_after(5):
            await running.until(lambda: any(words in why for why in said(running)))
    except trio.TooSlowError:
        raise AssertionError(f"nothing says {words!r}; what was said: {said(running)}") from None


# -- who comes to a node ------------------------------------------------------------------------------------


async def hears(stranger: Stranger) -> str:
    """What it is told, until the end."""
    heard = []
    with suppress(*GONE):
        while True:
            heard.append(str(await stranger.hear()))
    return " ".join(heard)


async def tells(stranger: Stranger) -> None:
    """Application bytes, as if all were well."""
    run = msgpack.encode([Item(SECRET)])
    head = Messages(1, 0, 0, [Lane(1, "", "sink")], [RunHead(1, Kind.TELL, 1, 60_000, len(run))])
    with suppress(*GONE):
        await stranger.resume()
        await stranger.send(encode_messages(head, len(run)) + run)


Visit = Callable[[Mallory, Live, Stream], Awaitable[str]]


async def wrong_key(who: Mallory, bob: Live, stream: Stream) -> str:
    """Says that it is another node, and signs with its own key."""
    stranger = Stranger(stream)
    dialer = honest_dialer(posing(MALLORY, ID["h"]), bob.node.id, channel=stream.channel)
    await stranger.send(dialer.request())
    dialer.reply(await receive_frame(stream, stranger.frames))
    await stranger.send(dialer.prove(epoch=1, permanent=False))
    await tells(stranger)
    return await hears(stranger)


async def no_proof(who: Mallory, bob: Live, stream: Stream) -> str:
    stranger = Stranger(stream)
    await stranger.send(honest_dialer(KEYS["h"], bob.node.id, channel=stream.channel).request())
    await stranger.hear()
    await tells(stranger)
    return await hears(stranger)


async def third_node(who: Mallory, bob: Live, stream: Stream) -> str:
    """Wants another node."""
    stranger = Stranger(stream)
    await stranger.send(honest_dialer(KEYS["h"], ID["c"], channel=stream.channel).request())
    await tells(stranger)
    return await hears(stranger)


async def itself(who: Mallory, bob: Live, stream: Stream) -> str:
    """Says that it is the node that it dials."""
    stranger = Stranger(stream)
    await stranger.send(honest_dialer(posing(MALLORY, bob.node.id), bob.node.id, channel=stream.channel).request())
    await tells(stranger)
    return await hears(stranger)


async def replayed(who: Mallory, bob: Live, stream: Stream) -> str:
    """An honest handshake once more, byte by byte."""
    dialer = honest_dialer(KEYS["h"], bob.node.id, channel=stream.channel)
    first = Stranger(stream)
    request = dialer.request()
    await first.send(request)
    dialer.reply(await receive_frame(stream, first.frames))
    proof = dialer.prove(epoch=1, permanent=False)
    await first.send(proof)
    dialer.verdict(await receive_frame(stream, first.frames))
    first.stream.abort()
    second = Stranger(await who.dial(bob.address))
    try:
        await second.send(request)
        await second.hear()
        await second.send(proof)
        await tells(second)
        return await hears(second)
    finally:
        second.stream.abort()


VISITS: dict[str, tuple[Visit, str, str]] = {
    "wrong-key": (wrong_key, "bad_proof", ""),
    "no-proof": (no_proof, "where Proof is due", ""),
    "a-third-node's": (third_node, "wrong_node", "wrong_node"),
    "itself": (itself, "self", "self"),
    "replayed": (replayed, "bad_proof", ""),
}
"""What is done, what the node says of it, what whoever came is told."""


@pytest.mark.parametrize("case", VISITS)
@pytest.mark.parametrize("scheme", EVERY)
@in_time
async def test_who_comes_and_is_not_who_it_says_is_told_why_and_no_engine_hears_it(scheme: str, case: str) -> None:
    visit, words, told = VISITS[case]
    async with node("b", scheme) as bob, mallory() as who:
        stream = await who.dial(bob.address)
        try:
            heard = await visit(who, bob, stream)
        finally:
            stream.abort()
        await says(bob, words)
        assert told in heard
        assert bob.journal.got == []


@pytest.mark.parametrize("scheme", EVERY)
@in_time
async def test_who_has_the_right_key_is_heard(scheme: str) -> None:
    async with node("b", scheme) as bob, mallory() as who:
        stranger = Stranger(await who.dial(bob.address))
        await stranger.prove(MALLORY, bob.node.id)
        await tells(stranger)
        await bob.until(lambda: bob.journal.got)
        assert [n for _, n in bob.journal.got] == [SECRET]
        stranger.stream.abort()


CHANNELS = {"tls-1.2": older_tls, "another-alpn": strange_alpn}
"""What Mallory's transports do. QUIC has no older TLS."""

COMERS = {
    ("tls", "tls-1.2"): "unsupported protocol",
    ("wss", "tls-1.2"): "unsupported protocol",
    ("tls", "another-alpn"): "does not speak trio-actors/1",
    ("quic", "another-alpn"): "no common alpn protocols",
}
"""What the node says. By `wss://` come browsers and fronts, which may name anything (PROTOCOL, WebSocket)."""


async def comes(who: Mallory, bob: Live) -> None:
    """As one should."""
    stream = await who.dial(bob.address)
    try:
        await Stranger(stream).prove(MALLORY, bob.node.id)
    finally:
        stream.abort()


@pytest.mark.parametrize(("scheme", "case"), COMERS)
@in_time
async def test_who_comes_by_another_kind_of_channel_is_told_why(scheme: str, case: str) -> None:
    async with node("b", scheme) as bob, mallory(CHANNELS[case]) as who:
        with pytest.raises(TransportError):
            await comes(who, bob)
        await says(bob, COMERS[scheme, case])
        assert bob.journal.got == []


# -- who waits where a node dials ---------------------------------------------------------------------------


async def poses(who: Mallory, stream: Stream) -> None:
    """Says that it is the node that is dialed, and signs with its own key."""
    frames = FrameBuffer(1 << 20)
    side = acceptor(posing(MALLORY, ID["b"]), stream.channel)
    reply, _ = side.request(await receive_frame(stream, frames))
    await send_all(stream, reply)
    await who.listen_on(stream)


async def welcomes(who: Mallory, stream: Stream) -> None:
    """Lets everybody in, with no proof asked or given."""
    frames = FrameBuffer(1 << 20)
    await receive_frame(stream, frames)
    await Stranger(stream).resume()
    await who.listen_on(stream)


class Tape:
    """Somebody who has seen an honest handshake, and plays the honest node's part of it again."""

    def __init__(self) -> None:
        self.reply = b""

    async def record(self, who: Mallory, bob: Live) -> None:
        stranger = Stranger(await who.dial(bob.address))
        await stranger.send(honest_dialer(KEYS["a"], bob.node.id, channel=stranger.stream.channel).request())
        body = bytes(await receive_frame(stranger.stream, stranger.frames))
        self.reply = len(body).to_bytes(4, "big") + body
        stranger.stream.abort()

    async def play(self, who: Mallory, stream: Stream) -> None:
        await receive_frame(stream, FrameBuffer(1 << 20))
        await send_all(stream, self.reply)
        await who.listen_on(stream)


async def refused(scheme: str, waits: Callable[[Mallory, Stream], Awaitable[None]], words: str) -> None:
    """Alice dials Bob's address, where Mallory is."""
    async with node("a", scheme) as alice, mallory() as who:
        url = await who.listen(scheme, lambda stream: waits(who, stream))
        misdirect(alice, "b", url)
        await says(alice, words if scheme in PLAIN else "wrong_key")
        assert alice.events(DialFailed)
        assert not alice.events(Connected)
        assert MARK not in who.heard


@pytest.mark.parametrize("scheme", EVERY)
@in_time
async def test_a_server_with_another_key_hears_nothing(scheme: str) -> None:
    await refused(scheme, poses, "bad_signature")


@pytest.mark.parametrize("scheme", EVERY)
@in_time
async def test_a_server_that_proves_nothing_hears_nothing(scheme: str) -> None:
    await refused(scheme, welcomes, "Resume where a ConnectReply is due")


@pytest.mark.parametrize("scheme", EVERY)
@in_time
async def test_a_server_that_plays_an_old_answer_hears_nothing(scheme: str) -> None:
    tape = Tape()
    async with node("b", scheme) as bob, mallory() as who:
        await tape.record(who, bob)
    await refused(scheme, tape.play, "bad_signature")


@pytest.mark.parametrize("scheme", EVERY)
@in_time
async def test_another_honest_node_at_the_address_hears_nothing(scheme: str) -> None:
    async with node("a", scheme) as alice, node("c", scheme) as carol:
        misdirect(alice, "b", carol.address)
        await says(alice, "wrong_node" if scheme in PLAIN else "wrong_key")
        if scheme in PLAIN:
            await says(carol, "wrong_node")
        assert not alice.events(Connected)
        assert carol.journal.got == []


@pytest.mark.parametrize("scheme", EVERY)
@in_time
async def test_a_node_that_is_led_to_itself_hears_nothing(scheme: str) -> None:
    async with node("a", scheme) as alice:
        misdirect(alice, "b", alice.address)
        await says(alice, "wrong_node" if scheme in PLAIN else "wrong_key")
        assert not alice.events(Connected)
        assert alice.journal.got == []


SERVERS = {
    ("tls", "tls-1.2"): "protocol version",
    ("wss", "tls-1.2"): "protocol version",
    ("tls", "another-alpn"): "does not speak",
    ("wss", "another-alpn"): "wrong_key",  # a front for WebSockets may name nothing (PROTOCOL, WebSocket)
    ("quic", "another-alpn"): "alpn",
}


@pytest.mark.parametrize(("scheme", "case"), SERVERS)
@in_time
async def test_a_server_with_another_kind_of_channel_hears_nothing(scheme: str, case: str) -> None:
    async with node("a", scheme) as alice, mallory(CHANNELS[case]) as who:
        misdirect(alice, "b", await who.listen(scheme, who.listen_on))
        await says(alice, SERVERS[scheme, case])
        assert not alice.events(Connected)
        assert MARK not in who.heard


# -- somebody between two nodes -----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SECURE)
@in_time
async def test_somebody_between_two_nodes_on_a_secure_channel_hears_nothing(scheme: str) -> None:
    async with node("a", scheme) as alice, node("b", scheme) as bob, mallory() as who:
        misdirect(alice, "b", await who.listen(scheme, who.pass_on(bob.address)))
        await says(alice, "wrong_key")
        assert not alice.events(Connected)
        assert bob.journal.got == []
        assert MARK not in who.heard


@pytest.mark.parametrize("far", SECURE)
@pytest.mark.parametrize("near", PLAIN)
@in_time
async def test_somebody_who_ends_a_plain_channel_and_goes_on_over_a_secure_one_hears_nothing(
    near: str, far: str
) -> None:
    """The certificate is part of what is signed (H3): the two ends have not seen the same."""
    async with node("a", near) as alice, node("b", far) as bob, mallory() as who:
        misdirect(alice, "b", await who.listen(near, who.pass_on(bob.address)))
        await says(alice, "bad_signature")
        assert not alice.events(Connected)
        assert bob.journal.got == []
        assert MARK not in who.heard


@pytest.mark.parametrize("scheme", PLAIN)
@in_time
async def test_somebody_between_two_nodes_on_a_plain_channel_hears_all_as_the_page_says(scheme: str) -> None:
    """SECURITY.md, what plain links are not for."""
    async with node("a", scheme) as alice, node("b", scheme) as bob, mallory() as who:
        misdirect(alice, "b", await who.listen(scheme, who.pass_on(bob.address)))
        await bob.until(lambda: bob.journal.got)
        assert [n for _, n in bob.journal.got] == [SECRET]
        assert MARK in who.heard


# -- who speaks something else ------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["tcp", "tls", "ws", "wss"])
@in_time
async def test_an_http_request_at_any_port_is_refused_with_its_reason(scheme: str) -> None:
    async with node("b", scheme) as bob:
        port = int(bob.address.rpartition(":")[2].rstrip("/"))
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n")
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some(4096):
                    pass
        await bob.until(lambda: bob.events(HostileConnection))
        (event,) = bob.events(HostileConnection)
        assert event.why
