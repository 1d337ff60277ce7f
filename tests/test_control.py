"""The control socket: served for a fake node, asked over real Unix sockets."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
import trio
from msgspec import Raw, Struct, convert, json
from msgspec.structs import replace

from actors.control import sockets
from actors.control.client import ControlClient, open_control
from actors.control.compose import encode
from actors.control.failures import ControlError, NodeDownError
from actors.control.foreign import foreign
from actors.control.messages import MAX_LINE, Away, FieldDescription, MessageDescription, Troubles
from actors.control.server import serve_control
from actors.control.sockets import NodeSocket, bound_socket, clusters, private_directory, socket_path
from actors.control.troubled import Troubled
from actors.engine import Engine, on
from actors.errors import ActorError, ConfigError, Crashed, Expired, IdentityError, Lost, Refused
from actors.events import EngineCrashed, EngineStarted, Event
from actors.identity import EngineID, NodeID, NodeKey
from actors.messages import Request, TransportPrefs, reply_type
from actors.runtime.codec import reply_decoder
from actors.snapshots import (
    AddressSnapshot,
    DeadLetterSnapshot,
    EngineSnapshot,
    LedgerSnapshot,
    LinkSnapshot,
    NodeSnapshot,
    NodeStatistics,
    ProxySnapshot,
    WorkSnapshot,
)
from transports.addresses import MemoryAddress
from transports.errors import ConnectFailed
from transports.memory.network import MemoryNetwork

R = TypeVar("R")
IDS = {name: NodeKey.from_seed(name.encode() * 32).id for name in "abc"}


class Pong(Struct, frozen=True, array_like=True):
    n: int


class Ping(Request[Pong], tag="control.ping"):
    n: int
    to: EngineID | None = None


class Echo(Engine):
    @on(Ping)
    def ping(self, msg: Ping) -> Pong:
        return Pong(msg.n)


class Cell:
    pristine: ClassVar[Engine] = Echo()


class FakeEvents:
    def __init__(self) -> None:
        self.listeners: list[trio.MemorySendChannel[Event]] = []
        self.recent: list[Event] = []

    def subscribe(self, capacity: int = 16, /) -> trio.MemoryReceiveChannel[Event]:
        send, receive = trio.open_memory_channel[Event](capacity)
        self.listeners.append(send)
        return receive


class FakeAdvert:
    def __str__(self) -> str:
        return "an advert"


class FakeRuntime:
    def find(self, name: str, /) -> Cell | None:
        return Cell() if name == "echo" else None


class FakeNode:
    """Does what a node does, as far as the control socket sees it, in the way that a test sets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.id = IDS[name]
        self.advert = FakeAdvert()
        self.runtime = FakeRuntime()
        self.events = FakeEvents()
        self.outcome: Exception | None = None
        self.sent: list[tuple[str, EngineID, Request[Any], TransportPrefs, float]] = []
        self.done: list[object] = []
        self.asked = trio.Event()
        self.cancelled = trio.Event()
        self.waits = False
        self.peers: tuple[str, ...] = ()

    def snapshot(self) -> NodeSnapshot:
        ledger = LedgerSnapshot()
        statistics = NodeStatistics(
            engines=1, proxies=0, connected=0, ledger=ledger, received=0, dead_letters=0, uptime=1
        )
        return NodeSnapshot(
            name=self.name, id=str(self.id), state="running", addresses=(), pid=os.getpid(), statistics=statistics
        )

    def proxies(self) -> list[ProxySnapshot]:
        return [proxy_snapshot(self.name, peer) for peer in self.peers]

    def engines(self) -> list[EngineSnapshot]:
        names = ["echo", "sink"]
        return [
            EngineSnapshot(
                node=self.name,
                name=n,
                type="Echo",
                state="running",
                held=0,
                capacity=1,
                handled=0,
                crashes=0,
                restarts=0,
            )
            for n in names
        ]

    def link(self, node_id: NodeID, /) -> LinkSnapshot | None:
        return link_snapshot() if str(node_id) == proxy_snapshot(self.name, "b").peer_id else None

    def work(self, engine: str, /) -> WorkSnapshot | None:
        return WorkSnapshot(engine=engine, guards=(), messages=()) if engine == "echo" else None

    def dead_letters(self) -> list[DeadLetterSnapshot]:
        return [DeadLetterSnapshot(ago=1.5, to="b/x", sender="a/y", tag="t", outcome="lost", head=b"\x91\xa1t")]

    def learn(self, advert: str, /) -> NodeID:
        if advert != "an advert":
            raise IdentityError("not an advert")
        return IDS["c"]

    async def connect(self, node_id: NodeID, /, *, permanent: bool = True) -> None:
        self.done.append(("connect", node_id, permanent))

    def set_permanence(self, node_id: NodeID, permanent: bool, /) -> None:
        self.done.append(("permanence", node_id, permanent))

    def dial_now(self, node_id: NodeID, /) -> None:
        self.done.append(("dial_now", node_id))

    def close(self, node_id: NodeID, /) -> None:
        self.done.append(("close", node_id))

    async def migrate(self, node_id: NodeID, /, *schemes: str) -> tuple[str, ...]:
        self.done.append(("migrate", node_id, *schemes))
        return tuple(f"{scheme}://127.0.0.1:1" for scheme in schemes if scheme != "quic")

    def explain(self, node_id: NodeID, /) -> list[AddressSnapshot]:
        known = {"weight": 1.0, "after": 0.0, "why": "weight 1", "failures": 0, "error": "", "proven": 1, "rtt_ms": 0.5}
        return [convert({"url": "tcp://127.0.0.1:1", "in_use": node_id == IDS["b"], **known}, AddressSnapshot)]

    def cut(self, node_id: NodeID, /) -> bool:
        return node_id == IDS["b"]

    async def tell(self, to: EngineID, msg: Request[Any], /, *, prefs: TransportPrefs, expiry: float) -> None:
        await self.accept("tell", to, msg, prefs, expiry)

    async def send(self, to: EngineID, msg: Request[Any], /, *, prefs: TransportPrefs, expiry: float) -> None:
        await self.accept("send", to, msg, prefs, expiry)

    async def ask(self, to: EngineID, msg: Request[R], /, *, prefs: TransportPrefs, expiry: float) -> R:
        await self.accept("ask", to, msg, prefs, expiry)
        if to.node == self.id:
            assert isinstance(msg, Ping)
            return Pong(msg.n)  # type: ignore[return-value]
        # What a node gives for a message whose answer is of a type that it does not know.
        return from_afar(msg, Pong(7))  # type: ignore[no-any-return]

    async def accept(self, *sent: Any) -> None:
        self.sent.append(sent)
        self.asked.set()
        if self.waits:
            try:
                await trio.sleep_forever()
            finally:
                self.cancelled.set()
        if self.outcome:
            raise self.outcome


