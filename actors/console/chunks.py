"""Bytes as they come, cut into messages. Pure: bytes in, pieces out; joined, the pieces are the input."""

from __future__ import annotations

LIMIT = 1 << 16
"""Bytes of one piece at most."""


class Chunker:
    """Cuts at the last line end that fits into `limit` bytes; where there is none, at `limit`.

    What follows the last line end waits for its own, for `limit` bytes or for `end`.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces that are complete now, in order."""
        text, limit, pieces, start = self._rest + data, self._limit, [], 0
        while True:
            end = text.rfind(b"\n", start, start + limit) + 1
            if not end:
                end = start + limit
                if end > len(text):
                    break
            pieces.append(text[start:end])
            start = end
        self._rest = text[start:]
        return pieces

    def end(self) -> list[bytes]:
        """The last piece, if anything is left."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class LineChunker(Chunker):
    """One line a piece, with its line end; a longer line than `limit` bytes in several."""

    def feed(self, data: bytes) -> list[bytes]:
        *lines, rest = (self._rest + data).split(b"\n")
        pieces = [line + b"\n" for line in lines]
        if max(map(len, lines), default=0) >= self._limit:
            pieces = [part for piece in pieces for part in self._split(piece)]
        *full, self._rest = self._split(rest) or [b""]
        if len(self._rest) == self._limit:
            full, self._rest = [*full, self._rest], b""
        return pieces + full

    def _split(self, line: bytes) -> list[bytes]:
        return [line[at : at + self._limit] for at in range(0, len(line), self._limit)]
