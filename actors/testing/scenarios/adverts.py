"""Where a node says it is, and what others say of it: old words, other words, lost words, new places (PROTOCOL A)."""

from __future__ import annotations

from collections.abc import Callable

import trio

from actors.net.connecting.backoff import BackoffCfg
from actors.net.messages import Advert, AdvertAccepted, AdvertInvalid, AdvertReply, AdvertStale
from actors.net.network import NetworkCfg
from actors.net.proving.adverts import NodeAdvert
from actors.net.wire import encode
from actors.node import Node
from actors.testing.cluster.hosts import key_of
from actors.testing.cluster.members import WALL
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Crash, Fault, IgnoreDials, Refuse, WallJump
from actors.testing.scenarios.cast import LONG, Item, Question, Traffic, cast
from actors.testing.scenarios.registry import scenario
from actors.testing.scenarios.strangers import Liar, stranger_key
from transports.addresses import TransportAddress
from transports.base import Listener, Stream
from transports.errors import AddressError, ConnectFailed

_DAY = 86_400.0


# -- other words ------------------------------------------------------------------------------------------


class Rumour(Fault):
    """A proven peer hands on an advert of node b. `version` is counted from that of the one before."""

    kind: str
    version: int

    async def apply(self, sim: Simulation) -> None:
        """Nothing by itself: the scenario lets its liar say it."""


RUMOURS = (
    "newer",
    "same",
    "older",
    "other words",
    "another key",
    "changed",
    "cut short",
    "garbage",
    "too large",
    "own",
)


def _known(sim: Simulation, name: str) -> NodeAdvert | None:
    record = sim["a"]._network.peers.find(key_of(name).id)
    return record.advert if record else None


def _sign(version: int, *urls: str, signer: str = "b") -> NodeAdvert:
    return NodeAdvert.sign(key_of(signer), [(url, 1) for url in urls], version=version, created=0)


def _rumour(sim: Simulation, rumour: Rumour, have: NodeAdvert) -> tuple[bytes, type[AdvertReply]]:
    """The bytes, and what a has to answer."""
    there = [address.url for address in have.addresses]
    match rumour.kind:
        case "newer":
            return _sign(have.version + rumour.version, "memory://nobody", *there).data, AdvertAccepted
        case "same":
            return have.data, AdvertAccepted
        case "older":
            return _sign(max(1, have.version - rumour.version), "memory://old").data, AdvertStale
        case "other words":
            return _sign(have.version, "memory://elsewhere").data, AdvertStale
        case "another key":
            forged = _sign(have.version + 1, "memory://forged").data
            return forged[:-64] + stranger_key("forger").sign(forged[:-64]), AdvertInvalid
        case "changed":
            data = bytearray(_sign(have.version + 1, "memory://forged").data)
            data[rumour.version % (len(data) - 64)] ^= 1 << rumour.version % 8
            return bytes(data), AdvertInvalid
        case "cut short":
            return have.data[: rumour.version % len(have.data)], AdvertInvalid
        case "garbage":
            return bytes(rumour.version % 100), AdvertInvalid
        case "too large":
            return have.data + bytes(4096), AdvertInvalid
        case _:
            return _sign(1, "memory://nobody", signer="a").data, AdvertStale


@scenario("A1 A2 A3 A5 P7")
async def rumours(sim: Simulation) -> None:
    """A peer hands on adverts of another node, true and forged, old and new: only the node's own newest word counts."""
    rng = sim.rng
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0))
    await sim.start("a", "b", setup=cast(sim))
    if rng.random() < 0.5:
        await sim.link("a", "b")
    liar = Liar(sim, "liar")
    await liar.connect("a")
    for _ in range(rng.randint(2, 8)):
        have = _known(sim, "b")
        assert have is not None
        rumour = Rumour(rng.choice(RUMOURS), rng.randint(1, 1000))
        if not await sim.inflict(rumour):
            continue
        data, due = _rumour(sim, rumour, have)
        await liar.line.send(encode(Advert(data)))
        reply = await _reply(liar)
        assert isinstance(reply, due), f"{reply} where {due.__name__} is due for {rumour}"
        now = _known(sim, "b")
        assert now is not None
        assert now.data == (data if rumour.kind == "newer" else have.data), f"{now} after {rumour}, {have} before"
        own = sim["a"].advert
        assert own.version >= int(WALL), f"a says of itself: {own}"
    liar.over()
    value = await sim.ask("b", sim.to("a", "sink"), Question(1), expiry=30.0)
    assert value == -1, repr(value)
    sim["a"].learn(sim["b"].advert)
    value = await sim.ask("a", sim.to("b", "sink"), Question(2), expiry=30.0)
    assert value == -2, repr(value)
    await sim.settle()


async def _reply(liar: Liar) -> AdvertReply:
    with trio.fail_after(5.0):
        while True:
            record = await liar.line.record()
            if isinstance(record, AdvertAccepted | AdvertStale | AdvertInvalid):
                return record


# -- what lies near ---------------------------------------------------------------------------------------