def from_afar(msg: Request[Any], value: object) -> Any:
    return reply_decoder(type(msg))(encode(value))


def link_snapshot() -> LinkSnapshot:
    return LinkSnapshot(
        peer_id="b", path=(), addresses=(), holders=("console",), jitter_ms=None, heard_ago=None, dead_in=None,
        expires_in=None, outbox_bytes=0, outbox_capacity=8, received=3, dropped={"full": 2}, incarnation="",
    )  # fmt: skip


def proxy_snapshot(node: str, peer: str) -> ProxySnapshot:
    return ProxySnapshot(
        node=node,
        peer=peer,
        peer_id=str(IDS[peer]),
        permanence="permanent",
        state="ready",
        transport="tcp",
        address="tcp://127.0.0.1:1",
        rtt_ms=0.25,
        ledger=LedgerSnapshot(),
        connections=1,
        reconnects=0,
        resent=0,
        duplicates_dropped=0,
        dropped=0,
        queued=0,
        retained=0,
    )


@pytest.fixture(autouse=True)
def runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "actors"


@asynccontextmanager
async def served(
    node: FakeNode, stop: Callable[[], None] = lambda: None, troubled: Troubled | None = None
) -> AsyncIterator[ControlClient]:
    async with trio.open_nursery() as nursery:
        path = socket_path("demo", node.name)
        await nursery.start(partial(serve_control, node, path, stop=stop, troubled=troubled))
        async with open_control(path) as control:
            yield control
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def raw(control: ControlClient) -> AsyncIterator[trio.SocketStream]:
    async with await trio.open_unix_socket(control.path) as stream:
        yield stream


