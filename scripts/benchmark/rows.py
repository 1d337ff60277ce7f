"""The rows: what is measured, beside what, and what it is to reach."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import chain

from msgspec import Struct, structs

from benchmark.results import Goal


class How(Enum):
    """What a pair of figures says."""

    SPEED = "how many times as fast as the other"
    COST = "how many times as dear as the other"
    PLAIN = "the own figure; the other is for comparison"


class Need(Struct, frozen=True):
    """What has to be there for a peer: modules of Python, or programs; and how it comes there."""

    install: str
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()


class Contender(Struct, frozen=True):
    """What answers requests: a module of this package with arguments, and what it is asked for."""

    name: str
    command: tuple[str, ...]
    count: int
    load: int = 0
    need: Need | None = None

    def argv(self, python: str) -> list[str]:
        """The command line."""
        module, *arguments = self.command
        return [python, "-m", f"benchmark.{module}", *arguments]


class Row(Struct, frozen=True, kw_only=True):
    """One line of the table."""

    name: str
    what: str
    own: Contender
    other: Contender
    how: How = How.SPEED
    goal: Goal | None = None
    unit: str = "x"
    loads: tuple[int, ...] = ()
    """Other loads of the own contender, for a curve of its cost."""

    @property
    def of(self) -> str:
        """The name by which it is asked for: that of its target, without the variant."""
        return self.name.partition("-")[0]

    def sized(self, size: float) -> Row:
        """With so large a share of the messages."""
        own, other = (structs.replace(each, count=max(1, int(each.count * size))) for each in (self.own, self.other))
        return structs.replace(self, own=own, other=other)


def own(*command: str, count: int, load: int = 0) -> Contender:
    """The project."""
    return Contender("own", command, count, load)


TELL = own("own", "tell", "tcp", count=300_000)
LOCAL = own("own", "local", count=200_000)
CHANNEL = Contender("trio memory channel of 64, awaited", ("floors", "channel"), 20_000)
CHANNEL_PING = Contender("the channel's round trip", ("floors", "channel-ping"), 5_000)
B1 = Contender("raw trio TCP, a frame a send", ("floors", "tell", "tcp", "1"), 20_000)
B64 = Contender("raw trio TCP, 64 frames a send", ("floors", "tell", "tcp", "64"), 300_000)
TLS64 = Contender("raw trio TLS, 64 frames a send", ("floors", "tell", "tls", "64"), 300_000)
WS64 = Contender("raw trio-websocket, 64 packed", ("floors", "tell", "ws", "64"), 200_000)
PIECES = Contender("raw trio TCP, 64 KiB", ("floors", "large", "tcp"), 5_000)
TLS_PIECES = Contender("raw trio TLS, 64 KiB", ("floors", "large", "tls"), 3_000)
QUIC = Need("pip install 'trio-actors[quic]'", modules=("aioquic",))
QUIC64 = Contender("bare aioquic, 64 frames a send", ("floor_quic", "tell", "64"), 20_000, need=QUIC)
QUIC_PIECES = Contender("bare aioquic, 64 KiB", ("floor_quic", "large"), 500, need=QUIC)
QUIC_PING = Contender("bare aioquic ping", ("floor_quic", "ping"), 1_000, need=QUIC)
TCP_PING = Contender("raw trio TCP ping", ("floors", "ping", "tcp"), 2_000)

ERLANG = Contender(
    "Erlang distribution",
    ("peers.erlang",),
    300_000,
    need=Need("apt-get install erlang-base", programs=("erl", "erlc", "epmd")),
)
TRACTOR = Contender("tractor", ("peers.tractor_stream",), 3_000, need=Need("pip install tractor", modules=("tractor",)))
PYZMQ = Contender("pyzmq", ("peers.zmq_push",), 200_000, need=Need("pip install pyzmq", modules=("zmq",)))
PYKKA = Contender("pykka", ("peers.pykka_local",), 30_000, need=Need("pip install pykka", modules=("pykka",)))
XOSCAR = Need("pip install xoscar", modules=("xoscar",))
XOSCAR_LOCAL = Contender("xoscar", ("peers.xoscar_pool", "local"), 4_000, need=XOSCAR)
XOSCAR_TCP = Contender("xoscar", ("peers.xoscar_pool", "tcp"), 2_000, need=XOSCAR)
THESPIAN = Contender("Thespian", ("peers.thespian_tcp",), 200, need=Need("pip install thespian", modules=("thespian",)))

TARGETS = (
    Row(name="T1", what="local tell", own=LOCAL, other=CHANNEL, goal=Goal(8, 15)),
    Row(
        name="T2",
        what="local ask, p50",
        own=own("own", "local-ask", count=5_000),
        other=CHANNEL_PING,
        how=How.COST,
        goal=Goal(1.3, 0.25, at_most=True),
    ),
    Row(name="T3", what="node to node tell, TCP, one busy engine", own=TELL, other=B64, goal=Goal(0.55, 0.9)),
    Row(name="T4", what="the same", own=TELL, other=B1, goal=Goal(12, 18)),
    Row(
        name="T5",
        what="100 senders that give way after each message",
        own=own("own", "tasks", "tcp", count=50_000),
        other=B1,
        goal=Goal(4, 7),
    ),
    Row(
        name="T5-engines",
        what="100 engines that handle, tell, tell themselves, give way",
        own=own("own", "many", "tcp", count=20_000),
        other=B1,
    ),
    Row(name="T6", what="as T3", own=TELL, other=ERLANG, goal=Goal(1.5, 2.5)),
    Row(name="T7", what="as T3", own=TELL, other=TRACTOR, goal=Goal(35, 80)),
    Row(
        name="T8",
        what="node to node ask, p50",
        own=own("own", "ping", "tcp", count=2_000),
        other=TCP_PING,
        how=How.COST,
        goal=Goal(1.5, 1.1, at_most=True),
    ),
    Row(
        name="T9",
        what="as T3 over TLS",
        own=own("own", "tell", "tls", count=300_000),
        other=TLS64,
        goal=Goal(0.5, 0.9),
    ),
    Row(
        name="T10",
        what="as T3 over WebSocket",
        own=own("own", "tell", "ws", count=200_000),
        other=WS64,
        goal=Goal(0.7, 1.0),
    ),
    Row(
        name="T11",
        what="64 KiB bodies, TCP",
        own=own("own", "large", "tcp", count=5_000),
        other=PIECES,
        goal=Goal(0.9, 1.1),
    ),
    Row(
        name="T11-tls",
        what="64 KiB bodies, TLS",
        own=own("own", "large", "tls", count=3_000),
        other=TLS_PIECES,
        goal=Goal(0.8, 1.1),
    ),
    Row(
        name="T12",
        what="memory per idle remote node, TCP, 1,000",
        own=own("own_crowds", "idle", count=1_000),
        other=Contender("raw trio TCP", ("floor_crowds", "idle"), 1_000),
        how=How.PLAIN,
        unit="KiB",
        goal=Goal(25, 15, at_most=True, unit="KiB"),
    ),
    Row(
        name="T13",
        what="connect and prove TLS nodes, 5 times 200",
        own=own("own_crowds", "connect", count=200),
        other=Contender("raw trio TLS, four signature operations", ("floor_crowds", "connect"), 200),
        how=How.COST,
        goal=Goal(1.8, 1.3, at_most=True),
    ),
    Row(
        name="T14",
        what="forward an opaque 64 KiB message: the codec's step",
        own=own("own_relay", "step", count=1_000, load=0),
        other=Contender("decode and encode again", ("own_relay", "step"), 1_000, 1),
        goal=Goal(10, 25),
    ),
    Row(
        name="T14-raw",
        what="the same as a msgspec.Raw, whose end has to be found",
        own=own("own_relay", "step", count=1_000, load=2),
        other=Contender("decode and encode again", ("own_relay", "step"), 1_000, 1),
    ),
    Row(
        name="T14-node",
        what="the same: all that the node in the middle does",
        own=own("own_relay", "node", count=1_000, load=0),
        other=Contender("decode and encode again", ("own_relay", "node"), 1_000, 1),
    ),
    Row(
        name="T15",
        what="bursts of 64 to each of 100 proxies, a message",
        own=own("own_crowds", "bursts", "100", count=64_000, load=100),
        other=Contender("the same to 1 proxy", ("own_crowds", "bursts", "100"), 64_000, 1),
        how=How.COST,
        goal=Goal(2.5, 1.5, at_most=True),
        loads=(10,),
    ),
    Row(
        name="T15-1000",
        what="bursts of 64 to each of 1,000 proxies",
        own=own("own_crowds", "bursts", "1000", count=64_000, load=1_000),
        other=Contender("the same to 1 proxy", ("own_crowds", "bursts", "1000"), 64_000, 1),
        how=How.COST,
        goal=Goal(5, 3, at_most=True),
        loads=(10, 100),
    ),
    Row(
        name="T16",
        what="cost of a message behind 3,700 in the outbox",
        own=own("own_strain", "backlog", count=30, load=3_700),
        other=Contender("behind 10; full at about 3,850", ("own_strain", "backlog"), 30, 10),
        how=How.COST,
        goal=Goal(1.1, 1.0, at_most=True),
        loads=(100, 1_000, 2_000),
    ),
)
OVER_QUIC = (
    Row(
        name="QUIC",
        what="as T3 over QUIC",
        own=own("own", "tell", "quic", count=20_000),
        other=QUIC64,
        goal=Goal(0.5, 0.9),
    ),
    Row(
        name="QUIC-large",
        what="64 KiB bodies, QUIC",
        own=own("own", "large", "quic", count=500),
        other=QUIC_PIECES,
        goal=Goal(0.5, 0.9),
    ),
    Row(
        name="QUIC-ask",
        what="node to node ask over QUIC, p50",
        own=own("own", "ping", "quic", count=1_000),
        other=QUIC_PING,
        how=How.COST,
    ),
)
STRAIN = (
    Row(
        name="F1",
        what="an engine's ask while another floods, p99",
        own=own("own_strain", "fair", count=400, load=1),
        other=Contender("its idle p50", ("own_strain", "fair"), 400, 0),
        how=How.COST,
        goal=Goal(10, 3, at_most=True),
    ),
    Row(
        name="F2",
        what="how late a heartbeat is while one floods",
        own=own("own_strain", "heartbeat", count=1),
        other=Contender("-", (), 0),
        how=How.PLAIN,
        unit="s",
        goal=Goal(1, 0.1, at_most=True, unit="s"),
    ),
    Row(
        name="M1",
        what="memory: 10^6 messages, a peer that stopped reading",
        own=own("own_strain", "memory", count=1_000_000),
        other=Contender("outbox limit of 8 MiB + 32 MiB", (), 0),
        how=How.PLAIN,
        unit="MiB",
        goal=Goal(40, 8, at_most=True, unit="MiB"),
    ),
)
PEERS = (
    Row(name="pykka", what="local tell", own=LOCAL, other=PYKKA),
    Row(name="xoscar-local", what="local tell", own=LOCAL, other=XOSCAR_LOCAL),
    Row(name="xoscar", what="node to node tell, TCP", own=TELL, other=XOSCAR_TCP),
    Row(name="pyzmq", what="node to node tell, TCP", own=TELL, other=PYZMQ),
    Row(name="thespian", what="node to node tell, TCP", own=TELL, other=THESPIAN),
)
ROWS = (*TARGETS, *OVER_QUIC, *STRAIN, *PEERS)


def chosen(words: Sequence[str], all_rows: Sequence[Row] = ROWS) -> tuple[tuple[Row, ...], list[str]]:
    """The rows of these names, in the table's order, and a line for each name that is none. No names: all of them."""
    wanted = {word.strip().lower() for word in chain.from_iterable(word.split(",") for word in words)} - {""}
    names = {name.lower() for row in all_rows for name in (row.name, row.of)}
    known = ", ".join(dict.fromkeys(row.of for row in all_rows))
    unknown = [f"--only: no row is called {word}; there are {known}" for word in sorted(wanted - names)]
    rows = tuple(row for row in all_rows if {row.name.lower(), row.of.lower()} & wanted)
    return (rows if wanted else tuple(all_rows)), unknown
