"""What a handler asked for, made to hold: all of it or nothing (spec: an action yields an effect).

`prepare` finds every reason to refuse before anything has happened; a mistake is the handler's, and crashes it.
`carry_out` does not fail: a tell that cannot be accepted becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from actors.engine import CancelTimer, Effect, SetTimer, Spawn, Stop, Tell
from actors.errors import EngineNameError, Refused, SendError
from actors.messages import PREFS
from actors.runtime.codec import encode, through_codec
from actors.runtime.ports import Port, Ports

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.life import Life

Ready: TypeAlias = tuple[Tell, Any]
"""A tell, and the message as its port takes it: encoded if it leaves the node."""


def told_at_once(ports: Ports, effects: list[Effect]) -> bool:
    """Whether it was the common case, one tell that finds room in an open batch, and is done: 1 us instead of 5."""
    tell = effects[0]
    if len(effects) != 1 or type(tell) is not Tell:
        return False
    port = ports.get(tell.to)
    if port is None:
        return False
    if port.local:
        if port.left <= 0:
            return False
        port.left -= 1
        port.append(tell.msg)
    elif not _appended(port, encode(tell.msg), tell):
        return False
    effects.clear()
    return True


def _appended(port: Port, data: bytes, tell: Tell) -> bool:
    left = port.left - len(data) - port.FLAT
    if left < 0 or tell.expiry != port.expiry or tell.prefs is not PREFS:
        return False
    port.left = left
    port.append(data)
    return True


def prepare(cell: Cell, effects: Sequence[Effect]) -> list[Ready]:
    """Check everything, change nothing. Gives the tells; raises what is wrong with one of the effects."""
    tells: list[Ready] = []
    names: set[str] = set()
    for effect in effects:
        if type(effect) is Tell:
            tells.append(_ready(cell, effect))
        else:
            _check(cell, effect, names)
    return tells


def _ready(cell: Cell, tell: Tell) -> Ready:
    runtime, node = cell.runtime, tell.to.node
    if node is not None and node != runtime.id:
        return tell, encode(tell.msg)
    return tell, through_codec(tell.msg) if runtime.pace.strict else tell.msg


def _check(cell: Cell, effect: Effect, names: set[str]) -> None:
    match effect:
        case Spawn(name=name):
            cell.runtime.check_name(name, by=cell)
            if name in names:
                raise EngineNameError(f"two children are to be named {name!r}")
            names.add(name)
        case SetTimer(timer=timer, after=after):
            hash(timer)
            if not 0 <= after < inf:
                raise ValueError(f"a timer elapses after a number of seconds, not {after}")
        case CancelTimer(timer=timer):
            hash(timer)


async def carry_out(cell: Cell, life: Life, effects: Sequence[Effect], tells: Sequence[Ready]) -> None:
    """Spawn, set and cancel timers, stop: at once. Then tell, in order, where it may wait for room.

    Spawning first, while the names are known to be free; and so a handler can tell its new child something.
    """
    if len(tells) != len(effects):
        for effect in effects:
            _carry_out(cell, life, effect)
    told = 0
    try:
        for told, (tell, msg) in enumerate(tells):  # noqa: B007 - where it was when it was cancelled
            await _tell(cell, tell, msg)
    except trio.Cancelled:
        for tell, msg in tells[told:]:
            _tell_nowait(cell, tell, msg)
        raise


def _carry_out(cell: Cell, life: Life, effect: Effect) -> None:
    match effect:
        case Spawn(engine=engine, name=name, policy=policy):
            cell.runtime.spawn_child(life, engine, name, policy)
        case SetTimer(timer=timer, after=after):
            life.set_timer(timer, after)
        case CancelTimer(timer=timer):
            life.cancel_timer(timer)
        case Stop():
            life.stopping = True


async def _tell(cell: Cell, tell: Tell, msg: Any) -> None:
    try:
        port = cell.verbs.ports[tell.to]
        if not port.local:
            if not _appended(port, msg, tell):
                await cell.verbs.tell_remote(port, tell.to, msg, tell.prefs, tell.expiry)
        elif port.left > 0:
            port.tell(msg)
        else:
            await cell.verbs.tell_local(port, msg, tell.expiry, cell.name)
    except SendError as outcome:
        cell.runtime.dead_letters.add(cell.id, tell.to, msg, outcome)


def _tell_nowait(cell: Cell, tell: Tell, msg: Any) -> None:
    """The engine is being ended: nothing waits any more, what has no room is a dead letter."""
    try:
        port = cell.verbs.ports[tell.to]
        if not port.local:
            port.tell_nowait(msg, tell.expiry, tell.prefs)
        elif not port.tell(msg):
            raise Refused("full", f"the mailbox of {tell.to.name} has no room")
    except SendError as outcome:
        cell.runtime.dead_letters.add(cell.id, tell.to, msg, outcome)
