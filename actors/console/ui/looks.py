"""A state by glyph, word and colour, so that it can be read without any one of them. Pure.

Colours are those sixteen that every terminal has, and that its owner has chosen to be readable.
"""

from __future__ import annotations

from typing import NamedTuple

from rich.text import Text

from actors.console.clean import clean


class Look(NamedTuple):
    """How a state is shown."""

    glyph: str
    word: str
    style: str


GOOD, WAIT, BAD, DULL = "green", "yellow", "red", "bright_black"

LOOKS = {
    # nodes
    "running": Look("●", "running", GOOD),
    "stopping": Look("◐", "stopping", WAIT),
    "asked": Look("◌", "asked", DULL),
    "silent": Look("◌", "silent", WAIT),
    "down": Look("✖", "down", BAD),
    "denied": Look("⊘", "not ours", BAD),
    # links
    "ready": Look("●", "ready", GOOD),
    "handshaking": Look("◑", "handshaking", WAIT),
    "dialing": Look("◔", "dialing", WAIT),
    "backoff": Look("✖", "backoff", BAD),
    "draining": Look("◐", "draining", WAIT),
    "idle": Look("○", "idle", DULL),
    "closed": Look("○", "closed", DULL),
    # engines; "running" as of nodes
    "starting": Look("◔", "starting", WAIT),
    # problems
    "error": Look("✖", "error", BAD),
    "warning": Look("▲", "warning", WAIT),
}
NONE = Look("·", "none", DULL)


def look(state: str) -> Look:
    """Of a state that is not known here: its own word."""
    return LOOKS.get(state) or Look("?", clean(state), WAIT)


def shown(state: str) -> Text:
    """Glyph and word, in their colour."""
    found = look(state)
    return Text(f"{found.glyph} {found.word}", found.style)