LOCAL = (
    "tcp://127.0.0.1:1",
    "tcp://127.9.9.9:1",
    "tcp://localhost:1",
    "tcp://[::1]:1",
    "tcp://[fe80::1]:1",
    "tcp://169.254.1.1:1",
    "tls://127.0.0.1:1",
    "tls://localhost:1",
)
REMOTE = ("tcp://192.0.2.1:1", "tcp://node.example:1", "tls://192.0.2.1:1", "tls://node.example:1", "memory://nobody")


class Knocking:
    """A transport that only remembers where it was to knock."""

    serve = None

    def __init__(self, scheme: str, knocks: list[tuple[float, str]]) -> None:
        self.scheme = scheme
        self.secure = scheme == "tls"
        self._knocks = knocks

    async def dial(self, address: TransportAddress) -> Stream:
        """See Transport."""
        self._knocks.append((trio.current_time(), str(address)))
        await trio.sleep(0.001)
        raise ConnectFailed(str(address), "nobody is there")

    async def listen(self, address: TransportAddress) -> Listener:
        """See Transport."""
        raise AddressError(f"{address} is only to be knocked at")


@scenario("A4 H12 P7")
async def knocks(sim: Simulation) -> None:
    """An advert from afar names addresses of this very machine, or plain ones beside secure: nobody knocks there."""
    rng = sim.rng
    told: list[tuple[float, str]] = []
    transports = (sim.network.transport("a"), Knocking("tcp", told), Knocking("tls", told))
    insecure = rng.random() < 0.3
    cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0), insecure=insecure)
    await sim.start("a", setup=cast(sim), know=False, cfg=cfg, transports=transports)
    urls = [*rng.sample(LOCAL, rng.randint(0, 4)), *rng.sample(REMOTE, rng.randint(0, 4))][:16]
    rng.shuffle(urls)
    secret = stranger_key("far")
    advert = NodeAdvert.sign(secret, [(url, rng.randint(1, 9)) for url in urls], version=5, created=0)
    near = rng.random() < 0.3
    if rng.random() < 0.2:
        near = True
        sim["a"].learn(advert)
    else:
        liar = Liar(sim, "liar", "localhost" if near else "far.example")
        await liar.connect("a")
        await liar.line.send(encode(Advert(advert.data)))
        assert isinstance(await _reply(liar), AdvertAccepted)
        liar.over()
    sim["a"].set_permanence(secret.id, True, holder="simulation")
    await trio.sleep(rng.uniform(3, 20))
    knocked = {url for _, url in told}
    assert near or not knocked & {*LOCAL}, f"by an advert from afar a knocks at {knocked & {*LOCAL}}"
    plain = {url for url in knocked if url.startswith("tcp")}
    secure = any(url.startswith("tls") for url in urls)
    assert not (plain and secure), f"a knocks at {plain}, though there are secure addresses: {urls}"
    assert insecure or not plain & {*REMOTE}, f"plain, and off this machine: {plain & {*REMOTE}}"
    for (first, _), (fourth, _) in zip(told, told[3:], strict=False):
        assert fourth - first >= 1.0 - 1e-6, f"four knocks within {fourth - first:.3f} s"
    wanted = {url for url in urls if not url.startswith("memory")} - ({*LOCAL} if not near else set())
    if secure:
        wanted = {url for url in wanted if not url.startswith("tcp")}
    if insecure:
        assert knocked == wanted, f"a knocks at {knocked}, and may at {wanted}"
    sim["a"].set_permanence(secret.id, False, holder="simulation")


# -- lost words -------------------------------------------------------------------------------------------


@scenario("A2 A3 I1 I3")
async def own_words_lost(sim: Simulation) -> None:
    """A node loses its state or its clock goes back, and with them its newest advert: its peers bring it back."""
    rng = sim.rng
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=2.0))
    sim.network.lay(latency=rng.choice((0.001, 0.05)))
    traffic = Traffic(sim)
    await sim.start("a", setup=cast(sim), know=False)
    await sim.start("b", setup=_knowing(sim, "a"), know=False)
    sim["a"].learn(sim["b"].advert)
    await sim.link("a", "b", both=True)  # who has lost its state must dial to hear of it (I3)
    for _ in range(rng.randint(1, 3)):
        await traffic.one("a", "b")
        before = _known(sim, "b")
        assert before is not None
        await sim.inflict(WallJump("b", rng.choice((-_DAY, -3.0, 3.0, _DAY))))
        await sim.inflict(Crash("b", rng.choice((0.1, 3.0)), lose_state=rng.random() < 0.7))
        await sim.until(lambda: "b" in sim.running and sim.is_up("a", "b"), "a and b linked again")
        await sim.until(lambda: _agree(sim), "a to know b's own word", within=20.0)
        now = _known(sim, "b")
        assert now is not None
        assert now.version >= before.version, f"{now} after {before}"
    await sim.settle()


def _knowing(sim: Simulation, other: str) -> Callable[[Node], None]:
    """A setup in whose configuration the other node stands: that much is left when the state is lost."""

    def setup(node: Node) -> None:
        cast(sim)(node)
        node.learn(sim[other].advert)

    return setup


def _agree(sim: Simulation) -> bool:
    known = _known(sim, "b")
    return known is not None and known.data == sim["b"].advert.data


