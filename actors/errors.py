"""What can go wrong, in words. Pure: the one root of errors, and the outcomes that a message can end in.

An outcome is a value first: it lies in ledgers, dead letters and waiting slots. The failed ones are
exceptions as well, raised only for a local caller who waits (`send`, `ask`).
"""

from __future__ import annotations

from typing import ClassVar, Self, TypeAlias


class ActorError(Exception):
    """The root of every error that this package raises on purpose.

    `code` is stable and meant for programs; `hint` says what to do about it.
    """

    code: ClassVar[str] = "error"
    hint: str = ""


class DefinitionError(ActorError, TypeError):
    """A mistake in a message or engine class, found where the class is written."""

    code = "definition"


class IdentityError(ActorError, ValueError):
    """Bytes or text that are no NodeID (PROTOCOL H6), or a key that cannot be used."""

    code = "identity"


class EngineNameError(ActorError, ValueError):
    """An engine name that is taken, reserved or malformed."""

    code = "engine_name"


class ProtocolError(ActorError):
    """The peer did what the protocol forbids. It costs the connection, never the node."""

    code = "protocol"


class ConfigError(ActorError, ValueError):
    """A setting, file or argument that cannot be used."""

    code = "configuration"


class IdentityTaken(ConfigError):
    """Another node runs with this node's key, and peers hold with that one (PROTOCOL I3). This one has stopped."""

    code = "duplicate_identity"
    hint = "stop one of the two, or give it a key of its own: actors keygen"


class Delivered:
    """The message is in its target's mailbox, exactly once."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Delivered()"


DELIVERED = Delivered()


class Sent:
    """Of the unreliable class: the transport has it, and nothing more will be known of it (PROTOCOL U1)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Sent()"


SENT = Sent()


class SendError(ActorError):
    """A message was not delivered, or not answered. The exception is its outcome."""

    code = "send"

    def again(self) -> Self:
        """A fresh copy to raise: an outcome shared by many waiters must not share a traceback."""
        return type(self)(*self.args)


class Expired(SendError):
    """The time ran out. `maybe_sent=False`: it is in no mailbox and never will be."""

    code = "expired"

    def __init__(self, maybe_sent: bool = False) -> None:
        super().__init__(maybe_sent)
        self.maybe_sent = maybe_sent

    def __str__(self) -> str:
        return "expired, perhaps after it was sent" if self.maybe_sent else "expired before it was sent"


class Lost(SendError):
    """The connection, peer or node went away first. `maybe_sent=False`: it is in no mailbox and never will be."""

    code = "lost"

    def __init__(self, reason: str, maybe_sent: bool = False) -> None:
        super().__init__(reason, maybe_sent)
        self.reason = reason
        self.maybe_sent = maybe_sent

    @property
    def maybe_processed(self) -> bool:
        """For an ask: whether the other engine may have handled it."""
        return self.maybe_sent

    def __str__(self) -> str:
        return f"lost ({self.reason}), {'perhaps sent' if self.maybe_sent else 'never sent'}"


class Refused(SendError):
    """Turned down with a reason: no_engine, unhandled, bad_message, stopped, deadlock, too_large, full, expired, late …

    `detail` is for people: the engine that does not exist, the cycle of a deadlock.
    """

    code = "refused"

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"refused ({self.reason}){': ' + self.detail if self.detail else ''}"


class Crashed(SendError):
    """The handler raised. `detail` names the exception on the same node; it is empty across the wire."""

    code = "crashed"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"the handler crashed{': ' + self.detail if self.detail else ''}"


class Down(ActorError):
    """A block that watches an engine, or holds one on another node, has ended: the engine is there no more.

    reason:

    - `stopped`: it stopped, was stopped, or its policy let it end
    - `crashed`: more often than its policy allows
    - `no_engine`: there is none of this name, or it is another one by now
    - `connection_lost`: nothing was heard of its node for the time that the watcher waits
    - `peer_restarted`, `node_stopped`: its node runs anew; it, or the watcher's own node, has stopped
    - `too_many`: its node keeps as many watches for this one as it allows
    """

    code = "down"

    def __init__(self, engine: str, reason: str) -> None:
        super().__init__(engine, reason)
        self.engine = engine
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.engine} is down ({self.reason})"


Failure: TypeAlias = Expired | Lost | Refused | Crashed
Outcome: TypeAlias = Delivered | Sent | Failure
"""How a message ended (PROTOCOL O1)."""