async def reply_to(stream: trio.SocketStream, line: bytes) -> dict[str, Any]:
    await stream.send_all(line + b"\n")
    data = b""
    while not data.endswith(b"\n"):
        data += await stream.receive_some()
    return json.decode(data, type=dict[str, Any])


# -- looking and acting -----------------------------------------------------------------------------------


async def test_a_client_sees_the_nodes_figures() -> None:
    node = FakeNode("a")
    node.peers = ("b",)
    async with served(node) as control:
        told = await control.node()
        assert replace(told, memory_bytes=None, loop_lag_ms=None) == node.snapshot()
        assert told.loop_lag_ms is not None
        assert told.loop_lag_ms >= 0
        if sys.platform == "linux":
            assert told.memory_bytes is not None
            assert told.memory_bytes > 1 << 20
        assert await control.proxies() == tuple(node.proxies())
        assert await control.engines() == tuple(node.engines())
        assert await control.link("b") == link_snapshot()
        assert await control.dead_letters() == tuple(node.dead_letters())
        assert await control.advert() == "an advert"


async def test_a_link_that_is_not_there_cannot_be_looked_at() -> None:
    node = FakeNode("a")
    node.peers = ("b", "c")
    async with served(node) as control:
        with pytest.raises(ControlError, match="no proxy for c") as caught:
            await control.link("c")
    assert caught.value.code == "unknown_node"


async def test_a_client_looks_at_an_engine_closely() -> None:
    async with served(FakeNode("a")) as control:
        assert (await control.work("echo")).engine == "echo"
        with pytest.raises(ControlError, match="a has no engine 'ech'") as caught:
            await control.work("ech")
    assert (caught.value.code, caught.value.hint) == ("unknown_engine", "actors ls engines")


async def test_a_client_acts_on_the_node() -> None:
    node = FakeNode("a")
    node.peers = ("b",)
    async with served(node) as control:
        await control.proxy("b", "permanent")
        await control.proxy("b", "ephemeral")
        await control.proxy("b", "dial_now")
        await control.proxy("b", "close")
        await control.connect("b", permanent=False)
        await control.cut("b")
        assert await control.learn("an advert") == str(IDS["c"])
    b = IDS["b"]
    assert node.done == [
        ("permanence", b, True),
        ("permanence", b, False),
        ("dial_now", b),
        ("close", b),
        ("connect", b, False),
    ]


async def test_errors_come_back_with_code_and_hint() -> None:
    node = FakeNode("a")
    node.peers = ("b", "c")
    async with served(node) as control:
        with pytest.raises(ActorError, match="no connection to c") as error:
            await control.cut("c")
        assert (error.value.code, error.value.hint) == ("not_connected", "actors ls proxies")
        with pytest.raises(ActorError, match="not an advert") as error:
            await control.learn("nonsense")
        assert error.value.code == "identity"
        with pytest.raises(ActorError, match="no node 'z'") as error:
            await control.proxy("z", "close")
        assert error.value.code == "unknown_node"


async def test_a_client_troubles_the_connections_of_a_node_that_takes_faults() -> None:
    troubles = Troubles(away=(Away(peer=str(IDS["b"]), addresses=("memory://b",)),), latency=0.5, rate=1000)
    troubled = Troubled()
    async with served(FakeNode("a"), troubled=troubled) as control:
        assert await control.faults() == Troubles()
        await control.trouble(troubles)
        assert await control.faults() == troubles
        with pytest.raises(ConnectFailed, match="actors fault heal"):
            await troubled.over(MemoryNetwork().transport("a")).dial(MemoryAddress("b"))
        async with raw(control) as stream:
            for wrong in (b'{"latency": -1}', b'{"rate": 0}', b'{"lateness": 1}'):
                reply = await reply_to(stream, b'{"do": "trouble", "troubles": %s}' % wrong)
                assert (reply["is"], reply["code"]) == ("failed", "bad_request")
        assert await control.faults() == troubles


