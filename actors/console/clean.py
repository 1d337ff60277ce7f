"""Text of strangers, made harmless. Pure."""

from __future__ import annotations


def clean(text: object) -> str:
    """Text that cannot steer a terminal: what a stranger may have chosen is printable or replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
