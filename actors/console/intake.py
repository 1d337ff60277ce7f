"""The bytes of a stream, as pieces; some are held back while cuts are planned, so that the end is seen coming."""

from __future__ import annotations

from collections import deque

import trio

from actors.console.chunks import Chunker, LineChunker
from actors.console.cuts import AHEAD_BYTES, Cuts

_READ = 1 << 17


class Intake:
    """Takes from a stream, and holds back as much as the plan of cuts wants.

    Without `lines`, a short stream is cut into smaller pieces, so that there are enough for the cuts.
    """

    def __init__(
        self, stream: trio.abc.ReceiveStream, cuts: Cuts, *, lines: bool = False, already: bytes = b""
    ) -> None:
        self._stream = stream
        self._lines = lines
        self._chunker = chunker = LineChunker() if lines else Chunker()
        self._cuts = cuts
        self._ended = False
        self.taken = 0
        """Pieces that were given out."""
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._hold(chunker.feed(already))

    async def take(self) -> list[bytes]:
        """The next pieces, in order; none at the end. What is there already does not wait for more to come."""
        if pieces := self._release():
            return pieces
        while not self._ended:
            if data := await self._stream.receive_some(_READ):
                self._hold(self._chunker.feed(bytes(data)))
            else:
                self._end()
            if pieces := self._release():
                return pieces
        return self._release()

    def _end(self) -> None:
        self._hold(self._chunker.end())
        self._ended = True
        wanted = self._cuts.wanted
        if len(self._held) < wanted and not self._lines:
            finer = Chunker(max(1, self._held_bytes // wanted))
            self._held = deque(finer.feed(b"".join(self._held)) + finer.end())
        self._cuts.end_in_sight(self.taken, len(self._held))

    def _hold(self, pieces: list[bytes]) -> None:
        self._held.extend(pieces)
        self._held_bytes += sum(map(len, pieces))

    def _release(self) -> list[bytes]:
        pieces = []
        ahead = 0 if self._ended else self._cuts.ahead
        while len(self._held) > ahead or self._held_bytes > AHEAD_BYTES:
            pieces.append(self._held.popleft())
            self._held_bytes -= len(pieces[-1])
        self.taken += len(pieces)
        return pieces
