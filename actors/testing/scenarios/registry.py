"""The table of scenarios."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from actors.testing.cluster.simulation import Simulation

Body: TypeAlias = Callable[[Simulation], Awaitable[object]]


class Scenario(Struct, frozen=True):
    """A cluster, its traffic and its faults, all drawn from a seed."""

    name: str
    about: str
    """One line."""
    rules: str
    """The rules of PROTOCOL that it is about."""
    body: Body


SCENARIOS: dict[str, Scenario] = {}
"""All that there are, by name."""


def scenario(rules: str = "", *, name: str = "") -> Callable[[Body], Body]:
    """Register a scenario under its function's name, or `name`; the first line of its docstring says what it does."""

    def register(body: Body) -> Body:
        called = name or body.__name__.replace("_", "-")
        if called in SCENARIOS:
            raise ValueError(f"two scenarios are called {called!r}")
        about = (body.__doc__ or "").strip().splitlines()[0]
        SCENARIOS[called] = Scenario(called, about, rules, body)
        return body

    return register
