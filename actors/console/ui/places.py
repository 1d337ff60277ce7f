"""Where one can be in the console, and what a key can mean there. Pure: words only."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from actors.console.ui.actions import Action

Page: TypeAlias = Literal["cluster", "node", "links", "link", "engines", "engine", "events", "letters"]


class Place(NamedTuple):
    """A page, and what it is about."""

    page: Page
    node: str = ""
    peer: str = ""
    """A NodeID."""
    engine: str = ""


CLUSTER = Place("cluster")
SCREENS: dict[str, Page] = {
    "cluster": "cluster",
    "links": "links",
    "engines": "engines",
    "events": "events",
    "letters": "letters",
}
"""By the command that opens it."""
DETAILS = frozenset({"node", "link"})
"""Pages whose commands have numbers."""


class Sight(Struct, frozen=True, kw_only=True):
    """What keys can act on, where one is."""

    keys: list[str] = []
    """The rows, in their order."""
    opens: Place | None = None
    """What the chosen row leads to."""
    actions: tuple[Action, ...] = ()
    dial: Action | None = None
    permanence: Action | None = None
    faults: tuple[Action, ...] = ()
    nodes: frozenset[str] = frozenset()
    links: dict[tuple[str, str], str] = {}
    """NodeIDs of peers, by the two names."""
