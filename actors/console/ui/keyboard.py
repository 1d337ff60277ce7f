"""What a terminal sends, to names of keys. Pure: bytes in, names out."""

from __future__ import annotations

import codecs

NAMES = {
    b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down",
    b"\x1b[C": "right", b"\x1bOC": "right", b"\x1b[D": "left", b"\x1bOD": "left",
    b"\x1b[5~": "page up", b"\x1b[6~": "page down", b"\x1b[H": "home", b"\x1b[1~": "home", b"\x1bOH": "home",
    b"\x1b[F": "end", b"\x1b[4~": "end", b"\x1bOF": "end", b"\x1b[Z": "back tab",
}  # fmt: skip
_SINGLE = {
    0x0D: "enter", 0x0A: "enter", 0x09: "tab", 0x7F: "backspace", 0x08: "backspace", 0x15: "clear", 0x0C: "redraw",
}  # fmt: skip
_LONGEST = 16


class Keyboard:
    """A key's bytes may come in pieces. An Esc alone is known for one when nothing follows it: see `pause`."""

    def __init__(self) -> None:
        self._rest = b""
        self._text = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def waiting(self) -> bool:
        """Whether a key has begun whose end has not come."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete: a printable character stands for itself."""
        data, keys = self._rest + data, []
        self._rest = b""
        while data:
            if data[:1] != b"\x1b":
                keys += self._character(data[0])
                data = data[1:]
                continue
            length = _sequence(data)
            if not length:
                self._rest = data
                break
            if name := NAMES.get(data[:length]):
                keys.append(name)
            elif length == 1:
                keys.append("esc")
            data = data[length:]
        return keys

    def pause(self) -> list[str]:
        """Nothing came for a while: what has begun will not be continued."""
        rest, self._rest = self._rest, b""
        return ["esc"] if rest else []

    def _character(self, code: int) -> list[str]:
        if name := _SINGLE.get(code):
            return [name]
        if code < 0x20:
            return []
        return [character for character in self._text.decode(bytes((code,))) if character.isprintable()]


def _sequence(data: bytes) -> int:
    """How many bytes the escape sequence at the beginning has; 0 if its end has not come."""
    if len(data) == 1:
        return 0
    if data[1:2] == b"\x1b":
        return 1
    if data[1:2] not in (b"[", b"O"):
        return 1
    for index in range(2, min(len(data), _LONGEST)):
        if 0x40 <= data[index] <= 0x7E:
            return index + 1
    return len(data) if len(data) >= _LONGEST else 0
