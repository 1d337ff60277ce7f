"""What a node process does, from its settings to its end. The command `actors run` calls it; nothing else does.

    actors run [-c node.toml] [--name a] [--listen URL]… [--app module:setup] [--engines module:Class]…
               [--record DIR] [--log-level info] [--log-json] [--control PATH] [--faults JSON]
               [--ready-fd N] [--lifeline-fd N]

The last four are for a process that starts this one, and in no help. With faults, the node is one of a local
cluster: its connections can be troubled over the control socket. To ready-fd the node writes one line:
`NodeIs` once it serves, or `Failed` if it never will. From lifeline-fd it reads nothing: it ends when that ends.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import trio
from msgspec.structs import replace

from actors.admission import Admission, AllowList, DenyList, all_of, sorted_out
from actors.app import call_setup, load_engine, load_setup
from actors.config import NodeConfig
from actors.control.directories import remove_directory
from actors.control.failures import NodeConfigError, failed_by, leaf
from actors.control.messages import Failed, NodeIs, Troubles
from actors.control.server import serve_control
from actors.control.sockets import runtime_directory, socket_path
from actors.control.troubled import Troubled
from actors.errors import ActorError, ConfigError
from actors.identity import NodeID, NodeKey
from actors.keyfile import load_key
from actors.logs import log_events, open_logs
from actors.net.proving.adverts import parse_peer
from actors.node import Node, open_node
from actors.recording.recorder import Recorder, open_recorder
from actors.snapshots import NodeSnapshot
from actors.state import StateDir
from transports.builtin import built_in
from transports.errors import AddressInUse, TransportError

CLUSTER = "run"
"""The cluster, and so the directory, of nodes that are started one by one."""
_UNLOGGED = 1024
"""Events that may wait to be logged."""
ORPHAN_GRACE = 5.0
"""Seconds that a node takes to stop when its starter has died, before it ends without."""


async def run_node(
    config: NodeConfig,
    *,
    control: Path | None = None,
    troubles: Troubles | None = None,
    on_ready: Callable[[NodeSnapshot], None] = lambda _: None,
    ready_fd: int | None = None,
    lifeline_fd: int | None = None,
) -> int:
    """Run a node until SIGTERM, SIGINT or its control socket stops it; the exit code: 0, or 130 for SIGINT.

    `control` is the control socket's path, by default `<runtime directory>/run/<name>.sock`. With `troubles` its
    clients may trouble the node's connections. `on_ready` is called once the node serves. Raises ActorError for what
    is wrong with settings, app or sockets; with ready_fd it is written there instead, and 78 or 1 returned. A second
    signal ends the process at once, with 128 and its number.
    """
    life = Life()
    if lifeline_fd is not None:
        threading.Thread(target=_end_with, args=(lifeline_fd, life), name="lifeline", daemon=True).start()

    def ready(node: NodeSnapshot) -> None:
        _report(ready_fd, NodeIs(node=node))
        on_ready(node)

    troubled = None if troubles is None else Troubled(troubles)
    if ready_fd is None and config.log_level is None:
        config = replace(config, log_level="error")
    try:
        socket = control or socket_path(CLUSTER, config.name)
        with open_logs(config.name, config.log_level, json=config.log_json):
            await _run(Order(config, _key(config), socket, troubled, ready), life)
        return life.exit_code
    except Exception as error:  # also in groups, as nurseries raise them
        cause = _translated(leaf(error))
        if not isinstance(cause, ActorError):
            _report(ready_fd, failed_by(cause))
            raise
    finally:
        life.ended.set()
    if ready_fd is None:
        raise cause
    _report(ready_fd, failed_by(cause))
    return 78 if isinstance(cause, ConfigError) else 1


class Life:
    """Whether the node should go on, and how its process will have ended."""

    def __init__(self) -> None:
        self.exit_code = 0
        self.over = trio.Event()
        self.ended = threading.Event()
        """Set once nothing of the node is left."""
        self.token = trio.lowlevel.current_trio_token()
        self.beginning = trio.CancelScope()
        """Around what the app does before the node is ready, which may take any time."""

    def end(self) -> None:
        """Begin to stop. Idempotent."""
        self.beginning.cancel()
        self.over.set()

    async def watch_signals(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """SIGTERM and SIGINT stop the node; the second of either ends the process."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            before = False
            async for signum in signals:
                if before:
                    os._exit(128 + signum)
                before = True
                if signum == signal.SIGINT:
                    self.exit_code = 130
                self.end()


