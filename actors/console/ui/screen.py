"""Lines of text to what a terminal understands; only those that have changed are written."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

CLEAR = "\x1b[0m\x1b[2J"


class Screen:
    """Remembers what is shown. `NO_COLOR` and the terminal's colours are rich's to know."""

    def __init__(self) -> None:
        self._console = Console(file=io.StringIO(), force_terminal=True, markup=False, emoji=False, highlight=False)
        self._shown: list[str] = []
        self._size = (0, 0)

    def forget(self) -> None:
        """What is shown is not known any more: the next frame is written whole."""
        self._shown = []

    def paint(self, lines: Sequence[Text], size: tuple[int, int]) -> bytes:
        """The bytes that turn what is shown into these lines; none if nothing has changed. Each line fills its row."""
        rendered = self._render(lines)
        whole = size != self._size or len(self._shown) != len(rendered)
        self._size = size
        before = [""] * len(rendered) if whole else self._shown
        changed = [
            f"\x1b[{row};1H{line}\x1b[0m"
            for row, (line, old) in enumerate(zip(rendered, before, strict=True), 1)
            if line != old
        ]
        self._shown = rendered
        return ((CLEAR if whole else "") + "".join(changed)).encode("utf-8", "replace")

    def _render(self, lines: Sequence[Text]) -> list[str]:
        with self._console.capture() as capture:
            self._console.print(Text("\n").join(lines), soft_wrap=True)
        return capture.get().removesuffix("\n").split("\n")
