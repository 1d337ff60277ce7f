"""Every state that a small model can reach, breadth first. A failure tells the shortest way to it.

A model yields steps from a state. Steps that are not faults must, from every state, be able to lead to a good
end: otherwise something is stuck, even if it goes round in circles.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)


class Step(NamedTuple, Generic[S]):
    """What may happen next: in words, whether it is a fault (or a whim), and what it leads to."""

    label: str
    state: S
    fault: bool = False


class Broken(Exception):
    """A model breaks a promise. Raised by the model's steps."""


class Found(AssertionError):
    """A promise is broken, or something is stuck; with the steps that lead there."""


def explore(initial: S, steps: Callable[[S], Iterable[Step[S]]], complaint: Callable[[S], str]) -> int:
    """The number of states. `complaint` says why a state is no good end; empty if it is one."""
    came_from: dict[S, tuple[S, str] | None] = {initial: None}
    back: dict[S, list[S]] = {}
    waiting = [initial]
    for state in waiting:
        try:
            for step in steps(state):
                if step.state not in came_from:
                    came_from[step.state] = (state, step.label)
                    waiting.append(step.state)
                if not step.fault:
                    back.setdefault(step.state, []).append(state)
        except Broken as why:
            raise Found(_told(str(why), state, came_from)) from why
    _nothing_is_stuck(waiting, back, complaint, came_from)
    return len(waiting)


def _nothing_is_stuck(
    states: list[S],
    back: dict[S, list[S]],
    complaint: Callable[[S], str],
    came_from: dict[S, tuple[S, str] | None],
) -> None:
    safe = {state for state in states if not complaint(state)}
    waiting = list(safe)
    for state in waiting:
        for before in back.get(state, ()):
            if before not in safe:
                safe.add(before)
                waiting.append(before)
    for state in states:
        if state not in safe:
            raise Found(_told(f"stuck: {complaint(state)}", state, came_from))


def _told(why: str, state: S, came_from: dict[S, tuple[S, str] | None]) -> str:
    way = []
    here: tuple[S, str] | None = came_from[state]
    while here is not None:
        way.append(here[1])
        here = came_from[here[0]]
    return "\n  ".join((why, *reversed(way), f"=> {state}"))
