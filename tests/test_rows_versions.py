"""A live node and peers of other versions of the protocol: row 26. They are simulated: there is one version so far."""

from __future__ import annotations

import pytest
import trio
from loopback import ID, KEYS, QUICK, in_time, live
from msgspec.structs import replace

from actors.events import DialFailed, Disconnected, HostileConnection
from actors.identity import Incarnation
from actors.net.connecting.backoff import BackoffCfg
from actors.net.messages import ConnectOk, ConnectRequest, Incompatible, Ping, Pong
from actors.net.proving.adverts import NodeAdvert
from actors.net.proving.handshake import VERSIONS, Dialer
from actors.net.wire import decode, encode
from actors.testing.stranger import Stranger, stranger_at
from transports.addresses import parse_address
from transports.base import receive_frame
from transports.channels import PLAIN
from transports.tcp.transport import TcpTransport

OURS = VERSIONS[1]
OPTIONAL, CRITICAL = b"\0\0\0\x03\x7eab", b"\0\0\0\x03\xfeab"
"""Frames of types that no version has yet."""


def dialer_of(versions: tuple[int, int], to: str) -> Dialer:
    """The dialing side of a peer that speaks these."""
    return Dialer(
        KEYS["h"],
        ID[to],
        incarnation=Incarnation(1, 1),
        dial=1,
        accepted=None,
        nonce=b"n" * 32,
        adverts=(0, 0),
        max_frame=1 << 20,
        channel=PLAIN,
        versions=versions,
    )


async def greeted(stranger: Stranger, dialer: Dialer) -> memoryview:
    """What the node says to the first words."""
    await stranger.send(dialer.request())
    return await receive_frame(stranger.stream, stranger.frames)


@pytest.mark.parametrize("versions", [(OURS, OURS + 1), (OURS, OURS + 9), (max(0, OURS - 1), OURS), (0, OURS + 1)])
@in_time
async def test_row_26_a_peer_with_more_versions_is_met_at_the_highest_common_one(versions: tuple[int, int]) -> None:
    async with live("a") as a:
        stranger, dialer = await stranger_at(a.address), dialer_of(versions, "a")
        reply = await greeted(stranger, dialer)
        said = decode(reply)
        assert isinstance(said, ConnectOk)
        assert (said.ver, said.ver_min, said.ver_max) == (OURS, *VERSIONS)
        dialer.reply(reply)
        await stranger.send(dialer.prove(epoch=1, permanent=False))
        dialer.verdict(await receive_frame(stranger.stream, stranger.frames))
        await stranger.hear()
        await stranger.resume()
        await stranger.send(OPTIONAL + encode(Ping(7)))
        while await stranger.hear() != Pong(7):  # its advert comes, too
            pass
        await stranger.send(CRITICAL)
        await stranger.wait_closed()
        await a.until(lambda: a.events(Disconnected))
        assert "protocol error" in a.events(Disconnected)[0].why


@pytest.mark.parametrize("versions", [(OURS + 1, OURS + 2), (0, OURS - 1)])
@in_time
async def test_row_26_a_peer_without_a_common_version_is_told_ours_and_is_no_enemy(versions: tuple[int, int]) -> None:
    async with live("a") as a, live("b") as b:
        stranger = await stranger_at(a.address)
        assert decode(await greeted(stranger, dialer_of(versions, "a"))) == Incompatible(*VERSIONS)
        await stranger.wait_closed()
        await b.connected(a)
        await a.answers(b)
        assert a.events(HostileConnection) == []


async def of_another_time(came: list[str], *, task_status: trio.TaskStatus[str]) -> None:
    """Somebody at an address who speaks later versions only; who came."""
    listener = await TcpTransport().listen(parse_address("tcp://127.0.0.1:0"))
    try:
        task_status.started(str(listener.address))
        while True:
            stranger = Stranger(await listener.accept())
            came.append(str(stranger.stream))
            assert isinstance(await stranger.hear(), ConnectRequest)
            await stranger.send(encode(Incompatible(OURS + 1, OURS + 2)))
            stranger.stream.abort()
    finally:
        await listener.aclose()


@in_time
async def test_row_26_who_is_told_that_there_is_no_common_version_comes_again_at_the_usual_delays_only() -> None:
    rarely = BackoffCfg(first=0.02, factor=1000.0, spread=0.0, cap=60.0)
    came: list[str] = []
    async with trio.open_nursery() as nursery:
        url = await nursery.start(of_another_time, came)
        async with live("b", cfg=replace(QUICK, backoff=rarely)) as b:
            b.node.learn(NodeAdvert.sign(KEYS["h"], [(url, 1)], version=1, created=1))
            b.node.set_permanence(ID["h"], True)
            await b.until(lambda: len(b.events(DialFailed)) == 2)
            assert {event.why for event in b.events(DialFailed)} == {"incompatible"}
            with trio.move_on_after(0.3):  # the third is due in 20 s
                await b.until(lambda: len(came) > 2)
            assert len(came) == 2
        nursery.cancel_scope.cancel()
