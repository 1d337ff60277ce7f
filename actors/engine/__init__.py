"""What an engine is: configuration, environment, behaviour. Pure: no trio, no clock, no I/O.

- `base`: Engine: state, the verbs, and how a class becomes one
- `behaviour`: on, Guard: which action takes which message
- `mistakes`: what is wrong with a class body, in words
- `records`: LocalCfg, EngineCfg, EngineEnv: the specification's triple
- `effects`: what a handler asked for, collected until it returns
- `context`: what a runtime lends to an engine; without one, Detached
- `fresh`: a new life from what was spawned
- `policy`: whether an engine that ended is started again
"""

from __future__ import annotations

from actors.engine.base import Engine, has_port, own_context
from actors.engine.behaviour import Guard, on
from actors.engine.context import Context, Detached, NoRuntimeError, OwnContext
from actors.engine.effects import CancelTimer, Effect, SetTimer, Spawn, Stop, Tell
from actors.engine.fresh import bind, fresh
from actors.engine.policy import Policy
from actors.engine.records import EngineCfg, EngineEnv, LocalCfg, MailboxStatistics

__all__ = [
    "CancelTimer",
    "Context",
    "Detached",
    "Effect",
    "Engine",
    "EngineCfg",
    "EngineEnv",
    "Guard",
    "LocalCfg",
    "MailboxStatistics",
    "NoRuntimeError",
    "OwnContext",
    "Policy",
    "SetTimer",
    "Spawn",
    "Stop",
    "Tell",
    "bind",
    "fresh",
    "has_port",
    "on",
    "own_context",
]
