"""What a message demands of the connection that carries it: the transports that may. Pure.

There is one current connection to a node (PROTOCOL C4), and numbers go in order on it: a message that it may not carry
waits, with what is behind it in its lane, until the session has moved to one that may. So nothing changes places.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from msgspec.structs import replace

from actors.errors import Refused
from actors.messages import PREFS, TransportPrefs
from transports.addresses import MemoryAddress, kinds

Carriers: TypeAlias = frozenset[str]
"""Schemes of transports."""
KNOWN: Carriers = frozenset(kind.scheme for kind in kinds())
ENCRYPTED: Carriers = frozenset(kind.scheme for kind in kinds() if kind.secure) | {MemoryAddress.scheme}
"""Nobody on the way can read them; what stays in this process has no way."""


def carriers(prefs: TransportPrefs) -> Carriers | None:
    """The transports that may carry a message of these preferences; None: any. Refused if there is none."""
    return None if prefs is PREFS else _carriers(prefs)


@lru_cache(64)
def reliable(prefs: TransportPrefs) -> TransportPrefs:
    """The same, but for the class: where that is decided already."""
    return replace(prefs, reliability="reliable")


@lru_cache(64)
def _carriers(prefs: TransportPrefs) -> Carriers | None:
    encrypted = prefs.security == "encrypted"
    if not encrypted and not prefs.transports:
        return None
    found = (ENCRYPTED if encrypted else KNOWN) & frozenset(prefs.transports or KNOWN)
    if not found:
        wanted = f"{' or '.join(prefs.transports)}{', encrypted' if encrypted else ''}"
        raise Refused("no_transport", f"no transport is {wanted}; there are {', '.join(sorted(KNOWN))}")
    return found