class Order(NamedTuple):
    """What `run_node` was asked for."""

    config: NodeConfig
    key: NodeKey
    control: Path
    troubled: Troubled | None
    ready: Callable[[NodeSnapshot], None]


async def _run(order: Order, life: Life) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(life.watch_signals)
        with _recording(order) as recorder:
            await _live(order, life, recorder, nursery)
        nursery.cancel_scope.cancel()
    if order.control.parent.parent == runtime_directory():
        remove_directory(order.control.parent)  # the directory of a cluster goes with its last node


async def _live(order: Order, life: Life, recorder: Recorder | None, beside: trio.Nursery) -> None:
    config = order.config
    setup = load_setup(config.app) if config.app else None
    engines = [load_engine(reference) for reference in config.engines]
    async with _open(order, recorder) as node:
        if config.log_level:
            beside.start_soon(log_events, node.events.subscribe(_UNLOGGED))
        with life.beginning:
            for name, engine in engines:
                node.spawn(engine, name)
            if setup and config.app:
                await call_setup(config.app, setup, node)
        if not life.over.is_set():
            await _serve(node, order, life, recorder)


async def _serve(node: Node, order: Order, life: Life, recorder: Recorder | None) -> None:
    """Last of all the socket: whoever can see it may rely on the engines."""
    heard = None if recorder is None else recorder.commanded
    async with trio.open_nursery() as nursery:
        serve = partial(serve_control, node, order.control, stop=life.end, troubled=order.troubled, heard=heard)
        await nursery.start(serve)
        order.ready(node.snapshot())
        await life.over.wait()
        nursery.cancel_scope.cancel()


def _recording(order: Order) -> AbstractContextManager[Recorder | None]:
    """Around all that the node does, and the import of its app."""
    config = order.config
    if config.record is None:
        return nullcontext()
    return open_recorder(
        config.record,
        node=config.name,
        id=order.key.id,
        app=config.app,
        engines=config.engines,
        clock=trio.current_time(),
        largest=config.limits.record_bytes,
    )


def _open(order: Order, recorder: Recorder | None) -> AbstractAsyncContextManager[Node]:
    config, key, troubled = order.config, order.key, order.troubled
    below = built_in(key.private_key(), insecure=config.insecure)
    return open_node(
        key,
        name=config.name,
        transports=[troubled.over(transport) for transport in below] if troubled else below,
        listen=config.listen,
        adverts=[line for path in config.adverts for line in _advert_lines(path)],
        peers=config.peers,
        state_dir=config.state_dir,
        insecure=config.insecure,
        limits=config.limits,
        policy=_policy(config),
        pid=os.getpid(),
        conditions=recorder,
        witness=recorder,
    )


def _policy(config: NodeConfig) -> Admission:
    """What `allow` and `deny` say. Whom the node is to keep a link to is allowed."""
    nodes, networks = sorted_out(config.allow)
    if nodes:
        peers = [parse_peer(line) for line in config.peers]
        nodes |= {peer if isinstance(peer, NodeID) else peer.id for peer in peers}
    denied, denied_networks = sorted_out(config.deny)
    return all_of(
        DenyList(nodes=denied, networks=denied_networks),
        AllowList(nodes=nodes, networks=networks),
    )


def _key(config: NodeConfig) -> NodeKey:
    if config.key:
        return load_key(config.key)
    return StateDir(config.state_dir).key() if config.state_dir else NodeKey.generate()


def _translated(error: BaseException) -> BaseException:
    """An address that cannot be listened on is a setting that cannot be used."""
    if not isinstance(error, TransportError):
        return error
    code = "address_in_use" if isinstance(error, AddressInUse) else "address"
    return NodeConfigError(code, str(error), "choose another address to listen on; port 0 takes any that is free")


def _advert_lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the advert file {path} cannot be read: {error}") from None


def _report(ready_fd: int | None, line: NodeIs | Failed) -> None:
    """Tell the starter. It may be gone."""
    if ready_fd is not None:
        with suppress(OSError):
            os.write(ready_fd, msgspec.json.encode(line) + b"\n")


def _end_with(lifeline_fd: int, life: Life) -> None:
    """End with the starter, whatever ended it.

    In a thread, so that an engine that never yields cannot keep the process alive. (The kernel's parent-death
    signal comes when the starting *thread* ends, and Trio starts processes from worker threads.)
    """
    with suppress(OSError):
        while os.read(lifeline_fd, 1):
            pass
    with suppress(trio.RunFinishedError):
        life.token.run_sync_soon(life.end)
    if not life.ended.wait(ORPHAN_GRACE):
        os._exit(1)
