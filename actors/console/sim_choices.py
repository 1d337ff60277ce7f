"""What `actors sim` can be told, checked before anything runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.console.exits import UsageError
from actors.control.resolve import guess

ALL: Final = "all"
LAST_SEED: Final = 2**63 - 1
MOST_JOBS: Final = 256
"""Worker processes that one command starts at most."""


def checked_scenario(name: str, scenarios: Iterable[str]) -> str:
    """UsageError for one that there is not, with a guess."""
    known = list(scenarios)
    if name not in known:
        error = UsageError(f"there is no scenario {name!r}")
        error.hint = f"{guess(name, known)}; actors sim ls" if known else "actors sim ls"
        raise error
    return name


def checked_scenarios(name: str, scenarios: Iterable[str]) -> tuple[str, ...]:
    """Those that are meant: one, or all in the order of their names."""
    known = tuple(sorted(scenarios))
    return known if name == ALL else (checked_scenario(name, known),)


def checked_seed(option: str, seed: int) -> int:
    """UsageError for a number that is no seed."""
    if not 0 <= seed <= LAST_SEED:
        raise UsageError(f"{option} {seed}: a number from 0 to {LAST_SEED}")
    return seed


def checked_seeds(count: int, first: int, scenarios: int) -> int:
    """UsageError for none, and for more than there are from the first one on."""
    if count < 1:
        raise UsageError(f"--seeds {count}: a number from 1")
    if (last := first + (count - 1) // scenarios) > LAST_SEED:
        raise UsageError(f"--seeds {count} --from {first}: that goes up to {last}, and the last seed is {LAST_SEED}")
    return count


def checked_jobs(count: int) -> int:
    """UsageError for no worker process, or too many."""
    if not 1 <= count <= MOST_JOBS:
        raise UsageError(f"--jobs {count}: a number from 1 to {MOST_JOBS}")
    return count


def checked_faults(option: str, text: str) -> frozenset[int]:
    """The numbers in `1,4,7`; none in an empty text. UsageError for what is no number."""
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"{option} {text!r}: numbers of faults with commas between them, such as 1,4,7")
    return frozenset(map(int, parts))
