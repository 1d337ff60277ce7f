"""A peer with a key of its own, proven, that lies about numbers, acks and lengths (PROTOCOL S5, S12, K5)."""

from __future__ import annotations

from random import Random

import trio

from actors.identity import EngineID
from actors.net.messages import Ack, Ping, Pong, Refusal, Resume, Settled, Want
from actors.net.wire import encode
from actors.runtime.codec import encode as encode_message
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Fault
from actors.testing.scenarios.cast import Item, Question, Traffic, cast
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.strangers import Liar

# -- lies -------------------------------------------------------------------------------------------------

_HUGE = (1 << 64) - 1
FATAL = (
    "a gap",
    "a huge number",
    "the number 0",
    "an acknowledgement of what was never written",
    "a huge acknowledgement",
    "a refusal of what was never written",
    "a second Resume",
    "no credit for so many",
    "a run longer than its frame",
    "a run of no messages",
    "bytes behind the last run",
    "no array",
    "an array of another length",
    "a critical frame of later days",
    "a header that says 4 GiB",
    "half a head",
)
"""Lies that are noticed at once, and end the connection."""
HARMLESS = ("again", "again with another content", "an old acknowledgement", "a settlement", "a wish", "a later frame")
"""Lies, or only odd words, that change nothing."""


class Lie(Fault):
    """The liar says something that is not so."""

    what: str
    seed: int

    async def apply(self, sim: Simulation) -> None:
        """Nothing by itself: the scenario lets its liar say it."""


def _words(liar: Liar, lie: Lie, last: bytes, to: EngineID) -> bytes:
    """What it says, which may be several frames. `last` is the frame that it has sent in earnest before."""
    rng = Random(lie.seed)  # noqa: S311 - a simulation, no secrets
    n, target = liar.number, to.name
    item = encode_message(Item(1_000_000))
    match lie.what:
        case "a gap":
            return liar.frame(target, [item], n + rng.choice((1, 2, 1000)))
        case "a huge number":
            return liar.frame(target, [item], _HUGE - rng.randint(0, 1))
        case "the number 0":
            return liar.frame(target, [item] * (n + 1), 0, count=0)
        case "an acknowledgement of what was never written":
            return encode(Ack(rng.randint(1, 100), [], []))
        case "a huge acknowledgement":
            return encode(Ack(_HUGE, [], []))
        case "a refusal of what was never written":
            return encode(Ack(0, [Refusal(rng.randint(1, 100), "full")], []))
        case "a second Resume":
            return encode(Resume(1, 0, [], 8, 1 << 16, []))
        case "no credit for so many":
            return liar.frame(target, [item] * 5000, n)
        case "a run longer than its frame":
            return liar.frame(target, [item], n, size=10_000)
        case "a run of no messages":
            return liar.frame(target, [], n)
        case "bytes behind the last run":
            return liar.frame(target, [item], n, size=1)
        case "no array":
            return liar.frame(target, [item], n, payload=b"\xc1")
        case "an array of another length":
            return liar.frame(target, [item], n, count=2)
        case "a critical frame of later days":
            return b"\0\0\0\x01\xfe"
        case "a header that says 4 GiB":
            return b"\xff\xff\xff\xff\x91"
        case "half a head":
            return b"\0\0\0\x03\x91\x40\0"
        case "again":
            return last
        case "again with another content":
            return liar.frame(target, [item], rng.randint(1, max(1, n - 1)) if n > 1 else n - 1) if n > 1 else b""
        case "an old acknowledgement":
            return encode(Ack(0, [], []))
        case "a settlement":
            return encode(Settled(rng.choice((0, 5, _HUGE))))
        case "a wish":
            return encode(Want(rng.choice((target, "nobody")), rng.choice((0, 1 << 20, _HUGE))))
        case _:
            return b"\0\0\0\x05\x7enew!"


@scenario("S5 S12 K5 H11 P7")
async def lying_peer(sim: Simulation) -> None:
    """A proven peer repeats, skips and invents numbers and lengths: it loses its connection, nothing more."""
    rng = sim.rng
    latency = rng.choice((0.001, 0.01))
    sim.network.lay(latency=latency)
    await sim.start("a", "b", setup=cast(sim))
    await sim.link("b", "a")
    traffic = Traffic(sim)
    liar, to = Liar(sim, "liar"), sim.to("a", "sink")
    try:
        async with trio.open_nursery() as nursery:
            for sender, receiver in (("a", "b"), ("b", "a")):
                nursery.start_soon(lambda s=sender, r=receiver: traffic.flow(s, r, gap=0.5))  # type: ignore[misc]
            for _ in range(rng.randint(2, 5)):
                await _lie(sim, liar, to, traffic, latency)
            nursery.cancel_scope.cancel()
    finally:
        liar.over()
    assert len(sim.network.between("a", "b")) == 1, "the honest link has suffered"
    await sim.settle()


async def _lie(sim: Simulation, liar: Liar, to: EngineID, traffic: Traffic, latency: float) -> None:
    """One connection of the liar's: some true words, some lies, until one of them costs it the connection."""
    rng = sim.rng
    resume = await liar.connect("a")
    assert resume.position == liar.number - 1, f"{resume} after {liar.number - 1} messages"
    last = b""
    for _ in range(rng.randint(1, 4)):
        if rng.random() < 0.7 or not last:
            items = [Item(traffic.take()) for _ in range(rng.randint(1, 2))]  # it has credit for 8
            last = await liar.tell(to, items)
        lie = Lie(rng.choice((*FATAL, *HARMLESS, *HARMLESS)), rng.randint(0, 1 << 30))
        told = await sim.inflict(lie)
        if told:
            await liar.line.send(_words(liar, lie, last, to))
        if told and lie.what in FATAL:
            within = 2 * latency + 0.01
            assert await liar.line.until_closed(within), f"a listens on after {lie}"
            break
        await liar.line.send(encode(Ping(77)))
        await _until_pong(liar)
    liar.line.abort()
    value = await sim.ask("b", to, Question(traffic.take()), expiry=10.0)
    assert isinstance(value, int), f"b is answered {value!r} because of the liar"


async def _until_pong(liar: Liar) -> None:
    """All that it has said was heard, and a goes on listening."""
    with trio.fail_after(1.0):
        while not isinstance(await liar.line.record(), Pong):
            pass
