"""Strangers at the door: many, silent, or answering in another node's place (PROTOCOL H5, H7, H9)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

import trio
import trio.lowlevel

from actors.identity import Incarnation, NodeKey
from actors.net.connecting.backoff import BackoffCfg
from actors.net.messages import Accepted, ConnectOk, ConnectRequest, Denied, Incompatible, OverCapacity, Proof, Resume
from actors.net.network import NetworkCfg
from actors.net.proving.adverts import NodeAdvert
from actors.net.proving.handshake import Acceptor
from actors.net.proving.transcript import Transcript
from actors.net.wire import decode, encode, signed, unsigned
from actors.testing.cluster.hosts import key_of
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Fault
from actors.testing.history.records import LinkUp
from actors.testing.scenarios.cast import Item, Question, Traffic, cast
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.strangers import Front, Line, chance_bytes, stranger_key
from transports.channels import PLAIN
from transports.errors import ConnectionLost, TransportError

# -- many -------------------------------------------------------------------------------------------------


class Sockets(Fault):
    """Strangers at so many sources open so many connections to the node, one every `gap` seconds, and prove nothing.

    What they say: `nothing`, a byte a second (`drip`), half a request (`half`), or a request and no more (`request`).
    """

    node: str
    count: int
    sources: int
    gap: float
    says: str

    async def apply(self, sim: Simulation) -> None:
        sim.start_soon(self._dial_all, sim)

    async def _dial_all(self, sim: Simulation) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(self.count):
                nursery.start_soon(self._stay, sim, f"quiet-{number % self.sources}")
                await trio.sleep(self.gap)

    async def _stay(self, sim: Simulation, host: str) -> None:
        try:
            line = await Line.to(sim, host, self.node)
            request = _request(sim, self.node)
            match self.says:
                case "half":
                    await line.send(request[: len(request) // 2])
                case "request":
                    await line.send(request)
                case "drip":
                    while True:
                        await line.send(b"\0")
                        await trio.sleep(1.0)
                case _:
                    pass
            await line.until_closed(60.0)
            line.abort()
        except (TransportError, ConnectionLost):
            pass


def _request(sim: Simulation, node: str) -> bytes:
    src, dst = stranger_key("quiet").id, key_of(node).id
    nonce = chance_bytes(sim, "quiet")
    return encode(ConnectRequest(1, 1, src, dst, Incarnation(1, 1), nonce, 1, None, 0, 0, 1 << 20))


@scenario("H9 P7")
async def silent_sockets(sim: Simulation) -> None:
    """More strangers than there are slots, of one source or many, stay silent; an honest peer comes in all the same."""
    rng = sim.rng
    slots = rng.choice((16, 16, 16, 32, 32, 64, 64, 256))
    per_source = rng.choice((2, 4, 16))
    latency = rng.choice((0.001, 0.01))
    count = min(300, round(slots * rng.uniform(1.2, 2.5)))
    # Slower than the slots go round while an honest handshake takes its three round trips.
    gap = rng.uniform(8 * latency / slots, 2.0 / count + 8 * latency / slots)
    sim.network.lay(latency=latency)
    sim.cfg = NetworkCfg(unproven=slots, unproven_per_source=per_source, handshake_timeout=5.0)
    await sim.start("a", "b", setup=cast(sim))
    sources = rng.choice((1, 3, count))
    await sim.inflict(Sockets("a", count, sources, gap, rng.choice(("nothing", "drip", "half", "request"))))
    await trio.sleep(rng.uniform(0, count * gap))
    began = sim.now()
    await sim.link("b", "a")
    assert sim.now() - began <= 1.0, f"an honest peer waited {sim.now() - began:.3f} s"
    value = await sim.ask("b", sim.to("a", "sink"), Question(1))
    assert value == -1, repr(value)
    most = min(slots, sources * per_source) + 1
    unproven = len(sim.network.ends_of("a")) - 1
    assert unproven <= most, f"{unproven} strangers are let stay, {most} at most"
    await trio.sleep(count * gap + 5.5)
    assert len(sim.network.ends_of("a")) == 1, "strangers are still there 5.5 s after the last one came"
    await sim.settle()


# -- in another's place -----------------------------------------------------------------------------------

Words: TypeAlias = Callable[[Simulation, bytes], bytes]
"""The answer to a ConnectRequest, as a frame."""


def _signed_by(key: NodeKey) -> Words:
    """The whole handshake in the right form, by the wrong node."""

    def words(sim: Simulation, request: bytes) -> bytes:
        asked = decode(request[4:])
        assert isinstance(asked, ConnectRequest)
        acceptor = _acceptor(sim, key_of("b"))
        reply, _ = acceptor.request(request[4:])
        return signed(reply, key.sign(reply))

    return words


def _acceptor(sim: Simulation, key: NodeKey) -> Acceptor:
    return Acceptor(
        key,
        incarnation=Incarnation(1, 1),
        nonce=chance_bytes(sim, "acceptor"),
        max_frame=1 << 20,
        channel=PLAIN,
        adverts=lambda _: (0, 0),
    )


HINTS: dict[str, Words] = {
    "over capacity for ever": lambda sim, _: encode(OverCapacity(1e9)),
    "over capacity for no time": lambda sim, _: encode(OverCapacity(0.0)),
    "denied": lambda sim, _: encode(Denied("denied")),
    "denied by policy": lambda sim, _: encode(Denied("policy")),
    "wrong node": lambda sim, _: encode(Denied("wrong_node")),
    "incompatible": lambda sim, _: encode(Incompatible(7, 9)),
    "garbage": lambda sim, _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "its own words": lambda sim, request: request,
    "4 GiB": lambda sim, _: b"\xff\xff\xff\xff\x82",
    "silence": lambda sim, _: b"",
    "another's key": _signed_by(stranger_key("impostor")),
    "no key": _signed_by(stranger_key("nobody")),
}
"""What somebody without the node's key may say in its place."""


