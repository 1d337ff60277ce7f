"""Rows 14 and 15 of scripts/hostile: people with somebody else's handshake, or with nobody's key."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import cast

import trio
from hostile_people import GONE, PATIENCE, all_of, nonce, visit
from msgspec import Struct

from actors.identity import NodeID, NodeKey
from actors.net.messages import Proof
from actors.net.proving.handshake import HandshakeFailed
from actors.net.proving.transcript import Transcript
from actors.net.wire import LENGTH, UNSIGNED, encode, signed, unsigned
from actors.testing.stranger import Stranger, honest_dialer
from transports.base import receive_frame
from transports.channels import PLAIN, Channel


class Impostor:
    """Says one name and signs as another, or with no key at all."""

    def __init__(self, says: NodeID, key: NodeKey | None) -> None:
        self.id = says
        self._key = key

    def sign(self, data: bytes) -> bytes:
        """As well as it can."""
        return self._key.sign(data) if self._key else UNSIGNED

    @property
    def as_key(self) -> NodeKey:
        """What a handshake takes it for."""
        return cast("NodeKey", self)


async def frame_of(stranger: Stranger) -> bytes:
    """The next one, without its length."""
    return bytes(await receive_frame(stranger.stream, stranger.frames))


def proof_for(request: bytes, reply: bytes, channel: Channel, key: NodeKey) -> bytes:
    """A Proof that this key signs for what crossed on that channel."""
    transcript = Transcript(request[LENGTH.size :], unsigned(reply), channel)
    return signed(encode(Proof(1, False, UNSIGNED)), key.sign(transcript.dialing(1, False)))


# -- row 14 -----------------------------------------------------------------------------------------------


class Thief:
    """Has heard one honest handshake, and tries what can be done with it and with others."""

    def __init__(self, to: NodeID, random: Random) -> None:
        self.key = NodeKey.generate()
        self.to = to
        self.accepted = 0
        self._random = random
        self._request = self._proof = b""

    async def listen(self, stranger: Stranger) -> None:
        """The honest one."""
        channel = stranger.stream.channel
        self._request = honest_dialer(self.key, self.to, channel=stranger.stream.channel).request()
        await stranger.send(self._request)
        self._proof = proof_for(self._request, await frame_of(stranger), channel, self.key)
        await stranger.send(self._proof)
        assert await frame_of(stranger), "an honest handshake is accepted"

    async def replay(self, stranger: Stranger) -> bytes:
        """The same again."""
        await stranger.send(self._request)
        await frame_of(stranger)
        return self._proof

    async def reflect(self, stranger: Stranger) -> bytes:
        """The node's own signature, for a proof."""
        reply = await self._ask(stranger)
        return signed(encode(Proof(1, False, UNSIGNED)), reply[-len(UNSIGNED) :])

    async def relay(self, stranger: Stranger) -> bytes:
        """What somebody honest signs for the connection that he has, and not for this one."""
        request = self._new_request()
        await stranger.send(request)
        other = PLAIN if stranger.stream.channel.kind else Channel(1, bytes(32))
        return proof_for(request, await frame_of(stranger), other, self.key)

    async def relay_elsewhere(self, stranger: Stranger) -> bytes:
        """The same, where his is protected too, by another certificate."""
        request = self._new_request()
        await stranger.send(request)
        return proof_for(request, await frame_of(stranger), Channel(1, bytes(32)), self.key)

    def _new_request(self) -> bytes:
        return honest_dialer(self.key, self.to, nonce=nonce(self._random), dial=2).request()

    async def _ask(self, stranger: Stranger) -> bytes:
        await stranger.send(self._new_request())
        return await frame_of(stranger)


async def come_in_thousands(address: str, to: NodeID, count: int, random: Random) -> int:
    """So many replayed, reflected and relayed handshakes: how many were accepted."""
    thief = Thief(to, random)
    tries = (thief.replay, thief.reflect, thief.relay, thief.relay_elsewhere)
    async with visit(address) as stranger:
        await thief.listen(stranger)

    async def come(number: int) -> None:
        with suppress(*GONE), trio.move_on_after(PATIENCE):
            async with visit(address) as stranger:
                await stranger.send(await tries[number % len(tries)](stranger))
                await frame_of(stranger)
                thief.accepted += 1

    await all_of(count, come)
    return thief.accepted


# -- row 15 -----------------------------------------------------------------------------------------------


class Impostors(Struct):
    """What people heard who are not who they say."""

    tries: int = 0
    bytes: int = 0
    """After their proof."""
    untold: int = 0
    """Of those whose request says what is wrong: who was not told."""


async def come_as_another(address: str, to: NodeID, third: NodeID, count: int) -> Impostors:
    """So many of each kind."""
    seen = Impostors()
    own = NodeKey.generate()

    async def prove(stranger: Stranger, who: Impostor) -> None:
        with suppress(*GONE), trio.move_on_after(PATIENCE):
            dialer = honest_dialer(who.as_key, to, channel=stranger.stream.channel)
            await stranger.send(dialer.request())
            dialer.reply(await frame_of(stranger))
            await stranger.send(dialer.prove(epoch=1, permanent=False))
            seen.bytes += len(await frame_of(stranger))

    async def be_denied(stranger: Stranger, who: NodeKey, whom: NodeID, why: str) -> None:
        seen.untold += 1
        with suppress(*GONE), trio.move_on_after(PATIENCE):
            dialer = honest_dialer(who, whom, channel=stranger.stream.channel)
            await stranger.send(dialer.request())
            try:
                dialer.reply(await frame_of(stranger))
            except HandshakeFailed as failed:
                seen.untold -= failed.reason == why

    async def come(number: int) -> None:
        seen.tries += 1
        async with visit(address) as stranger:
            match number % 5:
                case 0:
                    await prove(stranger, Impostor(third, own))
                case 1:
                    await prove(stranger, Impostor(own.id, NodeKey.generate()))
                case 2:
                    await prove(stranger, Impostor(own.id, None))
                case 3:
                    await be_denied(stranger, Impostor(to, own).as_key, to, "self")
                case _:
                    await be_denied(stranger, own, third, "wrong_node")

    await all_of(5 * count, come)
    return seen