async def test_a_node_in_service_takes_no_faults() -> None:
    async with served(FakeNode("a")) as control:
        for call in (control.faults(), control.trouble(Troubles(latency=1))):
            with pytest.raises(ControlError, match="none of a local cluster") as error:
                await call
            assert (error.value.code, error.value.hint) == ("no_faults", "actors up --detach")


async def test_a_client_stops_the_node() -> None:
    stopped = trio.Event()
    async with served(FakeNode("a"), stopped.set) as control:
        await control.stop()
        await stopped.wait()


async def test_events_are_followed_until_the_client_has_enough() -> None:
    node = FakeNode("a")
    async with served(node) as control:
        async with control.events() as events:
            node.events.listeners[0].send_nowait(EngineStarted(1.0, EngineID(IDS["a"], "echo")))
            node.events.listeners[0].send_nowait(EngineCrashed(2.0, EngineID(IDS["a"], "echo"), "boom"))
            first, second = await anext(events), await anext(events)
        assert (first.event, first.at, first.data) == ("engine-started", 1.0, {"engine": f"{IDS['a']}/echo"})
        assert second.data == {"engine": f"{IDS['a']}/echo", "error": "boom", "tag": ""}
        with trio.fail_after(5):
            while node.events.listeners[0].statistics().open_receive_channels:
                await trio.lowlevel.checkpoint()


async def test_the_last_events_are_told_too() -> None:
    node = FakeNode("a")
    node.events.recent = [EngineCrashed(2.0, EngineID(IDS["a"], "echo"), "boom")]
    async with served(node) as control:
        (event,) = await control.recent()
        assert (event.event, event.at, event.data["error"]) == ("engine-crashed", 2.0, "boom")


async def test_events_end_with_the_node() -> None:
    node = FakeNode("a")
    async with served(node) as control, control.events() as events:
        node.events.listeners[0].close()
        assert [event async for event in events] == []


# -- sending ----------------------------------------------------------------------------------------------


async def test_a_message_by_field_names_reaches_an_engine_of_the_node() -> None:
    node = FakeNode("a")
    async with served(node) as control:
        prefs = TransportPrefs(ordering="unordered")
        reply = await control.ask("a/echo", "control.ping", {"n": 3, "to": "a/sink"}, expiry=5, prefs=prefs)
    assert reply.value == {"n": 3}
    assert (reply.path.source, reply.path.target, reply.path.transport) == ("a", "a", "local")
    target = EngineID(IDS["a"], "echo")
    assert node.sent == [("ask", target, Ping(3, EngineID(IDS["a"], "sink")), prefs, 5)]


async def test_a_message_for_another_node_is_made_and_read_by_that_nodes_classes() -> None:
    a, b = FakeNode("a"), FakeNode("b")
    a.peers = ("b",)
    async with served(a) as control, served(b):
        reply = await control.ask("b/echo", "control.ping", {"n": 7})
        path = await control.tell("b/echo", "control.ping", {"n": 1})
        await control.send("b/echo", "control.ping", {"n": 2})
    assert reply.value == {"n": 7}
    assert (reply.path.source, reply.path.target, reply.path.transport) == ("a", "b", "tcp")
    assert (path.transport, path.rtt_ms) == ("tcp", 0.25)
    assert [encode(msg) for _, _, msg, *_ in a.sent] == [encode(Ping(7)), encode(Ping(1)), encode(Ping(2))]
    assert [verb for verb, *_ in a.sent] == ["ask", "tell", "send"]
    assert not any(isinstance(msg, Ping) for _, _, msg, *_ in a.sent)
    assert a.sent[0][1] == EngineID(IDS["b"], "echo")


async def test_the_nodes_beside_it_are_known_by_name_before_they_are_peers() -> None:
    a, b = FakeNode("a"), FakeNode("b")
    async with served(a) as control, served(b):
        path = await control.send(f"{str(IDS['b'])[:6]}/echo", "control.ping", {"n": 1})
    assert (path.target, path.transport) == ("b", None)


