"""The node's events, to whoever listens. Never waits for a listener: a slow one loses the oldest, and it is counted."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final, TypeAlias

import trio

from actors.events import Event
from actors.identity import NodeID

RECENT: Final = 256
Wanted: TypeAlias = Callable[[Event], bool]


class _Listener:
    __slots__ = ("receive", "send")

    def __init__(self, capacity: int) -> None:
        self.send, self.receive = trio.open_memory_channel[Event](capacity)


class Next:
    """The next event about a peer that is wanted, of those while the block runs. For one task.

    with events.next(peer, wanted) as found:
        ...
        event = await found.event()
    """

    __slots__ = ("_events", "_found", "_over", "_peer", "_wait", "_wanted")

    def __init__(self, events: Events, peer: NodeID, wanted: Wanted) -> None:
        self._events, self._peer, self._wanted = events, peer, wanted
        self._found: Event | None = None
        self._over = False
        self._wait: trio.Event | None = None

    def __enter__(self) -> Next:
        self._events._next[self._peer].append(self)
        return self

    def __exit__(self, *_: object) -> None:
        waiting = self._events._next[self._peer]
        waiting.remove(self)
        if not waiting:
            del self._events._next[self._peer]

    async def event(self) -> Event | None:
        """Wait for it. None: the node has stopped."""
        if not self._over:
            self._wait = trio.Event()
            await self._wait.wait()
        return self._found

    def look(self, event: Event) -> None:
        """Is it this one?"""
        if not self._over and self._wanted(event):
            self.end(event)

    def end(self, found: Event | None) -> None:
        """It is this one, or there will be none."""
        self._found, self._over = found, True
        if self._wait is not None:
            self._wait.set()


class Events:
    """`emit` from anywhere, `subscribe` to listen, `next` to wait for one."""

    def __init__(self) -> None:
        self._listeners: list[_Listener] = []
        self._next: defaultdict[NodeID | None, list[Next]] = defaultdict(list)
        """By peer: of a thousand that are being connected, an event concerns one."""
        self.taps: list[Callable[[Event], object]] = []
        """Called with each event as it is emitted: simulations. A tap must not raise."""
        self.recent: deque[Event] = deque(maxlen=RECENT)
        """The last ones, oldest first."""
        self.emitted = 0
        self.dropped = 0
        """Events that a slow listener did not get, all listeners together."""

    def subscribe(self, capacity: int = 256) -> trio.MemoryReceiveChannel[Event]:
        """Events from now on. Close the channel to stop; it ends by itself with the runtime."""
        if capacity < 1:
            raise ValueError(f"a listener needs room for at least one event, not {capacity}")
        listener = _Listener(capacity)
        self._listeners.append(listener)
        return listener.receive.clone()

    def next(self, peer: NodeID, wanted: Wanted) -> Next:
        """The next one about a peer that is wanted."""
        return Next(self, peer, wanted)

    def emit(self, event: Event) -> None:
        """Hand it to every listener that is there."""
        self.emitted += 1
        self.recent.append(event)
        for tap in self.taps:
            tap(event)
        if self._next:
            for each in tuple(self._next.get(getattr(event, "peer", None), ())):
                each.look(event)
        for listener in tuple(self._listeners):
            self._hand(listener, event)

    def close(self) -> None:
        """End every listener's channel, after what lies in it. Nobody waits for another event."""
        for each in [each for waiting in self._next.values() for each in waiting]:
            each.end(None)
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
