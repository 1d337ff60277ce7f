"""The unreliable class (PROTOCOL U): each message in a frame of its own, written once or never, and perhaps lost. Pure.

What waits to be written lies in the outbox with all else, in lanes of its own (`transmit`). Here is what is said on
the wire, and what becomes of it at the receiver: it uses no credit, so a mailbox takes it only where it has room that
was promised to nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from actors.errors import Refused
from actors.net.messages import Datagram
from actors.net.session.receive import Place
from actors.net.session.runs import Run
from actors.net.wire import HEAD_SIZE, encode

WINDOW = 1024
"""Datagrams of one connection whose numbers are remembered (U3)."""
_ONE = b"\x91"
"""The head of an array of one message: as it stands in a run."""


def frames(run: Run, now: float, ids: Callable[[], int]) -> Iterator[bytes]:
    """The whole frames of a run's messages, in order."""
    lane, ttl = run.lane, max(0, int((run.deadline - now) * 1000))
    for item in run.items or ():
        yield encode(Datagram(ids(), lane.target.name, lane.sender, ttl, item))


def beside(frame: bytes) -> bytes:
    """A whole frame as it crosses in a datagram of its own: there, the transport knows where it ends."""
    return frame[HEAD_SIZE:]


def too_large(size: int, largest: int) -> Refused:
    """Why a message that no datagram of this connection carries is not sent at all."""
    return Refused("too_large", f"{size} bytes with its head, a datagram here carries {largest}; tell it reliably")


class Window:
    """The numbers of the last datagrams of one connection: another copy of one is not taken (U3)."""

    __slots__ = ("_known", "_order")

    def __init__(self) -> None:
        self._known: dict[int, None] = {}
        self._order: deque[int] | None = None
        """As they came. The dict knows it, too, but looks for its oldest behind all that were deleted, 1.6 us long.
        Made for the first: few connections have any."""

    def is_new(self, number: int) -> bool:
        """Whether it was not seen among the last ones; from now on it was."""
        if number in self._known:
            return False
        if self._order is None:
            self._order = deque()
        if len(self._order) == WINDOW:
            del self._known[self._order.popleft()]
        self._known[number] = None
        self._order.append(number)
        return True


def enter(record: Datagram, place: Place | None) -> str:
    """Into the mailbox; else why it is dropped (U2): `no_engine`, `bad_message`, `full`.

    Raises ProtocolError for a payload that is no array.
    """
    if place is None:
        return "no_engine"
    (message,) = place.tells(memoryview(_ONE + record.payload), 1)
    if message is None:
        return "bad_message"
    return "" if place.offer(record.sender, message, len(record.payload)) else "full"
