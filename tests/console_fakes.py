"""Nodes that are nothing but a control socket: each answers requests from a table, and remembers them."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec

from actors.control.messages import (
    Accepted,
    AdvertIs,
    ControlReply,
    DeadLettersAre,
    Delivered,
    Done,
    EnginesAre,
    Failed,
    NodeIs,
    Path,
    ProxiesAre,
    Replied,
)
from actors.control.sockets import socket_path
from actors.snapshots import EngineSnapshot, LedgerSnapshot, NodeSnapshot, NodeStatistics, ProxySnapshot

Answer = Callable[[dict[str, Any]], ControlReply]

PATH = Path(source="a", target="b", transport="tcp", rtt_ms=0.4)


def node_snapshot(name: str) -> NodeSnapshot:
    ledger = LedgerSnapshot(accepted=3, delivered=2, in_flight=1)
    figures = NodeStatistics(
        engines=3, proxies=2, connected=2, ledger=ledger, received=0, dead_letters=0, uptime=1.5
    )  # fmt: skip
    return NodeSnapshot(
        name=name, id=name * 52, state="running", addresses=("tcp://127.0.0.1:1",), pid=7, statistics=figures
    )


def proxy_snapshot(node: str = "a", peer: str = "b", **changes: Any) -> ProxySnapshot:
    snapshot = ProxySnapshot(
        node=node, peer=peer, peer_id=peer * 52, permanence="permanent", state="ready", transport="tcp",
        address="tcp://127.0.0.1:1", rtt_ms=0.25, ledger=LedgerSnapshot(accepted=3, delivered=2, in_flight=1),
        connections=1, reconnects=0, resent=0, duplicates_dropped=0, dropped=0, queued=0, retained=1,
    )  # fmt: skip
    return msgspec.structs.replace(snapshot, **changes)


def engine_snapshot(node: str) -> EngineSnapshot:
    return EngineSnapshot(
        node=node, name="echo", type="Echo", state="running", held=0, capacity=4096, handled=9, crashes=0, restarts=0
    )


class FakeNode:
    """Answers as a node would that carries out everything; `answers` replaces single answers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[dict[str, Any]] = []
        self.answers: dict[str, Answer] = {
            "node": lambda _: NodeIs(node=node_snapshot(name)),
            "proxies": lambda _: ProxiesAre(proxies=(proxy_snapshot(name, "b" if name == "a" else "a"),)),
            "dead_letters": lambda _: DeadLettersAre(letters=()),
            "engines": lambda _: EnginesAre(engines=(engine_snapshot(name),)),
            "ask": lambda request: Replied(value=request["fields"], path=PATH),
            "send": lambda _: Delivered(path=PATH),
            "tell": lambda _: Accepted(path=PATH),
            "advert": lambda _: AdvertIs(advert=f"actors-advert-of-{name}"),
        }

    def answer(self, line: bytes) -> bytes:
        request = json.loads(line)
        self.requests.append(request)
        reply = self.answers.get(request["do"], done)(request)
        return msgspec.json.encode(reply) + b"\n"

    @contextmanager
    def served(self, cluster: str = "local") -> Iterator[FakeNode]:
        """Serve the control socket in a thread."""
        path = socket_path(cluster, self.name)
        with _Server(str(path), _Handler) as server:
            path.chmod(0o600)
            server.node = self
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
                path.unlink(missing_ok=True)


def done(_: dict[str, Any]) -> ControlReply:
    return Done()


def fails(code: str, what: str, hint: str = "", **more: Any) -> Answer:
    return lambda _: Failed(code=code, what=what, hint=hint, **more)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    node: FakeNode


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(self.server.node.answer(line))


@contextmanager
def serving(names: str) -> Iterator[dict[str, FakeNode]]:
    """A node for each letter, in one cluster."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(FakeNode(name).served()) for name in names}