async def test_a_neighbour_that_is_gone_is_unknown_again() -> None:
    a, b = FakeNode("a"), FakeNode("b")
    async with served(a) as control:
        async with served(b):
            await control.tell("b/echo", "control.ping", {"n": 1})
        with pytest.raises(ControlError, match="no node 'b'"):
            await control.tell("b/echo", "control.ping", {"n": 1})


async def test_a_peer_elsewhere_is_spoken_to_in_the_classes_that_this_process_knows() -> None:
    a = FakeNode("a")
    a.peers = ("c",)
    async with served(a) as control:
        await control.tell("c/echo", "control.ping", {"n": 1})
        with pytest.raises(ControlError, match=r"takes no message 'control\.pong'") as error:
            await control.tell("c/echo", "control.pong", {})
    assert a.sent[0][2] == Ping(1)
    assert error.value.hint == "did you mean control.ping?"


@pytest.mark.parametrize(
    ("address", "kind", "fields", "code", "hint"),
    [
        ("b/ecko", "control.ping", {}, "unknown_engine", "did you mean echo?"),
        ("b/echo", "control.pong", {}, "unknown_message", "did you mean control.ping?"),
        ("b/echo", "control.ping", {"m": 1}, "unknown_field", "there is n, to"),
        ("b/echo", "control.ping", {}, "missing_field", "it is int"),
        ("b/echo", "control.ping", {"n": "x"}, "bad_field", "it is int"),
        ("a/ecko", "control.ping", {}, "unknown_engine", "did you mean echo?"),
        ("a/echo", "control.ping", {"n": []}, "bad_field", "it is int"),
        ("echo", "control.ping", {"n": 1}, "bad_request", "write NODE/ENGINE, such as b/echo"),
    ],
)
async def test_mistakes_in_a_message_are_told_before_anything_is_sent(
    address: str, kind: str, fields: dict[str, object], code: str, hint: str
) -> None:
    a, b = FakeNode("a"), FakeNode("b")
    async with served(a) as control, served(b):
        with pytest.raises(ActorError) as error:
            await control.ask(address, kind, fields)
    assert (error.value.code, error.value.hint) == (code, hint)
    assert a.sent == []


@pytest.mark.parametrize(
    "outcome",
    [
        Expired(True),
        Lost("peer_restarted", True),
        Refused("deadlock", "a waits for b waits for a"),
        Refused("stopped"),
        Crashed("ValueError: no"),
    ],
)
async def test_an_outcome_comes_back_as_itself(outcome: ActorError) -> None:
    node = FakeNode("a")
    node.outcome = outcome
    async with served(node) as control:
        with pytest.raises(type(outcome)) as error:
            await control.ask("a/echo", "control.ping", {"n": 1})
    assert (str(error.value), vars(error.value).get("reason")) == (str(outcome), vars(outcome).get("reason"))


async def test_an_encoded_message_passes_and_its_answer_comes_back_encoded() -> None:
    a, b = FakeNode("a"), FakeNode("b")
    async with served(a) as control, served(b):
        assert await control.pass_on("ask", f"{IDS['a']}/echo", encode(Ping(3))) == encode(Pong(3))
        assert await control.pass_on("ask", f"{IDS['b']}/echo", encode(Ping(3))) == encode(Pong(7))
        assert await control.pass_on("tell", f"{IDS['b']}/echo", encode(Ping(4))) == b""
        with pytest.raises(ControlError) as error:
            await control.pass_on("tell", f"{IDS['b']}/echo", b"\xc1")
    assert error.value.code == "bad_field"
    assert a.sent[0][2] == Ping(3)
    assert encode(a.sent[2][2]) == encode(Ping(4))


async def test_an_engine_is_described() -> None:
    async with served(FakeNode("a")) as control:
        (message,) = await control.describe("echo")
    fields = (
        FieldDescription(name="n", type="int", required=True),
        FieldDescription(name="to", type="EngineID | None", required=False),
    )
    assert message == MessageDescription(type="control.ping", fields=fields, reply="Pong")


# -- clients at the same time, and clients that give up ----------------------------------------------------


