"""The help sheet, made from the table of bindings. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from actors.console.ui.bindings import ACT, LOOK, MOVE, TIME, Binding, key_names
from actors.console.ui.columns import rule

_KEYS = 10


def view(table: Sequence[Binding], width: int, height: int) -> list[Text]:
    """The page: beside each other where it is wide, else one below the other."""
    groups = [(name, [binding for binding in table if binding.group == name]) for name in (LOOK, MOVE, ACT, TIME)]
    lines = [rule("KEYS", width, more="any key goes back; numbers run what a page offers")]
    for name, found in groups:
        if found:
            lines.append(Text(f"  {name}", "bold"))
            lines += [_line(binding) for binding in found]
    return lines if len(lines) <= height else _beside(lines, width)


def _line(binding: Binding) -> Text:
    return Text.assemble("  ", (f"{key_names(binding):<{_KEYS}} ", "cyan"), binding.words)


def _beside(lines: list[Text], width: int) -> list[Text]:
    head, rest = lines[0], lines[1:]
    half = -(-len(rest) // 2)
    left, right = rest[:half], [*rest[half:], *([Text()] * (2 * half - len(rest)))]
    column = width // 2
    out = [head]
    for one, other in zip(left, right, strict=True):
        one = one.copy()
        one.truncate(column - 1, overflow="ellipsis", pad=True)
        out.append(Text.assemble(one, " ", other))
    return out
