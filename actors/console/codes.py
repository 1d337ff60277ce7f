"""The page of each code, read from `codes.md`, which is part of the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from msgspec import Struct

_SOURCE = Path(__file__).with_suffix(".md")


class CodePage(Struct, frozen=True):
    """What a code means, what causes it, what to do."""

    code: str
    meaning: str
    causes: tuple[str, ...]
    actions: tuple[str, ...]


def parse_pages(text: str) -> dict[str, CodePage]:
    """The pages of a text in the form of `codes.md`, by code."""
    pages = {}
    for section in text.split("\n## ")[1:]:
        code, *lines = section.strip().splitlines()
        pages[code] = CodePage(
            code=code,
            meaning=" ".join(line for line in lines if line and not line.startswith("- ")),
            causes=_listed(lines, "- cause: "),
            actions=_listed(lines, "- do: "),
        )
    return pages


@cache
def pages() -> dict[str, CodePage]:
    """All of them."""
    return parse_pages(_SOURCE.read_text())


def _listed(lines: list[str], mark: str) -> tuple[str, ...]:
    return tuple(line.removeprefix(mark) for line in lines if line.startswith(mark))
