"""The life of a proxy: one table of phase and event, and what is to be done. Pure.

The proxy feeds every event through `step`, keeps the new `Life` and carries out the actions in their order. No
event is ever unexpected: where the table says nothing, the proxy stays and does nothing. In each cell the first
rule that holds wins. (PROTOCOL L1 to L5, C6 to C10, D1 to D5, and the table of a proxy.)

Asking and Promised of the protocol's table are not phases here: they belong to one connection (`closing`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from msgspec import Struct

from actors.net.life.phases import Action, Event, Facts, Life, Phase

__all__ = [
    "TABLE",
    "Action",
    "Condition",
    "Event",
    "Facts",
    "Holders",
    "Life",
    "Phase",
    "Rule",
    "step",
    "table_as_markdown",
]


class Condition(Enum):
    """What a rule asks for, in words."""

    ALWAYS = ""
    PERMANENT = "permanent"
    EPHEMERAL = "ephemeral"
    SPENT = "connected once"
    QUEUED = "queued"
    BUSY = "busy"
    PROVEN = "proven end"
    HANDSHAKING = "own handshake"
    DIALING = "own dial"


_HOLDS: dict[Condition, Callable[[Life, Facts], bool]] = {
    Condition.ALWAYS: lambda life, facts: True,
    Condition.PERMANENT: lambda life, facts: life.permanent,
    Condition.EPHEMERAL: lambda life, facts: not life.permanent,
    Condition.SPENT: lambda life, facts: life.spent,
    Condition.QUEUED: lambda life, facts: facts.queued,
    Condition.BUSY: lambda life, facts: facts.busy,
    Condition.PROVEN: lambda life, facts: facts.proven > 0,
    Condition.HANDSHAKING: lambda life, facts: facts.handshaking,
    Condition.DIALING: lambda life, facts: facts.dialing,
}


class Rule(Struct, frozen=True):
    """When the condition holds: the phase that follows (None: the same), and what is done."""

    when: Condition
    to: Phase | None = None
    actions: tuple[Action, ...] = ()
    fresh: bool = False
    """Established anew from here: whether it was connected before counts no more (L4, D4)."""


_STAY = (Rule(Condition.ALWAYS),)

# The ways to end. C10: the table changes before anything is settled.
_LOST = (Action.LEAVE, Action.SETTLE_LOST, Action.END)
_CLEAN = (Action.LEAVE, Action.SETTLE_WRITTEN, Action.HAND_OVER, Action.END)
_AGREED = (Action.LEAVE, Action.BYE, Action.SETTLE_WRITTEN, Action.HAND_OVER, Action.END)
_STOPPED = (Action.LEAVE, Action.SETTLE_STOPPED, Action.END)
_STOPPED_BYE = (Action.LEAVE, Action.BYE, Action.SETTLE_STOPPED, Action.END)


def _always(to: Phase | None = None, *actions: Action) -> tuple[Rule, ...]:
    return (Rule(Condition.ALWAYS, to, actions),)


_END_LOST = Rule(Condition.ALWAYS, Phase.CLOSED, _LOST)
_END_STOPPED = (Rule(Condition.ALWAYS, Phase.CLOSED, _STOPPED),)

# C7: who has a proven end does not dial.
_DIAL = (Rule(Condition.PROVEN, Phase.READY), Rule(Condition.ALWAYS, Phase.DIALING, (Action.DIAL,)))
_DIAL_AGAIN = (Rule(Condition.PROVEN, Phase.READY, (Action.CANCEL_WAIT,)), _DIAL[-1])

_IDLE: dict[Event, tuple[Rule, ...]] = {
    Event.SEND: _DIAL,  # spec S7: "established when the first message is sent to the node"
    Event.TO_PERMANENT: _DIAL,  # spec S10: "permanent connections are established when the Node Proxy is started"
    Event.PROVEN: _always(Phase.READY),  # spec S8: "or when the remote node initiates a connection"
    Event.QUEUE_EMPTY: (Rule(Condition.PERMANENT), Rule(Condition.QUEUED), Rule(Condition.PROVEN), _END_LOST),
    Event.DIAL_NOW: _DIAL,
    Event.STOP: _END_STOPPED,
    Event.SECOND_STOP: _END_STOPPED,
}

_ESTABLISHING: dict[Event, tuple[Rule, ...]] = {
    Event.TO_EPHEMERAL: (  # L4
        Rule(Condition.EPHEMERAL),
        Rule(Condition.PROVEN),
        Rule(Condition.QUEUED, None, (Action.SETTLE_WRITTEN,), fresh=True),
        Rule(Condition.HANDSHAKING, None, (Action.SETTLE_WRITTEN,), fresh=True),
        _END_LOST,
    ),
    Event.DIAL_STARTED: (Rule(Condition.HANDSHAKING, Phase.HANDSHAKING), Rule(Condition.ALWAYS, Phase.DIALING)),
    Event.HANDSHAKE_STARTED: (Rule(Condition.HANDSHAKING, Phase.HANDSHAKING), Rule(Condition.ALWAYS, Phase.DIALING)),
    Event.DIAL_FAILED: (
        Rule(Condition.DIALING),  # an attempt before this one
        Rule(Condition.PROVEN, Phase.READY),
        Rule(Condition.PERMANENT, Phase.BACKOFF, (Action.WAIT,)),
        Rule(Condition.SPENT, Phase.CLOSED, _LOST),
        Rule(Condition.QUEUED, Phase.BACKOFF, (Action.WAIT,)),  # L1: until the queue has expired
        _END_LOST,
    ),
    Event.DENIED: (
        Rule(Condition.DIALING),
        Rule(Condition.PROVEN, Phase.READY),
        Rule(Condition.PERMANENT, Phase.BACKOFF, (Action.PARK,)),  # H5: not before the advert changes
        _END_LOST,
    ),
    Event.PROVEN: _always(Phase.READY),  # C6: a dial of our own goes on
    Event.QUEUE_EMPTY: (
        Rule(Condition.PERMANENT),
        Rule(Condition.BUSY),
        # The peer may hold that end for proven already, and what it queued for us would be lost with no fault at all.
        Rule(Condition.HANDSHAKING),
        Rule(Condition.PROVEN),
        _END_LOST,
    ),
    Event.ADVERT_CHANGED: _always(None, Action.WIDEN),
    Event.STOP: _END_STOPPED,
    Event.SECOND_STOP: _END_STOPPED,
}

_READY: dict[Event, tuple[Rule, ...]] = {
    Event.END_LOST: (
        Rule(Condition.PROVEN),
        Rule(Condition.HANDSHAKING, Phase.HANDSHAKING),  # C8
        Rule(Condition.DIALING, Phase.DIALING),  # C8
        Rule(Condition.PERMANENT, Phase.BACKOFF, (Action.WAIT,)),  # spec S11: "automatically re-established"
        _END_LOST,  # spec S9: "not re-established automatically when the connection is lost"
    ),
    Event.CLEAN_END: (
        Rule(Condition.PROVEN),
        Rule(Condition.HANDSHAKING, Phase.HANDSHAKING, fresh=True),
        Rule(Condition.DIALING, Phase.DIALING, fresh=True),
        Rule(Condition.PERMANENT, Phase.DIALING, (Action.DIAL,)),
        Rule(Condition.ALWAYS, Phase.CLOSED, _CLEAN),  # D4
    ),
    Event.IDLE_AGREED: (
        Rule(Condition.HANDSHAKING, Phase.HANDSHAKING, (Action.BYE,), fresh=True),
        Rule(Condition.DIALING, Phase.DIALING, (Action.BYE,), fresh=True),
        Rule(Condition.PERMANENT, Phase.DIALING, (Action.BYE, Action.DIAL)),
        Rule(Condition.ALWAYS, Phase.CLOSED, _AGREED),  # D3
    ),
    Event.STOP: _always(Phase.DRAINING, Action.DRAIN),  # D5
    Event.SECOND_STOP: _always(Phase.CLOSED, *_STOPPED_BYE),
}

_DRAINING: dict[Event, tuple[Rule, ...]] = {
    Event.SEND: _always(None, Action.REFUSE),
    Event.TO_PERMANENT: _always(None, Action.REFUSE),
    Event.TO_EPHEMERAL: _always(None, Action.REFUSE),
    Event.DIAL_NOW: _always(None, Action.REFUSE),
    Event.PROVEN: _always(None, Action.REFUSE_END),
    Event.END_LOST: (Rule(Condition.PROVEN), *_END_STOPPED),
    Event.CLEAN_END: (Rule(Condition.PROVEN), *_END_STOPPED),
    Event.DRAINED: _always(Phase.CLOSED, *_STOPPED_BYE),
    Event.SECOND_STOP: _always(Phase.CLOSED, *_STOPPED_BYE),
}

_BACKOFF: dict[Event, tuple[Rule, ...]] = {
    Event.TO_EPHEMERAL: (  # L4
        Rule(Condition.EPHEMERAL),
        Rule(Condition.PROVEN),
        Rule(Condition.QUEUED, None, (Action.SETTLE_WRITTEN, Action.WAKE), fresh=True),  # it may be parked
        _END_LOST,
    ),
    Event.PROVEN: _always(Phase.READY, Action.CANCEL_WAIT),
    Event.QUEUE_EMPTY: (Rule(Condition.PERMANENT), Rule(Condition.BUSY), Rule(Condition.PROVEN), _END_LOST),
    Event.RETRY_DUE: _DIAL_AGAIN,
    Event.DIAL_NOW: _DIAL_AGAIN,
    Event.ADVERT_CHANGED: _always(None, Action.WAKE),
    Event.STOP: _END_STOPPED,
    Event.SECOND_STOP: _END_STOPPED,
}

_CLOSED: dict[Event, tuple[Rule, ...]] = {
    Event.SEND: _always(None, Action.HAND_ON),  # L2
    Event.TO_PERMANENT: _always(None, Action.HAND_ON),  # L2
    Event.DIAL_NOW: _always(None, Action.HAND_ON),
    Event.PROVEN: _always(None, Action.HAND_ON),  # C10
}

_SAID: dict[Phase, dict[Event, tuple[Rule, ...]]] = {
    Phase.IDLE: _IDLE,
    Phase.DIALING: _ESTABLISHING,
    Phase.HANDSHAKING: _ESTABLISHING,
    Phase.READY: _READY,
    Phase.DRAINING: _DRAINING,
    Phase.BACKOFF: _BACKOFF,
    Phase.CLOSED: _CLOSED,
}

TABLE: dict[tuple[Phase, Event], tuple[Rule, ...]] = {
    (phase, event): _SAID[phase].get(event, _STAY) for phase in Phase for event in Event
}
"""Every phase and event. The last rule of a cell always holds."""


def step(life: Life, event: Event, facts: Facts) -> tuple[Life, tuple[Action, ...]]:
    """What follows from an event: the new life, and what to do about it, in this order."""
    rule = next(rule for rule in TABLE[life.phase, event] if _HOLDS[rule.when](life, facts))
    phase = rule.to or life.phase
    return (
        Life(
            phase=phase,
            permanent=_permanent(life, event),  # spec S11: "permanent: automatically re-established"
            spent=(life.spent or phase is Phase.READY) and not rule.fresh,
        ),
        rule.actions,
    )


def _permanent(life: Life, event: Event) -> bool:
    if life.phase in (Phase.DRAINING, Phase.CLOSED):
        return life.permanent
    return event is Event.TO_PERMANENT or (life.permanent and event is not Event.TO_EPHEMERAL)


_NOBODY: Final[frozenset[str]] = frozenset()
"""One for all: each empty frozenset has 216 bytes."""


class Holders:
    """Who wants the link to be permanent: configuration, console, engines. Permanent while there is one (L5)."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names = _NOBODY

    def hold(self, name: str) -> Event | None:
        """The event for the proxy, None if nothing changes for it. Idempotent."""
        first = not self._names
        self._names |= {name}  # spec S6: "connections may be ephemeral or permanent"
        return Event.TO_PERMANENT if first else None

    def release(self, name: str) -> Event | None:
        """As `hold`; a holder that never held changes nothing."""
        last = self._names == {name}
        self._names -= {name}  # spec S6: "connections may be ephemeral or permanent"
        return Event.TO_EPHEMERAL if last else None

    @property
    def names(self) -> frozenset[str]:
        return self._names

    def __bool__(self) -> bool:
        return bool(self._names)

    def __repr__(self) -> str:
        return f"Holders({', '.join(sorted(self._names))})"


def table_as_markdown() -> str:
    """The table for the documentation: a row for each event, a column for each phase."""
    head = "| event | " + " | ".join(phase.name for phase in Phase) + " |"
    line = "|---" * (1 + len(Phase)) + "|"
    rows = (f"| {event.value} | " + " | ".join(_cell(TABLE[phase, event]) for phase in Phase) + " |" for event in Event)
    return "\n".join((head, line, *rows))


def _cell(rules: tuple[Rule, ...]) -> str:
    return "-" if rules == _STAY else "<br>".join(_words(rule, alone=len(rules) == 1) for rule in rules)


def _words(rule: Rule, *, alone: bool) -> str:
    then = ", ".join((*((rule.to.name,) if rule.to else ()), *(action.value for action in rule.actions))) or "stay"
    return then if alone else f"{rule.when.value or 'else'}: {then}"
