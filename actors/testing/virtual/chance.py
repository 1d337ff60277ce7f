"""The process' own chance, drawn from a seed: `random`, `os.urandom`, `secrets`, `uuid.uuid4`.

For code that draws as it likes: under simulation that is no mistake, it only has to draw the same in each run.
Not reached: what draws in C (`cryptography`, NumPy).
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any


@contextmanager
def seeded_chance(seed: int) -> Iterator[None]:
    """For the length of the block. Afterwards `random` goes on as if nothing had been drawn from it."""
    system = Random(f"{seed} system").randbytes  # noqa: S311 - not for secrets
    # A stream of its own: libraries make some generators, once per process.
    news = Random(f"{seed} new generators").getrandbits  # noqa: S311 - not for secrets
    seed_of: Any = Random.seed

    def seeded(self: Random, a: Any = None, version: int = 2) -> None:
        seed_of(self, news(128) if a is None else a, version)

    replaced: tuple[tuple[Any, str, Any], ...] = (
        (os, "urandom", system),
        (random, "_urandom", system),  # SystemRandom, and with it `secrets`
        (Random, "seed", seeded),
    )
    before = [getattr(owner, name) for owner, name, _ in replaced]
    state = random.getstate()
    random.seed(f"{seed} global")
    for owner, name, value in replaced:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for (owner, name, _), value in zip(replaced, before, strict=True):
            setattr(owner, name, value)
        random.setstate(state)