async def _pretend(sim: Simulation, line: Line, says: str) -> None:
    """Answer a request so; to whoever is content with that, say the rest, too."""
    await line.send(HINTS[says](sim, await line.hear()))
    await line.hear()
    await line.send(encode(Accepted(1, False, bytes(64))) + encode(Resume(1, 0, [], 8, 1 << 16, [])))
    await line.until_closed(60.0)


class Impostor(Fault):
    """Somebody answers at the node's address for so many seconds, while it does not run itself."""

    node: str
    says: str
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        async def answer(line: Line) -> None:
            await _pretend(sim, line, self.says)

        await _stand_in(sim, Front(sim, "impostor", self.node, answer), self.seconds)


class Refusal(Fault):
    """The node itself, in an earlier life, turns everybody away with its signature, for so many seconds."""

    node: str
    reason: str
    retry_after: float
    seconds: float

    async def apply(self, sim: Simulation) -> None:
        newest = Incarnation(1 << 50, 1) if self.reason == "stale_incarnation" else None

        async def answer(line: Line) -> None:
            acceptor = _acceptor(sim, key_of(self.node))
            reply, _ = acceptor.request((await line.hear())[4:])
            await line.send(reply)
            acceptor.proof((await line.hear())[4:])
            await line.send(acceptor.refuse(self.reason, self.retry_after, newest))
            await line.hear()

        await _stand_in(sim, Front(sim, "earlier", self.node, answer), self.seconds)


async def _stand_in(sim: Simulation, front: Front, seconds: float) -> None:
    async def stand() -> None:
        with trio.move_on_after(seconds):
            await front.serve()

    sim.start_soon(stand)
    await trio.lowlevel.checkpoint()


@scenario("H5 H7 P6 P8")
async def hints(sim: Simulation) -> None:
    """Somebody answers in a node's place, without its key or in its earlier life; the node comes back, and its link."""
    rng = sim.rng
    cap = rng.choice((2.0, 10.0, 30.0))
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=cap), handshake_timeout=rng.choice((1.0, 5.0)))
    sim.network.lay(latency=rng.choice((0.001, 0.05)))
    await sim.start("a", setup=cast(sim), know=False)
    sim["a"].learn(NodeAdvert.sign(key_of("b"), [("memory://b", 1)], version=1, created=0))
    traffic = Traffic(sim, expiries=(0.5, 5.0))
    sim.hold("a", "b")
    seconds = round(rng.uniform(0.1, 2 * cap), 3)
    word = _word(rng, seconds)
    await sim.inflict(word)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: traffic.flow("a", "b", gap=seconds / 4))
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()
    assert not any(isinstance(record, LinkUp) for record in sim.history), "a is linked to b, which was not there"
    await trio.sleep(0.001)
    await sim.start("b", setup=cast(sim), know=False)
    if rng.random() < 0.3 or (isinstance(word, Refusal) and word.reason == "denied"):
        sim["a"].learn(sim["b"].advert)  # the only thing that helps against a signed denial
    await sim.settle()


