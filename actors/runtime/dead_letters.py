"""Messages that were told and did not arrive: counted, the last of them kept, each an event."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from msgspec import DecodeError, Raw, msgpack

from actors.errors import SendError
from actors.events import DeadLetter
from actors.identity import EngineID
from actors.messages import Request
from actors.runtime.events import Events

_KEPT: Final = 256
_HEAD: Final = 64

_array = msgpack.Decoder(list[Raw]).decode
_text = msgpack.Decoder(str).decode


class DeadLetters:
    """`count` since the start, and the `recent` ones, oldest first."""

    def __init__(self, events: Events, now: Callable[[], float]) -> None:
        self._events = events
        self._now = now
        self.count = 0
        self.recent: deque[DeadLetter] = deque(maxlen=_KEPT)

    def add(self, sender: EngineID, to: EngineID, msg: Request[Any] | bytes, outcome: SendError) -> None:
        """Nobody waits to learn this outcome. A message that was encoded comes as its bytes."""
        tag, head = (_tag(msg), msg[:_HEAD]) if isinstance(msg, bytes) else (tag_of(msg), b"")
        letter = DeadLetter(self._now(), to, sender, tag, str(outcome), head)
        self.count += 1
        self.recent.append(letter)
        self._events.emit(letter)

    def __repr__(self) -> str:
        return f"<DeadLetters: {self.count}{f', last {self.recent[-1]}' if self.recent else ''}>"


def tag_of(message: object) -> str:
    """The tag of a message; of anything else that was told, which nothing on the fast path checks, its type."""
    config = getattr(type(message), "__struct_config__", None)
    return str(config.tag) if config else type(message).__name__


def _tag(data: bytes) -> str:
    try:
        return _text(_array(data)[0])
    except (DecodeError, RecursionError, UnicodeDecodeError, IndexError):
        return ""
