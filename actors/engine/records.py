"""The specification's triple, as far as it is data: configuration and environment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import dataclass_transform

from msgspec import Struct, field

from actors.identity import EngineID, NodeID
from actors.messages import Timer


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class LocalCfg(Struct, frozen=True):
    """An engine's field of such a type is its configuration; all its other fields are local state."""


class EngineCfg(Struct, frozen=True):
    """Configuration: which node, which name, and the engine's own (spec: Cfg)."""

    node: NodeID | None
    """None without a runtime."""
    name: str
    cfg: LocalCfg | None = None


class MailboxStatistics(Struct, frozen=True):
    """How full a mailbox is, the messages in its engine's hand included."""

    held: int = 0
    held_bytes: int = 0
    capacity: int = 0
    capacity_bytes: int = 0


class EngineEnv(Struct, frozen=True):
    """Environment, as it is at this moment (spec: Env)."""

    local_state: Mapping[str, object]
    mailbox: MailboxStatistics
    acquaintances: frozenset[EngineID]
    """Its spawner and its children, as far as they are engines of this node."""
    timers: tuple[Timer, ...]
