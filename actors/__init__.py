"""Actors on many nodes, under Trio's structured concurrency.

Where to look, from the bottom up (arrows of import point down only; ARCHITECTURE.md draws them):

    console, __main__      the command `actors`
    cluster, node          what to open: `open_cluster`, `open_node`; run, control, config, state around them
    net                    nodes that talk: router, node_proxy, transport_protocol, transport_connection
    runtime                what runs engines: mailboxes, the loop, supervision, timers
    engine, messages       what a user writes
    identity, errors       who is who, and what can go wrong

`transports` beside this package moves bytes and knows nothing of actors.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.cluster import open_cluster
    from actors.engine import Engine, EngineCfg, EngineEnv, LocalCfg, Policy, on
    from actors.errors import ActorError, Crashed, DefinitionError, Down, Expired, Lost, Refused, SendError
    from actors.identity import EngineID, NodeID, NodeKey
    from actors.messages import (
        PREFS,
        ChildFailed,
        Local,
        Message,
        Request,
        Started,
        Timer,
        TransportPrefs,
    )
    from actors.net.proving.adverts import NodeAdvert
    from actors.node import Node, open_node

__all__ = [
    "PREFS",
    "ActorError",
    "ChildFailed",
    "Crashed",
    "DefinitionError",
    "Down",
    "Engine",
    "EngineCfg",
    "EngineEnv",
    "EngineID",
    "Expired",
    "Local",
    "LocalCfg",
    "Lost",
    "Message",
    "Node",
    "NodeAdvert",
    "NodeID",
    "NodeKey",
    "Policy",
    "Refused",
    "Request",
    "SendError",
    "Started",
    "Timer",
    "TransportPrefs",
    "on",
    "open_cluster",
    "open_node",
]

_HOMES = {
    "actors.cluster": ("open_cluster",),
    "actors.engine": ("Engine", "EngineCfg", "EngineEnv", "LocalCfg", "Policy", "on"),
    "actors.errors": ("ActorError", "Crashed", "DefinitionError", "Down", "Expired", "Lost", "Refused", "SendError"),
    "actors.identity": ("EngineID", "NodeID", "NodeKey"),
    "actors.messages": ("PREFS", "ChildFailed", "Local", "Message", "Request", "Started", "Timer", "TransportPrefs"),
    "actors.net.proving.adverts": ("NodeAdvert",),
    "actors.node": ("Node", "open_node"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import at first use: the command must not load Trio to print its help."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
