"""Length-prefixed frames out of a byte stream, split in place. Pure: bytes in, frames out.

A frame is `u32 length | length bytes`, big-endian.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct as Layout

from transports.errors import FrameError

LENGTH = Layout("!I")
_HEAD = LENGTH.size
_read_length = LENGTH.unpack_from

SMALL = 1 << 9
"""What a connection reads into that is hardly used; one that is idle holds nothing."""
BUSY = 256 << 10
"""What a loaded connection reads at once; more only for a frame that needs it."""
_WINDOW = 16
_NO_ROOM = bytearray()
_NO_VIEW = memoryview(_NO_ROOM)


class FrameBuffer:
    """One buffer to receive into; the frames in it are views, not copies.

        n = stream.receive_nowait(frames.writable())
        frames.commit(n)
        for frame in frames: ...

    A frame's view is without the length, and valid until the next `writable`. `limit` is the greatest
    length allowed and may be changed at any time, for the frames that follow. The buffer grows with the
    bytes that have come, never for the promise of a header, and shrinks when reads have become small.
    """

    __slots__ = ("_buffer", "_end", "_full", "_peak", "_reads", "_start", "_view", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer, self._view = _NO_ROOM, _NO_VIEW
        self._start = self._end = 0  # what has come and was not taken lies in buffer[start:end]
        self._full = False  # the last read filled all the room it had: more was waiting
        self._peak = self._reads = 0  # the most that was held after one of the last reads

    def writable(self) -> memoryview:
        """Where the next bytes go: never empty, as much as is worth reading at once.

        BufferError if there is no room because frames that have come were not taken.
        """
        if self._start == self._end:
            self._start = self._end = 0
        size = len(self._buffer)
        if not size:
            self._move_to(SMALL)
            return self._view
        if self._full or self._reads >= _WINDOW or size - self._end < size >> 2:
            self._rearrange(size)
        return self._view[self._end :]

    def _rearrange(self, size: int) -> None:
        better = self._better_size(size)
        if better != size:
            self._move_to(better)
        elif self._start:
            kept = self._end - self._start
            self._view[:kept] = self._view[self._start : self._end]
            self._start, self._end = 0, kept
        if self._end == better:
            raise BufferError("no room: take the frames that have come before reading on")

    def _better_size(self, size: int) -> int:
        most = max(size, SMALL, _HEAD + self.limit)
        if self._end - self._start > size >> 1:
            return min(size * 2, most)
        if self._full and size < BUSY:
            return min(size * 2, BUSY, most)
        if self._reads >= _WINDOW:
            peak, self._peak, self._reads = self._peak, 0, 0
            if peak <= size >> 2:
                return min(size, max(SMALL, peak * 2))
        return size

    def _move_to(self, size: int) -> None:
        """A new buffer with the old one's bytes. Not a resize: somebody may still look at the old one."""
        kept = self._end - self._start
        buffer = bytearray(size)
        view = memoryview(buffer)
        view[:kept] = self._view[self._start : self._end]
        self._buffer, self._view = buffer, view
        self._start, self._end = 0, kept
        self._full = False
        self._peak = self._reads = 0

    def rest(self) -> None:
        """Nothing may come for long. A small buffer with nothing in it is not kept for that: a new one costs little."""
        if self._start == self._end and len(self._buffer) == SMALL:
            self._buffer, self._view = _NO_ROOM, _NO_VIEW

    def commit(self, count: int) -> None:
        """So many bytes were written to the front of `writable()`."""
        end = self._end + count
        if not self._end <= end <= len(self._buffer):
            raise ValueError(f"{count} bytes were not written into the room for {len(self._buffer) - self._end}")
        self._end = end
        self._full = end == len(self._buffer)
        self._reads += 1
        if end - self._start > self._peak:
            self._peak = end - self._start

    @property
    def full(self) -> bool:
        """Whether the last read filled all the room it had: there may be more."""
        return self._full

    @property
    def size(self) -> int:
        """Bytes of memory that it holds now."""
        return len(self._buffer)

    @property
    def pending(self) -> int:
        """Bytes that have come and were not taken: of a stream that ended, the torn frame."""
        return self._end - self._start

    def next_frame(self) -> memoryview | None:
        """The next whole frame, or None until more bytes have come. FrameError as soon as its header is wrong."""
        start = self._start + _HEAD
        if start > self._end:
            return None
        (length,) = _read_length(self._buffer, self._start)
        if not 0 < length <= self.limit:
            raise FrameError(f"a frame of {length} bytes; from 1 to {self.limit} are allowed")
        end = start + length
        if end > self._end:
            return None
        self._start = end
        return self._view[start:end]

    def __iter__(self) -> Iterator[memoryview]:
        while (frame := self.next_frame()) is not None:
            yield frame
