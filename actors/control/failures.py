"""Errors across the control socket: an exception becomes a Failed, and the Failed an exception again. Pure."""

from __future__ import annotations

from actors.control.messages import Failed
from actors.errors import ActorError, ConfigError, Crashed, Expired, Lost, Refused, SendError


class ControlError(ActorError):
    """A request that a node did not carry out. `code` is one of those that `Failed` lists."""

    def __init__(self, code: str, what: str, hint: str = "") -> None:
        super().__init__(what)
        # Other errors have their code from their class; this one has it from the process that failed.
        vars(self)["code"] = code
        self.hint = hint


class NodeConfigError(ControlError, ConfigError):
    """A node process that could not start as it was told: its settings, its app, its sockets."""


class NodeDownError(ControlError):
    """Nobody serves the control socket, or no longer. `asked`: it was after the request had been written."""

    def __init__(self, path: object, *, asked: bool = False) -> None:
        what = "closed the connection" if asked else "is not there"
        super().__init__("unreachable", f"the node at {path} {what}", "actors ls nodes")
        self.asked = asked


def leaf(error: BaseException) -> BaseException:
    """The error itself; of a group, however deep, the first that we raise on purpose, else the first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [leaf(part) for part in error.exceptions]
    return next((part for part in leaves if isinstance(part, ActorError)), leaves[0])


def failed_by(error: BaseException) -> Failed:
    """What is told of an error. One that is not ours is a bug, and told as one, without its traceback."""
    cause = leaf(error)
    if not isinstance(cause, ActorError):
        return Failed(code="bug", what=f"{type(cause).__name__}: {cause}", hint="please report it, with the node's log")
    return Failed(
        code=cause.code,
        what=str(cause),
        hint=cause.hint,
        reason=cause.reason if isinstance(cause, Lost | Refused) else "",
        detail=cause.detail if isinstance(cause, Refused | Crashed) else "",
        maybe_sent=cause.maybe_sent if isinstance(cause, Lost | Expired) else False,
    )


def error_from(failed: Failed) -> ActorError:
    """The exception of a Failed: the outcome itself where it was one, else a ControlError."""
    outcome = _outcome(failed)
    if outcome is None:
        return ControlError(failed.code, failed.what, failed.hint)
    outcome.hint = failed.hint
    return outcome


def startup_error(node: str, failed: Failed) -> NodeConfigError:
    """Why a node process never served, for who started it."""
    return NodeConfigError(failed.code, f"node {node}: {failed.what}", failed.hint)


def _outcome(failed: Failed) -> SendError | None:
    match failed.code:
        case "expired":
            return Expired(failed.maybe_sent)
        case "lost":
            return Lost(failed.reason, failed.maybe_sent)
        case "refused":
            return Refused(failed.reason, failed.detail)
        case "crashed":
            return Crashed(failed.detail)
    return None