async def test_a_waiting_client_holds_up_neither_itself_nor_others() -> None:
    node = FakeNode("a")
    node.waits = True
    async with served(node) as control, trio.open_nursery() as nursery, open_control(control.path) as other:
        nursery.start_soon(control.ask, "a/echo", "control.ping", {"n": 1})
        await node.asked.wait()
        assert (await control.node()).name == "a"
        assert (await other.node()).name == "a"
        nursery.cancel_scope.cancel()


async def test_a_cancelled_call_is_cancelled_on_the_node() -> None:
    node = FakeNode("a")
    node.waits = True
    async with served(node) as control:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control.ask, "a/echo", "control.ping", {"n": 1})
            await node.asked.wait()
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await node.cancelled.wait()
        assert (await control.node()).name == "a"


async def test_a_client_that_says_cancel_is_told_so_and_goes_on() -> None:
    node = FakeNode("a")
    node.waits = True
    async with served(node) as control, raw(control) as stream:
        await stream.send_all(b'{"do": "ask", "to": "a/echo", "type": "control.ping", "fields": {"n": 1}}\n')
        await node.asked.wait()
        assert (await reply_to(stream, b'{"do": "cancel"}'))["code"] == "cancelled"
        assert (await reply_to(stream, b'{"do": "node"}'))["is"] == "node"


async def test_a_client_that_has_said_all_still_gets_its_answer() -> None:
    async with served(FakeNode("a")) as control, raw(control) as stream:
        await stream.send_all(b'{"do": "advert"}\n')
        await stream.send_eof()
        data = b"".join([chunk async for chunk in stream])
    assert json.decode(data) == {"is": "advert", "advert": "an advert"}


async def test_one_client_too_many_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.control.server.MAX_CLIENTS", 1)
    async with served(FakeNode("a")) as control:
        async with raw(control) as stream:
            data = b"".join([chunk async for chunk in stream])
        assert json.decode(data)["code"] == "busy"
        assert (await control.node()).name == "a"


async def test_a_process_without_room_for_one_more_file_says_so_once_and_serves_when_it_has(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accept, full = trio.SocketListener.accept, [OSError(errno.EMFILE, "")] * 3

    async def accept_later(listener: trio.SocketListener) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        if full:
            raise full.pop()
        return await accept(listener)

    monkeypatch.setattr(trio.SocketListener, "accept", accept_later)
    monkeypatch.setattr("actors.control.server.PAUSE", 0)
    async with served(FakeNode("a")) as control:
        assert (await control.node()).name == "a"
    said = [record.message for record in caplog.records]
    assert said == ["the control socket takes nobody: this process has too many open files"]


# -- bad requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (b"hello", 'write {"do": "node"}'),
        (b'{"do": "node"', 'write {"do": "node"}'),
        (b"\xff\xfe", 'write {"do": "node"}'),
        (b'{"do": "nodes"', 'write {"do": "node"}'),
        (b'{"do": "nodes", "\xff": 1}', 'write {"do": "node"}'),
        (b'{"do": "nodes"}', "did you mean node?"),
        (b'{"do": "proxy", "pear": "b", "action": "close"}', "did you mean peer?"),
        (b'{"do": "proxy", "peer": "b", "action": "open"}', "proxy has peer, action"),
        (b'{"do": "ask", "to": 1}', "ask has to, expiry, prefs, type, fields"),
    ],
)
async def test_a_bad_request_is_answered_and_the_connection_goes_on(line: bytes, hint: str) -> None:
    async with served(FakeNode("a")) as control, raw(control) as stream:
        reply = await reply_to(stream, line)
        assert (reply["is"], reply["code"], reply["hint"]) == ("failed", "bad_request", hint)
        assert (await reply_to(stream, b'{"do": "node"}'))["is"] == "node"


async def test_deeply_nested_fields_are_a_bad_request() -> None:
    nested = b"[" * 100_000 + b"]" * 100_000
    line = b'{"do": "ask", "to": "a/echo", "type": "control.ping", "fields": {"n": ' + nested + b"}}"
    async with served(FakeNode("a")) as control, raw(control) as stream:
        assert (await reply_to(stream, line))["code"] == "bad_request"
        assert (await reply_to(stream, b'{"do": "node"}'))["is"] == "node"


