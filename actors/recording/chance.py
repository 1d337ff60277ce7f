"""`random` and `uuid.uuid4`, as one engine's handlers draw them: so that a replay draws the same.

The functions of the module `random` go to a generator of the engine whose handler runs, and else to where they always
went. They are replaced before the app is imported. `secrets` and `os.urandom` are left alone: what is drawn there is
nobody's business, and is not written down.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random
from typing import Any, Final, Protocol

_NAMES: Final = (
    "betavariate", "binomialvariate", "choice", "choices", "expovariate", "gammavariate", "gauss", "getrandbits",
    "getstate", "lognormvariate", "normalvariate", "paretovariate", "randbytes", "randint", "random", "randrange",
    "sample", "seed", "setstate", "shuffle", "triangular", "uniform", "vonmisesvariate", "weibullvariate",
)  # fmt: skip


class Drawing(Protocol):
    """Where a handler's chance comes from."""

    random: Random

    def uuid4(self, draw: Callable[[], uuid.UUID]) -> uuid.UUID:
        """One more; `draw` makes a new one."""
        ...


handling: ContextVar[Drawing | None] = ContextVar("recorded handling", default=None)
"""Whose handler runs here, in all the tasks that it opens."""


@contextmanager
def own_chance() -> Iterator[None]:
    """For the length of the block each engine draws for itself."""
    before: dict[str, Any] = {name: vars(random)[name] for name in _NAMES if name in vars(random)}
    uuid4 = uuid.uuid4

    def own_uuid4() -> uuid.UUID:
        drawing = handling.get()
        return uuid4() if drawing is None else drawing.uuid4(uuid4)

    for name, function in before.items():
        setattr(random, name, _own(name, function))
    uuid.uuid4 = own_uuid4
    try:
        yield
    finally:
        vars(random).update(before)
        uuid.uuid4 = uuid4


def _own(name: str, function: Any) -> Any:
    def draw(*args: Any, **options: Any) -> Any:
        drawing = handling.get()
        return function(*args, **options) if drawing is None else getattr(drawing.random, name)(*args, **options)

    draw.__name__ = draw.__qualname__ = name
    draw.__doc__ = function.__doc__
    return draw
