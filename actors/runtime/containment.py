"""The one place where an exception of an engine's own code ends."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Containment:
    """`with Containment() as crash:` keeps an Exception of the body in `crash.error`, and the world goes on.

    What is no Exception (Cancelled, KeyboardInterrupt) passes; a group that a handler's nursery made of both is split.
    """

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        if isinstance(error, BaseExceptionGroup):
            failures, passing = error.split(Exception)
            self.error = failures
            if passing is not None:
                try:
                    raise passing
                finally:
                    del error, passing, failures  # this frame is in its traceback: they would hold each other
        elif isinstance(error, Exception):
            self.error = error
        return self.error is not None


def words(error: Exception) -> str:
    """An exception for people. A group of one is that one; an exception that cannot say what it is is its type."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    text = type(error).__name__
    with Containment():
        text = repr(error)
    return text