# -- new places -------------------------------------------------------------------------------------------


class Moves(Fault):
    """The node is killed, and runs elsewhere after `down` seconds; dials to its old addresses hang, or fail."""

    node: str
    down: float
    addresses: tuple[str, ...]
    hangs: bool = False

    async def apply(self, sim: Simulation) -> None:
        host = sim.hosts[self.node]
        if host.node is None:
            return
        old = [listener.address for listener in sim.network.listeners_of(self.node)]
        await sim.crash(self.node)
        host.options["listen"] = tuple(f"memory://{address}" for address in self.addresses)
        host.crashed = True
        if self.hangs:
            for address in old:
                await sim.network.transport("ghost").listen(address)  # and accepts nobody
        sim.start_soon(self._again, sim)

    async def _again(self, sim: Simulation) -> None:
        await trio.sleep(self.down)
        host = sim.hosts[self.node]
        if host.crashed:
            host.crashed = False
            await sim.restart(self.node)


@scenario("A L1 S9 C7")
async def moves(sim: Simulation) -> None:
    """A peer runs again at other addresses, while the old one refuses or hangs: its newest word leads there, soon."""
    rng = sim.rng
    cap = rng.choice((2.0, 10.0))
    latency = rng.choice((0.001, 0.02))
    sim.network.lay(latency=latency)
    sim.cfg = NetworkCfg(backoff=BackoffCfg(cap=cap), handshake_timeout=2.0)
    one, other = rng.sample(["a", "b"], 2)
    know = rng.random() < 0.5
    await sim.start(one, other, setup=cast(sim), know=know)
    for here, there in ((one, other), (other, one)):
        sim[here].learn(sim[there].advert)
    await sim.link(one, other)
    traffic = Traffic(sim, expiries=(LONG, 5.0))
    async with trio.open_nursery() as nursery:
        for sender, receiver in ((one, other), (other, one)):
            nursery.start_soon(lambda s=sender, r=receiver: traffic.flow(s, r, gap=0.5))  # type: ignore[misc]
        for number in range(rng.randint(1, 3)):
            await trio.sleep(rng.uniform(0, 3))
            await _move(sim, one, other, number, know)
        nursery.cancel_scope.cancel()
    await sim.settle()


async def _move(sim: Simulation, one: str, other: str, number: int, know: bool) -> None:
    """And how soon the link is up again, once the other has learned of it."""
    rng = sim.rng
    old = sim[other].addresses[0].removeprefix("memory://")
    places = tuple(f"{other}-{number}-{place}" for place in range(rng.randint(1, 3)))
    down = round(rng.choice((0.0, 0.5, 5.0)) * rng.random(), 3)
    await sim.inflict(Moves(other, down, places, rng.random() < 0.5))
    await sim.until(lambda: other in sim.running, f"{other} to run again", within=6.0)
    learned = sim.now()
    if not know:
        if rng.random() < 0.5:
            await trio.sleep(rng.uniform(0, 3))
            learned = sim.now()
            sim[one].learn(sim[other].advert)
        else:
            sim[other].learn(sim[one].advert)
            sim[other].dial_now(key_of(one).id)  # it comes by itself
    await sim.until(lambda: sim.is_up(one, other), f"{one} to find {other} at {places}", within=10.0)
    took = sim.now() - learned
    assert took <= 2.0 + 1.0, f"{one} took {took:.3f} s to find {other} at {places}, after {old}"


@scenario("A4 C7 L1")
async def dead_first_address(sim: Simulation) -> None:
    """Of several addresses of a permanent peer the first is dead: the next one is taken, and soon every time after."""
    rng = sim.rng
    latency = rng.choice((0.001, 0.02))
    sim.network.lay(latency=latency)
    await sim.start("b", setup=cast(sim), know=False)
    await sim.start("a", setup=cast(sim), know=False)
    dead = rng.choice(("memory://dead", "memory://hangs"))
    urls = [(dead, rng.randint(2, 9)), ("memory://b", 1)]
    sim["a"].learn(NodeAdvert.sign(key_of("b"), urls, version=1 << 60, created=0))
    if dead.endswith("hangs"):
        await sim.inflict(IgnoreDials("hangs", LONG))
    dials: list[tuple[float, str]] = []
    sim.network.on_dial.append(lambda at, host, name: dials.append((at, name)) if host == "a" else None)
    for number in range(rng.randint(1, 4)):
        began = sim.now()
        if number == 0:
            sim.hold("a", "b")
        else:
            await sim.inflict(Refuse("b", 0.001))
            sim.network.cut("a", "b")
        await sim.until(lambda: sim.is_up("a", "b"), "a and b linked", within=10.0)
        step = sim.cfg.backoff.first * sim.cfg.backoff.factor**number * 1.2
        assert sim.now() - began <= step + 1.0, f"{sim.now() - began:.3f} s, one step is {step:.3f} s"
        value = await sim.send("a", sim.to("b", "sink"), Item(number))
        assert value is None, repr(value)
        await trio.sleep(rng.choice((0.1, 11.0)))
    await sim.settle()
