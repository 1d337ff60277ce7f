"""What the control socket needs of a node: the part of `actors.node.Node` that it uses. No behaviour."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeVar

import trio

from actors.engine import Engine
from actors.events import Event
from actors.identity import EngineID, NodeID
from actors.messages import Request, TransportPrefs
from actors.snapshots import (
    AddressSnapshot,
    DeadLetterSnapshot,
    EngineSnapshot,
    LinkSnapshot,
    NodeSnapshot,
    ProxySnapshot,
    WorkSnapshot,
)

R = TypeVar("R")


class HasEngine(Protocol):
    """An engine's stay on a node."""

    @property
    def pristine(self) -> Engine:
        """As it was spawned."""


class HasEngines(Protocol):
    """A runtime."""

    def find(self, name: str, /) -> HasEngine | None:
        """The engine of this name."""


class HasEvents(Protocol):
    """The node's events."""

    @property
    def recent(self) -> Collection[Event]:
        """The last ones, oldest first."""

    def subscribe(self, capacity: int = ..., /) -> trio.MemoryReceiveChannel[Event]:
        """Events from now on."""


class ControlledNode(Protocol):
    """What a control socket is served for."""

    @property
    def id(self) -> NodeID: ...
    @property
    def name(self) -> str: ...
    @property
    def advert(self) -> object:
        """Its text is one line."""

    @property
    def runtime(self) -> HasEngines: ...
    @property
    def events(self) -> HasEvents: ...

    def snapshot(self) -> NodeSnapshot: ...
    def proxies(self) -> Sequence[ProxySnapshot]: ...
    def engines(self) -> Sequence[EngineSnapshot]: ...
    def link(self, node_id: NodeID, /) -> LinkSnapshot | None: ...
    def work(self, engine: str, /) -> WorkSnapshot | None: ...
    def dead_letters(self) -> Sequence[DeadLetterSnapshot]: ...

    def learn(self, advert: str, /) -> NodeID: ...
    async def connect(self, node_id: NodeID, /, *, permanent: bool = ...) -> None: ...
    def set_permanence(self, node_id: NodeID, permanent: bool, /) -> None: ...
    def dial_now(self, node_id: NodeID, /) -> None: ...
    def close(self, node_id: NodeID, /) -> None: ...
    async def migrate(self, node_id: NodeID, /, *schemes: str) -> tuple[str, ...]: ...
    def explain(self, node_id: NodeID, /) -> Sequence[AddressSnapshot]: ...
    def cut(self, node_id: NodeID, /) -> bool: ...

    async def tell(self, to: EngineID, msg: Request[Any], /, *, prefs: TransportPrefs, expiry: float) -> None: ...
    async def send(self, to: EngineID, msg: Request[Any], /, *, prefs: TransportPrefs, expiry: float) -> None: ...
    async def ask(self, to: EngineID, msg: Request[R], /, *, prefs: TransportPrefs, expiry: float) -> R: ...
