"""The node's events, to whoever listens. Never waits for a listener: a slow one loses the oldest, and it is counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import trio

from actors.events import Event

RECENT: Final = 256
Wanted: TypeAlias = Callable[[Event], bool]


class _Listener:
    __slots__ = ("lost", "receive", "send", "wanted")

    def __init__(self, capacity: int, wanted: Wanted | None) -> None:
        self.wanted = wanted
        self.send, receive = trio.open_memory_channel[Event](capacity)
        self.receive = receive
        self.lost = 0


class Events:
    """`emit` from anywhere, `subscribe` to listen."""

    def __init__(self) -> None:
        self._listeners: list[_Listener] = []
        self.taps: list[Callable[[Event], object]] = []
        """Called with each event as it is emitted: simulations. A tap must not raise."""
        self.recent: deque[Event] = deque(maxlen=RECENT)
        """The last ones, oldest first."""
        self.emitted = 0
        self.dropped = 0
        """Events that a slow listener did not get, all listeners together."""

    def subscribe(self, capacity: int = 256, *, wanted: Wanted | None = None) -> trio.MemoryReceiveChannel[Event]:
        """Events from now on, those that are wanted. Close the channel to stop; it ends by itself with the runtime."""
        if capacity < 1:
            raise ValueError(f"a listener needs room for at least one event, not {capacity}")
        listener = _Listener(capacity, wanted)
        self._listeners.append(listener)
        return listener.receive.clone()

    def emit(self, event: Event) -> None:
        """Hand it to every listener that is there."""
        self.emitted += 1
        self.recent.append(event)
        for tap in self.taps:
            tap(event)
        for listener in tuple(self._listeners):
            if listener.wanted is None or listener.wanted(event):
                self._hand(listener, event)

    def close(self) -> None:
        """End every listener's channel, after what lies in it."""
        for listener in self._listeners:
            listener.send.close()
            listener.receive.close()
        self._listeners.clear()

    def _hand(self, listener: _Listener, event: Event) -> None:
        if listener.send.statistics().open_receive_channels == 1:
            # Only our own end is left: the listener has closed its channel.
            listener.receive.close()
            listener.send.close()
            self._listeners.remove(listener)
            return
        try:
            listener.send.send_nowait(event)
        except trio.WouldBlock:
            listener.receive.receive_nowait()
            self.dropped += 1
            listener.send.send_nowait(event)

    def __repr__(self) -> str:
        return f"<Events: {self.emitted} emitted, {len(self._listeners)} listeners, {self.dropped} dropped>"
