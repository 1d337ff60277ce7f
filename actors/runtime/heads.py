"""The head of a message for people: its fields by name, cut short whatever is in them."""

from __future__ import annotations

from reprlib import Repr
from typing import Final

from msgspec import Struct

HEAD: Final = 120
"""Characters."""


class _Short(Repr):
    """Of what is long only the beginning is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 48
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 4
        self.maxlevel = 3

    def repr_bytes(self, value: bytes, level: int) -> str:
        """As text is shown."""
        return self.repr_str(value, level)  # type: ignore[arg-type]  # both are sliced, and nothing else

    def repr_instance(self, value: object, level: int) -> str:
        """Records by their fields; of what a user has made and cannot be shown, its type."""
        if isinstance(value, Struct):
            if level <= 0:
                return f"{type(value).__name__}(...)"
            fields = (f"{name}={self.repr1(getattr(value, name), level - 1)}" for name in value.__struct_fields__)
            return f"{type(value).__name__}({', '.join(fields)})"
        try:
            words = repr(value)
        except Exception:  # somebody else's __repr__
            return f"<{type(value).__name__}>"
        return words if len(words) <= self.maxother else f"{words[: self.maxother]}..."


_short: Final = _Short()


def head(message: object) -> str:
    """`Add(amount=40)`, at most so long."""
    try:
        words = _short.repr(message)
    except Exception:  # a field that was never set, a subclass of str with ideas of its own
        words = f"<{type(message).__name__}>"
    return words if len(words) <= HEAD else f"{words[: HEAD - 1]}…"
