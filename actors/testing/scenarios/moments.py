"""When a fault strikes: not at a time, but when a certain frame sets out.

So "after the message entered the mailbox, before its acknowledgement leaves" is hit every time:

    with Moments(sim) as moments:                                    # before anybody connects
        ...
        moments.strike(Stroke(Cut("a", "b"), sets_out("b", "a", Ack)))
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from types import TracebackType
from typing import Any, Self, TypeAlias

import trio
from msgspec import Struct

from actors.errors import ProtocolError
from actors.net.messages import MAX_FRAME, Ack, Frame, Messages, Resume
from actors.net.wire import MESSAGES, decode, decode_messages
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Crash, Fault
from actors.testing.scenarios.breaks import HangUp
from transports.errors import FrameError
from transports.frames import FrameBuffer
from transports.memory.connection import Connection


class Crossing(Struct, frozen=True):
    """A whole frame sets out. `frame` is None for one of a type that nobody knows."""

    connection: Connection
    sender: str
    receiver: str
    frame: Frame | None


Match: TypeAlias = Callable[[Crossing], object]
"""Whether it is such a frame."""


def sets_out(sender: str, receiver: str, *kinds: type[Any], that: Callable[[Any], object] | None = None) -> Match:
    """A frame of these kinds, or of any, from one node to another; of which `that` is true."""

    def match(crossing: Crossing) -> bool:
        return (
            (crossing.sender, crossing.receiver) == (sender, receiver)
            and (not kinds or isinstance(crossing.frame, kinds))
            and (that is None or bool(that(crossing.frame)))
        )

    return match


def crosses(one: str, other: str, *kinds: type[Any]) -> Match:
    """A frame of these kinds, or of any, either way."""
    there, back = sets_out(one, other, *kinds), sets_out(other, one, *kinds)
    return lambda crossing: there(crossing) or back(crossing)


def acknowledges(sender: str, receiver: str) -> Match:
    """Anything that says what has arrived: an Ack, a Resume, a Messages frame that an acknowledgement rides on."""

    def says(frame: Ack | Resume | Messages) -> bool:
        return (frame.position if isinstance(frame, Resume) else frame.upto) > 0

    return sets_out(sender, receiver, Ack, Resume, Messages, that=says)


def on_connection(number: int) -> Match:
    """Any frame, either way, on the network's so-many-th connection."""
    return lambda crossing: crossing.connection.number == number


class Stroke(Struct, frozen=True):
    """A fault and its moment: when the `nth` frame that matches sets out, or `later` seconds after that.

    At once, the frame has not left: nothing of it arrives if the connection breaks.
    """

    fault: Fault
    match: Match
    nth: int = 1
    later: float = 0.0


def draw_later(rng: Random, latency: float) -> float:
    """Before a frame leaves, on its way, as it arrives, or when it has been handled."""
    near = max(latency, 1e-4)
    return round(near * rng.choice((0.0, 0.0, 0.5, 0.999, 1.0, 1.001, 1.5, 2.5)), 7)


_AFTER_IT = (Crash, HangUp)
"""Faults that come in the same instant as the frame, but behind it: it has left."""


def draw_strokes(
    rng: Random, count: int, fault: Callable[[], Fault], *matches: Match, nth: int, latency: float
) -> list[Stroke]:
    """So many faults, each at one of the first `nth` frames that match one of these, or soon after."""
    return [Stroke(fault(), rng.choice(matches), rng.randint(1, nth), draw_later(rng, latency)) for _ in range(count)]


class Moments:
    """Follows the frames of a simulation's network, and strikes. At the end of the block nothing strikes any more."""

    def __init__(self, sim: Simulation) -> None:
        self.struck = 0
        """How many faults were inflicted; not those that were left out of this run."""
        self._sim = sim
        self._waiting: list[_Waiting] = []
        self._over = False
        self._frames = FrameTap(sim)
        self._frames.on_frame.append(self._see)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over = True
        self._waiting.clear()

    @property
    def pending(self) -> bool:
        """Whether a stroke still waits for its moment."""
        return bool(self._waiting)

    def strike(self, *strokes: Stroke) -> None:
        """One after the other: the second waits for its moment once the first has struck."""
        if strokes:
            self._waiting.append(_Waiting(deque(strokes)))

    def _see(self, crossing: Crossing) -> None:
        for waiting in list(self._waiting):
            stroke = waiting.strokes[0]
            if not stroke.match(crossing):
                continue
            waiting.seen += 1
            if waiting.seen >= stroke.nth:
                waiting.seen = 0
                waiting.strokes.popleft()
                if not waiting.strokes:
                    self._waiting.remove(waiting)
                self._strike(stroke)

    def _strike(self, stroke: Stroke) -> None:
        if stroke.later or isinstance(stroke.fault, _AFTER_IT):
            self._sim.start_soon(self._strike_later, stroke)
        else:
            self.struck += now(self._sim, stroke.fault)

    async def _strike_later(self, stroke: Stroke) -> None:
        await trio.sleep(stroke.later)
        if not self._over:
            self.struck += await self._sim.inflict(stroke.fault)


def now(sim: Simulation, fault: Fault) -> bool:
    """As `sim.inflict`, within this step of whoever runs. RuntimeError for a fault that takes more than a step."""
    try:
        sim.inflict(fault).send(None)
    except StopIteration as done:
        return bool(done.value)
    raise RuntimeError(f"{fault} takes its time")


class _Waiting:
    """Strokes that come one after the other; `seen` frames match the first of them."""

    __slots__ = ("seen", "strokes")

    def __init__(self, strokes: deque[Stroke]) -> None:
        self.strokes = strokes
        self.seen = 0


class FrameTap:
    """Tells of each frame that crosses a network, when the last of its bytes sets out."""

    def __init__(self, sim: Simulation) -> None:
        self.on_frame: list[Callable[[Crossing], object]] = []
        self._ways: dict[tuple[int, str], FrameBuffer | None] = {}
        sim.network.on_bytes.append(self._hear)

    def _hear(self, connection: Connection, sender: str, receiver: str, data: bytes) -> None:
        key = connection.number, sender
        if key not in self._ways:
            self._ways[key] = FrameBuffer(MAX_FRAME)
        buffer = self._ways[key]
        if buffer is None:
            return
        try:
            for frame in _frames(buffer, data):
                crossing = Crossing(connection, sender, receiver, _decoded(frame))
                for tell in self.on_frame:
                    tell(crossing)
        except (FrameError, ProtocolError):
            self._ways[key] = None  # no node's words, or corrupted ones


def _frames(buffer: FrameBuffer, data: bytes) -> Iterable[memoryview]:
    rest = memoryview(data)
    while rest:
        room = buffer.writable()
        count = min(len(room), len(rest))
        room[:count] = rest[:count]
        buffer.commit(count)
        rest = rest[count:]
        yield from buffer


def _decoded(frame: memoryview) -> Frame | None:
    return decode_messages(frame)[0] if frame[0] == MESSAGES else decode(frame)