async def test_a_line_without_end_costs_its_connection_only() -> None:
    async with served(FakeNode("a")) as control:
        async with raw(control) as stream, trio.open_nursery() as nursery:
            nursery.start_soon(_pour, stream)
            data = b""
            while not data.endswith(b"\n"):
                data += await stream.receive_some()
            nursery.cancel_scope.cancel()
        assert json.decode(data)["code"] == "bad_request"
        assert (await control.node()).name == "a"


async def _pour(stream: trio.SocketStream) -> None:
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x" * 2 * MAX_LINE)


async def test_a_bug_in_the_node_is_a_reply_too() -> None:
    node = FakeNode("a")
    node.outcome = ZeroDivisionError("oh")
    async with served(node) as control:
        with pytest.raises(ControlError, match="ZeroDivisionError: oh") as error:
            await control.ask("a/echo", "control.ping", {"n": 1})
        assert error.value.code == "bug"
        assert (await control.node()).name == "a"


# -- where it lies, and whose it is -------------------------------------------------------------------------


async def test_the_socket_is_for_its_owner_and_gone_with_its_server(runtime_directory: Path) -> None:
    async with served(FakeNode("a")) as control:
        assert control.path == runtime_directory / "demo" / "a.sock"
        assert stat.S_IMODE(control.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(control.path.parent.stat().st_mode) == 0o700
        assert clusters() == {"demo": (NodeSocket("demo", "a", control.path),)}
    assert os.listdir(control.path.parent) == []
    assert clusters() == {}


async def test_a_directory_that_others_may_read_is_refused(runtime_directory: Path) -> None:
    async with served(FakeNode("a")) as control:
        control.path.parent.chmod(0o750)
        with pytest.raises(ConfigError, match="open to other users") as error:
            async with open_control(control.path):
                pass
        assert error.value.hint == f"chmod 700 {runtime_directory / 'demo'}"
        with pytest.raises(ConfigError, match="open to other users"):
            socket_path("demo", "b")


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private_directory(tmp_path / "mine")
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(ConfigError, match="belongs to another user"):
        private_directory(tmp_path / "mine")


def test_a_link_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigError, match="is not a directory"):
        private_directory(tmp_path / "link")


async def test_a_socket_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(FakeNode("a")) as control:
        monkeypatch.setattr("os.geteuid", lambda: 12345)
        with pytest.raises(ConfigError, match="belongs to another user"):
            async with open_control(control.path):
                pass


async def test_a_second_node_of_the_same_name_is_refused() -> None:
    async with served(FakeNode("a")) as control:
        with pytest.raises(ConfigError, match="a node already serves"), bound_socket(control.path):
            pass
        assert (await control.node()).name == "a"
        assert os.listdir(control.path.parent) == ["a.sock"]


async def test_what_a_dead_process_left_behind_is_cleared_away() -> None:
    path = socket_path("demo", "a")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NodeDownError, match="is not there"):
        async with open_control(path):
            pass
    assert clusters() == {}
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with served(FakeNode("a")) as control:
        assert (await control.node()).name == "a"


async def test_a_node_that_goes_away_is_a_clear_error() -> None:
    async with served(FakeNode("a")) as control:
        await control.node()
    with pytest.raises(NodeDownError, match="is not there"):
        await control.node()


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".a", "a" * 33, "ä"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a node"):
        socket_path("demo", name)


def test_too_long_a_path_is_a_clear_error(tmp_path: Path) -> None:
    deep = private_directory(tmp_path / ("d" * 100))
    with pytest.raises(ConfigError, match="too long for a socket"), bound_socket(deep / "a.sock"):
        pass


def test_without_a_runtime_directory_it_lies_under_the_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert sockets.runtime_directory() == tmp_path / f"actors-{os.geteuid()}"
    assert stat.S_IMODE(sockets.runtime_directory().stat().st_mode) == 0o700


def test_the_answer_to_a_foreign_message_stays_undecoded() -> None:
    assert reply_type(type(foreign(encode(Ping(1))))) is Raw