def _word(rng: Random, seconds: float) -> Fault:
    if rng.random() < 0.7:
        return Impostor("b", rng.choice(sorted(HINTS)), seconds)
    reason = rng.choice(("over_capacity", "stale_incarnation", "stopping", "denied"))
    return Refusal("b", reason, rng.choice((0.0, 3.0, 60.0)), seconds)


# -- under another's name ---------------------------------------------------------------------------------


@scenario("H3 H5 H6 P8")
async def wrong_keys(sim: Simulation) -> None:
    """A node's address leads to another node, to oneself, or to a stranger; and strangers come in under its name."""
    rng = sim.rng
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0), handshake_timeout=1.0)
    await sim.start("a", "c", setup=cast(sim), know=False)
    a = sim["a"]
    leads_to = rng.sample(["memory://a", "memory://c", "memory://impostor"], rng.randint(1, 3))
    offers = [(url, rng.randint(1, 9)) for url in leads_to]
    a.learn(NodeAdvert.sign(key_of("b"), offers, version=1, created=0))

    async def answer(line: Line) -> None:
        await _pretend(sim, line, rng.choice(("another's key", "no key", "its own words")))

    front = Front(sim, "impostor", "impostor", answer)
    sim.start_soon(front.serve)
    sim.hold("a", "b")
    for n in range(rng.randint(1, 3)):
        sim.start_soon(_vain, sim, n, rng.choice((0.5, 3.0)))
        await sim.inflict(InAnothersName("a", "b", rng.choice(FORGERIES)))
        await trio.sleep(rng.uniform(0.1, 3.0))
    assert not any(isinstance(record, LinkUp) for record in sim.history), "a is linked to b, which was not there"
    front.stop()
    await sim.start("b", setup=cast(sim), know=False)
    a.learn(sim["b"].advert)
    await sim.settle()
    value = await sim.ask("a", sim.to("b", "sink"), Question(100), expiry=20.0)
    assert value == -100, repr(value)


async def _vain(sim: Simulation, n: int, expiry: float) -> None:
    outcome = await sim.send("a", sim.to("b", "sink"), Item(n), expiry=expiry)
    if "b" not in sim.running:
        assert outcome is not None, "delivered to b, which was not there"


FORGERIES = ("own key", "no key", "self", "small order", "no version", "skips the proof")


class InAnothersName(Fault):
    """Somebody without the key of `name` tries to come in under that name."""

    node: str
    name: str
    how: str

    async def apply(self, sim: Simulation) -> None:
        sim.start_soon(self._try, sim)

    async def _try(self, sim: Simulation) -> None:
        try:
            line = await Line.to(sim, "forger", self.node)
            await line.send(self._claim(sim))
            reply = await line.hear()
            if not isinstance(decode(reply[4:]), ConnectOk):
                await line.hear()
            await line.send(self._proof(sim, reply))
            await line.hear()
        except (TransportError, ConnectionLost):
            return
        raise AssertionError(f"{self.node} goes on talking to {self}")

    def _claim(self, sim: Simulation) -> bytes:
        src = key_of(self.node if self.how == "self" else self.name).id
        versions = (7, 9) if self.how == "no version" else (1, 1)
        nonce = chance_bytes(sim, "forger")
        boot = Incarnation(1 << 60, 1)
        claim = encode(ConnectRequest(*versions, src, key_of(self.node).id, boot, nonce, 9, None, 0, 0, 1 << 20))
        return claim.replace(bytes(src), b"\x01" + bytes(31)) if self.how == "small order" else claim

    def _proof(self, sim: Simulation, reply: bytes) -> bytes:
        if self.how == "skips the proof":
            return encode(Resume(1, 0, [], 8, 1 << 16, []))
        transcript = Transcript(self._claim(sim)[4:], unsigned(reply[4:]), PLAIN)
        signature = stranger_key("forger").sign(transcript.dialing(1, True))
        return encode(Proof(1, True, bytes(64) if self.how == "no key" else signature))
