"""Lines over a byte stream, with a bound on their length. Knows nothing of what stands in them."""

from __future__ import annotations

import trio


class LineTooLongError(Exception):
    """The peer sent more than a line may have. The stream cannot be used any further."""


class LineReader:
    """Reads one line at a time. Not for two tasks at once."""

    def __init__(self, stream: trio.abc.ReceiveStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0

    async def read(self) -> bytes | None:
        """The next line without its end; None at the stream's end, where half a line is dropped.

        Raises LineTooLongError, and what the stream raises. Cancellation loses nothing.
        """
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            if self._searched >= self._limit:
                raise LineTooLongError
            data = await self._stream.receive_some()
            if not data:
                return None
            self._buffer += data
        if end >= self._limit:
            raise LineTooLongError
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line
