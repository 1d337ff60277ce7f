"""What follows when a life of an engine ends: another life, the end, or failure. Pure: time is an argument."""

from __future__ import annotations

from enum import Enum
from typing import Final

from actors.engine import Policy
from actors.errors import ActorError


class Verdict(Enum):
    """What happens to the engine."""

    RESTART = "restart"
    END = "end"
    FAIL = "fail"
    """It crashed more often than its policy allows: the end, and its spawner is told."""


class ChildFailedError(ActorError):
    """A child failed, and the engine that spawned it has no guard for ChildFailed: it fails with the child."""

    code = "child_failed"
    hint = "give the spawner an action for it, @on(ChildFailed), or the child another restart policy"


class Supervision:
    """One engine's policy, and when it was restarted."""

    __slots__ = ("_restarts", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._restarts: tuple[float, ...] = ()

    def judge(self, now: float, *, crashed: bool) -> Verdict:
        """A life has ended by a crash, or (not crashed) because its port returned. Counts a restart that it grants."""
        policy = self.policy
        if not policy.restarts(crashed=crashed):
            return Verdict.FAIL if crashed else Verdict.END
        self._restarts = tuple(at for at in self._restarts if at > now - policy.within)
        if len(self._restarts) >= policy.most:
            return Verdict.FAIL
        self._restarts += (now,)
        return Verdict.RESTART

    @classmethod
    def of(cls, policy: Policy) -> Supervision:
        """For one engine; those that are never restarted have nothing to remember, and share it."""
        return _UNREMEMBERED if policy == Policy.TEMPORARY else cls(policy)

    def __repr__(self) -> str:
        policy = self.policy
        return f"<Supervision {policy.restart}: {len(self._restarts)} of {policy.most} restarts in {policy.within:g} s>"


_UNREMEMBERED: Final = Supervision(Policy.TEMPORARY)
