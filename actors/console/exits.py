"""The exit codes, and which error ends in which. Pure."""

from __future__ import annotations

from enum import IntEnum
from signal import Signals

from actors.errors import ActorError, ConfigError, Expired, IdentityError, Lost, Refused


class Exit(IntEnum):
    """How the command `actors` ends."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    TIMEOUT = 4
    REFUSED = 5
    PARTIAL = 6
    """Part of what was asked for was done; the data says which part."""
    BUG = 70
    CONFIGURATION = 78
    INTERRUPTED = 130
    PIPE = 141
    """Nobody reads stdout any more; as if by SIGPIPE."""
    TERMINATED = 143


class UsageError(ActorError):
    """The command line asks for what cannot be."""

    code = "usage"


class Interrupted(ActorError):
    """A signal ended the command."""

    code = "interrupted"

    def __init__(self, signum: int) -> None:
        super().__init__(f"ended by {Signals(signum).name}")
        self.signum = signum


_BY_CLASS: tuple[tuple[type[BaseException], Exit], ...] = (
    (UsageError, Exit.USAGE),
    (ConfigError, Exit.CONFIGURATION),
    (IdentityError, Exit.CONFIGURATION),
    (Expired, Exit.TIMEOUT),
    (Lost, Exit.UNREACHABLE),
    (KeyboardInterrupt, Exit.INTERRUPTED),
    (OSError, Exit.FAILED),
)

_BY_CODE: dict[str, Exit] = {
    "bad_request": Exit.USAGE,
    "unknown_node": Exit.USAGE,
    "ambiguous_node": Exit.USAGE,
    "unknown_engine": Exit.USAGE,
    "unknown_message": Exit.USAGE,
    "unknown_field": Exit.USAGE,
    "missing_field": Exit.USAGE,
    "bad_field": Exit.USAGE,
    "event_log": Exit.USAGE,
    "record": Exit.USAGE,
    "configuration": Exit.CONFIGURATION,
    "identity": Exit.CONFIGURATION,
    "expired": Exit.TIMEOUT,
    "timeout": Exit.TIMEOUT,
    "lost": Exit.UNREACHABLE,
    "unreachable": Exit.UNREACHABLE,
    "unreachable_types": Exit.UNREACHABLE,
    "not_connected": Exit.UNREACHABLE,
    "no_cluster": Exit.UNREACHABLE,
    "refused": Exit.REFUSED,
    "busy": Exit.REFUSED,
    "no_faults": Exit.REFUSED,
    "bug": Exit.BUG,
}
"""What a node answered, and other errors, by their code. All others are FAILED."""


def exit_for(error: BaseException) -> Exit:
    """The exit code of a command that ended with this error."""
    if isinstance(error, Interrupted):
        return Exit(128 + error.signum)
    if isinstance(error, Refused):
        return Exit.UNREACHABLE if error.reason == "no_route" else Exit.REFUSED
    for cls, code in _BY_CLASS:
        if isinstance(error, cls):
            return code
    if isinstance(error, ActorError):
        return _BY_CODE.get(error.code, Exit.FAILED)
    return Exit.BUG
