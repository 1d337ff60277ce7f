"""What engines say to each other. Pure: classes and their checks, no encoding, no sending.

- `kinds`: Request, Message, Local, Timer, Started, ChildFailed
- `prefs`: TransportPrefs: how a message should travel
- `immutable`: which types may stand in a message, and what to write instead of the others
- `annotations`: annotations as types, also where they are strings
"""

from __future__ import annotations

from actors.messages.kinds import ChildFailed, Local, Message, Request, Started, Timer, reply_type, settle
from actors.messages.prefs import EXPIRY, PREFS, TransportPrefs

__all__ = [
    "EXPIRY",
    "PREFS",
    "ChildFailed",
    "Local",
    "Message",
    "Request",
    "Started",
    "Timer",
    "TransportPrefs",
    "reply_type",
    "settle",
]
